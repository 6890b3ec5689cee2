use cf_core::ErrorKind;

/// What goes wrong on the local network, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `Malformed`: the text is no query for a name on the local network.
    #[error("this is no name on the local network: for instance lan:Raya")]
    NotAQuery,
    /// `Malformed`: a name that cannot be announced or looked up.
    #[error("a name on the local network takes 1 to {max} bytes, no # and no control characters")]
    NotAName {
        /// The limit.
        max: usize,
    },
    /// `Malformed`: what was announced breaks the format.
    #[error("what was announced is no announcement: {why}")]
    NotAnAnnouncement {
        /// What is wrong.
        why: &'static str,
    },
    /// `Unsupported`: an announcement of a later version.
    #[error("this was announced by version {version}, which needs a newer client")]
    NewerVersion {
        /// The version.
        version: u64,
    },
    /// `Unsupported`: to advertise without a name.
    #[error("this client has no name to be found by on the local network")]
    NoName,
    /// `Unsupported`: there is no discovery whose link could be announced.
    #[error(
        "what is announced on the local network is the link of another discovery, and there is none"
    )]
    NoDiscovery,
    /// `Rejected`: a link that is too long to be announced.
    #[error("the local network takes links of up to {max} characters, this one has {len}")]
    TooLong {
        /// The link's length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// `Unavailable`: nobody announces the name.
    #[error("nobody on this network says that they are {name}")]
    NobodyThere {
        /// The name.
        name: String,
    },
    /// `Rejected`: more announce one name than are looked at.
    #[error("more than {max} on this network say that they are {name}: ask for a link")]
    TooMany {
        /// The name.
        name: String,
        /// The limit.
        max: usize,
    },
    /// `Unavailable`: the network can't be used.
    #[error("the local network can't be asked: {why}")]
    Network {
        /// What the system said.
        why: String,
    },
    /// `Misuse`: a state that is not of this discovery.
    #[error("give back the state that this discovery gave")]
    ForeignState,
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAQuery | Self::NotAName { .. } | Self::NotAnAnnouncement { .. } => {
                ErrorKind::Malformed
            }
            Self::NewerVersion { .. } | Self::NoName | Self::NoDiscovery => ErrorKind::Unsupported,
            Self::TooLong { .. } | Self::TooMany { .. } => ErrorKind::Rejected,
            Self::NobodyThere { .. } | Self::Network { .. } => ErrorKind::Unavailable,
            Self::ForeignState => ErrorKind::Misuse,
        }
    }
}

impl From<Error> for cf_core::Error {
    fn from(error: Error) -> Self {
        Self::from_source(error.kind(), error)
    }
}
