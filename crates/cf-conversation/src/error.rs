//! The error of this crate.

use cf_core::ErrorKind;

/// What went wrong in a conversation, and whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes of the peer are not of the format.
    #[error("{0}")]
    Malformed(&'static str),
    /// Bytes of the peer are not authentic, not allowed, or over a limit.
    #[error("{0}")]
    Rejected(&'static str),
    /// Something that this version does not have.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Can't be done now.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The caller broke the contract.
    #[error("{0}")]
    Misuse(&'static str),
    /// Content that no frame can carry.
    #[error("content of {len} bytes is too long: a frame here carries at most {max}")]
    TooLong {
        /// The content's length in bytes.
        len: usize,
        /// What is possible at the present delivery points, in bytes.
        max: usize,
    },
    /// The records are not what this component stored.
    #[error("the records of a conversation are damaged: {0}")]
    Records(&'static str),
}

impl Error {
    /// What went wrong with stored bytes is nobody's fault outside.
    pub(crate) fn of_records(error: cf_core::Error) -> cf_core::Error {
        match error.kind() {
            ErrorKind::Malformed | ErrorKind::Rejected | ErrorKind::Misuse => {
                Self::Records("a field").into()
            }
            _ => error,
        }
    }
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Malformed(_) => ErrorKind::Malformed,
            Error::Rejected(_) => ErrorKind::Rejected,
            Error::Unsupported(_) => ErrorKind::Unsupported,
            Error::Unavailable(_) => ErrorKind::Unavailable,
            Error::Misuse(_) | Error::TooLong { .. } => ErrorKind::Misuse,
            Error::Records(_) => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}
