use cf_core::ErrorKind;

/// What goes wrong at this delivery service, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text does not name a broker.
    #[error(
        "a broker is named mqtt://HOST[:PORT][/NAME] or mqtts://…, with a name of letters, digits, _ and -"
    )]
    Url,
    /// `Malformed`: the URL sets what there is not, or to what it can't be.
    #[error("{0} can't be set so in the URL of a broker")]
    Setting(String),
    /// `Unsupported`: the URL is for another connector.
    #[error("this connector takes the schemes mqtt: and mqtts: only")]
    Scheme,
    /// `Unavailable`: the broker is out of reach.
    #[error("the broker can't be reached now")]
    Away,
    /// `Rejected`: the broker does not let this client in.
    #[error("the broker refuses the connection: {0}")]
    Denied(String),
    /// `Unavailable`: the connection broke, or the answer did not come in time.
    #[error("the broker gave no answer")]
    NoAnswer,
    /// `Unavailable`: the broker says that it can't do this now.
    #[error("the broker says: {0}")]
    Busy(String),
    /// `Rejected`: the broker does not take it.
    #[error("the broker refuses it: {0}")]
    Refused(String),
    /// `Unsupported`: MQTT has no conditional publish.
    #[error("this service publishes on no condition; use one that declares it, or publish without")]
    Conditional,
    /// `Rejected`: the payload is longer than the service takes.
    #[error("a payload takes at most {max} bytes, this one has {len}")]
    PayloadTooLong {
        /// The payload's length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// `Unavailable`: a subscription has as many addresses as it takes.
    #[error("a subscription takes {max} addresses")]
    TooManyAddresses {
        /// The limit.
        max: usize,
    },
    /// `Other`: a file that the URL names can't be used.
    #[error("the file {0} can't be read, or does not hold what it should")]
    File(String),
    /// `Other`: this system has no certificates of authorities.
    #[error("this system has no certificates of authorities: name a file with ca=")]
    NoRoots,
    /// `Other`: the task of a connection is gone, with its runtime.
    #[error("the connection's task is gone; connect again")]
    NoTask,
    /// `Unavailable`: the system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Url | Error::Setting(_) => ErrorKind::Malformed,
            Error::Scheme | Error::Conditional => ErrorKind::Unsupported,
            Error::PayloadTooLong { .. } | Error::Denied(_) | Error::Refused(_) => {
                ErrorKind::Rejected
            }
            Error::Away
            | Error::NoAnswer
            | Error::Busy(_)
            | Error::TooManyAddresses { .. }
            | Error::NoRandom => ErrorKind::Unavailable,
            Error::NoTask | Error::File(_) | Error::NoRoots => ErrorKind::Other,
        };
        Self::from_source(kind, error)
    }
}
