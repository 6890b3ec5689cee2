//! What of a client goes into a backup, and how another one begins with it.
//!
//! The log, who the conversations are with, how they are asked into a new session, whose
//! key was compared, who is blocked. No session: a ratchet that is set back would encrypt
//! twice under one key. No link, and nothing that an inbox keeps: its records say which
//! invites were opened, and a copy of earlier ones would open them again. No large
//! contents: the log says what they were.

use std::collections::HashMap;

use bytes::Bytes;
use cf_core::{
    Batch, Content, ContentId, ContentState, ConversationId, Error, Result, Scan, Store, Timestamp,
};

use crate::event::EventKind;
use crate::records::{
    self, BLOCKED, CONTACTS, CONVERSATIONS, EVENTS, META, RETURNED, UNSENT, VERIFIED, wire,
};

/// How many records are read, and written, at once.
const STEP: usize = 256;

/// A record that may leave the client's store.
#[derive(Clone, PartialEq, Eq)]
pub struct Portable {
    /// What kind of record it is.
    pub kind: &'static str,
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// The only record of the client's own that is of use: up to where events were confirmed.
const CONFIRMED: &[u8] = b"confirmed";

const KINDS: [(&str, &[u8]); 6] = [
    ("events", EVENTS),
    ("conversations", RETURNED),
    ("contacts", CONTACTS),
    ("verified", VERIFIED),
    ("blocked", BLOCKED),
    ("meta", META),
];

/// Gives everything of a client that may leave its store, record by record. The client
/// may be open and go on meanwhile.
///
/// # Errors
/// Those of the store, and of `each`.
pub fn export(store: &dyn Store, each: &mut dyn FnMut(Portable) -> Result<()>) -> Result<()> {
    let mut give = |kind: usize, key: &Bytes, value: Bytes| {
        let (kind, key) = (KINDS[kind].0, key.clone());
        each(Portable { kind, key, value })
    };
    // Conversations first: what is logged after them may be of one that is not here.
    in_steps(store, CONVERSATIONS, &mut |_, value| {
        let record: wire::Conversation = records::read(value)?;
        if !record.pair || record.closed || record.standing != 0 {
            return Ok(());
        }
        if let Some(contact) = store.get(CONTACTS, &record.id)? {
            give(2, &record.id, contact)?;
        }
        let known = wire::Conversation {
            id: record.id.clone(),
            protocol: record.protocol,
            participant: record.participant,
            name: record.name,
            created_at: record.created_at,
            pair: true,
            ..wire::Conversation::default()
        };
        give(1, &record.id, records::write(&known))
    })?;
    // One that was restored and is not asked yet.
    for (key, value) in store.scan(RETURNED, &Scan::prefix(""))? {
        if let Some(contact) = store.get(CONTACTS, &key)? {
            give(2, &key, contact)?;
        }
        give(1, &key, value)?;
    }
    for (kind, namespace) in [(3, VERIFIED), (4, BLOCKED)] {
        for (key, value) in store.scan(namespace, &Scan::prefix(""))? {
            give(kind, &key, value)?;
        }
    }
    let confirmed = Bytes::from_static(CONFIRMED);
    if let Some(seq) = store.get(META, &confirmed)? {
        give(5, &confirmed, seq)?;
    }
    in_steps(store, EVENTS, &mut |key, value| give(0, key, value.clone()))
}

fn in_steps(
    store: &dyn Store,
    namespace: &[u8],
    each: &mut dyn FnMut(&Bytes, &Bytes) -> Result<()>,
) -> Result<()> {
    let mut some = Scan {
        limit: STEP,
        ..Scan::prefix("")
    };
    loop {
        let found = store.scan(namespace, &some)?;
        for (key, value) in &found {
            each(key, value)?;
        }
        match found.last() {
            Some((last, _)) if found.len() == STEP => some.beyond = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}

/// Makes an empty store that of a client again. When it is opened, its conversations
/// begin anew between the same two; what was sent and not delivered goes out again, once
/// for the other one.
pub struct Importer<'a> {
    store: &'a dyn Store,
    batch: Batch,
    last: u64,
    /// What was sent and is not known to be delivered: its number among them, and the
    /// content, unless that is a large one.
    open: HashMap<(ConversationId, ContentId), (u64, Option<Bytes>)>,
}

impl<'a> Importer<'a> {
    /// Begins with an empty store.
    pub fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            batch: Batch::default(),
            last: 0,
            open: HashMap::new(),
        }
    }

    /// Takes a record.
    ///
    /// # Errors
    /// `Unsupported` for a kind that this version does not know, `Malformed` for what is
    /// no such record; those of the store.
    pub fn put(&mut self, kind: &[u8], key: Bytes, value: Bytes) -> Result<()> {
        let known = KINDS.iter().find(|(name, _)| name.as_bytes() == kind);
        let (name, namespace) = known.ok_or_else(|| {
            Error::unsupported("the backup has records that this version does not know")
        })?;
        let malformed = |_| Error::malformed("a record of the backup is not of its kind");
        match *name {
            "events" => {
                let event = records::read_number(&key)
                    .and_then(|seq| records::read_event(seq, &value))
                    .map_err(malformed)?;
                if event.seq <= self.last {
                    return Err(Error::malformed("the events are not in order"));
                }
                self.last = event.seq;
                self.take_in(event.seq, event.kind);
            }
            "conversations" => {
                let record = records::read::<wire::Conversation>(&value).map_err(malformed)?;
                ConversationId::from_slice(&key).map_err(malformed)?;
                cf_core::ParticipantId::new(record.participant).map_err(malformed)?;
            }
            "meta" if key != CONFIRMED => {
                return Err(Error::malformed(
                    "a record of the backup is not of its kind",
                ));
            }
            _ => {}
        }
        self.batch.put(namespace.to_vec(), key, value);
        if self.batch.changes().len() >= 2 * STEP {
            self.store.commit(&std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }

    /// Everything was taken.
    ///
    /// # Errors
    /// Those of the store.
    pub fn finish(mut self, now: Timestamp) -> Result<()> {
        for ((conversation, id), (number, content)) in std::mem::take(&mut self.open) {
            match content {
                Some(content) => {
                    let record = wire::Unsent {
                        conversation: Bytes::copy_from_slice(conversation.as_bytes()),
                        id: id.to_bytes(),
                        content: Some(content),
                        len: 0,
                    };
                    let key = records::number_key(number);
                    self.batch.put(UNSENT, key, records::write(&record));
                }
                None => {
                    // Its bytes are not here.
                    let reason = cf_core::FailureReason::Closed;
                    let state = ContentState::Failed(reason);
                    self.put_state(conversation, &id, state);
                    self.last += 1;
                    let kind = EventKind::State {
                        conversation,
                        id,
                        state,
                    };
                    let event = records::write_event(now, &kind);
                    self.batch
                        .put(EVENTS, records::number_key(self.last), event);
                }
            }
        }
        self.store.commit(&self.batch)
    }

    fn take_in(&mut self, seq: u64, event: EventKind) {
        match event {
            EventKind::Message {
                conversation, id, ..
            } => {
                let namespace = records::received_namespace(conversation);
                let number = records::number_key(seq);
                self.batch.put(namespace, id.to_bytes(), number);
            }
            EventKind::Sent {
                conversation,
                id,
                content,
                state,
            } => {
                self.put_state(conversation, &id, state);
                let content = match content {
                    Content::Bytes(bytes) => Some(bytes),
                    Content::Large { .. } => None,
                };
                if is_open(state) {
                    self.open.insert((conversation, id), (seq, content));
                }
            }
            EventKind::State {
                conversation,
                id,
                state,
            } => {
                self.put_state(conversation, &id, state);
                if !is_open(state) {
                    self.open.remove(&(conversation, id));
                }
            }
            _ => {}
        }
    }

    fn put_state(&mut self, conversation: ConversationId, id: &ContentId, state: ContentState) {
        let namespace = records::states_namespace(conversation);
        let value = vec![records::write_state(state) as u8];
        self.batch.put(namespace, id.to_bytes(), value);
    }
}

fn is_open(state: ContentState) -> bool {
    matches!(state, ContentState::Queued | ContentState::Accepted)
}
