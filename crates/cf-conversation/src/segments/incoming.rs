use std::collections::BTreeMap;

use cf_core::{ContentId, ParticipantId, Timestamp};

use crate::Error;

use super::frame::Segment;
use super::ranges::Ranges;

/// How many contents of a peer may be incomplete; further ones are refused.
pub const MAX_INCOMPLETE: usize = 16;

/// How many bytes the incomplete contents of a peer may have in all, when they
/// are whole: 256 MiB. What goes beyond is refused.
pub const MAX_INCOMPLETE_BYTES: u64 = 256 * 1024 * 1024;

/// How many separate ranges of one content may have arrived: more than half of
/// the parts that an honest sender has on their way.
pub const MAX_RANGES: usize = 1_024;

/// How many contents that ended are remembered, so that parts that come late
/// begin none anew.
pub const MAX_ENDED: usize = 64;

/// A content of the peer's that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) len: u64,
    pub(super) large: bool,
    pub(super) received: Ranges,
    pub(super) from: Option<ParticipantId>,
    /// The earliest of its parts' times.
    pub(super) sent_at: Option<Timestamp>,
    /// When a part came last.
    pub(super) touched_at: Timestamp,
}

impl Incoming {
    /// Refuses a part that no honest sender sends after those before.
    pub(super) fn check(&self, segment: &Segment) -> Result<(), Error> {
        if segment.len != self.len || segment.large != self.large {
            return Err(Error::Rejected("the parts of a content contradict"));
        }
        if self.received.overlaps(&(segment.offset..segment.end())) {
            return Err(Error::Rejected("a part of a content overlaps another"));
        }
        match self.received.count() >= MAX_RANGES {
            true => Err(Error::Rejected("a content is in too many pieces")),
            false => Ok(()),
        }
    }
}

/// Whether there is room for one more content.
pub(super) fn has_room(all: &BTreeMap<ContentId, Incoming>, len: u64) -> bool {
    let bytes: u64 = all.values().map(|incoming| incoming.len).sum();
    all.len() < MAX_INCOMPLETE && bytes + len <= MAX_INCOMPLETE_BYTES
}
