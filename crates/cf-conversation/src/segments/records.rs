//! The wrapper's own records.
//!
//! | key | what |
//! |---|---|
//! | `h` | the head |
//! | `e` | the peer's contents that ended last |
//! | `o` ‖ number (8) | a content that was sent in parts, or is to be |
//! | `b` ‖ number (8) | its bytes, if it was given as bytes |
//! | `i` ‖ content id | a content of the peer's that is not whole |
//! | `p` ‖ length of the id (1) ‖ content id ‖ offset (8) | a part of one that comes out as bytes |

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::{ContentId, ParticipantId, Timestamp};
use prost::Message;

use crate::Error;
use crate::wire::segments as wire;

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::ranges::Ranges;

/// How long a content of which no further part comes is kept.
pub const INCOMPLETE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the sender of a content waits for the word that it is whole, after
/// all of its parts were delivered.
pub const CONFIRMED_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// The version of the records.
const VERSION: u32 = 1;

pub(super) const HEAD: &[u8] = b"h";
pub(super) const ENDED: &[u8] = b"e";
pub(super) const OUTGOING: u8 = b'o';
pub(super) const BYTES: u8 = b'b';
pub(super) const INCOMING: u8 = b'i';
const PART: u8 = b'p';

/// The key of one of several records.
pub(super) fn numbered(prefix: u8, number: u64) -> Bytes {
    let mut key = BytesMut::with_capacity(9);
    key.put_u8(prefix);
    key.put_u64(number);
    key.freeze()
}

/// The number in a key that [`numbered`] made.
pub(super) fn number(key: &[u8]) -> Result<u64, Error> {
    key.get(1..)
        .and_then(|number| number.try_into().ok())
        .map(u64::from_be_bytes)
        .ok_or(Error::Records("a key"))
}

pub(super) fn incoming_key(id: &ContentId) -> Bytes {
    [&[INCOMING], id.as_bytes()].concat().into()
}

/// What the keys of a content's parts begin with.
pub(super) fn parts_of(id: &ContentId) -> Bytes {
    let len = id.as_bytes().len() as u8;
    [&[PART, len], id.as_bytes()].concat().into()
}

pub(super) fn part_key(id: &ContentId, offset: u64) -> Bytes {
    [&parts_of(id)[..], &offset.to_be_bytes()].concat().into()
}

pub(super) fn encode_head(mut head: wire::StoredHead) -> Bytes {
    head.version = VERSION;
    head.encode_to_vec().into()
}

pub(super) fn decode_head(bytes: Bytes) -> Result<wire::StoredHead, Error> {
    let head = wire::StoredHead::decode(bytes).map_err(|_| Error::Records("the head"))?;
    match head.version > VERSION {
        true => Err(Error::Unsupported("a conversation of a newer version")),
        false => Ok(head),
    }
}

pub(super) fn encode_outgoing(outgoing: &Outgoing) -> Bytes {
    let stored = wire::StoredOutgoing {
        content_id: outgoing.content.to_bytes(),
        len: outgoing.len,
        large: outgoing.large,
        next: outgoing.next,
        delivered: outgoing.delivered.store(),
        accepted: outgoing.told_accepted,
        settled_at: outgoing.settled_at.map_or(0, |at| at.0),
    };
    stored.encode_to_vec().into()
}

pub(super) fn decode_outgoing(bytes: Bytes) -> cf_core::Result<Outgoing> {
    let stored = wire::StoredOutgoing::decode(bytes);
    let stored = stored.map_err(|_| Error::Records("a content in parts"))?;
    let delivered = Ranges::restore(&stored.delivered);
    Ok(Outgoing {
        content: ContentId::new(stored.content_id)?,
        len: stored.len,
        large: stored.large,
        next: stored.next,
        accepted: delivered.clone(),
        delivered,
        told_accepted: stored.accepted,
        settled_at: (stored.settled_at > 0).then_some(Timestamp(stored.settled_at)),
    })
}

pub(super) fn encode_incoming(incoming: &Incoming) -> Bytes {
    let stored = wire::StoredIncoming {
        len: incoming.len,
        large: incoming.large,
        received: incoming.received.store(),
        participant: incoming.from.as_ref().map(ParticipantId::to_bytes),
        sent_at: incoming.sent_at.map(|at| at.0),
        touched_at: incoming.touched_at.0,
    };
    stored.encode_to_vec().into()
}

/// Gives the content's id, and what is known of it.
pub(super) fn decode_incoming(key: &Bytes, value: Bytes) -> cf_core::Result<(ContentId, Incoming)> {
    let damaged = || Error::Records("a content that is not whole");
    let stored = wire::StoredIncoming::decode(value).map_err(|_| damaged())?;
    let incoming = Incoming {
        len: stored.len,
        large: stored.large,
        received: Ranges::restore(&stored.received),
        from: stored.participant.map(ParticipantId::new).transpose()?,
        sent_at: stored.sent_at.map(Timestamp),
        touched_at: Timestamp(stored.touched_at),
    };
    Ok((ContentId::new(key.slice(1..))?, incoming))
}

pub(super) fn encode_ended(ended: &[ContentId]) -> Bytes {
    let content_id = ended.iter().map(ContentId::to_bytes).collect();
    wire::StoredEnded { content_id }.encode_to_vec().into()
}

pub(super) fn decode_ended(bytes: Option<Bytes>) -> cf_core::Result<Vec<ContentId>> {
    let stored = wire::StoredEnded::decode(bytes.unwrap_or_default());
    let stored = stored.map_err(|_| Error::Records("the contents that ended"))?;
    stored.content_id.into_iter().map(ContentId::new).collect()
}
