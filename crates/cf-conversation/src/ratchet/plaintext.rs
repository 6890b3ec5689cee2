use bytes::Bytes;
use cf_core::{ContentId, DeliveryPoint, Timestamp};
use prost::Message;

use crate::Error;
use crate::fields::unknown_body;
use crate::point::{self, MAX_POINTS};
use crate::wire::ratchet as wire;

/// The field number of content.
const CONTENT: u32 = 16;

/// What is inside the encryption of a frame.
pub(crate) struct Plaintext {
    pub(crate) content_id: Option<ContentId>,
    pub(crate) sent_at: Timestamp,
    /// The sender's delivery points, if it says them.
    pub(crate) points: Vec<DeliveryPoint>,
    /// What the sender says of an exchange, not checked yet.
    pub(crate) healing: Option<wire::Healing>,
    pub(crate) content: Option<Bytes>,
    /// The number of a body that this version does not know.
    pub(crate) unknown: Option<u32>,
}

impl Plaintext {
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let unknown = unknown_body(&bytes, &[CONTENT]);
        let text = wire::Plaintext::decode(bytes)
            .map_err(|_| Error::Malformed("a plaintext is not of the format"))?;
        if text.points.len() > MAX_POINTS {
            return Err(Error::Malformed("a frame names at most 8 delivery points"));
        }
        let points = text
            .points
            .iter()
            .map(point::decode)
            .collect::<Result<_, _>>();
        let content_id = match text.content_id.is_empty() {
            true => None,
            false => Some(
                ContentId::new(text.content_id)
                    .map_err(|_| Error::Malformed("a content id takes at most 64 bytes"))?,
            ),
        };
        Ok(Self {
            content_id,
            sent_at: Timestamp(text.sent_at),
            points: points.map_err(|_| Error::Malformed("a frame names no delivery point"))?,
            healing: text.healing,
            content: text.content,
            unknown,
        })
    }
}

/// What goes into the encryption of a frame with content.
pub(crate) fn encode(
    content_id: Option<&ContentId>,
    sent_at: Timestamp,
    points: Vec<wire::Point>,
    content: Bytes,
) -> wire::Plaintext {
    wire::Plaintext {
        content_id: content_id.map(ContentId::to_bytes).unwrap_or_default(),
        sent_at: sent_at.0,
        points,
        healing: None,
        content: Some(content),
    }
}
