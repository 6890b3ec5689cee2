use cf_core::ErrorKind;

/// What goes wrong at this delivery service, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text does not name a service on a NATS server.
    #[error(
        "a service on NATS is named nats://HOST[:PORT][/NAME] or tls://…, with a name of letters, digits, _ and -"
    )]
    Url,
    /// `Malformed`: the URL sets what there is not, or to what it can't be.
    #[error("{0} can't be set so in the URL of a service on NATS")]
    Setting(String),
    /// `Unsupported`: the URL is for another connector.
    #[error("this connector takes the schemes nats: and tls: only")]
    Scheme,
    /// `Other`: a file with a credential or certificate can't be used.
    #[error("the file {0} with a credential or certificate can't be used")]
    File(String),
    /// `Unavailable`: the server is out of reach.
    #[error("the NATS server can't be reached now")]
    Away,
    /// `Rejected`: the server does not let this client in.
    #[error(
        "the NATS server refuses the credentials; put others into the URL, or name a file with them"
    )]
    Denied,
    /// `Unavailable`: the connection broke, or the answer did not come in time.
    #[error("the NATS server gave no answer")]
    NoAnswer,
    /// `Unsupported`: the server is too old, or has no JetStream.
    #[error("the NATS server needs version 2.9 or later, with JetStream turned on")]
    NoJetStream,
    /// `Misuse`: streams with these subjects are not of this service.
    #[error(
        "the stream {0} has the subjects of this service and is not set up for it; see docs/operations.md"
    )]
    ForeignStream(String),
    /// `Unavailable`: JetStream says that it can't do this now.
    #[error("JetStream says: {description} ({code})")]
    JetStream {
        /// Its error code.
        code: u64,
        /// Its words.
        description: String,
    },
    /// `Unavailable`: the streams are not there and were not to be made.
    #[error("the streams of the service are not on the server")]
    NoStream,
    /// `Rejected`: the payload is longer than the service takes.
    #[error("a payload takes at most {max} bytes, this one has {len}")]
    PayloadTooLong {
        /// The payload's length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// `Misuse`: the service never gave that cursor out, or has lost its streams since.
    #[error("the cursor is not of this service; start with the earliest payload")]
    ForeignCursor,
    /// `Unavailable`: a subscription has as many addresses as it takes.
    #[error("a subscription takes {max} addresses")]
    TooManyAddresses {
        /// The limit.
        max: usize,
    },
    /// `Other`: the task of a subscription is gone, with its runtime.
    #[error("the subscription's task is gone; subscribe again")]
    NoTask,
    /// `Unavailable`: the system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl Error {
    /// Whether the streams may be gone, or others.
    pub(crate) fn asks_for_streams(&self) -> bool {
        matches!(self, Self::NoStream | Self::NoAnswer)
    }
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Url | Error::Setting(_) => ErrorKind::Malformed,
            Error::Scheme | Error::NoJetStream => ErrorKind::Unsupported,
            Error::PayloadTooLong { .. } | Error::Denied => ErrorKind::Rejected,
            Error::ForeignCursor | Error::ForeignStream(_) => ErrorKind::Misuse,
            Error::Away
            | Error::NoAnswer
            | Error::JetStream { .. }
            | Error::NoStream
            | Error::TooManyAddresses { .. }
            | Error::NoRandom => ErrorKind::Unavailable,
            Error::File(_) | Error::NoTask => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}
