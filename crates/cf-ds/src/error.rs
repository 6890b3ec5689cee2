use cf_core::ErrorKind;

/// What goes wrong at a delivery service of this crate, and whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text does not name a service in memory.
    #[error("a service in memory is named memory:NAME, with a name of letters, digits, . _ and -")]
    Name,
    /// `Malformed`: the text does not name a service in a file.
    #[error("a service in a file is named local: for the default file, or local:PATH")]
    Path,
    /// `Unsupported`: the URL is for another connector.
    #[error("this connector takes the scheme {takes}: only")]
    Scheme {
        /// The scheme that it takes.
        takes: &'static str,
    },
    /// `Rejected`: the payload is longer than the service takes.
    #[error("a payload takes at most {max} bytes, this one has {len}")]
    PayloadTooLong {
        /// The payload's length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// `Misuse`: the service never gave that cursor out at that address.
    #[error("the cursor is not of this service and address; start with the earliest payload")]
    ForeignCursor,
    /// `Unavailable`: as many addresses are in use as the service takes.
    #[error("the service has {max} addresses in use, and takes no more")]
    TooManyAddresses {
        /// The limit.
        max: usize,
    },
    /// `Rejected`: the connector has made as many services as it makes.
    #[error("the connector holds {max} services, and makes no more")]
    TooManyServices {
        /// The limit.
        max: usize,
    },
    /// `Unavailable`: a locator names a file that is not open here.
    #[error("no file that is open here has this id; name the file by its path, as local:PATH")]
    UnknownFile,
    /// `Other`: the directory of the file is not there and can't be made.
    #[error("the file's directory can't be used ({0}); make it, or name another path")]
    Directory(std::io::ErrorKind),
    /// `Other`: the file can't be made or opened.
    #[error("the file can't be opened; its path must be a file that you may read and write")]
    CannotOpen,
    /// `Misuse`: the file is of another program.
    #[error("the file is not of this service; nothing in it was changed; name another path")]
    ForeignFile,
    /// `Misuse`: another file of this kind was put in the place of the one that
    /// was opened.
    #[error("another service's file is now at this path; open the service again")]
    ReplacedFile,
    /// `Unsupported`: a later build made the file.
    #[error("the file has version {version}, this program knows {known}; use a newer program")]
    NewerFile {
        /// The file's version.
        version: i32,
        /// The version of this build.
        known: i32,
    },
    /// `Malformed`: the file is cut short or otherwise damaged.
    #[error("the file is damaged; move it away with its -wal and -shm, and a new one is made")]
    DamagedFile,
    /// `Other`: the file may not be written.
    #[error("the file is read-only; make it and its directory writable for you")]
    ReadOnly,
    /// `Other`: the disk is full, or the file has its greatest length.
    #[error("there is no room for the file to grow; free some space on its disk")]
    Full,
    /// `Unavailable`: other processes kept the file locked for too long.
    #[error("other processes keep the file locked; try again")]
    Busy,
    /// `Unavailable`: the file can't be read or written now.
    #[error("the file can't be read or written now (SQLite code {code}); check its disk")]
    Disk {
        /// SQLite's extended result code.
        code: i32,
    },
    /// `Other`: what SQLite should not say.
    #[error("SQLite failed with code {code}")]
    Sqlite {
        /// SQLite's extended result code.
        code: i32,
    },
    /// `Other`: the service's thread could not be started, or is gone.
    #[error("the service's thread is not there; open the service again")]
    NoThread,
    /// `Unsupported`: this service does not publish on a condition.
    #[error("this service publishes on no condition; use one that declares it, or publish without")]
    Conditional,
    /// `Misuse`: the longest payload does not go through the inner service.
    #[error(
        "a payload of {max} bytes takes over {pieces} pieces of {piece} bytes; choose a lower limit"
    )]
    TooManyPieces {
        /// The longest payload, in bytes.
        max: usize,
        /// The most pieces that a payload may have.
        pieces: usize,
        /// The longest payload of the inner service, in bytes.
        piece: usize,
    },
    /// `Misuse`: too few or too many services are to be one.
    #[error("one to {max} services can be one redundant service, not {count}")]
    ServiceCount {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// `Misuse`: a service stands among the services twice.
    #[error("two of the services have the same locator; name each service once")]
    SameService,
    /// `Unavailable`: a service gave no answer in time.
    #[error("the service gave no answer within {millis} ms")]
    NoAnswer {
        /// How long it had, in milliseconds.
        millis: u64,
    },
    /// `Unavailable`: the system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Name | Error::Path | Error::DamagedFile => ErrorKind::Malformed,
            Error::Scheme { .. } | Error::NewerFile { .. } | Error::Conditional => {
                ErrorKind::Unsupported
            }
            Error::PayloadTooLong { .. } | Error::TooManyServices { .. } => ErrorKind::Rejected,
            Error::ForeignCursor
            | Error::ForeignFile
            | Error::ReplacedFile
            | Error::TooManyPieces { .. }
            | Error::ServiceCount { .. }
            | Error::SameService => ErrorKind::Misuse,
            Error::TooManyAddresses { .. }
            | Error::UnknownFile
            | Error::Busy
            | Error::Disk { .. }
            | Error::NoAnswer { .. }
            | Error::NoRandom => ErrorKind::Unavailable,
            Error::Directory(_)
            | Error::CannotOpen
            | Error::ReadOnly
            | Error::Full
            | Error::NoThread
            | Error::Sqlite { .. } => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}

#[cfg(feature = "local")]
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let Some(failure) = error.sqlite_error() else {
            // A value is missing or has another type: nobody but this service
            // writes the tables.
            return Self::DamagedFile;
        };
        let code = failure.extended_code;
        match failure.code {
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed => Self::Busy,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::CannotOpen,
            ErrorCode::NotADatabase => Self::ForeignFile,
            ErrorCode::DatabaseCorrupt => Self::DamagedFile,
            ErrorCode::SystemIoFailure => Self::Disk { code },
            _ => Self::Sqlite { code },
        }
    }
}
