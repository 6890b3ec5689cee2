//! Errors, sorted by whose fault they are.

use std::borrow::Cow;
use std::fmt;

use crate::Locator;

/// A result whose error says whether to try again.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Bytes from outside are not of the format. Never try them again.
    Malformed,
    /// Well formed, but not authentic, not allowed, repeated or over a limit.
    Rejected,
    /// A protocol, version or frame that this build does not have.
    Unsupported,
    /// Out of reach for now. The only kind for which trying again makes sense.
    Unavailable,
    /// The caller broke the contract; the message says what to do instead.
    Misuse,
    /// Anything else, for instance a disk that is full.
    Other,
}

/// The error of every contract: a kind, a sentence, and what caused it.
///
/// Component crates have an error enum of their own and convert it to this one
/// at the boundary.
///
/// ```
/// use cf_core::{Error, ErrorKind};
/// let error = Error::unavailable("the service does not answer");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// assert!(error.is_retryable());
/// ```
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    unknown_services: Box<[Locator]>,
}

impl Error {
    /// Makes an error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            unknown_services: Box::default(),
        }
    }

    /// Makes an error of `kind` out of a component's own error.
    pub fn from_source(
        kind: ErrorKind,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            message: source.to_string().into(),
            source: Some(Box::new(source)),
            unknown_services: Box::default(),
        }
    }

    /// Bytes that are not of the format.
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// Not authentic, not allowed, repeated, or over a limit.
    pub fn rejected(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// Something that this build does not have.
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Out of reach for now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// A broken contract; `message` says what to do instead.
    pub fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Misuse, message)
    }

    /// Says that one of these services would have to be connected first. They were
    /// named by somebody else, and nobody has contacted them.
    #[must_use]
    pub fn for_services(mut self, unknown: Vec<Locator>) -> Self {
        self.unknown_services = unknown.into();
        self
    }

    /// The services of which one would have to be connected first, where that is
    /// what is missing. Ask the user before: somebody else chose them.
    pub fn unknown_services(&self) -> &[Locator] {
        &self.unknown_services
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
