use cf_core::{Error, ErrorKind};

/// What can go wrong with a history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A record of it can't be read. Rebuild it.
    #[error("a record of the history is damaged: rebuild it from the log")]
    Damaged,
    /// A later version wrote it.
    #[error("the history was written by a newer version: use that version")]
    Newer,
    /// There are no words in what is looked for.
    #[error("there is no word in this to look for")]
    NoWords,
    /// What is to be changed is not there.
    #[error("there is no message of this number in the conversation")]
    Unknown,
    /// The store or the log failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<HistoryError> for Error {
    fn from(error: HistoryError) -> Self {
        let kind = match error {
            HistoryError::Store(error) => return error,
            HistoryError::Damaged => ErrorKind::Other,
            HistoryError::Newer => ErrorKind::Unsupported,
            HistoryError::NoWords | HistoryError::Unknown => ErrorKind::Misuse,
        };
        Self::new(kind, error.to_string())
    }
}
