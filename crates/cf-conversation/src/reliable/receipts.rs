//! What the application has shown: its authors are told, several at a time.

use std::collections::VecDeque;

use cf_core::{ContentId, ContentState, ConversationEvent, Env, ErrorKind, Timestamp};

use super::conversation::{RETRY_AFTER, ReliableConversation};
use super::frame::{Body, MAX_RECEIPTS};
use super::records;

/// How many contents that are read wait to be said at most. Beyond, the oldest is
/// not said.
pub(crate) const MAX_READS: usize = 1_024;

/// What is read and was not said yet.
pub(crate) struct Reads {
    waiting: VecDeque<ContentId>,
    due: Timestamp,
}

impl Reads {
    pub(crate) fn new(waiting: VecDeque<ContentId>, now: Timestamp) -> Self {
        let due = match waiting.is_empty() {
            true => Timestamp::NEVER,
            false => now,
        };
        Self { waiting, due }
    }
}

impl ReliableConversation {
    pub(super) fn read(&mut self, id: ContentId, env: &Env<'_>) {
        if self.ended || self.over || self.reads.waiting.contains(&id) {
            return;
        }
        self.reads.waiting.push_back(id);
        if self.reads.waiting.len() > MAX_READS {
            self.reads.waiting.pop_front();
        }
        let due = env.now.after(self.origin.settings.acknowledge_after);
        self.reads.due = self.reads.due.min(due);
        self.put_reads();
    }

    /// When a receipt is sent.
    pub(super) fn reads_due(&self) -> Timestamp {
        match self.ended || self.over {
            true => Timestamp::NEVER,
            false => self.reads.due,
        }
    }

    /// Tries again what had no room: the peer was heard from.
    pub(super) fn try_reads(&mut self, now: Timestamp) {
        if !self.reads.waiting.is_empty() {
            self.reads.due = self.reads.due.min(now);
        }
    }

    /// Sends the receipts that are due. An instance that was superseded says them
    /// once.
    pub(super) fn say_reads(&mut self, env: &mut Env<'_>) {
        if self.reads_due() > env.now {
            return;
        }
        self.reads.due = Timestamp::NEVER;
        let mut most = MAX_RECEIPTS;
        let before = self.reads.waiting.len();
        while !self.reads.waiting.is_empty() {
            let batch: Vec<_> = self.reads.waiting.iter().take(most).cloned().collect();
            let said = batch.len();
            let result = match (&self.superseded, self.flights.has_room_for_content()) {
                (Some(_), _) => self.say(Body::Receipt(batch), env).map(drop),
                (None, true) => self.transmit(Body::Receipt(batch), None, env),
                (None, false) => break,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Misuse && said > 1 => {
                    most = said / 2;
                    continue;
                }
                Err(error) if error.is_retryable() => {
                    self.reads.due = env.now.after(RETRY_AFTER);
                    break;
                }
                // What no frame takes is not said.
                _ => drop(self.reads.waiting.drain(..said)),
            }
        }
        if self.reads.waiting.len() != before {
            self.put_reads();
        }
    }

    fn put_reads(&mut self) {
        match self.reads.waiting.is_empty() {
            true => self.delete_own(records::READS),
            false => {
                let value = records::encode_reads(self.reads.waiting.iter());
                self.put_own(records::READS, value);
            }
        }
    }

    /// The peer has read contents. What is on its way has arrived, then; what was
    /// never sent can't have been read. Which others were sent here is no longer
    /// known here: who keeps their states knows.
    pub(super) fn peer_read(&mut self, ids: Vec<ContentId>) {
        for id in ids {
            if self.pending.contains(&id) {
                match self.flights.number_of_content(&id) {
                    Some(number) => {
                        if let Some(flight) = self.flights.remove(number) {
                            self.landed(number, flight.content);
                        }
                    }
                    _ => {
                        let kind = "receipt".to_owned();
                        self.tell(ConversationEvent::Unknown { kind });
                        continue;
                    }
                }
            }
            self.withdrawn_landed(&id);
            let state = ContentState::Read;
            self.tell(ConversationEvent::State { id, state });
        }
    }
}
