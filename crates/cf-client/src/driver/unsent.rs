//! Content of superseded sessions, on its way to the current ones.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ContentState, ConversationId, FailureReason, Input, Result, Scan, Timestamp,
};

use super::{Driver, Wake};
use crate::event::EventKind;
use crate::records::{self, UNSENT, wire};

/// When content that a session had no room for is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many contents are tried in one go.
const BATCH: usize = 256;

/// What waits for room, in the order of sending.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: BTreeMap<u64, ConversationId>,
    of: HashMap<ConversationId, u64>,
    next: u64,
}

impl Backlog {
    /// Whether content of a conversation waits: later content goes behind it.
    pub(super) fn has(&self, conversation: ConversationId) -> bool {
        self.of.contains_key(&conversation)
    }

    fn insert(&mut self, number: u64, conversation: ConversationId) {
        self.next = self.next.max(number + 1);
        self.waiting.insert(number, conversation);
        *self.of.entry(conversation).or_default() += 1;
    }

    fn remove(&mut self, number: u64) {
        if let Some(conversation) = self.waiting.remove(&number)
            && let Some(count) = self.of.get_mut(&conversation)
        {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&conversation);
            }
        }
    }
}

impl Driver {
    /// Sends a content of a superseded session by the current one, now or once it
    /// has room.
    pub(super) fn resend(
        &mut self,
        conversation: ConversationId,
        id: ContentId,
        content: Content,
        now: Timestamp,
    ) {
        if !self.unsent.has(conversation)
            && self.try_resend(conversation, &id, content.clone(), now)
        {
            return;
        }
        let number = self.unsent.next;
        let (content, len) = match content {
            Content::Bytes(bytes) => (Some(bytes), 0),
            Content::Large { len } => (None, len),
        };
        let record = wire::Unsent {
            conversation: Bytes::copy_from_slice(conversation.as_bytes()),
            id: id.to_bytes(),
            content,
            len,
        };
        self.overlay
            .put(UNSENT, records::number_key(number), records::write(&record));
        if self.unsent.waiting.is_empty() {
            self.wakes.insert((now.after(AGAIN), Wake::Unsent));
        }
        self.unsent.insert(number, conversation);
    }

    /// Tries what waits for room.
    pub(super) fn send_unsent(&mut self, now: Timestamp) {
        if let Err(error) = self.try_send_unsent(now) {
            self.rejected("failed.read", &error);
        }
        if !self.unsent.waiting.is_empty() {
            self.wakes.insert((now.after(AGAIN), Wake::Unsent));
        }
    }

    fn try_send_unsent(&mut self, now: Timestamp) -> Result<()> {
        let mut full = Vec::new();
        let waiting: Vec<_> = (self.unsent.waiting.iter())
            .map(|(number, conversation)| (*number, *conversation))
            .collect();
        for (number, conversation) in waiting.into_iter().take(BATCH) {
            if full.contains(&conversation) || self.returned.waits(conversation) {
                continue;
            }
            let key = records::number_key(number);
            if let Some(value) = self.overlay.get(UNSENT, &key)? {
                let record: wire::Unsent = records::read(&value)?;
                let content = match record.content {
                    Some(bytes) => Content::Bytes(bytes),
                    None => Content::Large { len: record.len },
                };
                let id = ContentId::new(record.id)?;
                if !self.try_resend(conversation, &id, content, now) {
                    full.push(conversation);
                    continue;
                }
                self.overlay.delete(UNSENT, key);
            }
            self.unsent.remove(number);
        }
        Ok(())
    }

    /// Gives a content to the current session; `false` if that has no room now.
    fn try_resend(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        content: Content,
        now: Timestamp,
    ) -> bool {
        let send = Input::Send {
            id: Some(id.clone()),
            content,
        };
        let sent = self
            .instance(conversation, now)
            .and_then(|instance| self.input(instance, send, now));
        match sent {
            Ok(()) => self.counters.add("resent.content"),
            Err(error) if error.is_retryable() => return false,
            Err(error) => {
                self.rejected("failed.resend", &error);
                let state = ContentState::Failed(FailureReason::Refused);
                if self.put_state(conversation, id, state) {
                    let id = id.clone();
                    let kind = EventKind::State {
                        conversation,
                        id,
                        state,
                    };
                    self.log(&kind, now);
                }
            }
        }
        true
    }

    pub(super) fn restore_unsent(&mut self, now: Timestamp) -> Result<()> {
        for (key, value) in self.overlay.scan(UNSENT, &Scan::prefix(""))? {
            let record: wire::Unsent = records::read(&value)?;
            let conversation = ConversationId::from_slice(&record.conversation)?;
            self.unsent
                .insert(records::read_number(&key)?, conversation);
            self.wakes.insert((now, Wake::Unsent));
        }
        Ok(())
    }
}
