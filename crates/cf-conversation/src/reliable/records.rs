//! The wrapper's own records.
//!
//! | key | what |
//! |---|---|
//! | `h` | the head |
//! | `m` | the missing sequence numbers that were passed over |
//! | `u` ‖ sequence (8) | a payload that is not acknowledged |
//! | `q` ‖ place (8) | a content that waits to be sent |
//! | `r` ‖ sequence (8) | a content that waits for what comes before it |

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::{
    Content, ContentId, ConversationEvent, Frame, ParticipantId, Publish, PublishId, RoutingTag,
    Spread, Timestamp,
};
use prost::Message;

use crate::Error;
use crate::point;
use crate::wire::reliable as wire;

use super::frame::MAX_SEQUENCE;
use super::order::Held;

/// The version of the records.
const VERSION: u32 = 1;

pub(crate) const HEAD: &[u8] = b"h";
pub(crate) const MISSING: &[u8] = b"m";
pub(crate) const UNACKNOWLEDGED: u8 = b'u';
pub(crate) const QUEUED: u8 = b'q';
pub(crate) const HELD: u8 = b'r';

/// The key of one of several records.
pub(crate) fn numbered(prefix: u8, number: u64) -> Bytes {
    let mut key = BytesMut::with_capacity(9);
    key.put_u8(prefix);
    key.put_u64(number);
    key.freeze()
}

/// The number in a key that [`numbered`] made.
pub(crate) fn number(key: &[u8]) -> Result<u64, Error> {
    key.get(1..)
        .and_then(|number| number.try_into().ok())
        .map(u64::from_be_bytes)
        .filter(|number| *number < MAX_SEQUENCE)
        .ok_or(Error::Records("a key"))
}

pub(crate) fn encode_head(mut head: wire::StoredHead) -> Bytes {
    head.version = VERSION;
    head.encode_to_vec().into()
}

pub(crate) fn decode_head(bytes: Bytes) -> Result<wire::StoredHead, Error> {
    let head = wire::StoredHead::decode(bytes).map_err(|_| Error::Records("the head"))?;
    match head.version {
        0..=VERSION if head.next_queued < MAX_SEQUENCE => Ok(head),
        0..=VERSION => Err(Error::Records("a place in the queue")),
        _ => Err(Error::Unsupported("a conversation of a newer version")),
    }
}

pub(crate) fn encode_missing(missing: &BTreeSet<u64>) -> Bytes {
    let sequence = missing.iter().copied().collect();
    wire::StoredMissing { sequence }.encode_to_vec().into()
}

pub(crate) fn decode_missing(bytes: Bytes) -> Result<BTreeSet<u64>, Error> {
    let missing = wire::StoredMissing::decode(bytes);
    let missing = missing.map_err(|_| Error::Records("the missing numbers"))?;
    Ok(missing.sequence.into_iter().collect())
}

pub(crate) fn encode_publish(publish: &Publish, has_content: bool, sent_at: Timestamp) -> Bytes {
    let stored = wire::StoredUnacknowledged {
        publish: publish.id.0,
        points: publish.points.iter().map(point::encode).collect(),
        all_points: publish.spread == Spread::All,
        tag: Bytes::copy_from_slice(publish.frame.tag.as_bytes()),
        standing_tag: Bytes::copy_from_slice(publish.frame.standing.as_bytes()),
        body: publish.frame.body.clone(),
        content_id: publish.content.as_ref().map(ContentId::to_bytes),
        sent_at: sent_at.0,
        has_content,
    };
    stored.encode_to_vec().into()
}

/// Gives the publish, whether it has content, and when it was sent first.
pub(crate) fn decode_publish(bytes: Bytes) -> cf_core::Result<(Publish, bool, Timestamp)> {
    let damaged = || Error::Records("an unacknowledged payload");
    let stored = wire::StoredUnacknowledged::decode(bytes).map_err(|_| damaged())?;
    let publish = Publish {
        id: PublishId(stored.publish),
        points: (stored.points.iter())
            .map(point::decode)
            .collect::<Result<_, _>>()?,
        spread: if stored.all_points {
            Spread::All
        } else {
            Spread::First
        },
        condition: None,
        frame: Frame {
            tag: RoutingTag::from_slice(&stored.tag)?,
            standing: RoutingTag::from_slice(&stored.standing_tag)?,
            body: stored.body,
        },
        content: stored.content_id.map(ContentId::new).transpose()?,
    };
    Ok((publish, stored.has_content, Timestamp(stored.sent_at)))
}

pub(crate) fn encode_queued(id: Option<&ContentId>, content: Bytes, at: Timestamp) -> Bytes {
    let stored = wire::StoredQueued {
        content_id: id.map(ContentId::to_bytes),
        content,
        queued_at: at.0,
    };
    stored.encode_to_vec().into()
}

pub(crate) fn decode_queued(
    bytes: Bytes,
) -> cf_core::Result<(Option<ContentId>, Bytes, Timestamp)> {
    let stored = wire::StoredQueued::decode(bytes);
    let stored = stored.map_err(|_| Error::Records("a queued content"))?;
    let id = stored.content_id.map(ContentId::new).transpose()?;
    Ok((id, stored.content, Timestamp(stored.queued_at)))
}

pub(crate) fn encode_held(held: &Held) -> Bytes {
    let mut stored = wire::StoredHeld {
        arrived_at: held.arrived_at.0,
        ..wire::StoredHeld::default()
    };
    if let Some(ConversationEvent::Content {
        id,
        from,
        content: Content::Bytes(content),
        sent_at,
    }) = &held.event
    {
        stored.content_id = Some(id.to_bytes());
        stored.participant = from.as_ref().map(ParticipantId::to_bytes);
        stored.sent_at = sent_at.map(|at| at.0);
        stored.content = Some(content.clone());
    }
    stored.encode_to_vec().into()
}

pub(crate) fn decode_held(bytes: Bytes) -> cf_core::Result<Held> {
    let damaged = || Error::Records("a content that was held back");
    let stored = wire::StoredHeld::decode(bytes).map_err(|_| damaged())?;
    let event = match stored.content {
        None => None,
        Some(content) => Some(ConversationEvent::Content {
            id: ContentId::new(stored.content_id.unwrap_or_default())?,
            from: stored.participant.map(ParticipantId::new).transpose()?,
            content: Content::Bytes(content),
            sent_at: stored.sent_at.map(Timestamp),
        }),
    };
    Ok(Held {
        event,
        arrived_at: Timestamp(stored.arrived_at),
    })
}
