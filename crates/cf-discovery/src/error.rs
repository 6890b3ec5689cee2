use cf_core::{ErrorKind, Locator};

/// What goes wrong in a discovery protocol of this crate, and whose fault it is.
/// The sentences are for the person who pasted the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text is not a link at all.
    #[error("this is no introduction link: one starts with cfintro_1_")]
    NotALink,
    /// `Malformed`: the text is not a short link at all.
    #[error("this is no short link: one starts with cfshort_1_")]
    NotAShortLink,
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
    /// `Rejected`: the owner has revoked the link, or no longer wants the name.
    #[error("its owner has revoked this; ask for a new link")]
    Revoked,
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
    /// `Rejected`: the bundles are too long for the service.
    #[error("the bundles give a payload of {len} bytes, and the service takes at most {max}")]
    TooLargeForService {
        /// The length that the payload would have, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// `Unsupported`: no service keeps what is published for who comes later.
    #[error("a short link needs a delivery service that retains payloads; make a full link")]
    NoRetention,
    /// `Unsupported`: the link is on a service that this client does not have.
    #[error(
        "the link is on {locator}, which this client is not connected to; connect to it if you \
         trust whoever gave you the link"
    )]
    UnknownService {
        /// The service.
        locator: Locator,
    },
    /// `Unavailable`: the service has nothing of the owner's.
    #[error(
        "nothing lies where the link points to; its owner has to come online to put it there again"
    )]
    NothingThere,
    /// `Unavailable`: so much of others lies at a link's place that who resolves it does
    /// not come to what its owner has just published.
    #[error(
        "somebody who has this link fills its place with rubbish, and nobody who looks finds what \
         is new; give others a new link, or wait until there is room"
    )]
    CrowdedOut,
    /// `Rejected`: what lies there is older than what was seen before.
    #[error("what lies where the link points to is older than before: somebody withholds the rest")]
    Outdated,
    /// `Malformed`: the text is not a query of a directory at all.
    #[error("this is no name in a directory: one is cfdir_1_NAME@SERVICE")]
    NotInADirectory,
    /// `Malformed`: the part that says which service has the directory is missing or cut.
    #[error("which directory? what has to follow the name is @ and the locator of its service")]
    NoDirectory,
    /// `Malformed`: no directory has such a name.
    #[error("a name in a directory is 1 to 64 letters of a to z, digits, . _ and -")]
    NotADirectoryName,
    /// `Unavailable`: nobody claims the name there.
    #[error("nobody is called {name} there, or whoever is has to come online to say so again")]
    NobodyThere {
        /// The name.
        name: String,
    },
    /// `Malformed`: the text is not a name of a static table.
    #[error("a name in a table is static: and 1 to 64 letters, digits, . _ and -")]
    NotAName,
    /// `Unsupported`: a client without a name only looks others up.
    #[error("this client has no name to be found by; give it one")]
    NoName,
    /// `Rejected`: the table holds as many names as it can.
    #[error("the table holds {max} names, and takes no more")]
    TooManyNames {
        /// The limit.
        max: usize,
    },
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        if let Error::UnknownService { locator } = &error {
            let unknown = vec![locator.clone()];
            return Self::from_source(ErrorKind::Unsupported, error).for_services(unknown);
        }
        let kind = match error {
            Error::NewerVersion { .. }
            | Error::NoRetention
            | Error::UnknownService { .. }
            | Error::NoName => ErrorKind::Unsupported,
            Error::Expired
            | Error::Revoked
            | Error::TooLarge { .. }
            | Error::TooLargeForService { .. }
            | Error::Outdated
            | Error::TooManyNames { .. } => ErrorKind::Rejected,
            Error::NothingThere | Error::CrowdedOut | Error::NobodyThere { .. } => {
                ErrorKind::Unavailable
            }
            Error::AlreadyExpired => ErrorKind::Misuse,
            Error::NotALink
            | Error::NotAShortLink
            | Error::NotAName
            | Error::NotInADirectory
            | Error::NoDirectory
            | Error::NotADirectoryName
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
