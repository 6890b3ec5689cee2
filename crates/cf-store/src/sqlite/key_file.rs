use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use cf_core::{Result, Secret};
use zeroize::Zeroizing;

use super::error::SqliteError;
use super::master;

/// A file of 32 random bytes that only its owner may read: what opens a store
/// without a passphrase. Whoever has it and the store reads the store.
pub struct KeyFile;

impl KeyFile {
    /// Its length, in bytes.
    pub const LEN: usize = 32;

    /// Reads a key file, or makes it if there is none.
    ///
    /// ```
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("key");
    /// let made = cf_store::KeyFile::open(&path)?;
    /// let read = cf_store::KeyFile::open(&path)?;
    /// assert_eq!(made.expose(), read.expose());
    /// # Ok::<(), cf_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Misuse` for a file of another length, `Other` if it can't be read or made.
    pub fn open(path: &Path) -> Result<Secret> {
        let failed = |error: std::io::Error| SqliteError::Io {
            path: path.to_owned(),
            what: error.to_string(),
        };
        match fs::read(path).map(Zeroizing::new) {
            Ok(bytes) if bytes.len() == Self::LEN => Ok(Secret::from(&bytes[..])),
            Ok(_) => Err(SqliteError::KeyFile(path.to_owned()).into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(make(path).map_err(failed)?),
            Err(error) => Err(failed(error).into()),
        }
    }
}

/// Makes a key file whole: it is written under another name first, so that a
/// process that is killed leaves no half of one.
fn make(path: &Path) -> std::io::Result<Secret> {
    let mut key = Zeroizing::new(vec![0; KeyFile::LEN]);
    master::fill(&mut key);
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(&key)?;
    file.sync_all()?;
    // Fails if another process was first; then its key counts.
    match fs::hard_link(&unfinished, path) {
        Ok(()) => fs::remove_file(&unfinished)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::remove_file(&unfinished)?,
        // Not every file system has links.
        Err(_) => fs::rename(&unfinished, path)?,
    }
    // A power cut must not take the key and leave the store.
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::File::open(folder)?.sync_all()?;
    }
    fs::read(path).map(Secret::new)
}
