use std::io::{ErrorKind, Read};

use bytes::Bytes;
use cf_core::{Result, Secret};
use zeroize::Zeroizing;

use crate::seal::{Chunks, HEADER_LEN, SEALED_LEN};
use crate::{BackupError, Entry};

/// Reads a backup.
pub struct Reader<R> {
    from: R,
    chunks: Chunks,
    /// The next chunk as it stands in the file: whether it is the last shows only there.
    sealed: Vec<u8>,
    opened: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Opens a backup.
    ///
    /// # Errors
    /// `Malformed` for something else, `Unsupported` for one of a newer version, `Misuse`
    /// for a passphrase's cost out of bounds, `Other` for what the disk refuses.
    pub fn new(mut from: R, passphrase: &Secret) -> Result<Self> {
        let mut header = [0; HEADER_LEN];
        from.read_exact(&mut header)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => BackupError::NoBackup,
                _ => BackupError::Io(error),
            })?;
        let chunks = Chunks::new(&header, passphrase)?;
        let mut reader = Self {
            from,
            chunks,
            sealed: Vec::new(),
            opened: Zeroizing::new(Vec::new()),
            at: 0,
            ended: false,
        };
        reader.sealed = reader.read_chunk()?;
        Ok(reader)
    }

    /// The next entry; `None` if there are no more and the file is whole.
    ///
    /// # Errors
    /// `Rejected` for a wrong passphrase, `Malformed` for a damaged file or one that is not
    /// whole, `Other` for what the disk refuses.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut head = [0; 12];
        match self.fill(&mut head)? {
            0 => return Ok(None),
            12 => {}
            _ => return Err(BackupError::Damaged.into()),
        }
        let mut parts = [Bytes::new(), Bytes::new(), Bytes::new()];
        for (part, len) in parts.iter_mut().zip(Entry::lengths(head)?) {
            *part = self.take(len)?;
        }
        let [namespace, key, value] = parts;
        Ok(Some(Entry {
            namespace,
            key,
            value,
        }))
    }

    fn take(&mut self, len: usize) -> Result<Bytes, BackupError> {
        // Grows with what is there, not with what is said.
        let mut bytes = Zeroizing::new(Vec::new());
        while bytes.len() < len {
            let before = bytes.len();
            bytes.resize(len.min(before + SEALED_LEN), 0);
            if self.fill(&mut bytes[before..])? < bytes.len() - before {
                return Err(BackupError::Damaged);
            }
        }
        Ok(Bytes::from_owner(bytes))
    }

    /// Fills `to` as far as the file goes.
    fn fill(&mut self, to: &mut [u8]) -> Result<usize, BackupError> {
        let mut filled = 0;
        while filled < to.len() {
            if self.at == self.opened.len() && !self.open_next()? {
                break;
            }
            let len = (self.opened.len() - self.at).min(to.len() - filled);
            let from = &self.opened[self.at..self.at + len];
            to[filled..filled + len].copy_from_slice(from);
            (self.at, filled) = (self.at + len, filled + len);
        }
        Ok(filled)
    }

    fn open_next(&mut self) -> Result<bool, BackupError> {
        if self.ended {
            return Ok(false);
        }
        let next = self.read_chunk()?;
        self.ended = next.is_empty();
        self.opened = Zeroizing::new(std::mem::replace(&mut self.sealed, next));
        self.at = 0;
        self.chunks.open(&mut self.opened, self.ended)?;
        // Only the last may be empty.
        Ok(!self.opened.is_empty())
    }

    fn read_chunk(&mut self) -> Result<Vec<u8>, BackupError> {
        let mut chunk = Vec::with_capacity(SEALED_LEN);
        let limit = SEALED_LEN as u64;
        (&mut self.from).take(limit).read_to_end(&mut chunk)?;
        Ok(chunk)
    }
}
