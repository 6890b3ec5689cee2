//! Framing strategies: how payloads are encoded, and which state machine
//! decodes one.

use std::fmt;

use bytes::Bytes;

use crate::id::Short;
use crate::{Error, ProtocolId, Result};

/// Encodes frames to payloads and makes routers for the way back.
///
/// # Laws
/// CHAT-FRAMEWORK, "Framing Strategy": a common payload type, and a method to
/// determine which state machine decodes it.
/// - What [`encode`](Self::encode) makes, any router of the strategy routes to
///   the same tag and body.
/// - Encoding is deterministic: the same frame gives the same bytes, so that an
///   exact resend shows nothing new.
/// - A body of [`max_body_len`](Self::max_body_len) fits the payload limit; one
///   byte more is refused with `Rejected`.
/// - Only what `encode` makes is routed; anything else is `Malformed`.
///
/// ```
/// use cf_core::*;
/// use bytes::Bytes;
/// use std::collections::HashMap;
///
/// /// The tag, then the body.
/// struct Plain(ProtocolId);
/// #[derive(Default)]
/// struct Table(HashMap<RoutingTag, InstanceId>);
///
/// impl FramingStrategy for Plain {
///     fn id(&self) -> &ProtocolId { &self.0 }
///     fn max_body_len(&self, max_payload_len: usize) -> usize {
///         max_payload_len.saturating_sub(16)
///     }
///     fn encode(&self, frame: &Frame, max_payload_len: usize) -> Result<Bytes> {
///         if frame.body.len() > self.max_body_len(max_payload_len) {
///             return Err(Error::rejected("the body is too long"));
///         }
///         Ok([frame.tag.as_bytes(), &frame.body].concat().into())
///     }
///     fn router(&self) -> Box<dyn Router> { Box::new(Table::default()) }
/// }
/// impl Router for Table {
///     fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
///         match self.0.insert(*tag.tag(), instance) {
///             Some(other) if other != instance => {
///                 self.0.insert(*tag.tag(), other);
///                 Err(Error::rejected("another instance expects this tag"))
///             }
///             _ => Ok(()),
///         }
///     }
///     fn forget(&mut self, tag: Tag, instance: InstanceId) {
///         if self.0.get(tag.tag()) == Some(&instance) { self.0.remove(tag.tag()); }
///     }
///     fn route(&self, payload: &Bytes) -> Result<Routed> {
///         let tag = payload.get(..16).ok_or(Error::malformed("shorter than a tag"))?;
///         let tag = RoutingTag::from_slice(tag)?;
///         Ok(Routed { instance: self.0.get(&tag).copied(), tag, body: payload.slice(16..) })
///     }
/// }
///
/// let framing = Plain(ProtocolId::parse("/example/framing/plain/1")?);
/// let mut router = framing.router();
/// let tag = RoutingTag([7; 16]);
/// router.expect(Tag::SingleUse(tag), InstanceId(1))?;
/// let payload = framing.encode(&Frame::new(tag, "hello"), 1024)?;
/// let routed = router.route(&payload)?;
/// assert_eq!(routed.instance, Some(InstanceId(1)));
/// assert_eq!(routed.body, "hello");
/// # Ok::<(), Error>(())
/// ```
pub trait FramingStrategy: Send + Sync {
    /// The protocol of this framing.
    fn id(&self) -> &ProtocolId;

    /// The longest body, in bytes, under a limit on the payload.
    fn max_body_len(&self, max_payload_len: usize) -> usize;

    /// Encodes a frame to a payload of at most `max_payload_len` bytes.
    ///
    /// # Errors
    /// `Rejected` for a body over [`max_body_len`](Self::max_body_len) or an
    /// empty one.
    fn encode(&self, frame: &Frame, max_payload_len: usize) -> Result<Bytes>;

    /// Makes a router that expects nothing yet.
    fn router(&self) -> Box<dyn Router>;

    /// What the framing routes by and hides; nothing is declared by default.
    fn properties(&self) -> FramingProperties {
        FramingProperties::default()
    }
}

/// What a framing strategy routes by and hides, as data. Everything not declared
/// is not promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FramingProperties {
    /// A payload whose [`Tag::SingleUse`] tag is expected is routed.
    pub single_use_tags: bool,
    /// A payload whose [`Tag::Standing`] tag is expected is routed.
    pub standing_tags: bool,
    /// Two payloads of one standing tag can't be told to be so by who does not
    /// know the tag.
    pub blinds_standing_tags: bool,
}

/// Finds the instance that a payload is for. How is its own business: one hash
/// probe, or a trial of every standing tag.
///
/// # Laws
/// - A payload goes to the instance that expects its tag, and a miss otherwise;
///   a strategy uses [`Tag::SingleUse`] tags, [`Tag::Standing`] ones, or both.
/// - The first instance that expects a tag keeps it until it forgets it.
/// - `route` changes nothing.
///
/// See [`FramingStrategy`] for an example.
pub trait Router: Send {
    /// Routes payloads with `tag` to `instance` from now on. Again is harmless.
    ///
    /// # Errors
    /// `Rejected` if another instance expects the tag.
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()>;

    /// No longer routes payloads with `tag` to `instance`.
    fn forget(&mut self, tag: Tag, instance: InstanceId);

    /// Decodes a payload and finds its instance.
    ///
    /// # Errors
    /// `Malformed` for what is not a payload of the strategy.
    fn route(&self, payload: &Bytes) -> Result<Routed>;
}

/// A decoded payload and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The instance that expects it; `None` is a *miss*.
    pub instance: Option<InstanceId>,
    /// The frame's tag.
    pub tag: RoutingTag,
    /// The frame's body.
    pub body: Bytes,
}

/// What a component gives a framing to encode.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The tag of this frame alone, where there is one.
    pub tag: RoutingTag,
    /// The tag that stays the same, for framings that blind tags themselves.
    /// Never on the wire as it is, unless it equals `tag`.
    pub standing: RoutingTag,
    /// What the recipient's state machine gets; not empty.
    pub body: Bytes,
}

impl Frame {
    /// A frame whose tag is its standing tag as well.
    pub fn new(tag: RoutingTag, body: impl Into<Bytes>) -> Self {
        Self {
            tag,
            standing: tag,
            body: body.into(),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", self.tag, self.body.len())
    }
}

/// The bytes in a frame by which a recipient finds the state machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoutingTag(pub [u8; 16]);

impl RoutingTag {
    /// Reads a tag.
    ///
    /// # Errors
    /// `Malformed` unless there are 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| Error::malformed("a routing tag takes 16 bytes"))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RoutingTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoutingTag({})", Short(&self.0))
    }
}

/// A tag that an instance expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Of one frame; the instance forgets it once the frame came.
    SingleUse(RoutingTag),
    /// Of every frame of the instance.
    Standing(RoutingTag),
}

impl Tag {
    /// The bytes, of either kind.
    pub fn tag(&self) -> &RoutingTag {
        match self {
            Self::SingleUse(tag) | Self::Standing(tag) => tag,
        }
    }
}

/// One instance of a state machine within a client; not on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub u64);
