//! How a conversation ends, and what shows that it has to.

use std::collections::VecDeque;

use cf_core::{ConversationEvent, DeliveryPoint, Output, RoutingTag, Tag, Timestamp};

use super::conversation::RatchetConversation;
use super::setup;
use super::window::Routes;

/// How many payloads at the own points that are nobody's make a new session
/// worth asking for; again at each doubling.
pub(crate) const FIRST_RENEWAL: u32 = 4;

/// How many of them are remembered, so that one that comes again counts once.
const REMEMBERED: usize = 64;

impl RatchetConversation {
    pub(super) fn close(&mut self) {
        if !self.settled.closed {
            self.settled.closed = true;
            self.put(setup::KEY, self.settled.encode());
            self.tell(ConversationEvent::Closed);
        }
    }

    /// Sends no content any more; receives for the resend lifetime.
    pub(super) fn supersede(&mut self, now: Timestamp) {
        if self.settled.superseded_at.is_none() {
            self.settled.superseded_at = Some(now);
            self.put(setup::KEY, self.settled.encode());
            self.put_wake();
        }
    }

    /// Listens nowhere and expects nothing any more.
    pub(super) fn end(&mut self) {
        self.ended = true;
        let points: Vec<_> = self.settled.points.listening().cloned().collect();
        self.outputs
            .extend(points.into_iter().map(Output::Unlisten));
        let standing = Tag::Standing(self.settled.standing_tag);
        self.outputs.push_back(Output::Forget(standing));
        let mut routes = Routes::default();
        let mut changes = Vec::new();
        self.window.clear(&mut routes);
        self.skipped.clear(&mut changes);
        self.put_changes(changes);
        self.put_routes(routes);
    }

    /// Looks for the tag of a payload at one of its points. Ever more at its own
    /// points that are nobody's are a sign that its keys are not those of the peer;
    /// one that comes again is not: its tag may have been forgotten.
    pub(super) fn miss(&mut self, point: &DeliveryPoint, tag: &RoutingTag, budget: u32) {
        self.search(tag, budget);
        let is_found = self.window.slot(tag).is_some();
        let counts = budget > 0 && !is_found && self.settled.points.is_own(point);
        if counts && self.misses.count(*tag) && self.settled.superseded_at.is_none() {
            self.outputs.push_back(Output::Renew);
        }
    }
}

/// The payloads at the own points that were nobody's since the last frame.
#[derive(Default)]
pub(crate) struct Misses {
    count: u32,
    /// The last of them.
    tags: VecDeque<RoutingTag>,
}

impl Misses {
    /// Counts one; says whether a new session is to be asked for.
    fn count(&mut self, tag: RoutingTag) -> bool {
        if self.tags.contains(&tag) {
            return false;
        }
        self.tags.push_back(tag);
        if self.tags.len() > REMEMBERED {
            self.tags.pop_front();
        }
        self.count = self.count.saturating_add(1);
        self.count >= FIRST_RENEWAL && self.count.is_power_of_two()
    }
}
