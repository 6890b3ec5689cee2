use cf_core::{ContentId, Timestamp};

use super::ranges::Ranges;

/// How many parts of large contents are on their way at most, together.
pub const WINDOW_PARTS: u64 = 32;

/// How many large contents are on their way at most; the others wait. Less than
/// a receiver takes, so that none is refused for the sender's own haste.
pub const MAX_ACTIVE: usize = 3;

/// How many contents in parts have no final state at most.
pub const MAX_OUTGOING: usize = 1_024;

/// A content that was sent in parts, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) content: ContentId,
    pub(super) len: u64,
    /// Whether it is read when asked for; otherwise all of it was sent at once.
    pub(super) large: bool,
    /// What is below was sent.
    pub(super) next: u64,
    /// What a service has. What it had before a restart, and the peer has not, it
    /// says again.
    pub(super) accepted: Ranges,
    /// What the peer has.
    pub(super) delivered: Ranges,
    pub(super) told_accepted: bool,
    /// When the peer had all parts.
    pub(super) settled_at: Option<Timestamp>,
}

impl Outgoing {
    pub(super) fn new(content: ContentId, len: u64, large: bool) -> Self {
        Self {
            content,
            len,
            large,
            next: if large { 0 } else { len },
            accepted: Ranges::default(),
            delivered: Ranges::default(),
            told_accepted: false,
            settled_at: None,
        }
    }

    /// How many bytes were sent that the peer is not known to have.
    pub(super) fn on_the_way(&self) -> u64 {
        self.next.saturating_sub(self.delivered.total())
    }

    /// Whether all of it was sent.
    pub(super) fn is_sent(&self) -> bool {
        self.next >= self.len
    }
}
