use bytes::Bytes;
use cf_core::RoutingTag;
use cf_core::padding::{BODY_OVERHEAD, FLOOR};

use crate::Error;
use crate::crypto::SEAL_LEN;

use super::header::{HEADER_LEN, Header, HeaderKey};
use super::message_key::MessageKey;

/// The random bytes in front of every body.
pub(crate) const SALT_LEN: usize = 16;

const _: () = assert!(SALT_LEN + HEADER_LEN + SEAL_LEN == BODY_OVERHEAD);

/// The body of a frame.
///
/// ```text
/// salt (16) ‖ encrypted header (52) ‖ sealed padded plaintext (256 or more, + 16)
/// ```
pub(crate) struct Body<'a> {
    pub(crate) salt: [u8; SALT_LEN],
    pub(crate) header: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Body<'a> {
    /// Finds the parts; authenticates nothing.
    pub(crate) fn split(body: &'a [u8]) -> Result<Self, Error> {
        let malformed = || Error::Malformed("a body takes at least 340 bytes");
        if body.len() < FLOOR + BODY_OVERHEAD {
            return Err(malformed());
        }
        let (salt, rest) = body.split_at(SALT_LEN);
        let (header, sealed) = rest.split_at(HEADER_LEN);
        let salt = salt.try_into().map_err(|_| malformed())?;
        Ok(Self {
            salt,
            header,
            sealed,
        })
    }

    /// Opens the plaintext and takes its padding off.
    pub(crate) fn open(
        &self,
        key: &MessageKey,
        tag: &RoutingTag,
        context: &[u8],
    ) -> Result<Bytes, Error> {
        let additional = additional(tag, self.header, context);
        let mut text = key.open(&self.salt, &additional, self.sealed)?;
        let padding = text.iter().rev().take_while(|byte| **byte == 0).count();
        text.truncate(text.len() - padding);
        match text.pop() {
            Some(PADDING_MARK) => Ok(text.into()),
            _ => Err(Error::Malformed("the padding has no mark")),
        }
    }
}

/// Ends the plaintext; zeros follow up to the padded length.
const PADDING_MARK: u8 = 0x80;

/// What sealing a body needs.
pub(crate) struct Sealing<'a> {
    pub(crate) salt: [u8; SALT_LEN],
    pub(crate) header_key: &'a HeaderKey,
    pub(crate) header: Header,
    pub(crate) tag: &'a RoutingTag,
    pub(crate) message_key: &'a MessageKey,
    pub(crate) context: &'a [u8],
}

impl Sealing<'_> {
    /// Makes the body around what `write` appends, padded to `padded_len` bytes.
    pub(crate) fn seal(&self, padded_len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut body = Vec::with_capacity(padded_len + BODY_OVERHEAD);
        body.extend_from_slice(&self.salt);
        self.header_key
            .seal(&self.header, self.tag, &self.salt, &mut body);
        let from = body.len();
        let additional = additional(self.tag, &body[SALT_LEN..], self.context);
        write(&mut body);
        body.push(PADDING_MARK);
        body.resize(from + padded_len, 0);
        self.message_key
            .seal(&self.salt, &additional, &mut body, from);
        body.into()
    }
}

/// tag ‖ encrypted header ‖ context.
fn additional(tag: &RoutingTag, header: &[u8], context: &[u8]) -> Vec<u8> {
    [tag.as_bytes(), header, context].concat()
}
