use cf_core::ErrorKind;

/// What goes wrong in a discovery protocol of this crate, and whose fault it is.
/// The sentences are for the person who pasted the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text is not a link at all.
    #[error("this is not an introduction link: one starts with cfintro_1_")]
    NotALink,
    /// `Unsupported`: the link is of a later version.
    #[error("this link is of version {version}, which needs a newer client")]
    NewerVersion {
        /// The version.
        version: u64,
    },
    /// `Malformed`: the text is longer than any link.
    #[error("a link takes at most {max} characters, this text has {len}")]
    TooLong {
        /// The text's length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// `Malformed`: a character that no link has, for instance a line break.
    #[error(
        "character {position} of the link is not a letter, digit, - or _; copy it in one piece"
    )]
    Character {
        /// Which character it is, from 1.
        position: usize,
    },
    /// `Malformed`: the end of the link is missing.
    #[error("the link is cut off: {len} of at least {expected} characters are there")]
    Truncated {
        /// How many characters there are.
        len: usize,
        /// How many there should be, as far as can be known.
        expected: usize,
    },
    /// `Malformed`: something stands behind the link.
    #[error("the link ends after {expected} characters, but {len} are there")]
    Appended {
        /// How many characters there are.
        len: usize,
        /// How many there should be.
        expected: usize,
    },
    /// `Malformed`: characters were changed on the way.
    #[error("the link was changed on the way, perhaps a typing error; copy it again")]
    Damaged,
    /// `Malformed`: the link arrived as it was made, and was made wrongly.
    #[error("the link arrived whole, but whoever made it did so wrongly")]
    Content,
    /// `Rejected`: the link has expired.
    #[error("the link has expired; ask for a new one")]
    Expired,
    /// `Misuse`: bundles that have expired are not advertised.
    #[error("these bundles have expired; make new ones before making a link")]
    AlreadyExpired,
    /// `Rejected`: the bundles are too long for a link.
    #[error("the bundles give a link of {len} characters, and one takes at most {max}")]
    TooLarge {
        /// The length that the link would have.
        len: usize,
        /// The limit.
        max: usize,
    },
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::NewerVersion { .. } => ErrorKind::Unsupported,
            Error::Expired | Error::TooLarge { .. } => ErrorKind::Rejected,
            Error::AlreadyExpired => ErrorKind::Misuse,
            Error::NotALink
            | Error::TooLong { .. }
            | Error::Character { .. }
            | Error::Truncated { .. }
            | Error::Appended { .. }
            | Error::Damaged
            | Error::Content => ErrorKind::Malformed,
        };
        Self::from_source(kind, error)
    }
}
