//! What conversations tell: logged, and the states of contents kept.

use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, ConversationId, FailureReason, InstanceId,
    Result, Timestamp,
};

use super::Driver;
use crate::event::EventKind;
use crate::records;

impl Driver {
    /// Logs what a conversation tells, and keeps the states of contents.
    pub(super) fn told(&mut self, instance: InstanceId, event: ConversationEvent, now: Timestamp) {
        let Some(found) = self.conversations.get(&instance) else {
            return;
        };
        let Some(awake) = found.awake.as_deref() else {
            return;
        };
        let (conversation, record) = (found.id, &awake.record);
        let (pair, renewed) = (record.pair, record.renews || record.standing > 0);
        let kind = match event {
            ConversationEvent::Content {
                id,
                from,
                content,
                sent_at,
            } => {
                if pair && !self.note_received(conversation, &id, renewed) {
                    return self.counters.add("duplicate.content");
                }
                if let Content::Large { len } = content {
                    self.large_came(conversation, from.as_ref(), &id, len, now);
                }
                EventKind::Message {
                    conversation,
                    from,
                    id,
                    content,
                    sent_at,
                }
            }
            ConversationEvent::State { id, state } => {
                if !self.put_state(conversation, &id, state) {
                    return;
                }
                self.settle_spool(conversation, &id, state, now);
                EventKind::State {
                    conversation,
                    id,
                    state,
                }
            }
            ConversationEvent::Gap { missing } => EventKind::Gap {
                conversation,
                missing,
            },
            ConversationEvent::GapClosed => EventKind::GapClosed { conversation },
            ConversationEvent::Joined(participant) => EventKind::Joined {
                conversation,
                participant,
            },
            ConversationEvent::Left(participant) => EventKind::Left {
                conversation,
                participant,
            },
            ConversationEvent::Unknown { kind } => EventKind::Unknown { conversation, kind },
            ConversationEvent::Closed => {
                if !self.session_closed(instance, now) {
                    return;
                }
                EventKind::Closed { conversation }
            }
            ConversationEvent::Duplicate => return self.counters.add("duplicate.frame"),
            _ => return self.counters.add("unsupported.event"),
        };
        self.log(&kind, now);
    }

    /// What was sent is queued, unless its conversation has said more of it.
    pub(super) fn note_queued(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
    ) -> Result<()> {
        if self.state(conversation, id)?.is_none() {
            self.put_state(conversation, id, ContentState::Queued);
        }
        Ok(())
    }

    /// Logs what was sent, with its state.
    pub(super) fn log_sent(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        content: Content,
        now: Timestamp,
    ) -> Result<()> {
        let state = self.state(conversation, id)?;
        let sent = EventKind::Sent {
            conversation,
            id: id.clone(),
            content,
            state: state.unwrap_or(ContentState::Queued),
        };
        self.log(&sent, now);
        Ok(())
    }

    /// Takes note of a content that came; `false` if it had come before, in another
    /// session.
    fn note_received(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        renewed: bool,
    ) -> bool {
        let known = renewed && self.was_received(conversation, id);
        if !known {
            let namespace = records::received_namespace(conversation);
            let number = records::number_key(self.next_event);
            self.overlay.put(namespace, id.to_bytes(), number);
        }
        !known
    }

    /// Whether a content of the other one has come.
    pub(super) fn was_received(&self, conversation: ConversationId, id: &ContentId) -> bool {
        let namespace = records::received_namespace(conversation);
        matches!(self.overlay.get(&namespace, id.as_bytes()), Ok(Some(_)))
    }

    /// Moves a content's state on; `false` if that would take back what was told.
    pub(super) fn put_state(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        state: ContentState,
    ) -> bool {
        let rank = |state: ContentState| match state {
            ContentState::Queued => 1,
            ContentState::Accepted => 2,
            ContentState::Failed(FailureReason::Expired) => 3,
            ContentState::Delivered => 4,
            ContentState::Read => 5,
            _ => 3,
        };
        let before = self.state(conversation, id).ok().flatten();
        if before.is_none() && state == ContentState::Read {
            // What was never sent here can't have been read.
            self.counters.add("unknown.receipt");
            return false;
        }
        if before.is_some_and(|before| rank(before) >= rank(state)) {
            return false;
        }
        let value = vec![records::write_state(state) as u8];
        self.overlay.put(
            records::states_namespace(conversation),
            id.to_bytes(),
            value,
        );
        true
    }
}
