//! The keys of frames that were passed over.

use cf_core::{ConversationEvent, RecordChange, RoutingTag, Timestamp};

use super::super::points::RESEND_LIFETIME;
use super::super::session::Passed;
use super::super::skipped::SkippedKey;
use super::super::window::Routes;
use super::RatchetConversation;

impl RatchetConversation {
    /// Keeps the keys that were passed over; `tags` are those of all of the
    /// numbers, also of those whose keys were not kept.
    pub(super) fn keep(
        &mut self,
        passed: Passed,
        tags: &[RoutingTag],
        now: Timestamp,
        changes: &mut Vec<RecordChange>,
        routes: &mut Routes,
    ) {
        let (dropped, kept) = tags.split_at(tags.len().min(passed.dropped as usize));
        for tag in dropped {
            self.window.remove(*tag, routes);
        }
        if passed.dropped > 0 {
            let missing = u64::from(passed.dropped);
            self.tell(ConversationEvent::Gap { missing });
        }
        for (tag, key) in kept.iter().zip(passed.keys) {
            let expires_at = now.after(RESEND_LIFETIME);
            let place = self.skipped.keep(
                SkippedKey {
                    tag: *tag,
                    key,
                    expires_at,
                },
                changes,
            );
            self.window.skip(*tag, place);
        }
    }

    /// Drops skipped keys that are too many or too old.
    pub(super) fn drop_skipped(
        &mut self,
        now: Timestamp,
        changes: &mut Vec<RecordChange>,
        routes: &mut Routes,
    ) {
        let mut missing = 0;
        while let Some(key) = self.skipped.drop_oldest(now, changes) {
            self.window.remove(key.tag, routes);
            missing += 1;
        }
        if missing > 0 {
            self.tell(ConversationEvent::Gap { missing });
        }
    }
}
