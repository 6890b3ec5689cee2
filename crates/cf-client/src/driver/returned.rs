//! Conversations that a backup brought back: it is known with whom they are, and they
//! have no session. The other one is asked into a new one, as after any loss.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{ConversationId, Error, ErrorKind, ParticipantId, Result, Scan, Timestamp};

use super::{Driver, Wake};
use crate::event::EventKind;
use crate::records::{self, RETURNED, wire};

/// How many are asked in one input: each takes asymmetric operations.
const AT_ONCE: usize = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// Those without a session.
#[derive(Default)]
pub(super) struct Returned {
    /// Those that were not asked yet since the start.
    waiting: BTreeSet<ConversationId>,
    /// Whoever it is, they go on in this conversation, also if it is they who ask.
    with: HashMap<ParticipantId, ConversationId>,
}

impl Returned {
    /// Whether the other one is still to be asked.
    pub(super) fn waits(&self, conversation: ConversationId) -> bool {
        self.waiting.contains(&conversation)
    }

    /// The conversation with somebody.
    pub(super) fn with(&self, participant: &ParticipantId) -> Option<ConversationId> {
        self.with.get(participant).copied()
    }
}

impl Driver {
    pub(super) fn restore_returned(&mut self, now: Timestamp) -> Result<()> {
        for (key, value) in self.overlay.scan(RETURNED, &Scan::prefix(""))? {
            let record: wire::Conversation = records::read(&value)?;
            let conversation = ConversationId::from_slice(&key)?;
            let participant = ParticipantId::new(record.participant)?;
            self.returned.with.insert(participant, conversation);
            self.returned.waiting.insert(conversation);
            self.wakes.insert((now, Wake::Returned));
        }
        Ok(())
    }

    /// Asks some of them.
    pub(super) fn ask_returned(&mut self, now: Timestamp) {
        for _ in 0..AT_ONCE {
            let Some(conversation) = self.returned.waiting.pop_first() else {
                break;
            };
            if let Err(error) = self.ask_again(conversation, now) {
                self.rejected("failed.renewal", &error);
                // Who is blocked is asked when they are not any more.
                if error.kind() != ErrorKind::Rejected {
                    self.log(&EventKind::Broken { conversation }, now);
                }
            }
        }
        if !self.returned.waiting.is_empty() {
            self.wakes.insert((now.after(PAUSE), Wake::Returned));
        }
    }

    fn ask_again(&mut self, conversation: ConversationId, now: Timestamp) -> Result<()> {
        self.know(conversation, now);
        if !self.by_id.contains_key(&conversation) {
            let bundles = self.peer_contact(conversation)?.ok_or_else(|| {
                Error::unavailable("it is not known how the peer is asked into a new session")
            })?;
            let instance = self.ask(&bundles, None, Some(conversation), now)?;
            self.make_current(instance, now);
            self.counters.add("returned.conversation");
        }
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        if let Some(value) = self.overlay.get(RETURNED, &key)? {
            let record: wire::Conversation = records::read(&value)?;
            let participant = ParticipantId::new(record.participant)?;
            self.returned.with.remove(&participant);
        }
        self.overlay.delete(RETURNED, key);
        Ok(())
    }
}
