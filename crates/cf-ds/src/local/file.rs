use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::cursor::Incarnation;
use super::options::{Durability, LocalOptions};
use super::schema;
use crate::Error;

/// Where the service's file is, and how to open it.
#[derive(Clone)]
pub(super) struct LocalFile {
    path: PathBuf,
    durability: Durability,
    busy_timeout: Duration,
    max_file_len: Option<u64>,
    /// Ends waiting for others.
    stop: Arc<AtomicBool>,
}

/// A connection to the file.
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) id: [u8; 16],
    pub(super) incarnation: Incarnation,
    inode: Option<Inode>,
    /// Whether it waits for a lock.
    is_patient: Arc<AtomicBool>,
}

type Inode = (u64, u64);

impl LocalFile {
    /// Names a file; makes the directory that it is in.
    pub(super) fn new(path: &Path, options: &LocalOptions) -> Result<Self, Error> {
        Ok(Self {
            path: absolute(path)?,
            durability: options.durability,
            busy_timeout: options.busy_timeout,
            max_file_len: options.max_file_len,
            stop: Arc::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes every wait for other processes end soon.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Opens the file, and makes it first if it is not there.
    pub(super) fn open(&self) -> Result<OpenFile, Error> {
        let since = instant();
        loop {
            // SQLite does not wait for everything, so that this does.
            match self.try_open() {
                Err(Error::Busy) if !self.is_stopped() && since.elapsed() < self.busy_timeout => {
                    thread::sleep(pause(0));
                }
                opened => return opened,
            }
        }
    }

    fn try_open(&self) -> Result<OpenFile, Error> {
        self.make()?;
        let inode = inode(&self.path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        let is_patient = Arc::new(AtomicBool::new(true));
        let (file, most) = (self.clone(), pauses(self.busy_timeout));
        let waits = is_patient.clone();
        connection.busy_handler(Some(move |count: i32| {
            if count >= most || file.is_stopped() || !waits.load(Ordering::Relaxed) {
                return false;
            }
            thread::sleep(pause(count));
            true
        }))?;
        let (id, incarnation) =
            schema::check(&mut connection, &self.path).map_err(|error| self.explain(error))?;
        self.configure(&connection)?;
        Ok(OpenFile {
            connection,
            id,
            incarnation,
            inode,
            is_patient,
        })
    }

    fn configure(&self, connection: &Connection) -> Result<(), Error> {
        let synchronous = match self.durability {
            Durability::KilledProcess => "NORMAL",
            Durability::PowerCut => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        // Whatever somebody else wrote into the file gets no say.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // The writer does that, after it has answered.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_size_limit", 8 << 20, |_| Ok(()))?;
        if let Some(len) = self.max_file_len {
            let page: u64 = connection
                .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?
                .unsigned_abs();
            let pages = i64::try_from(len / page.max(1)).unwrap_or(i64::MAX).max(1);
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Makes an empty file that only its owner may read, unless there is one.
    fn make(&self) -> Result<(), Error> {
        // Closing any descriptor of a file gives up the process's locks on it, so
        // that nobody here may open it between its making and its closing.
        static MAKING: Mutex<()> = Mutex::new(());
        let _making = MAKING.lock();
        if self.path.exists() {
            return Ok(());
        }
        let _lock = self.lock_directory()?;
        if self.path.exists() {
            return Ok(());
        }
        // What a deleted file left behind must not become a part of the new one.
        for suffix in ["-wal", "-shm"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            match fs::remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(made(&error));
                }
                _ => {}
            }
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(made(&error)),
            _ => Ok(()),
        }
    }

    /// Keeps other processes from making the file at the same time. Where a
    /// directory can't be locked, there is no lock.
    fn lock_directory(&self) -> Result<Option<File>, Error> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let Ok(directory) = File::open(directory) else {
            return Ok(None);
        };
        for count in 0..pauses(self.busy_timeout) {
            match directory.try_lock() {
                Ok(()) => return Ok(Some(directory)),
                Err(TryLockError::WouldBlock) => thread::sleep(pause(count)),
                Err(TryLockError::Error(_)) => return Ok(None),
            }
        }
        Err(Error::Busy)
    }

    /// SQLite can't open a file that it can't write beside, and does not say why.
    fn explain(&self, error: Error) -> Error {
        match fs::metadata(&self.path) {
            Ok(metadata) if error == Error::CannotOpen && metadata.is_file() => Error::ReadOnly,
            _ => error,
        }
    }
}

impl OpenFile {
    /// Whether the file that is open is still the one at `file`'s path.
    pub(super) fn is_at(&self, file: &LocalFile) -> bool {
        inode(file.path()) == self.inode
    }

    /// Makes it wait for locks, as it does at first, or not.
    pub(super) fn be_patient(&self, is_patient: bool) {
        self.is_patient.store(is_patient, Ordering::Relaxed);
    }
}

/// The path without links and dots; the directory is made if it is not there.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let name = path.file_name().ok_or(Error::Path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(parent).and_then(|()| parent.canonicalize());
    Ok(made
        .map_err(|error| Error::Directory(error.kind()))?
        .join(name))
}

fn made(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Error::ReadOnly,
        kind => Error::Directory(kind),
    }
}

#[cfg(unix)]
fn inode(path: &Path) -> Option<Inode> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn inode(path: &Path) -> Option<Inode> {
    path.exists().then_some((0, 0))
}

/// How many short pauses come before the long ones.
const SHORT_PAUSES: i32 = 500;

/// How long to wait before asking for a lock again. Short, since a process that
/// writes all the time lets others in for a moment only.
fn pause(count: i32) -> Duration {
    Duration::from_micros(if count < SHORT_PAUSES { 200 } else { 1_000 })
}

/// How many pauses a time has.
fn pauses(time: Duration) -> i32 {
    let short = pause(0) * SHORT_PAUSES.unsigned_abs();
    let count = if time <= short {
        time.as_micros() / 200
    } else {
        SHORT_PAUSES.unsigned_abs() as u128 + (time - short).as_millis()
    };
    i32::try_from(count).unwrap_or(i32::MAX).max(1)
}

// How long a lock is waited for or held is measured; no protocol depends on it.
#[allow(clippy::disallowed_methods)]
pub(super) fn instant() -> Instant {
    Instant::now()
}
