//! Backing the home up while it is in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cf::Home;
use cf::core::{Error, ErrorKind, Result, Secret};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::owner::Owner;

/// After how long an answer says that the backup is still being written.
const STEP: Duration = Duration::from_secs(5);

/// A backup that is being written, and where to.
pub(super) type Backup = (PathBuf, JoinHandle<Result<u64>>);

impl Owner {
    /// Begins a backup, or waits for the one that was begun.
    pub(super) async fn backup(&self, path: PathBuf, passphrase: String) -> Result<Vec<Value>> {
        let mut backup = self.backup.lock().await;
        if backup.is_none() {
            let (home, to) = (self.home.clone(), path.clone());
            let passphrase = Secret::new(passphrase.into_bytes());
            let writing = spawn_blocking(move || write(&home, &to, &passphrase));
            *backup = Some((path.clone(), writing));
        }
        let Some((to, writing)) = backup.as_mut() else {
            return Ok(Vec::new());
        };
        if *to != path {
            return Err(Error::unavailable("another backup is being written"));
        }
        let Ok(written) = timeout(STEP, writing).await else {
            return Ok(vec![json!({ "pending": true })]);
        };
        *backup = None;
        let len = written.map_err(|error| Error::from_source(ErrorKind::Other, error))??;
        Ok(vec![
            json!({ "file": path.display().to_string(), "len": len }),
        ])
    }
}

/// Writes beside the file first: under its name there is nothing or all of it.
fn write(home: &Arc<Home>, path: &Path, passphrase: &Secret) -> Result<u64> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = path.with_file_name(name);
    let written = (|| {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&unfinished).map_err(failed)?;
        home.backup(&file, passphrase)?;
        file.sync_all().map_err(failed)?;
        fs::hard_link(&unfinished, path)
            .and_then(|()| fs::remove_file(&unfinished))
            .or_else(|_| match path.exists() {
                true => Err(io::ErrorKind::AlreadyExists.into()),
                // Not every file system has links.
                false => fs::rename(&unfinished, path),
            })
            .map_err(failed)?;
        Ok(file.metadata().map_err(failed)?.len())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn failed(error: io::Error) -> Error {
    Error::new(
        ErrorKind::Other,
        format!("the backup can't be written: {error}"),
    )
}
