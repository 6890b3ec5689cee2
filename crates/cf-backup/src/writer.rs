use std::io::Write;

use cf_core::{Result, Secret};
use zeroize::Zeroizing;

use crate::seal::{CHUNK_LEN, Chunks, Cost, SEALED_LEN, write_header};
use crate::{BackupError, Entry};

/// Writes a backup.
#[must_use = "call `finish`"]
pub struct Writer<W> {
    out: W,
    chunks: Chunks,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Begins a backup. `salt` is random, drawn for this file alone.
    ///
    /// # Errors
    /// `Misuse` for a cost out of bounds; `Other` for what the disk refuses.
    pub fn new(mut out: W, passphrase: &Secret, cost: Cost, salt: [u8; 16]) -> Result<Self> {
        let header = write_header(cost, salt);
        let chunks = Chunks::new(&header, passphrase)?;
        out.write_all(&header).map_err(BackupError::Io)?;
        let chunk = Zeroizing::new(Vec::with_capacity(SEALED_LEN));
        Ok(Self { out, chunks, chunk })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// `Misuse` for one that is too long; `Other` for what the disk refuses.
    pub fn write(&mut self, entry: &Entry) -> Result<()> {
        for part in [
            &entry.head()?[..],
            &entry.namespace,
            &entry.key,
            &entry.value,
        ] {
            self.add(part)?;
        }
        Ok(())
    }

    /// Ends the backup, and gives back where it was written to.
    ///
    /// # Errors
    /// `Other` for what the disk refuses.
    pub fn finish(mut self) -> Result<W> {
        self.flush(true)?;
        self.out.flush().map_err(BackupError::Io)?;
        Ok(self.out)
    }

    fn add(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // A full chunk is not the last unless nothing comes.
            if self.chunk.len() == CHUNK_LEN {
                self.flush(false)?;
            }
            let room = (CHUNK_LEN - self.chunk.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self, is_last: bool) -> Result<(), BackupError> {
        self.chunks.seal(&mut self.chunk, is_last);
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}
