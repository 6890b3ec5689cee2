//! Who is blocked. Their invites are dropped once they are opened. What they send
//! in a conversation of two is dropped unread: they are told nothing, it is never
//! reported to them as delivered, and what their client still sends when the block
//! ends arrives. In a conversation of more than two nothing changes.

use std::collections::HashMap;

use bytes::Bytes;
use cf_core::{ConversationId, Error, InstanceId, ParticipantId, Result, Scan, Timestamp};

use super::Driver;
use crate::link::Blocked;
use crate::records::{self, BLOCKED, REQUESTS, wire};

/// The most participants that are blocked.
pub const MAX_BLOCKED: usize = 4096;

/// Who is blocked, and which conversations are with them.
#[derive(Default)]
pub(super) struct Blocks {
    known: HashMap<ParticipantId, wire::Blocked>,
    conversations: HashMap<ConversationId, ParticipantId>,
}

impl Driver {
    /// Blocks somebody. Requests of theirs are declined and further invites dropped;
    /// what they send in a conversation of two is dropped as well, and nothing can
    /// be sent to them. They are told nothing.
    ///
    /// # Errors
    /// `Misuse` for oneself and beyond [`MAX_BLOCKED`]; those of the store.
    pub fn block(&mut self, participant: &ParticipantId, now: Timestamp) -> Result<()> {
        self.know_all(now);
        if participant == self.profile.identity.id() {
            return Err(Error::misuse("this is you"));
        }
        if self.is_blocked(participant) {
            return Ok(());
        }
        if self.blocked.known.len() >= MAX_BLOCKED {
            return Err(Error::misuse("4,096 are blocked: unblock somebody"));
        }
        let mut name = String::new();
        let mut theirs = Vec::new();
        for (_, value) in self.overlay.scan(REQUESTS, &Scan::prefix(""))? {
            let request: wire::Request = records::read(&value)?;
            if !request.anonymous && request.from == participant.as_bytes() {
                theirs.push(cf_core::InviteId::from_slice(&request.id)?);
                name = request.name;
            }
        }
        let mut instances: Vec<InstanceId> = Vec::new();
        for instance in self.conversations.keys() {
            let record = self.record(*instance)?;
            if record.pair && record.participant == participant.as_bytes() {
                instances.push(*instance);
                name = record.name;
            }
        }
        theirs.into_iter().for_each(|id| self.forget_request(id));
        for instance in instances {
            self.end_invites(instance);
            let id = self.conversations[&instance].id;
            self.blocked.conversations.insert(id, participant.clone());
        }
        let record = wire::Blocked {
            since: now.0,
            name,
            invites: 0,
        };
        self.put_blocked(participant, record);
        self.settle(now);
        Ok(())
    }

    /// Blocks somebody no longer.
    ///
    /// # Errors
    /// `Misuse` if they are not blocked.
    pub fn unblock(&mut self, participant: &ParticipantId) -> Result<()> {
        if self.blocked.known.remove(participant).is_none() {
            return Err(Error::misuse("they are not blocked"));
        }
        let conversations = &mut self.blocked.conversations;
        conversations.retain(|_, blocked| blocked != participant);
        self.overlay.delete(BLOCKED, participant.to_bytes());
        Ok(())
    }

    /// Who is blocked, those first who have been for longest.
    pub fn blocked(&self) -> Vec<Blocked> {
        let blocked = |(participant, record): (&ParticipantId, &wire::Blocked)| Blocked {
            participant: participant.clone(),
            name: record.name.clone(),
            since: Timestamp(record.since),
            invites: record.invites,
        };
        let mut all: Vec<_> = self.blocked.known.iter().map(blocked).collect();
        all.sort_by(|a, b| (a.since, &a.participant).cmp(&(b.since, &b.participant)));
        all
    }

    pub(super) fn is_blocked(&self, participant: &ParticipantId) -> bool {
        self.blocked.known.contains_key(participant)
    }

    /// Whether a conversation is with somebody who is blocked.
    pub(super) fn is_muted(&self, conversation: ConversationId) -> bool {
        self.blocked.conversations.contains_key(&conversation)
    }

    pub(super) fn mutes_any(&self) -> bool {
        !self.blocked.conversations.is_empty()
    }

    pub(super) fn is_muted_instance(&self, instance: InstanceId) -> bool {
        let found = self.conversations.get(&instance);
        found.is_some_and(|found| self.is_muted(found.id))
    }

    pub(super) fn check_unblocked(&self, participant: &ParticipantId) -> Result<()> {
        match self.is_blocked(participant) {
            true => Err(blocked_error()),
            false => Ok(()),
        }
    }

    /// Refuses to send to somebody who is blocked.
    pub(super) fn check_audible(&self, conversation: ConversationId) -> Result<()> {
        match self.is_muted(conversation) {
            true => Err(blocked_error()),
            false => Ok(()),
        }
    }

    /// Takes note of an invite of somebody who is blocked; `false` if they are not.
    pub(super) fn note_blocked(&mut self, participant: &ParticipantId) -> bool {
        let Some(mut record) = self.blocked.known.get(participant).cloned() else {
            return false;
        };
        record.invites = record.invites.saturating_add(1);
        self.put_blocked(participant, record);
        true
    }

    /// Takes note of whose conversation it is.
    pub(super) fn note_muted(&mut self, id: ConversationId, record: &wire::Conversation) {
        if record.pair
            && !self.blocked.known.is_empty()
            && let Ok(participant) = ParticipantId::new(record.participant.clone())
            && self.is_blocked(&participant)
        {
            self.blocked.conversations.insert(id, participant);
        }
    }

    fn put_blocked(&mut self, participant: &ParticipantId, record: wire::Blocked) {
        let key = Bytes::copy_from_slice(participant.as_bytes());
        self.overlay.put(BLOCKED, key, records::write(&record));
        self.blocked.known.insert(participant.clone(), record);
    }

    pub(super) fn restore_blocked(&mut self) -> Result<()> {
        for (key, value) in self.overlay.scan(BLOCKED, &Scan::prefix(""))? {
            let participant = ParticipantId::new(key)?;
            let record = records::read(&value)?;
            self.blocked.known.insert(participant, record);
        }
        Ok(())
    }
}

fn blocked_error() -> Error {
    Error::misuse("they are blocked: unblock them first")
}
