use cf_core::{Cursor, DeliveryAddress, Locator, PayloadId};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::cursor::digest;

/// How many prefixes the addresses of a service are divided into.
pub(crate) const PREFIXES: usize = 16;

/// Where a service is on a server: the subjects that are its own.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    name: String,
}

impl Place {
    /// What a service is called that nobody named.
    pub(crate) const DEFAULT: &'static str = "cf";
    const MAX_LEN: usize = 32;

    pub(crate) fn new(name: &str) -> Option<Self> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_name = (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(is_word);
        is_name.then(|| Self {
            name: name.to_owned(),
        })
    }

    /// All subjects at which payloads are published.
    pub(crate) fn all(&self) -> String {
        format!("cf.{}.>", self.name)
    }

    /// All subjects at which they are published again once they are kept.
    pub(crate) fn all_kept(&self) -> String {
        format!("cfr.{}.>", self.name)
    }

    /// The subjects of one prefix.
    pub(crate) fn subjects(&self, prefix: usize) -> String {
        format!("cf.{}.{prefix:x}.*", self.name)
    }

    /// The prefix that a stream's subject is for.
    pub(crate) fn prefix(&self, subject: &str) -> Option<usize> {
        (0..PREFIXES).find(|prefix| self.subjects(*prefix) == subject)
    }

    /// The subjects of an address.
    pub(crate) fn spot(&self, address: &DeliveryAddress) -> Spot {
        let hash: [u8; 24] = digest("/cf/ds/nats/1 address", &[address.as_bytes()]);
        let (prefix, token) = (hash[0] >> 4, BASE64URL_NOPAD.encode(&hash));
        Spot {
            prefix: prefix.into(),
            publish: format!("cf.{}.{prefix:x}.{token}", self.name),
            kept: format!("cfr.{}.{prefix:x}.{token}", self.name),
        }
    }

    /// What a new stream for a part of the prefixes is called.
    pub(crate) fn stream_name(&self, shard: usize, shards: usize, random: [u8; 4]) -> String {
        let random = HEXLOWER.encode(&random);
        format!("cf-{}-{shard}-{shards}-{random}", self.name)
    }

    /// In how many streams there are the prefixes of which this one is a part.
    pub(crate) fn shards(&self, stream: &str) -> Option<usize> {
        let rest = stream.strip_prefix("cf-")?.strip_prefix(&self.name)?;
        let shards = rest.strip_prefix('-')?.split('-').nth(1)?.parse().ok()?;
        (shards <= PREFIXES && PREFIXES.is_multiple_of(shards)).then_some(shards)
    }

    pub(crate) fn locator(&self, scheme: &str, host: &str) -> cf_core::Result<Locator> {
        match self.name.as_str() {
            Self::DEFAULT => Locator::parse(&format!("{scheme}://{host}")),
            name => Locator::parse(&format!("{scheme}://{host}/{name}")),
        }
    }
}

/// Where payloads of an address are published.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) prefix: usize,
    /// Where a client publishes.
    pub(crate) publish: String,
    /// Where the stream publishes again what it keeps.
    pub(crate) kept: String,
}

/// Names a publish on the server: repeated ones fall only at the same address. Where
/// the server knows the name and does not have the publish, it is renamed.
pub(crate) fn message_id(address: &DeliveryAddress, id: &PayloadId, renames: u8) -> String {
    let label = "/cf/ds/nats/1 publish";
    let hash: [u8; 16] = digest(label, &[address.as_bytes(), &[0], id.as_bytes()]);
    match renames {
        0 => BASE64URL_NOPAD.encode(&hash),
        renames => format!("{}.{renames}", BASE64URL_NOPAD.encode(&hash)),
    }
}

/// Names whatever is published after a cursor, so that there is one of them.
pub(crate) fn successor_id(address: &DeliveryAddress, cursor: &Cursor) -> String {
    let label = "/cf/ds/nats/1 successor";
    let hash: [u8; 16] = digest(label, &[address.as_bytes(), &[0], cursor.as_bytes()]);
    BASE64URL_NOPAD.encode(&hash)
}
