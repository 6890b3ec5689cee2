use std::fmt;

use cf_core::RoutingTag;

use crate::Error;
use crate::crypto::{self, Authenticator, Extracted, Key, SEAL_LEN};
use crate::label::Labels;

/// What a frame says of its chain: the same for the whole chain.
///
/// ```text
/// ratchet key (32) ‖ how the chain began (4)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) ratchet_key: [u8; 32],
    pub(crate) began: Beginning,
}

/// How a chain began.
///
/// ```text
/// 4 bytes, big-endian: top bit, whether its step mixed ‖ length of the chain before
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// How many frames the sender's chain before had, below [`MAX_CHAIN`].
    pub(crate) previous: u32,
    /// Whether its step mixed a secret of ML-KEM: never in private/1.
    pub(crate) mixed: bool,
}

/// One more than the longest that a chain may become.
pub(crate) const MAX_CHAIN: u32 = 1 << 31;

impl Beginning {
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        let mixed = if self.mixed { MAX_CHAIN } else { 0 };
        (self.previous | mixed).to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Self {
        let number = u32::from_be_bytes(bytes);
        Self {
            previous: number & !MAX_CHAIN,
            mixed: number & MAX_CHAIN != 0,
        }
    }
}

/// The length of an encrypted header, in bytes.
pub(crate) const HEADER_LEN: usize = 36 + SEAL_LEN;

/// The secret of one chain's tags and headers; only ever HKDF input.
#[derive(Clone)]
pub(crate) struct HeaderKey {
    key: Key,
    tag: Authenticator,
    seal: Key,
}

impl HeaderKey {
    pub(crate) fn new(key: Key, labels: &Labels) -> Self {
        let extracted = Extracted::new(&[], key.expose());
        let tag = Authenticator::new(extracted.key(labels.tag).expose());
        let seal = extracted.key(labels.header);
        Self { key, tag, seal }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The tag of the chain's frame with this number.
    pub(crate) fn tag(&self, number: u32) -> RoutingTag {
        let code = self.tag.code(&number.to_be_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&code[..16]);
        RoutingTag(tag)
    }

    /// Appends the encrypted header to `buffer`.
    pub(crate) fn seal(
        &self,
        header: &Header,
        tag: &RoutingTag,
        salt: &[u8; 16],
        buffer: &mut Vec<u8>,
    ) {
        let from = buffer.len();
        buffer.extend_from_slice(&header.ratchet_key);
        buffer.extend_from_slice(&header.began.to_bytes());
        crypto::seal(
            self.seal.expose(),
            &nonce(salt),
            tag.as_bytes(),
            buffer,
            from,
        );
    }

    pub(crate) fn open(
        &self,
        sealed: &[u8],
        tag: &RoutingTag,
        salt: &[u8; 16],
    ) -> Result<Header, Error> {
        let mut buffer = sealed.to_vec();
        crypto::open(
            self.seal.expose(),
            &nonce(salt),
            tag.as_bytes(),
            &mut buffer,
        )?;
        let malformed = || Error::Malformed("a header takes 36 bytes");
        let (key, began) = buffer.split_at_checked(32).ok_or_else(malformed)?;
        Ok(Header {
            ratchet_key: key.try_into().map_err(|_| malformed())?,
            began: Beginning::from_bytes(began.try_into().map_err(|_| malformed())?),
        })
    }
}

/// The first 12 bytes of the payload's salt. The chain's number would repeat
/// with another ratchet key if a state is restored from older records.
fn nonce(salt: &[u8; 16]) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&salt[..12]);
    nonce
}

impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderKey")
    }
}
