use std::io;

use cf_core::{Error, ErrorKind};

/// What can go wrong with a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is something else.
    #[error("this is no backup")]
    NoBackup,
    /// A later version wrote it.
    #[error("this backup was made by a newer version: use that version")]
    Newer,
    /// The passphrase is another one, or the first bytes were changed.
    #[error("the passphrase is wrong, or the file is damaged")]
    Passphrase,
    /// Some of it was changed, or its end is missing.
    #[error("the file is damaged, or not whole: nothing of it is used")]
    Damaged,
    /// Stretching the passphrase would cost more than a machine should pay.
    #[error("the passphrase's cost is out of bounds: up to 1 GiB, 64 passes, 64 lanes")]
    Cost,
    /// An entry is too long.
    #[error("an entry takes {len} bytes; at most {max} are possible")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most, in bytes.
        max: usize,
    },
    /// The disk failed.
    #[error("the backup can't be read or written: {0}")]
    Io(#[from] io::Error),
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        let kind = match error {
            BackupError::NoBackup | BackupError::Damaged => ErrorKind::Malformed,
            BackupError::Newer => ErrorKind::Unsupported,
            BackupError::Passphrase => ErrorKind::Rejected,
            BackupError::Cost | BackupError::TooLong { .. } => ErrorKind::Misuse,
            BackupError::Io(_) => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}
