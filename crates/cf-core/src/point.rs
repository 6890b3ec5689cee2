//! Where payloads go.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::Short;
use crate::{Capabilities, Error, ProtocolId, Result};

/// Names a delivery service so that another client can connect to it.
///
/// `scheme:name`, or `scheme://host[:port][/path]`. By its form it can hold no
/// credential and no local path, so that any locator may be shown to others:
/// no `@`, `?` or `#`, no `/` in a name, no empty host.
///
/// ```
/// use cf_core::Locator;
/// assert!(Locator::parse("nats://chat.example:4222/city").is_ok());
/// assert!(Locator::parse("local:").is_ok());
/// assert!(Locator::parse("nats://saro:secret@chat.example").is_err());
/// assert!(Locator::parse("local:/home/saro/chat.db").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locator(Arc<str>);

impl Locator {
    /// The longest locator, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Takes a locator in one of the two forms.
    ///
    /// # Errors
    /// `Malformed` if it has another form or is over [`Self::MAX_LEN`] bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::malformed("a locator is scheme:name or scheme://host[:port][/path]");
        if text.len() > Self::MAX_LEN {
            return Err(Error::malformed("a locator takes at most 256 bytes"));
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-'));
        let is_word = |text: &str, more: &[u8]| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b) || more.contains(&b))
        };
        let is_rest = match rest.strip_prefix("//") {
            Some(rest) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                !host.is_empty() && is_word(host, b":[]") && is_word(path, b"/")
            }
            None => is_word(rest, b""),
        };
        if is_scheme && is_rest {
            Ok(Self(text.into()))
        } else {
            Err(wrong())
        }
    }

    /// The whole locator.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a payload is sent: 1 to [`DeliveryAddress::MAX_LEN`] opaque bytes. How
/// a delivery service maps it to its own concepts is its own business.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryAddress(Bytes);

impl DeliveryAddress {
    /// The longest address, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Takes an address.
    ///
    /// # Errors
    /// `Malformed` if it is empty or over [`Self::MAX_LEN`] bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > Self::MAX_LEN {
            return Err(Error::malformed("a delivery address takes 1 to 64 bytes"));
        }
        Ok(Self(bytes))
    }

    /// Draws an address of 32 bytes that nobody else has.
    pub fn random(random: &mut dyn crate::Random) -> Self {
        let mut bytes = vec![0; 32];
        random.fill(&mut bytes);
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DeliveryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryAddress({})", Short(&self.0))
    }
}

/// An address, the service it is on, and the framing used there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryPoint {
    /// The service.
    pub locator: Locator,
    /// The address on it.
    pub address: DeliveryAddress,
    /// How payloads there are framed.
    pub framing: ProtocolId,
}

/// A delivery point and what a conversation may rely on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointInfo {
    /// The point.
    pub point: DeliveryPoint,
    /// The longest body of a frame, in bytes: what the framing leaves of the
    /// service's largest payload.
    pub max_body_len: usize,
    /// What the service declares.
    pub capabilities: Capabilities,
}
