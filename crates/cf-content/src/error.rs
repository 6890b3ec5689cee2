use cf_core::ErrorKind;

/// What is wrong with a content, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// `Malformed`: no content frame, or not what its type says.
    #[error("the content is not what its type says: {0}")]
    Malformed(&'static str),
    /// `Misuse` to send, `Rejected` to receive: longer than the type allows.
    #[error("{what} takes at most {max} bytes, this one has {len}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl From<ContentError> for cf_core::Error {
    fn from(error: ContentError) -> Self {
        let kind = match error {
            ContentError::Malformed(_) => ErrorKind::Malformed,
            ContentError::TooLong { .. } => ErrorKind::Rejected,
        };
        Self::from_source(kind, error)
    }
}
