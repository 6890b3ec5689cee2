use bytes::Bytes;
use cf_core::Cursor;
use sha2::{Digest, Sha256};

/// The first bytes of SHA-256 over a label, a zero byte, and the parts.
pub(crate) fn digest<const N: usize>(label: &str, parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    hash.update(label);
    hash.update([0]);
    for part in parts {
        hash.update(part);
    }
    let mut head = [0; N];
    head.copy_from_slice(&hash.finalize()[..N]);
    head
}

/// Tells streams apart, also one that was made again: a hash of the stream's name,
/// which is drawn anew for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Incarnation([u8; 8]);

impl Incarnation {
    pub(crate) fn of_stream(name: &str) -> Self {
        Self(digest("/cf/ds/nats/1 incarnation", &[name.as_bytes()]))
    }

    /// The cursor of a sequence number: the incarnation, then the number in eight
    /// bytes, the highest first.
    pub(crate) fn cursor(self, sequence: u64) -> Cursor {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0);
        bytes[8..].copy_from_slice(&sequence.to_be_bytes());
        Cursor::new(Bytes::copy_from_slice(&bytes)).expect("a cursor may have 16 bytes")
    }

    /// What a cursor of this service says.
    pub(crate) fn of_cursor(cursor: &Cursor) -> Option<(Self, u64)> {
        let (incarnation, sequence) = cursor.as_bytes().split_first_chunk::<8>()?;
        let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
        Some((Self(*incarnation), sequence))
    }
}
