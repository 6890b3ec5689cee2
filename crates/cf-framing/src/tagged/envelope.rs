//! The payload, read and written without an intermediate message:
//!
//! ```text
//! 0x0a 0x10 tag[16] 0x12 length[1..] body[length]
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::RoutingTag;
use prost::{decode_length_delimiter, encode_length_delimiter, length_delimiter_len};

use crate::Error;

/// What stands before the body's length.
const PREFIX_LEN: usize = 19;
/// The longest encoding of a length.
const MAX_LENGTH_LEN: usize = 10;

/// The longest body whose envelope takes at most `max_payload_len` bytes.
pub(super) fn max_body_len(max_payload_len: usize) -> usize {
    let room = max_payload_len.saturating_sub(PREFIX_LEN);
    let longest = |length_len: usize| {
        // The longest body whose length takes so many bytes, or fewer.
        let body_len = 1usize.checked_shl(7 * length_len as u32);
        let body_len = body_len.map_or(usize::MAX, |beyond| beyond - 1);
        room.saturating_sub(length_len).min(body_len)
    };
    (1..=MAX_LENGTH_LEN).map(longest).max().unwrap_or_default()
}

pub(super) fn encode(tag: &RoutingTag, body: &[u8]) -> Bytes {
    let len = PREFIX_LEN + length_delimiter_len(body.len()) + body.len();
    let mut payload = BytesMut::with_capacity(len);
    put_head(&mut payload, tag.as_bytes(), body.len());
    payload.put_slice(body);
    payload.freeze()
}

/// Reads a payload; the body shares its memory.
///
/// No other field, order or length is taken, and no length that could be written
/// shorter: so equal frames are equal bytes.
pub(super) fn decode(payload: &Bytes) -> Result<(RoutingTag, Bytes), Error> {
    let (head, rest) = payload
        .split_first_chunk::<PREFIX_LEN>()
        .ok_or(Error::NotAnEnvelope)?;
    let [0x0a, 0x10, tag @ .., 0x12] = head else {
        return Err(Error::NotAnEnvelope);
    };
    let body_len = decode_length_delimiter(rest).map_err(|_| Error::NotAnEnvelope)?;
    let length_len = length_delimiter_len(body_len);
    if body_len == 0 || rest.len().checked_sub(length_len) != Some(body_len) {
        return Err(Error::NotAnEnvelope);
    }
    // Where the shortest way to write the length ends, it has to end.
    if rest[length_len - 1] & 0x80 != 0 {
        return Err(Error::NotAnEnvelope);
    }
    Ok((RoutingTag(*tag), payload.slice(PREFIX_LEN + length_len..)))
}

fn put_head(buffer: &mut impl BufMut, tag: &[u8], body_len: usize) {
    buffer.put_slice(&[0x0a, 0x10]);
    buffer.put_slice(tag);
    buffer.put_u8(0x12);
    encode_length_delimiter(body_len, buffer).expect("a head has room for any length");
}
