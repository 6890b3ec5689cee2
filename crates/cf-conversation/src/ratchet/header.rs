use std::fmt;

use cf_core::RoutingTag;

use crate::Error;
use crate::crypto::{self, Authenticator, Extracted, Key, SEAL_LEN};
use crate::label;

/// What a frame says of its chain: the same for the whole chain.
///
/// ```text
/// ratchet key (32) ‖ length of the sender's previous chain (4, big-endian)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) ratchet_key: [u8; 32],
    pub(crate) previous: u32,
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
    pub(crate) fn new(key: Key) -> Self {
        let extracted = Extracted::new(&[], key.expose());
        let tag = Authenticator::new(extracted.key(label::TAG).expose());
        let seal = extracted.key(label::HEADER);
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
        buffer.extend_from_slice(&header.previous.to_be_bytes());
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
        let (key, previous) = buffer.split_at_checked(32).ok_or_else(malformed)?;
        Ok(Header {
            ratchet_key: key.try_into().map_err(|_| malformed())?,
            previous: u32::from_be_bytes(previous.try_into().map_err(|_| malformed())?),
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
