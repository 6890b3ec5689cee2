use bytes::Bytes;
use cf_core::Cursor;

use crate::Error;

/// Tells the makings of a file apart: 8 random bytes, drawn when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incarnation(pub(super) [u8; 8]);

impl Incarnation {
    pub(super) fn draw() -> Result<Self, Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| Error::NoRandom)?;
        Ok(Self(bytes))
    }

    /// The cursor of a sequence number: the incarnation, then the number in eight
    /// bytes, the highest first.
    pub(super) fn cursor(self, sequence: u64) -> Cursor {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0);
        bytes[8..].copy_from_slice(&sequence.to_be_bytes());
        Cursor::new(Bytes::copy_from_slice(&bytes)).expect("a cursor may have 16 bytes")
    }

    /// The sequence number of a cursor, unless it is of another incarnation.
    pub(super) fn sequence(self, cursor: &Cursor) -> Option<u64> {
        let sequence = cursor.as_bytes().strip_prefix(&self.0)?;
        Some(u64::from_be_bytes(sequence.try_into().ok()?))
    }
}
