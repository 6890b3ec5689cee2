use cf_core::{Error, ErrorKind};

/// What went wrong in a first contact, and by whose fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The peer's: a bundle that is not of the format.
    #[error("not an introduction bundle: {0}")]
    MalformedBundle(&'static str),
    /// The peer's: an invite that is not of the format.
    #[error("not an invite: {0}")]
    MalformedInvite(&'static str),
    /// The peer's: bytes that were not sealed with the keys that they should be.
    #[error("the invite is not authentic")]
    NotAuthentic,
    /// The peer's: a bundle that was not sealed with the shared key.
    #[error("the bundle is not authentic")]
    BundleNotAuthentic,
    /// The peer's: a key of low order, with which everybody could agree.
    #[error("a key of the peer does not contribute to the result")]
    NotContributory,
    /// The peer's: a bundle that may no longer be used.
    #[error("the bundle has expired")]
    Expired,
    /// The peer's: an invite for no bundle of this inbox.
    #[error("the invite is for no bundle of this inbox")]
    UnknownBundle,
    /// The peer's: a second invite for a bundle that one uses up.
    #[error("the bundle was for one invite, and is used up")]
    UsedUp,
    /// The peer's: an invite beyond what a bundle may take.
    #[error("the bundle has taken all of its {0} invites")]
    BundleFull(u32),
    /// The peer's: an invite that was sent longer ago than payloads wait.
    #[error("the invite is too old")]
    TooOld,
    /// The peer's: an invite from the future.
    #[error("the invite was sent more than an hour from now")]
    FromTheFuture,
    /// The caller's or the peer's: more bytes than fit.
    #[error("{len} bytes where at most {max} fit")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many fit.
        max: usize,
    },
    /// Nobody's: a bundle of an identity that this one cannot verify.
    #[error("the bundle's identity is of another scheme")]
    OtherScheme,
    /// Nobody's: a record of a newer version of this crate.
    #[error("a record of version {0}, which this build does not know")]
    NewerRecord(u8),
    /// The caller's: a bundle that nobody could use.
    #[error("no such bundle can be made: {0}")]
    UnusableBundle(&'static str),
    /// The caller's: an invite that no recipient would take.
    #[error("no such invite can be sent: {0}")]
    UnusableInvite(&'static str),
    /// The caller's: an invite that names another conversation.
    #[error("the invite names another conversation than the handshake was started for")]
    OtherConversation,
    /// The caller's: a shared key of another length.
    #[error("a shared key has 32 bytes, this one has {len}")]
    KeyLength {
        /// The length in bytes.
        len: usize,
    },
    /// The store's: a record that this crate did not write.
    #[error("a record is damaged")]
    DamagedRecord,
}

impl From<InitError> for Error {
    fn from(error: InitError) -> Self {
        let kind = match error {
            InitError::MalformedBundle(_) | InitError::MalformedInvite(_) => ErrorKind::Malformed,
            InitError::OtherScheme | InitError::NewerRecord(_) => ErrorKind::Unsupported,
            InitError::UnusableBundle(_)
            | InitError::UnusableInvite(_)
            | InitError::OtherConversation
            | InitError::KeyLength { .. } => ErrorKind::Misuse,
            InitError::DamagedRecord => ErrorKind::Other,
            _ => ErrorKind::Rejected,
        };
        Self::from_source(kind, error)
    }
}
