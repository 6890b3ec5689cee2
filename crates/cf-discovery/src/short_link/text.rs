//! The text of a short link:
//!
//! ```text
//! "cfshort_1_" base64url( secret 16 ‖ owner's hash 16 ‖ checksum 4 ) "." locator
//! ```
//!
//! The checksum, over what is before it and the locator, only tells a person that
//! a character was changed.

use cf_core::Locator;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::ShortLink;
use crate::Error;
use crate::seal::PlaceSecret;

const FAMILY: &str = "cfshort_";
const CHECKSUM_LABEL: &[u8] = b"/cf/discovery/short-link/1 checksum\0";
const CHECKSUM_LEN: usize = 4;
const PACKED_LEN: usize = 16 + 16 + CHECKSUM_LEN;
/// What stands before the point, in characters.
pub(super) const HEAD_LEN: usize = ShortLink::PREFIX.len() + PACKED_LEN * 4 / 3;

pub(super) struct Text {
    pub(super) secret: PlaceSecret,
    pub(super) owner: [u8; 16],
    pub(super) locator: Locator,
}

impl Text {
    pub(super) fn encode(&self) -> String {
        let mut packed = [self.secret.expose(), &self.owner[..]].concat();
        packed.extend_from_slice(&checksum(&packed, self.locator.as_str()));
        let packed = BASE64URL_NOPAD.encode(&packed);
        format!("{}{packed}.{}", ShortLink::PREFIX, self.locator)
    }

    pub(super) fn decode(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        check_prefix(text)?;
        let (len, max) = (text.len(), ShortLink::MAX_LEN);
        if len > max {
            return Err(Error::TooLong { len, max });
        }
        let truncated = Error::Truncated {
            len,
            expected: HEAD_LEN + 2,
        };
        let (head, rest) = text.split_at_checked(HEAD_LEN).ok_or(truncated)?;
        let packed = &head.as_bytes()[ShortLink::PREFIX.len()..];
        let packed = BASE64URL_NOPAD.decode(packed).map_err(|_| Error::Damaged)?;
        let locator = rest.strip_prefix('.').ok_or(Error::Damaged)?;
        let locator = Locator::parse(locator).map_err(|_| Error::Damaged)?;
        let (secret, packed) = packed.split_first_chunk::<16>().ok_or(Error::Damaged)?;
        let (owner, found) = packed.split_first_chunk::<16>().ok_or(Error::Damaged)?;
        let before = [secret.as_slice(), owner].concat();
        if checksum(&before, locator.as_str()) != *found {
            return Err(Error::Damaged);
        }
        Ok(Self {
            secret: PlaceSecret::new(ShortLink::ID, *secret),
            owner: *owner,
            locator,
        })
    }
}

fn check_prefix(text: &str) -> Result<(), Error> {
    if text.starts_with(ShortLink::PREFIX) {
        return Ok(());
    }
    let version = text
        .strip_prefix(FAMILY)
        .and_then(|rest| rest.split_once('_'));
    let version = version.and_then(|(version, _)| version.parse().ok());
    Err(match version {
        Some(version) => Error::NewerVersion { version },
        None => Error::NotAShortLink,
    })
}

fn checksum(packed: &[u8], locator: &str) -> [u8; CHECKSUM_LEN] {
    let hash = Sha256::new()
        .chain_update(CHECKSUM_LABEL)
        .chain_update(packed)
        .chain_update(locator)
        .finalize();
    std::array::from_fn(|index| hash[index])
}
