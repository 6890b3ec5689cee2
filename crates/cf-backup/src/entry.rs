use bytes::Bytes;

use crate::BackupError;

/// The longest entry, in bytes: 16 MiB.
pub const MAX_ENTRY_LEN: usize = 16 << 20;

/// A record: a value under a key in a namespace.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Says what kind of record it is.
    pub namespace: Bytes,
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} bytes)", self.value.len())
    }
}

impl Entry {
    /// Puts a record together.
    pub fn new(
        namespace: impl Into<Bytes>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
            value: value.into(),
        }
    }

    /// The three lengths, then the three parts.
    pub(crate) fn head(&self) -> Result<[u8; 12], BackupError> {
        let parts = [&self.namespace, &self.key, &self.value];
        let len = parts.iter().map(|part| part.len()).sum();
        let max = MAX_ENTRY_LEN;
        if len > max {
            return Err(BackupError::TooLong { len, max });
        }
        let mut head = [0; 12];
        for (place, part) in head.chunks_exact_mut(4).zip(parts) {
            place.copy_from_slice(&(part.len() as u32).to_be_bytes());
        }
        Ok(head)
    }

    pub(crate) fn lengths(head: [u8; 12]) -> Result<[usize; 3], BackupError> {
        let mut lengths = [0; 3];
        for (length, bytes) in lengths.iter_mut().zip(head.chunks_exact(4)) {
            *length = bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        }
        match lengths.iter().sum::<usize>() > MAX_ENTRY_LEN {
            true => Err(BackupError::Damaged),
            false => Ok(lengths),
        }
    }
}
