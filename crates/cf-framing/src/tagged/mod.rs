//! `/cf/framing/tagged/1`; its specification is `docs/spec/framing-tagged-1.md`.

mod envelope;
mod router;

use bytes::Bytes;
use cf_core::{Frame, FramingProperties, FramingStrategy, ProtocolId, Result, Router};

use self::router::TagMap;
use crate::Error;

/// Frames a body with the tag that its recipient expects.
///
/// A router of it finds the instance by one probe of a hash map, however many
/// tags are expected; single-use and standing tags are the same to it.
///
/// ```
/// use cf_core::{Frame, FramingStrategy, InstanceId, RoutingTag, Tag};
/// let mut router = cf_framing::Tagged.router();
/// let tag = RoutingTag([7; 16]);
/// router.expect(Tag::SingleUse(tag), InstanceId(1))?;
/// let payload = cf_framing::Tagged.encode(&Frame::new(tag, "hello"), 1024)?;
/// assert_eq!(payload.len(), 25);
/// assert_eq!(router.route(&payload)?.instance, Some(InstanceId(1)));
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tagged;

impl Tagged {
    /// The protocol of this framing.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/framing/tagged/1");
}

impl FramingStrategy for Tagged {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Tagged::ID;
        &ID
    }

    fn max_body_len(&self, max_payload_len: usize) -> usize {
        envelope::max_body_len(max_payload_len)
    }

    fn encode(&self, frame: &Frame, max_payload_len: usize) -> Result<Bytes> {
        let (len, max) = (frame.body.len(), self.max_body_len(max_payload_len));
        if len == 0 {
            return Err(Error::EmptyBody.into());
        }
        if len > max {
            return Err(Error::BodyTooLong { len, max }.into());
        }
        Ok(envelope::encode(&frame.tag, &frame.body))
    }

    fn router(&self) -> Box<dyn Router> {
        Box::new(TagMap::default())
    }

    fn properties(&self) -> FramingProperties {
        FramingProperties {
            single_use_tags: true,
            standing_tags: true,
            blinds_standing_tags: false,
        }
    }
}
