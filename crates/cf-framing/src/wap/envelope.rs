//! The payload: a protobuf message with one encoding.
//!
//! ```text
//! hint[64 hexadecimal digits] salt[uint32] payload[tag[16] ‖ body]
//! ```

use blake2::{Blake2s256, Digest};
use bytes::{BufMut, Bytes, BytesMut};
use cf_core::RoutingTag;
use prost::Message;

use crate::Error;

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../generated/cf_framing_wap.rs"]
mod wire;

use wire::WapEnvelope;

/// The bytes of a hint, before they are written in hexadecimal.
pub(super) const HINT_LEN: usize = 32;
const TAG_LEN: usize = 16;
/// Hint with key and length, and the longest salt with its key.
const HEAD_LEN: usize = 2 + 2 * HINT_LEN + 6;
const SALT_LABEL: &[u8] = b"/cf/framing/wap/1 salt\0";

/// A decoded payload. The body shares its memory.
pub(super) struct Envelope {
    pub(super) hint: [u8; HINT_LEN],
    pub(super) salt: u32,
    pub(super) tag: RoutingTag,
    pub(super) body: Bytes,
}

/// The longest body whose envelope takes at most `max_payload_len` bytes,
/// whatever its salt is.
pub(super) fn max_body_len(max_payload_len: usize) -> usize {
    // The key of the field, and then its length in 1 to 10 bytes.
    let room = max_payload_len.saturating_sub(HEAD_LEN + 1);
    let longest = |length_len: usize| {
        let field_len = 1usize.checked_shl(7 * length_len as u32);
        let field_len = field_len.map_or(usize::MAX, |beyond| beyond - 1);
        room.saturating_sub(length_len).min(field_len)
    };
    let field_len = (1..=10).map(longest).max().unwrap_or_default();
    field_len.saturating_sub(TAG_LEN)
}

pub(super) fn encode(tag: &RoutingTag, standing: &RoutingTag, body: &[u8]) -> Bytes {
    let mut payload = BytesMut::with_capacity(TAG_LEN + body.len());
    payload.put_slice(tag.as_bytes());
    payload.put_slice(body);
    let payload = payload.freeze();
    let salt = salt(&payload);
    write(hint(salt, standing), salt, payload)
}

/// Reads what [`encode`] wrote, and only that.
pub(super) fn decode(bytes: &Bytes) -> Result<Envelope, Error> {
    let message = WapEnvelope::decode(bytes.clone()).map_err(|_| Error::NotAWapEnvelope)?;
    let WapEnvelope {
        conversation_hint,
        salt: written,
        payload,
    } = message;
    let hint = read_hint(&conversation_hint).ok_or(Error::NotAWapEnvelope)?;
    let is_whole = payload.len() > TAG_LEN && salt(&payload) == written;
    if !is_whole || write(hint, written, payload.clone()) != bytes {
        return Err(Error::NotAWapEnvelope);
    }
    let tag = RoutingTag::from_slice(&payload[..TAG_LEN]).map_err(|_| Error::NotAWapEnvelope)?;
    Ok(Envelope {
        hint,
        salt: written,
        tag,
        body: payload.slice(TAG_LEN..),
    })
}

/// What a salt makes of a standing tag.
pub(super) fn hint(salt: u32, standing: &RoutingTag) -> [u8; HINT_LEN] {
    Blake2s256::new()
        .chain_update(salt.to_be_bytes())
        .chain_update(standing.as_bytes())
        .finalize()
        .into()
}

/// The salt of a payload: the same for an exact resend, and any for another.
fn salt(payload: &[u8]) -> u32 {
    let hash = Blake2s256::new()
        .chain_update(SALT_LABEL)
        .chain_update(payload)
        .finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn write(hint: [u8; HINT_LEN], salt: u32, payload: Bytes) -> Bytes {
    WapEnvelope {
        conversation_hint: hint.iter().map(|byte| format!("{byte:02x}")).collect(),
        salt,
        payload,
    }
    .encode_to_vec()
    .into()
}

/// Reads lowercase hexadecimal digits.
fn read_hint(digits: &str) -> Option<[u8; HINT_LEN]> {
    let digits: &[u8; 2 * HINT_LEN] = digits.as_bytes().try_into().ok()?;
    let digit = |at: usize| match digits[at] {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut hint = [0; HINT_LEN];
    for (at, byte) in hint.iter_mut().enumerate() {
        *byte = digit(2 * at)? << 4 | digit(2 * at + 1)?;
    }
    Some(hint)
}
