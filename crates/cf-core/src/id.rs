//! Identifiers.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::{Error, Result};

/// Names a component and the version of what it puts on the wire, for instance
/// `/cf/init/inbox/1`.
///
/// At least two segments, each starting with `/`, of `a-z 0-9 . _ -`; the last
/// is the version, a decimal number. A change on the wire is another id.
///
/// ```
/// use cf_core::ProtocolId;
/// const INBOX: ProtocolId = ProtocolId::from_static("/cf/init/inbox/1");
/// assert_eq!(ProtocolId::parse("/cf/init/inbox/1").unwrap(), INBOX);
/// assert_eq!(INBOX.version(), "1");
/// assert!(ProtocolId::parse("inbox").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProtocolId(Cow<'static, str>);

impl ProtocolId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Takes an id known when the program is built.
    ///
    /// # Panics
    /// On an id that is not of the form; in a `const`, that is a build error.
    pub const fn from_static(id: &'static str) -> Self {
        assert!(
            is_protocol_id(id.as_bytes()),
            "a protocol id is a path that ends in a number"
        );
        Self(Cow::Borrowed(id))
    }

    /// Takes an id that came from outside.
    ///
    /// # Errors
    /// `Malformed` if it is not of the form or over [`Self::MAX_LEN`] bytes.
    pub fn parse(id: &str) -> Result<Self> {
        if is_protocol_id(id.as_bytes()) {
            Ok(Self(Cow::Owned(id.to_owned())))
        } else {
            Err(Error::malformed(
                "a protocol id is a path that ends in a number, like /cf/x/1",
            ))
        }
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn version(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

const fn is_protocol_id(id: &[u8]) -> bool {
    if id.is_empty() || id.len() > ProtocolId::MAX_LEN || id[0] != b'/' {
        return false;
    }
    let (mut at, mut segments, mut len, mut numeric) = (1, 1, 0, true);
    while at < id.len() {
        match id[at] {
            b'/' => {
                if len == 0 {
                    return false;
                }
                (segments, len, numeric) = (segments + 1, 0, true);
            }
            b'0'..=b'9' => len += 1,
            b'a'..=b'z' | b'.' | b'_' | b'-' => (len, numeric) = (len + 1, false),
            _ => return false,
        }
        at += 1;
    }
    segments >= 2 && len > 0 && numeric
}

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A participant, as the initialization authenticated it: opaque bytes, at most
/// [`ParticipantId::MAX_LEN`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(Bytes);

/// What an application calls a content: 1 to [`ContentId::MAX_LEN`] bytes of its
/// own choice. It travels with the content and is scoped by the authenticated
/// author, so that two authors may use the same.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(Bytes);

macro_rules! opaque_id {
    ($name:ident, $max:literal) => {
        impl $name {
            /// The longest, in bytes.
            pub const MAX_LEN: usize = $max;

            /// Takes 1 to [`Self::MAX_LEN`] bytes.
            ///
            /// # Errors
            /// `Malformed` outside of these lengths.
            pub fn new(bytes: impl Into<Bytes>) -> Result<Self> {
                let bytes = bytes.into();
                if bytes.is_empty() || bytes.len() > Self::MAX_LEN {
                    return Err(Error::malformed(concat!(
                        stringify!($name),
                        " takes 1 to ",
                        $max,
                        " bytes"
                    )));
                }
                Ok(Self(bytes))
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The bytes, shared.
            pub fn to_bytes(&self) -> Bytes {
                self.0.clone()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), Short(&self.0))
            }
        }
    };
}

opaque_id!(ParticipantId, 128);
opaque_id!(ContentId, 64);

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Draws one.
            pub fn random(random: &mut dyn crate::Random) -> Self {
                let mut id = [0; 16];
                random.fill(&mut id);
                Self(id)
            }

            /// Reads one.
            ///
            /// # Errors
            /// `Malformed` unless there are 16 bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self> {
                bytes.try_into().map(Self).map_err(|_| {
                    Error::malformed(concat!(stringify!($name), " takes 16 bytes"))
                })
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), Short(&self.0))
            }
        }
    };
}

random_id! {
    /// A conversation, as its application knows it: 16 random bytes that outlive
    /// sessions and upgrades. Not on the wire outside of encryption.
    ConversationId
}
random_id! {
    /// One invite; the same when the invite is made anew.
    InviteId
}
random_id! {
    /// One introduction bundle.
    BundleId
}
random_id! {
    /// One offer of a conversation protocol.
    OfferId
}
random_id! {
    /// One publish, the same when it is repeated, so that a delivery service
    /// with duplicate suppression can drop the repetition.
    PayloadId
}

/// The first four bytes as hexadecimal: enough to tell ids apart in a log.
pub(crate) struct Short<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(4)
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.0.len() > 4 {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}
