//! The wrapper's own records.
//!
//! | key | what |
//! |---|---|
//! | `h` | the head |
//! | `m` | the missing sequence numbers that were passed over |
//! | `u` ‖ sequence (8) | a payload that is not acknowledged |
//! | `q` ‖ place (8) | a content that waits to be sent |
//! | `r` ‖ sequence (8) | a content that waits for what comes before it |
//! | `w` ‖ sequence (8) | the id of a content that another instance has to send |
//! | `p` | where the peer is reached |
//! | `o` | where this side is reached, as it was given last |
//! | `k` | the contact that the peer is to learn |
//! | `e` | the contents that are read and whose authors are to learn it |

use std::collections::{BTreeSet, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::{
    BundleSet, Content, ContentId, ConversationEvent, DeliveryPoint, Frame, ParticipantId, Publish,
    PublishId, RoutingTag, Spread, Timestamp,
};
use prost::Message;

use crate::Error;
use crate::point;
use crate::wire::ratchet::Point;
use crate::wire::reliable as wire;

use super::contact;
use super::frame::{Body, Frame as ReliableFrame, MAX_SEQUENCE};
use super::order::Held;

/// The version of the records.
const VERSION: u32 = 1;

pub(crate) const HEAD: &[u8] = b"h";
pub(crate) const MISSING: &[u8] = b"m";
pub(crate) const UNACKNOWLEDGED: u8 = b'u';
pub(crate) const QUEUED: u8 = b'q';
pub(crate) const HELD: u8 = b'r';
pub(crate) const WITHDRAWN: u8 = b'w';
pub(crate) const PEER_POINTS: &[u8] = b"p";
pub(crate) const OWN_POINTS: &[u8] = b"o";
pub(crate) const CONTACT: &[u8] = b"k";
pub(crate) const READS: &[u8] = b"e";

/// A payload that is not acknowledged.
pub(crate) struct Unacknowledged {
    pub(crate) publish: Publish,
    /// What it was published as first.
    pub(crate) first: PublishId,
    pub(crate) has_content: bool,
    pub(crate) sent_at: Timestamp,
    /// What it carries, to encrypt it anew; `None` where an earlier version did
    /// not keep it.
    pub(crate) body: Option<Body>,
}

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

/// A payload and its points, what it was published as first, and what it carries.
pub(crate) fn encode_unacknowledged(
    publish: &Publish,
    points: Vec<Bytes>,
    first: PublishId,
    has_content: bool,
    sent_at: Timestamp,
    body: Option<&Body>,
) -> Bytes {
    let stored = wire::StoredUnacknowledged {
        publish: publish.id.0,
        points,
        all_points: publish.spread == Spread::All,
        tag: Bytes::copy_from_slice(publish.frame.tag.as_bytes()),
        standing_tag: Bytes::copy_from_slice(publish.frame.standing.as_bytes()),
        body: publish.frame.body.clone(),
        content_id: publish.content.as_ref().map(ContentId::to_bytes),
        sent_at: sent_at.0,
        has_content,
        frame: body.map(|body| ReliableFrame::bare(body.clone()).to_wire()),
        first_publish: (first != publish.id).then_some(first.0),
    };
    stored.encode_to_vec().into()
}

pub(crate) fn decode_unacknowledged(bytes: Bytes) -> cf_core::Result<Unacknowledged> {
    let damaged = || Error::Records("an unacknowledged payload");
    let stored = wire::StoredUnacknowledged::decode(bytes).map_err(|_| damaged())?;
    let publish = Publish {
        id: PublishId(stored.publish),
        points: (stored.points.into_iter())
            .map(|bytes| point::decode(&Point::decode(bytes).map_err(|_| damaged())?))
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
    let frame = stored.frame.map(ReliableFrame::from_wire);
    let frame = frame.transpose().map_err(|_| damaged())?;
    Ok(Unacknowledged {
        publish,
        first: PublishId(stored.first_publish.unwrap_or(stored.publish)),
        has_content: stored.has_content,
        sent_at: Timestamp(stored.sent_at),
        body: frame.map(|frame| frame.body),
    })
}

pub(crate) fn encode_withdrawn(id: &ContentId) -> Bytes {
    let content_id = id.to_bytes();
    wire::StoredWithdrawn { content_id }.encode_to_vec().into()
}

pub(crate) fn decode_withdrawn(bytes: Bytes) -> cf_core::Result<ContentId> {
    let stored = wire::StoredWithdrawn::decode(bytes);
    let stored = stored.map_err(|_| Error::Records("a content that was withdrawn"))?;
    ContentId::new(stored.content_id)
}

pub(crate) fn encode_points(points: &[DeliveryPoint]) -> Bytes {
    let points = points.iter().map(point::encode).collect();
    wire::StoredPoints { points }.encode_to_vec().into()
}

pub(crate) fn decode_points(bytes: Bytes) -> cf_core::Result<Vec<DeliveryPoint>> {
    let stored = wire::StoredPoints::decode(bytes);
    let stored = stored.map_err(|_| Error::Records("delivery points"))?;
    stored.points.iter().map(point::decode).collect()
}

pub(crate) fn encode_contact(bundles: &BundleSet, sequence: Option<u64>) -> Bytes {
    let stored = wire::StoredContact {
        contact: Some(contact::encode(bundles)),
        sequence,
    };
    stored.encode_to_vec().into()
}

/// Gives the bundles, and the number that they are on their way under.
pub(crate) fn decode_contact(bytes: Bytes) -> Result<(BundleSet, Option<u64>), Error> {
    let damaged = || Error::Records("the own contact");
    let stored = wire::StoredContact::decode(bytes).map_err(|_| damaged())?;
    let bundles = contact::decode(stored.contact.unwrap_or_default()).map_err(|_| damaged())?;
    Ok((bundles, stored.sequence))
}

pub(crate) fn encode_reads<'a>(ids: impl Iterator<Item = &'a ContentId>) -> Bytes {
    let content_id = ids.map(ContentId::to_bytes).collect();
    wire::StoredReads { content_id }.encode_to_vec().into()
}

pub(crate) fn decode_reads(bytes: Bytes) -> cf_core::Result<VecDeque<ContentId>> {
    let stored = wire::StoredReads::decode(bytes);
    let stored = stored.map_err(|_| Error::Records("what is read"))?;
    stored.content_id.into_iter().map(ContentId::new).collect()
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
