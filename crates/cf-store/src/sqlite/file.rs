//! The file: who has it open, its connections and its schema.

use std::fs::{self, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};

use super::error::SqliteError;
use super::master::Wrapped;
use super::options::{Durability, PassphraseCost, SqliteOptions};

/// `CFst`.
const APPLICATION: i64 = 0x4346_7374;
/// The version of the schema and of everything sealed in it.
const VERSION: i64 = 1;
const PAGE_LEN: u64 = 4096;
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
const MAGIC: &[u8] = b"SQLite format 3\0";

const SCHEMA: &str = "
    CREATE TABLE master (
        unlock TEXT NOT NULL,
        memory_kib INTEGER NOT NULL,
        passes INTEGER NOT NULL,
        lanes INTEGER NOT NULL,
        salt BLOB NOT NULL,
        sealed BLOB NOT NULL
    );
    CREATE TABLE entries (
        place BLOB PRIMARY KEY,
        entry BLOB NOT NULL
    ) WITHOUT ROWID;
";

/// A store's file, open in this process alone.
///
/// While a connection is open nothing else here opens the file: closing it would
/// let go of SQLite's own locks. So the lock of the process is on a file beside.
pub(super) struct StoreFile {
    path: PathBuf,
    options: SqliteOptions,
    _lock: fs::File,
}

impl StoreFile {
    pub(super) fn lock(path: &Path, options: SqliteOptions) -> Result<Self, SqliteError> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                SqliteError::ReadOnly(path.to_owned())
            }
            std::io::ErrorKind::StorageFull => SqliteError::Full(path.to_owned()),
            _ => SqliteError::Io {
                path: path.to_owned(),
                what: error.to_string(),
            },
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = private().open(beside).map_err(failed)?;
        let mut attempts = 0;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // A process that this one is just starting shares its locks until it
                // has begun.
                Err(TryLockError::WouldBlock) if attempts < LOCK_ATTEMPTS => {
                    attempts += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(SqliteError::Busy(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            options,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn options(&self) -> &SqliteOptions {
        &self.options
    }

    /// Opens a file that holds a store.
    pub(super) fn open(&self) -> Result<Connection, SqliteError> {
        self.refuse_foreign()?;
        let connection = self.connect()?;
        match self.version(&connection)? {
            None => return Err(SqliteError::Foreign(self.path.clone())),
            Some(VERSION) => {}
            Some(found) => {
                return Err(SqliteError::NewerVersion {
                    path: self.path.clone(),
                    found,
                    known: VERSION,
                });
            }
        }
        self.settings(&connection)?;
        Ok(connection)
    }

    /// Makes the schema in a file that holds nothing: all of it, or nothing.
    pub(super) fn create(&self, wrapped: &Wrapped) -> Result<Connection, SqliteError> {
        let made = private().open(&self.path);
        drop(made.map_err(|_| SqliteError::ReadOnly(self.path.clone()))?);
        self.refuse_foreign()?;
        let mut connection = self.connect()?;
        if self.tables(&connection)? > 0 {
            return Err(SqliteError::Io {
                path: self.path.clone(),
                what: "there is a store already: open it".to_owned(),
            });
        }
        self.settings(&connection)?;
        let transaction = self.run(connection.transaction())?;
        self.run(transaction.execute_batch(SCHEMA))?;
        self.run(transaction.pragma_update(None, "application_id", APPLICATION))?;
        self.run(transaction.pragma_update(None, "user_version", VERSION))?;
        self.put_wrapped(&transaction, wrapped)?;
        self.run(transaction.commit())?;
        Ok(connection)
    }

    /// Whether there is no file, an empty one, or a database without any table.
    pub(super) fn is_unmade(&self) -> Result<bool, SqliteError> {
        match fs::metadata(&self.path) {
            Ok(file) if file.len() > 0 => {
                self.refuse_foreign()?;
                Ok(self.tables(&self.connect()?)? == 0)
            }
            _ => Ok(true),
        }
    }

    fn tables(&self, connection: &Connection) -> Result<i64, SqliteError> {
        let tables = "SELECT count(*) FROM sqlite_schema";
        self.run(connection.query_row(tables, [], |row| row.get(0)))
    }

    /// Another connection to a file that is open.
    pub(super) fn connect_again(&self) -> Result<Connection, SqliteError> {
        let connection = self.connect()?;
        self.settings(&connection)?;
        Ok(connection)
    }

    /// Changes nothing yet: it may be another application's file.
    fn connect(&self) -> Result<Connection, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = self.run(Connection::open_with_flags(&self.path, flags))?;
        match self.run(connection.is_readonly("main"))? {
            true => Err(SqliteError::ReadOnly(self.path.clone())),
            false => Ok(connection),
        }
    }

    fn settings(&self, connection: &Connection) -> Result<(), SqliteError> {
        let synchronous = match self.options.durability {
            Durability::Process => "NORMAL",
            Durability::Power => "FULL",
        };
        let set = |name, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value);
        self.run(connection.busy_timeout(Duration::from_secs(5)))?;
        self.run(set("journal_mode", &"WAL"))?;
        self.run(set("synchronous", &synchronous))?;
        // What is deleted does not stay readable for who gets file and key later.
        self.run(set("secure_delete", &"ON"))?;
        self.run(set("journal_size_limit", &(16_i64 << 20)))?;
        self.run(set("cache_size", &-16_384))?;
        self.run(set("temp_store", &"MEMORY"))?;
        if let Some(bytes) = self.options.max_bytes {
            let pages = i64::try_from(bytes / PAGE_LEN).unwrap_or(i64::MAX);
            self.run(set("max_page_count", &pages))?;
        }
        Ok(())
    }

    /// The version of the store in the file; `None` for another application's.
    fn version(&self, connection: &Connection) -> Result<Option<i64>, SqliteError> {
        let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if self.run(read("application_id"))? != APPLICATION {
            return Ok(None);
        }
        self.run(read("user_version")).map(Some)
    }

    /// SQLite would take a file without its magic for an empty or damaged one.
    fn refuse_foreign(&self) -> Result<(), SqliteError> {
        use std::io::Read;
        let mut start = Vec::new();
        let read =
            fs::File::open(&self.path).and_then(|file| file.take(16).read_to_end(&mut start));
        match read {
            Ok(_) if start.is_empty() || start == MAGIC => Ok(()),
            Ok(_) => Err(SqliteError::Foreign(self.path.clone())),
            Err(error) => Err(SqliteError::Io {
                path: self.path.clone(),
                what: error.to_string(),
            }),
        }
    }

    pub(super) fn wrapped(&self, connection: &Connection) -> Result<Wrapped, SqliteError> {
        let query = "SELECT unlock, memory_kib, passes, lanes, salt, sealed FROM master";
        self.run(connection.query_row(query, [], |row| {
            Ok(Wrapped {
                unlock: row.get(0)?,
                cost: PassphraseCost {
                    memory_kib: row.get(1)?,
                    passes: row.get(2)?,
                    lanes: row.get(3)?,
                },
                salt: row.get(4)?,
                sealed: row.get(5)?,
            })
        }))
    }

    pub(super) fn put_wrapped(
        &self,
        transaction: &Transaction<'_>,
        wrapped: &Wrapped,
    ) -> Result<(), SqliteError> {
        self.run(transaction.execute("DELETE FROM master", []))?;
        let cost = wrapped.cost;
        let insert = "INSERT INTO master VALUES (?, ?, ?, ?, ?, ?)";
        let values = params![
            wrapped.unlock,
            cost.memory_kib,
            cost.passes,
            cost.lanes,
            wrapped.salt,
            wrapped.sealed,
        ];
        self.run(transaction.execute(insert, values)).map(drop)
    }

    /// Says what a failure of SQLite means.
    pub(super) fn run<T>(&self, result: rusqlite::Result<T>) -> Result<T, SqliteError> {
        let path = || self.path.clone();
        result.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqliteError::Busy(path()),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                SqliteError::ReadOnly(path())
            }
            Some(ErrorCode::DiskFull) => SqliteError::Full(path()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                self.damaged("SQLite can't read it")
            }
            None => self.damaged(&error.to_string()),
            Some(_) => SqliteError::Io {
                path: path(),
                what: error.to_string(),
            },
        })
    }

    pub(super) fn damaged(&self, what: &str) -> SqliteError {
        SqliteError::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }
}

/// Opens or makes a file that only its owner may use.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
