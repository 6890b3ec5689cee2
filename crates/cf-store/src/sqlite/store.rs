use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Batch, RecordChange, Result, Scan, Store};
use parking_lot::Mutex;
use rusqlite::Connection;

use super::error::SqliteError;
use super::file::StoreFile;
use super::master::{self, Key, Unlock};
use super::options::SqliteOptions;
use super::place::{Space, Spaces};

/// Keeps a client's state in one encrypted SQLite file.
///
/// For whoever has the file without the key it holds lengths and numbers: no
/// namespace, no key (but those of numbered namespaces), no value. A commit is
/// one transaction of SQLite's write-ahead log. One process has the file open at
/// a time; clones share it.
///
/// ```
/// use cf_core::{Batch, Store};
/// use cf_store::{KeyFile, SqliteOptions, SqliteStore, Unlock};
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("store.db");
/// let unlock = Unlock::Key(KeyFile::open(&folder.path().join("key"))?);
/// let store = SqliteStore::create(&path, &unlock, SqliteOptions::default())?;
/// let mut batch = Batch::default();
/// batch.put("contacts", "raya", "likes tea");
/// store.commit(&batch)?;
/// drop(store);
///
/// let store = SqliteStore::open(&path, &unlock, SqliteOptions::default())?;
/// assert_eq!(store.get(b"contacts", b"raya")?.unwrap(), "likes tea");
/// let second = SqliteStore::open(&path, &unlock, SqliteOptions::default());
/// assert!(second.unwrap_err().is_retryable(), "it is open already");
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    // Connections close before the file is let go.
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    spaces: Spaces,
    master: Key,
    file: StoreFile,
}

const GET: &str = "SELECT entry FROM entries WHERE place = ?";
const PUT: &str =
    "INSERT INTO entries VALUES (?, ?) ON CONFLICT DO UPDATE SET entry = excluded.entry";
const DELETE: &str = "DELETE FROM entries WHERE place = ?";
const ASCENDING: &str =
    "SELECT place, entry FROM entries WHERE place >= ? AND place < ? ORDER BY place LIMIT ?";
const DESCENDING: &str =
    "SELECT place, entry FROM entries WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT ?";

/// A place and the entry that stands there.
type Row = (Vec<u8>, Vec<u8>);

/// How many connections are kept for reading.
const MAX_READERS: usize = 4;

impl SqliteStore {
    /// Makes a store in a file that does not exist.
    ///
    /// # Errors
    /// `Misuse` if there is something else in the file, `Unavailable` if another
    /// process has it open; `Other` for what the disk refuses, or if there is a
    /// store already.
    pub fn create(path: &Path, unlock: &Unlock, options: SqliteOptions) -> Result<Self> {
        let file = StoreFile::lock(path, options)?;
        let master = master::draw();
        let wrapped = master::wrap(&master, unlock, file.options().passphrase_cost)?;
        let writer = file.create(&wrapped)?;
        Ok(Self::new(file, master, writer))
    }

    /// Opens the store in a file.
    ///
    /// # Errors
    /// `Unavailable` if another process has it open, `Rejected` for a wrong key or
    /// passphrase, `Unsupported` for one of a newer version, `Misuse` if it is no
    /// store or opens with the other of key and passphrase, `Other` if it is
    /// damaged or can't be read and written.
    pub fn open(path: &Path, unlock: &Unlock, options: SqliteOptions) -> Result<Self> {
        let file = StoreFile::lock(path, options)?;
        let writer = file.open()?;
        let master = master::unwrap(&file.wrapped(&writer)?, unlock, &file)?;
        Ok(Self::new(file, master, writer))
    }

    /// Opens the store in a file, or makes it where there is none, or where making
    /// one was interrupted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_or_create(path: &Path, unlock: &Unlock, options: SqliteOptions) -> Result<Self> {
        let file = StoreFile::lock(path, options)?;
        if !file.is_unmade()? {
            let writer = file.open()?;
            let master = master::unwrap(&file.wrapped(&writer)?, unlock, &file)?;
            return Ok(Self::new(file, master, writer));
        }
        let master = master::draw();
        let wrapped = master::wrap(&master, unlock, file.options().passphrase_cost)?;
        let writer = file.create(&wrapped)?;
        Ok(Self::new(file, master, writer))
    }

    /// Changes what opens the store from now on. Nothing else is sealed anew: who
    /// had the file and the earlier key can read what stays in it.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn change_unlock(&self, unlock: &Unlock) -> Result<()> {
        let Shared { file, master, .. } = &*self.shared;
        let wrapped = master::wrap(master, unlock, file.options().passphrase_cost)?;
        let mut writer = self.shared.writer.lock();
        let transaction = file.run(writer.transaction())?;
        file.put_wrapped(&transaction, &wrapped)?;
        Ok(file.run(transaction.commit())?)
    }

    fn new(file: StoreFile, master: Key, writer: Connection) -> Self {
        Self {
            shared: Arc::new(Shared {
                writer: Mutex::new(writer),
                readers: Mutex::default(),
                spaces: Spaces::new(master.clone()),
                master,
                file,
            }),
        }
    }
}

impl Store for SqliteStore {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        let space = self.shared.spaces.space(namespace);
        let place = space.place(key);
        let entry = self.shared.reading(|connection| {
            let mut statement = connection.prepare_cached(GET)?;
            let mut rows = statement.query([&place])?;
            let row = rows.next()?;
            row.map(|row| row.get::<_, Vec<u8>>(0)).transpose()
        })?;
        let opened = entry.map(|entry| self.shared.opened(&space, &place, &entry));
        Ok(opened.transpose()?.map(|(_, value)| value))
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let space = self.shared.spaces.space(namespace);
        match space.is_numbered() {
            true => self.shared.scan_numbers(&space, scan),
            false => self.shared.scan_all(&space, scan),
        }
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        batch.check()?;
        Ok(self.shared.commit(batch)?)
    }
}

impl Shared {
    /// Reads from what is committed, beside whoever writes.
    fn reading<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SqliteError> {
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.file.connect_again()?,
        };
        let result = self.file.run(read(&connection));
        let mut readers = self.readers.lock();
        if readers.len() < MAX_READERS {
            readers.push(connection);
        }
        result
    }

    fn opened(
        &self,
        space: &Space,
        place: &[u8],
        entry: &[u8],
    ) -> Result<(Bytes, Bytes), SqliteError> {
        let opened = space.sealer.open(place, entry);
        opened.ok_or_else(|| self.file.damaged("an entry is not authentic"))
    }

    /// A numbered namespace stands in the order of its keys.
    fn scan_numbers(&self, space: &Space, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let (mut from, mut until) = (space.place(&scan.prefix), space.place(&scan.prefix));
        increment(&mut until);
        match &scan.beyond {
            Some(beyond) if scan.reverse => until = until.min(space.place(beyond)),
            // The first place after it: a longer one.
            Some(beyond) => from = from.max([space.place(beyond), vec![0]].concat()),
            None => {}
        }
        let query = if scan.reverse { DESCENDING } else { ASCENDING };
        let rows = self.rows(query, from, until, scan.limit)?;
        let opened = rows.into_iter().map(|(place, entry)| {
            let (_, value) = self.opened(space, &place, &entry)?;
            Ok((Bytes::from(place).slice(space.code().len()..), value))
        });
        opened.collect()
    }

    /// Any other stands in an order of its own: all of it is opened and sorted.
    fn scan_all(&self, space: &Space, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let (from, mut until) = (space.code().to_vec(), space.code().to_vec());
        increment(&mut until);
        let mut found = Vec::new();
        for (place, entry) in self.rows(ASCENDING, from, until, usize::MAX)? {
            let (key, value) = self.opened(space, &place, &entry)?;
            if scan.covers(&key) {
                found.push((key, value));
            }
        }
        found.sort_unstable();
        if scan.reverse {
            found.reverse();
        }
        found.truncate(scan.limit);
        Ok(found)
    }

    fn rows(
        &self,
        query: &str,
        from: Vec<u8>,
        until: Vec<u8>,
        limit: usize,
    ) -> Result<Vec<Row>, SqliteError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.reading(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows =
                statement.query_map((from, until, limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), SqliteError> {
        // A commit of many inputs changes some keys again and again.
        let mut last = HashMap::with_capacity(batch.changes().len());
        for (index, (namespace, change)) in batch.changes().iter().enumerate() {
            last.insert((&namespace[..], &change.key()[..]), index);
        }
        let mut nonces = vec![0; 12 * last.len()];
        master::fill(&mut nonces);
        let mut nonces = nonces.chunks_exact(12);
        let mut writer = self.writer.lock();
        let transaction = self.file.run(writer.transaction())?;
        for (index, (namespace, change)) in batch.changes().iter().enumerate() {
            if last.get(&(&namespace[..], &change.key()[..])) != Some(&index) {
                continue;
            }
            let space = self.spaces.space(namespace);
            let place = space.place(change.key());
            let done = match change {
                RecordChange::Put { key, value } => {
                    let nonce = nonces.next().and_then(|nonce| nonce.try_into().ok());
                    let nonce = nonce.expect("one was drawn for each change that counts");
                    let entry = space.sealer.seal(nonce, &place, key, value);
                    let put = transaction.prepare_cached(PUT);
                    put.and_then(|mut put| put.execute((&place, entry)))
                }
                RecordChange::Delete { .. } => {
                    let delete = transaction.prepare_cached(DELETE);
                    delete.and_then(|mut delete| delete.execute([&place]))
                }
            };
            // A transaction that is dropped is rolled back.
            self.file.run(done)?;
        }
        self.file.run(transaction.commit())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteStore({})", self.shared.file.path().display())
    }
}

/// Makes the first bytes that stand after all that start with `bytes`; for none
/// but 255s there is none, which 96 random bits are not.
fn increment(bytes: &mut Vec<u8>) {
    while bytes.last() == Some(&u8::MAX) {
        bytes.pop();
    }
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
}
