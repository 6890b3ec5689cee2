//! The text around a link's content:
//!
//! ```text
//! "cfintro_1_" base64url( length[4] checksum[8] content[length] )
//! ```
//!
//! Length and checksum only tell a person what went wrong with a text; nothing
//! trusts them.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::Link;
use crate::Error;

const FAMILY: &str = "cfintro_";
const CHECKSUM_LABEL: &[u8] = b"/cf/discovery/link/1 checksum\0";
const CHECKSUM_LEN: usize = 8;
/// Length and checksum, in bytes: a whole number of characters.
const HEAD_LEN: usize = 4 + CHECKSUM_LEN;

pub(super) fn encode(content: &[u8]) -> Result<String, Error> {
    let (len, max) = (text_len(content.len()), Link::MAX_LEN);
    let length = u32::try_from(content.len()).ok().filter(|_| len <= max);
    let length = length.ok_or(Error::TooLarge { len, max })?;
    let packed = [&length.to_be_bytes(), &checksum(content)[..], content].concat();
    let mut text = String::with_capacity(len);
    text.push_str(Link::PREFIX);
    BASE64URL_NOPAD.encode_append(&packed, &mut text);
    Ok(text)
}

pub(super) fn decode(text: &str) -> Result<Bytes, Error> {
    let text = text.trim();
    check_prefix(text)?;
    let (len, max) = (text.len(), Link::MAX_LEN);
    if len > max {
        return Err(Error::TooLong { len, max });
    }
    let of_link = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if let Some(before) = text.chars().position(|c| !of_link(c)) {
        let position = before + 1;
        return Err(Error::Character { position });
    }
    let truncated = |expected| Error::Truncated { len, expected };
    let (head, content) = text[Link::PREFIX.len()..]
        .split_at_checked(text_len(0) - Link::PREFIX.len())
        .ok_or(truncated(text_len(0)))?;
    let head = BASE64URL_NOPAD
        .decode(head.as_bytes())
        .map_err(|_| Error::Damaged)?;
    let (length, expected_checksum) = head.split_first_chunk().ok_or(Error::Damaged)?;
    let expected = usize::try_from(u32::from_be_bytes(*length)).map_or(usize::MAX, text_len);
    match len {
        _ if expected > max => return Err(Error::Damaged),
        _ if len < expected => return Err(truncated(expected)),
        _ if len > expected => return Err(Error::Appended { len, expected }),
        _ => {}
    }
    // Bits of the last character that stand for nothing must be zero, so that
    // one content has one link.
    let content = BASE64URL_NOPAD
        .decode(content.as_bytes())
        .map_err(|_| Error::Damaged)?;
    if checksum(&content)[..] != *expected_checksum {
        return Err(Error::Damaged);
    }
    Ok(content.into())
}

fn check_prefix(text: &str) -> Result<(), Error> {
    if text.starts_with(Link::PREFIX) {
        return Ok(());
    }
    let version = text
        .strip_prefix(FAMILY)
        .and_then(|rest| rest.split_once('_'))
        .map(|(version, _)| version)
        .filter(|version| version.bytes().all(|b| b.is_ascii_digit()))
        .filter(|version| !version.starts_with('0'))
        .and_then(|version| version.parse().ok());
    Err(match version {
        Some(version) => Error::NewerVersion { version },
        None => Error::NotALink,
    })
}

/// The length of the link around a content of so many bytes.
fn text_len(content_len: usize) -> usize {
    let packed_len = HEAD_LEN.saturating_add(content_len);
    let characters = packed_len.saturating_mul(4).div_ceil(3);
    Link::PREFIX.len().saturating_add(characters)
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = Sha256::new()
        .chain_update(CHECKSUM_LABEL)
        .chain_update(content)
        .finalize();
    std::array::from_fn(|index| hash[index])
}
