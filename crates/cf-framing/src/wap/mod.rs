//! `/cf/framing/wap/1`; its specification is `docs/spec/framing-wap-1.md`.

mod envelope;
mod router;

use bytes::Bytes;
use cf_core::{Frame, FramingProperties, FramingStrategy, ProtocolId, Result, Router};

use self::router::Trial;
use crate::Error;

/// Frames a body with a salted hash of its conversation's standing tag: the
/// published `WapEnvelope`.
///
/// A router of it tries every standing tag that is expected, so that it costs as
/// many hashes as there are conversations; single-use tags do not route.
///
/// ```
/// use cf_core::{Frame, FramingStrategy, InstanceId, RoutingTag, Tag};
/// let mut router = cf_framing::Wap.router();
/// let (tag, standing) = (RoutingTag([1; 16]), RoutingTag([2; 16]));
/// router.expect(Tag::Standing(standing), InstanceId(1))?;
/// let frame = Frame { tag, standing, body: "hello".into() };
/// let payload = cf_framing::Wap.encode(&frame, 1024)?;
/// let routed = router.route(&payload)?;
/// assert_eq!((routed.instance, routed.tag), (Some(InstanceId(1)), tag));
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Wap;

impl Wap {
    /// The protocol of this framing.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/framing/wap/1");
}

impl FramingStrategy for Wap {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Wap::ID;
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
        Ok(envelope::encode(&frame.tag, &frame.standing, &frame.body))
    }

    fn router(&self) -> Box<dyn Router> {
        Box::new(Trial::default())
    }

    fn properties(&self) -> FramingProperties {
        FramingProperties {
            single_use_tags: false,
            standing_tags: true,
            blinds_standing_tags: true,
        }
    }
}
