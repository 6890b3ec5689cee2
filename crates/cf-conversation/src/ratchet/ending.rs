//! How a conversation ends, and what shows that it has to.

use std::collections::VecDeque;
use std::time::Duration;

use cf_core::{ConversationEvent, DeliveryPoint, Output, RoutingTag, Tag, Timestamp};

use super::conversation::RatchetConversation;
use super::setup;
use super::window::Routes;

/// How many payloads at the own points that are nobody's make a new session
/// worth asking for; again at each doubling.
pub(crate) const FIRST_RENEWAL: u32 = 4;

/// How long after the first of them that is, at the earliest. Frames that were
/// received, and whose tags are forgotten, come again in swarms where a link is bad;
/// a peer that is heard meanwhile shows that all is well.
pub(crate) const RENEWAL_AFTER: Duration = Duration::from_secs(60);

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
    /// points that are nobody's, and no frame that is good, are a sign that its keys
    /// are not those of the peer; one that comes again is not: its tag may have been
    /// forgotten.
    pub(super) fn miss(
        &mut self,
        point: &DeliveryPoint,
        tag: &RoutingTag,
        budget: u32,
        now: Timestamp,
    ) {
        self.search(tag, budget);
        let is_found = self.window.slot(tag).is_some();
        let counts = budget > 0 && !is_found && self.settled.points.is_own(point);
        if counts && self.misses.count(*tag, now) && self.settled.superseded_at.is_none() {
            self.outputs.push_back(Output::Renew);
        }
    }
}

/// The payloads at the own points that were nobody's since the last frame.
#[derive(Default)]
pub(crate) struct Misses {
    count: u32,
    /// How many there were when a new session was asked for last.
    asked: u32,
    /// When the first came.
    since: Timestamp,
    /// The last of them.
    tags: VecDeque<RoutingTag>,
}

impl Misses {
    /// Counts one; says whether a new session is to be asked for.
    fn count(&mut self, tag: RoutingTag, now: Timestamp) -> bool {
        if self.count == 0 {
            self.since = now;
        }
        if !self.tags.contains(&tag) {
            self.tags.push_back(tag);
            if self.tags.len() > REMEMBERED {
                self.tags.pop_front();
            }
            self.count = self.count.saturating_add(1);
        }
        let enough = FIRST_RENEWAL.max(self.asked.saturating_mul(2));
        let asks = self.count >= enough && now >= self.since.after(RENEWAL_AFTER);
        if asks {
            self.asked = self.count;
        }
        asks
    }
}
