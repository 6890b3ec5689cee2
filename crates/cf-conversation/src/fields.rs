//! Finds frame types that this version does not know.

use prost::encoding::{DecodeContext, decode_key, skip_field};

/// The first field number of a body in an extensible frame; fields below it
/// concern the frame itself.
const FIRST_BODY: u32 = 16;

/// The number of the first body in an encoded frame that is not among `known`.
///
/// The bytes have been decoded before; what can't be read ends the search.
pub(crate) fn unknown_body(mut bytes: &[u8], known: &[u32]) -> Option<u32> {
    while !bytes.is_empty() {
        let (number, wire_type) = decode_key(&mut bytes).ok()?;
        if number >= FIRST_BODY && !known.contains(&number) {
            return Some(number);
        }
        skip_field(wire_type, number, &mut bytes, DecodeContext::default()).ok()?;
    }
    None
}
