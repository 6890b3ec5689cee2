//! Padding, so that the length of an invite tells little: its body has one of the
//! lengths that messages have.

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, padded_len};
use prost::Message;
use zeroize::Zeroizing;

use crate::InitError;
use crate::crypto::SEAL_LEN;
use crate::wire::{self, Fault};

/// The length of the shortest body of an invite's frame, in bytes.
pub const MIN_BODY_LEN: usize = BODY_OVERHEAD + 4096;

/// The length of the longest body of an invite's frame, in bytes.
pub const MAX_BODY_LEN: usize = BODY_OVERHEAD + 64 * 1024;

/// The length in front of a padded message.
const PREFIX_LEN: usize = 4;

/// Whether the body of an invite can be this long.
pub(crate) fn is_body_len(len: usize) -> bool {
    (MIN_BODY_LEN..=MAX_BODY_LEN).contains(&len)
        && padded_len(len - BODY_OVERHEAD) == len - BODY_OVERHEAD
}

/// The length of the body that holds a padded message beside `fixed_len` bytes; at
/// most [`MAX_BODY_LEN`], whether or not the message fits.
pub(crate) fn body_len(message: &impl Message, fixed_len: usize) -> usize {
    let len = (fixed_len + PREFIX_LEN).saturating_add(message.encoded_len());
    let body = BODY_OVERHEAD.saturating_add(padded_len(len.max(MIN_BODY_LEN) - BODY_OVERHEAD));
    body.min(MAX_BODY_LEN)
}

/// A length, a message, and zeros up to a length; with room for a seal behind it.
pub(crate) fn pad(message: &impl Message, to: usize) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let len = message.encoded_len();
    let too_long = InitError::TooLong {
        len,
        max: to - PREFIX_LEN,
    };
    if len > to - PREFIX_LEN {
        return Err(too_long);
    }
    let mut padded = Zeroizing::new(Vec::with_capacity(to + SEAL_LEN));
    let prefix = u32::try_from(len).map_err(|_| too_long)?;
    padded.extend_from_slice(&prefix.to_be_bytes());
    message
        .encode(&mut *padded)
        .expect("a vector takes any length");
    padded.resize(to, 0);
    Ok(padded)
}

/// Reads what [`pad`] wrote, and only that.
pub(crate) fn unpad<M: Message + Default>(padded: &[u8]) -> Result<M, Fault> {
    let (prefix, rest) = padded
        .split_first_chunk::<PREFIX_LEN>()
        .ok_or("shorter than a length")?;
    let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
    let (message, padding) = rest
        .split_at_checked(len)
        .ok_or("shorter than its length says")?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err("padded with something else than zeros");
    }
    wire::decode(&Bytes::copy_from_slice(message))
}
