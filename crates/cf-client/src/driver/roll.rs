//! Who there is: which sessions a conversation has, and with whom it is.
//!
//! A client starts with the sessions that routing needs in memory, and reads the
//! others little by little, so that what is to be sent first does not wait for
//! them. One that is asked for is read before its turn; what has to know of all
//! reads the rest first.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{ConversationId, InstanceId, ParticipantId, ProtocolId, Result, Scan, Timestamp};

use super::instances::Standing;
use super::sessions::SUPERSEDED_FOR;
use super::{ConversationInfo, Driver, Sessions, Wake};
use crate::records::{self, CONVERSATIONS, META, RESIDENT, ROLL, wire};

/// How many sessions are read at once.
const AT_ONCE: usize = 256;
/// The pause between them, for other inputs.
const PAUSE: Duration = Duration::from_millis(1);
/// Says in the client's own records that the roll is kept.
const KEPT: &str = "roll";

/// The conversations of two, by a hash of who the other one is.
#[derive(Default)]
pub(super) struct Pairs {
    hasher: RandomState,
    known: BTreeSet<(u64, ConversationId)>,
}

impl Pairs {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn insert(&mut self, participant: &[u8], id: ConversationId) {
        self.known.insert((self.hasher.hash_one(participant), id));
    }

    pub(super) fn remove(&mut self, participant: &[u8], id: ConversationId) {
        self.known.remove(&(self.hasher.hash_one(participant), id));
    }

    /// Those that may be with somebody.
    fn with(&self, participant: &[u8]) -> impl Iterator<Item = ConversationId> {
        let hash = self.hasher.hash_one(participant);
        let (first, last) = (ConversationId([0; 16]), ConversationId([255; 16]));
        let all = self.known.range((hash, first)..=(hash, last));
        all.map(|(_, id)| *id)
    }
}

fn first() -> Scan {
    Scan {
        limit: AT_ONCE,
        ..Scan::prefix("")
    }
}

impl Driver {
    /// Reads the sessions that have to be in memory. A store of an earlier version
    /// has no roll: all are read.
    pub(super) fn restore_conversations(&mut self, now: Timestamp) -> Result<()> {
        self.unread = Some(Bytes::new());
        if self.overlay.get(META, KEPT.as_bytes())?.is_none() {
            self.read_rest(now)?;
            let all: Vec<_> = self.by_id.keys().copied().collect();
            all.into_iter().for_each(|id| self.put_roll(id));
            let routed = self.conversations.iter().filter(|(_, found)| found.routed);
            let routed: Vec<_> = routed.map(|(instance, _)| *instance).collect();
            for instance in routed {
                self.put_resident(instance, true);
            }
            self.overlay.put(META, KEPT, "");
            return Ok(());
        }
        for (key, _) in self.overlay.scan(RESIDENT, &Scan::prefix(""))? {
            self.read_with(InstanceId(records::read_number(&key)?), now)?;
        }
        self.read_some(now)?;
        if self.unread.is_some() {
            self.wakes.insert((now.after(PAUSE), Wake::Roll));
        }
        Ok(())
    }

    /// The conversation of two with somebody.
    pub(super) fn pair_with(&self, participant: &ParticipantId) -> Option<ConversationId> {
        let found = self.pair_of(participant.as_bytes());
        found.or_else(|| self.returned.with(participant))
    }

    fn pair_of(&self, participant: &[u8]) -> Option<ConversationId> {
        let is_theirs = |id: &ConversationId| {
            let record = self.current_record(*id);
            record.is_some_and(|record| record.participant == participant)
        };
        self.pairs.with(participant).find(is_theirs)
    }

    /// The conversations whose protocol this client has, in the order of their ids.
    pub fn conversations(&self) -> Vec<ConversationInfo> {
        let mut all = BTreeMap::new();
        let mut some = first();
        while let Ok(found) = self.overlay.scan(CONVERSATIONS, &some) {
            for (_, value) in &found {
                if let Some(info) = self.info(value) {
                    all.insert(info.id, info);
                }
            }
            match found.last() {
                Some((last, _)) if found.len() == AT_ONCE => some.beyond = Some(last.clone()),
                _ => break,
            }
        }
        all.into_values().collect()
    }

    fn info(&self, session: &Bytes) -> Option<ConversationInfo> {
        let record: wire::Conversation = records::read(session).ok()?;
        let protocol = ProtocolId::parse(&record.protocol).ok()?;
        if Standing::of(&record) != Standing::Current
            || self.components.conversation(&protocol).is_none()
        {
            return None;
        }
        let anonymous = record.participant.is_empty();
        let participant = records::read_participant(&record.participant, anonymous).ok()?;
        let is = |what: &dyn Fn(&ParticipantId) -> bool| participant.as_ref().is_some_and(what);
        Some(ConversationInfo {
            id: ConversationId::from_slice(&record.id).ok()?,
            protocol,
            verified: is(&|one| self.is_verified(one)),
            blocked: record.pair && is(&|one| self.is_blocked(one)),
            participant,
            name: record.name,
        })
    }

    /// Reads some more, at their time.
    pub(super) fn read_on(&mut self, now: Timestamp) {
        let read = self.read_some(now);
        self.at_all_known(read, now);
        if self.unread.is_some() {
            self.wakes.insert((now.after(PAUSE), Wake::Roll));
        }
    }

    /// Reads all that are not known yet.
    pub(super) fn know_all(&mut self, now: Timestamp) {
        if self.unread.is_some() {
            let read = self.read_rest(now);
            self.at_all_known(read, now);
        }
    }

    /// Reads what a timer needs.
    pub(super) fn know_for(&mut self, wake: Wake, now: Timestamp) {
        match wake {
            Wake::Invite(instance, _) => self.know_session(instance, now),
            Wake::Held(_) | Wake::Renew(_) => self.know_all(now),
            _ => {}
        }
    }

    /// Reads a conversation, if there is one that is not known yet.
    pub(super) fn know(&mut self, conversation: ConversationId, now: Timestamp) {
        if self.unread.is_some() && !self.by_id.contains_key(&conversation) {
            let read = self.read_sessions(conversation, now);
            self.at_all_known(read, now);
        }
    }

    /// Reads a session, and the others of its conversation.
    pub(super) fn know_session(&mut self, instance: InstanceId, now: Timestamp) {
        if self.unread.is_some() && !self.conversations.contains_key(&instance) {
            let read = self.read_with(instance, now);
            self.at_all_known(read, now);
        }
    }

    /// What waited until all are known.
    fn at_all_known(&mut self, read: Result<()>, now: Timestamp) {
        if let Err(error) = read {
            self.rejected("failed.read", &error);
        }
        for instance in std::mem::take(&mut self.strayed) {
            self.settle_in(instance, now);
        }
        self.leave_left();
    }

    /// Leaves where nobody listens, once that is known.
    pub(super) fn leave_left(&mut self) {
        if self.unread.is_none() {
            for place in std::mem::take(&mut self.left) {
                self.leave(&place);
            }
        }
    }

    fn read_rest(&mut self, now: Timestamp) -> Result<()> {
        while self.unread.is_some() {
            self.read_some(now)?;
        }
        Ok(())
    }

    fn read_some(&mut self, now: Timestamp) -> Result<()> {
        let Some(beyond) = self.unread.clone() else {
            return Ok(());
        };
        let some = Scan {
            beyond: (!beyond.is_empty()).then_some(beyond),
            ..first()
        };
        let found = self.overlay.scan(CONVERSATIONS, &some)?;
        self.unread = match found.last() {
            Some((last, _)) if found.len() == AT_ONCE => Some(last.clone()),
            _ => None,
        };
        // One that is damaged keeps no other from being read.
        let mut all = Ok(());
        for (key, value) in found {
            let read = records::read_number(&key).and_then(|number| {
                self.read_session(InstanceId(number), records::read(&value)?, now)
            });
            all = all.and(read);
        }
        all
    }

    fn read_with(&mut self, instance: InstanceId, now: Timestamp) -> Result<()> {
        let key = records::number_key(instance.0);
        if let Some(value) = self.overlay.get(CONVERSATIONS, &key)? {
            let record: wire::Conversation = records::read(&value)?;
            self.read_sessions(ConversationId::from_slice(&record.id)?, now)?;
        }
        Ok(())
    }

    fn read_sessions(&mut self, conversation: ConversationId, now: Timestamp) -> Result<()> {
        let sessions = self.overlay.get(ROLL, conversation.as_bytes())?;
        for key in sessions.iter().flat_map(|keys| keys.chunks(8)) {
            if let Some(value) = self.overlay.get(CONVERSATIONS, key)? {
                let instance = InstanceId(records::read_number(key)?);
                self.read_session(instance, records::read(&value)?, now)?;
            }
        }
        Ok(())
    }

    fn read_session(
        &mut self,
        instance: InstanceId,
        mut record: wire::Conversation,
        now: Timestamp,
    ) -> Result<()> {
        let id = ConversationId::from_slice(&record.id)?;
        if self.sessions_of(id).contains(&instance) {
            return Ok(());
        }
        let protocol = ProtocolId::parse(&record.protocol)?;
        let Some(component) = self.components.conversation(&protocol) else {
            // Its component may come back; its records stay, and its id is taken.
            self.remember(instance, &record)?;
            self.counters.add("unsupported.conversation");
            return Ok(());
        };
        // Records of earlier versions don't say it.
        let for_two = component.properties().max_participants == Some(2);
        record.pair |= for_two && !record.participant.is_empty();
        if Standing::of(&record) == Standing::Superseded {
            let until = Timestamp(record.superseded_at).after(SUPERSEDED_FOR);
            self.wakes.insert((until, Wake::Superseded(instance)));
        }
        match record.asleep {
            true => self.take_asleep(instance, &record),
            false => self.wake_up(instance, record, now),
        }
    }

    /// Stores which sessions a conversation has.
    pub(super) fn put_roll(&mut self, conversation: ConversationId) {
        let mut sessions = self.sessions_of(conversation);
        sessions.sort_unstable();
        let numbers: Vec<u8> = (sessions.iter())
            .flat_map(|instance| instance.0.to_be_bytes())
            .collect();
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        self.overlay.put(ROLL, key, numbers);
    }

    /// Stores whether a session has to be in memory, or its tags.
    pub(super) fn put_resident(&mut self, instance: InstanceId, resident: bool) {
        let key = records::number_key(instance.0);
        match resident {
            true => self.overlay.put(RESIDENT, key, ""),
            false => self.overlay.delete(RESIDENT, key),
        }
    }

    /// Takes note of whose session it is; also of one whose component is missing.
    pub(super) fn remember(
        &mut self,
        instance: InstanceId,
        record: &wire::Conversation,
    ) -> Result<()> {
        let id = ConversationId::from_slice(&record.id)?;
        self.note_muted(id, record);
        if !record.named.is_empty() {
            self.named
                .insert(ConversationId::from_slice(&record.named)?, id);
        }
        // What was superseded does not know whether the conversation is closed since.
        let is_open = !record.closed && Standing::of(record) == Standing::Current;
        if record.pair && is_open && self.pair_of(&record.participant).is_none() {
            self.pairs.insert(&record.participant, id);
        }
        self.remember_name(id, record);
        match self.by_id.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(Sessions {
                    current: instance,
                    others: Vec::new(),
                });
            }
            Entry::Occupied(mut occupied) => {
                let sessions = occupied.get_mut();
                match Standing::of(record) {
                    Standing::Current => {
                        let before = std::mem::replace(&mut sessions.current, instance);
                        sessions.others.push(before);
                    }
                    _ => sessions.others.push(instance),
                }
            }
        }
        Ok(())
    }
}
