//! A home in one file, and back.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use cf_backup::{BackupError, Cost, Entry, Reader, Writer};
use cf_client::{Importer, export};
use cf_core::{Batch, Error, ErrorKind, Random, Result, Scan, Secret, Store, Timestamp};

use crate::home::{FURTHER_SERVICES, HOME, KEEP_DAYS, NAME, READ_RECEIPTS, SEED, SERVICE};
use crate::{Home, SystemRandom};

/// Where a history keeps up to where the user has read: it can't be made from the log.
const MARKS: &[u8] = b"history/marks";
const KIND_HOME: &[u8] = b"home";
const KIND_MARKS: &[u8] = b"marks";
const HOME_KEYS: [&str; 6] = [
    NAME,
    SEED,
    SERVICE,
    FURTHER_SERVICES,
    READ_RECEIPTS,
    KEEP_DAYS,
];

impl Home {
    /// Writes what a new home needs to be this one again into a file, encrypted under a
    /// passphrase: the identity, settings, contacts, and everything that was said; no
    /// session, no link, no file that came. The home's client may be open.
    ///
    /// # Errors
    /// `Misuse` for an empty passphrase; `Other` for what the disk refuses; those of the
    /// store.
    pub fn backup(&self, to: impl Write, passphrase: &Secret) -> Result<()> {
        self.backup_at(to, passphrase, Cost::default())
    }

    /// As [`backup`](Self::backup), at another cost of the passphrase.
    ///
    /// # Errors
    /// As [`backup`](Self::backup), and `Misuse` for a cost out of bounds.
    pub fn backup_at(&self, to: impl Write, passphrase: &Secret, cost: Cost) -> Result<()> {
        if passphrase.expose().is_empty() {
            return Err(Error::misuse("an empty passphrase protects nothing"));
        }
        let mut salt = [0; 16];
        SystemRandom::default().fill(&mut salt);
        let mut writer = Writer::new(BufWriter::new(to), passphrase, cost, salt)?;
        let store = self.store();
        for key in HOME_KEYS {
            if let Some(value) = store.get(HOME.as_bytes(), key.as_bytes())? {
                writer.write(&Entry::new(KIND_HOME, key, value))?;
            }
        }
        for (key, value) in store.scan(MARKS, &Scan::prefix(""))? {
            writer.write(&Entry::new(KIND_MARKS, key, value))?;
        }
        export(store, &mut |record| {
            writer.write(&Entry::new(record.kind, record.key, record.value))
        })?;
        writer.finish()?;
        Ok(())
    }

    /// Makes a home of a backup, in a folder where there is none. It opens with a key file,
    /// or with `unlock` if that is given. Nothing stands there unless all of the backup is
    /// whole.
    ///
    /// When its client is opened, its conversations begin anew. Never use it beside the
    /// home that the backup was made of: they are one participant.
    ///
    /// # Errors
    /// `Misuse` if there is a home already; `Rejected` for a wrong passphrase; `Malformed`
    /// for a damaged backup; `Unsupported` for one of a newer version; those of the store.
    pub fn restore(
        folder: &Path,
        from: impl Read,
        passphrase: &Secret,
        unlock: Option<Secret>,
        now: Timestamp,
    ) -> Result<Self> {
        if Self::exists(folder) {
            let message = format!(
                "there is a home in {} already: move it away, or restore to another place",
                folder.display()
            );
            return Err(Error::misuse(message));
        }
        let mut reader = Reader::new(BufReader::new(from), passphrase)?;
        let unfinished = beside(folder);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(BackupError::Io)?;
        }
        let filled = fill(&unfinished, &mut reader, unlock.clone(), now);
        let moved = filled.and_then(|()| {
            // An empty folder is in nobody's way.
            let _ = fs::remove_dir(folder);
            Ok(fs::rename(&unfinished, folder).map_err(BackupError::Io)?)
        });
        if let Err(error) = moved {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
        Self::open(folder, unlock)
    }
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    folder.with_file_name(name)
}

fn fill(
    folder: &Path,
    reader: &mut Reader<impl Read>,
    unlock: Option<Secret>,
    now: Timestamp,
) -> Result<()> {
    let store = Home::make_store(folder, unlock)?;
    let mut importer = Importer::new(&store);
    let mut batch = Batch::default();
    while let Some(entry) = reader.next()? {
        let Entry {
            namespace,
            key,
            value,
        } = entry;
        match &namespace[..] {
            KIND_HOME if HOME_KEYS.iter().any(|known| known.as_bytes() == key) => {
                batch.put(HOME, key, value);
            }
            KIND_MARKS => batch.put(MARKS, key, value),
            kind => importer.put(kind, key, value)?,
        }
    }
    importer.finish(now)?;
    let has = |key: &str| {
        batch
            .changes()
            .iter()
            .any(|(ns, change)| ns[..] == *HOME.as_bytes() && change.key()[..] == *key.as_bytes())
    };
    if !has(NAME) || !has(SEED) {
        return Err(Error::new(
            ErrorKind::Malformed,
            "the backup holds no identity",
        ));
    }
    store.commit(&batch)?;
    drop(store);
    // A power cut must not leave half of it under the home's name.
    for file in fs::read_dir(folder).map_err(BackupError::Io)? {
        let path = file.map_err(BackupError::Io)?.path();
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(BackupError::Io)?;
    }
    Ok(())
}
