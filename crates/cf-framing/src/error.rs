use cf_core::ErrorKind;

/// What goes wrong in a framing strategy of this crate, and whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the payload is not what the strategy encodes.
    #[error(
        "the payload is not an envelope of a 16-byte tag and a body, in the one encoding it has"
    )]
    NotAnEnvelope,
    /// `Malformed`: the payload is not what the strategy encodes.
    #[error(
        "the payload is not a WapEnvelope of hint, salt, tag and body, in the one encoding it has"
    )]
    NotAWapEnvelope,
    /// `Rejected`: the body does not fit the payload.
    #[error("a body takes at most {max} bytes here, this one has {len}")]
    BodyTooLong {
        /// The body's length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// `Rejected`: a frame has a body.
    #[error("a frame needs a body of at least one byte")]
    EmptyBody,
    /// `Rejected`: another instance expects the tag.
    #[error("another instance expects this tag")]
    TagTaken,
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::NotAnEnvelope | Error::NotAWapEnvelope => ErrorKind::Malformed,
            Error::BodyTooLong { .. } | Error::EmptyBody | Error::TagTaken => ErrorKind::Rejected,
        };
        Self::from_source(kind, error)
    }
}
