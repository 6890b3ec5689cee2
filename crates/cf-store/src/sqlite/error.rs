use std::path::PathBuf;

use cf_core::ErrorKind;

/// What goes wrong with a store in a file, and whose fault it is. After any of
/// them the file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// `Unavailable`: another process has the store open.
    #[error("another process has {} open", .0.display())]
    Busy(PathBuf),
    /// `Rejected`: neither this key nor this passphrase opens the store.
    #[error("the key or passphrase is not the one of {}", .0.display())]
    WrongKey(PathBuf),
    /// `Misuse`: the store opens with the other of the two.
    #[error("{} opens with a {needed}, not with a {given}", .path.display())]
    OtherUnlock {
        /// The file.
        path: PathBuf,
        /// What it opens with.
        needed: &'static str,
        /// What was given.
        given: &'static str,
    },
    /// `Unsupported`: a newer version wrote the file.
    #[error("{} was written by a newer version ({found}; this one reads up to {known}): use that version", .path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The newest version that this build reads.
        known: i64,
    },
    /// `Misuse`: a file of something else.
    #[error("{} is not a store of a chat client: give another path", .0.display())]
    Foreign(PathBuf),
    /// `Other`: the file was cut off or changed.
    #[error("{} is damaged ({what}): restore it from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// `Other`: nothing can be written.
    #[error("{} can't be written: check its permissions and those of its folder", .0.display())]
    ReadOnly(PathBuf),
    /// `Other`: the disk, or the bound of the options, is full.
    #[error("there is no room for {}: free some space", .0.display())]
    Full(PathBuf),
    /// `Misuse`: a key file that has not 32 bytes.
    #[error("{} is not a key file: it takes 32 bytes", .0.display())]
    KeyFile(PathBuf),
    /// `Misuse`: a passphrase that costs more than a machine should pay.
    #[error("a passphrase may cost 8 KiB to 1 GiB of memory, 1 to 64 passes and 1 to 16 lanes")]
    PassphraseCost,
    /// `Other`: the operating system or SQLite says no.
    #[error("{}: {what}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// In the words of who failed.
        what: String,
    },
}

impl From<SqliteError> for cf_core::Error {
    fn from(error: SqliteError) -> Self {
        let kind = match &error {
            SqliteError::Busy(_) => ErrorKind::Unavailable,
            SqliteError::WrongKey(_) => ErrorKind::Rejected,
            SqliteError::NewerVersion { .. } => ErrorKind::Unsupported,
            SqliteError::OtherUnlock { .. }
            | SqliteError::Foreign(_)
            | SqliteError::KeyFile(_)
            | SqliteError::PassphraseCost => ErrorKind::Misuse,
            _ => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}
