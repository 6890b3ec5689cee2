use cf_core::ErrorKind;

/// What goes wrong at a delivery service of this crate, and whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text does not name a service in memory.
    #[error("a service in memory is named memory:NAME, with a name of letters, digits, . _ and -")]
    Name,
    /// `Unsupported`: the URL is for another connector.
    #[error("this connector takes the scheme memory: only")]
    Scheme,
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
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Name => ErrorKind::Malformed,
            Error::Scheme => ErrorKind::Unsupported,
            Error::PayloadTooLong { .. } | Error::TooManyServices { .. } => ErrorKind::Rejected,
            Error::ForeignCursor => ErrorKind::Misuse,
            Error::TooManyAddresses { .. } => ErrorKind::Unavailable,
        };
        Self::from_source(kind, error)
    }
}
