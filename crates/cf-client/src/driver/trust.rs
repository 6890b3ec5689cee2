//! Whose identity key was compared, and who claims to be a contact with another one.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use cf_core::{ConversationId, Error, ParticipantId, Result, Scan, Timestamp};

use super::Driver;
use crate::event::EventKind;
use crate::names::seen_as;
use crate::records::{self, VERIFIED, wire};

/// How many other keys are told of for each conversation while the client runs;
/// further ones are counted.
pub const MAX_OTHER_KEYS: usize = 16;
/// How many contacts of one name are told of for one claim.
const MAX_NAMESAKES: usize = 8;

/// What a driver knows of identity keys beside who has them.
#[derive(Default)]
pub(super) struct Trust {
    /// Whose key the user has compared: never by name, so that another key has no
    /// mark.
    verified: HashSet<ParticipantId>,
    /// The conversations of two by the hash of how the other one's name is seen.
    names: BTreeSet<(u64, ConversationId)>,
    /// Other keys that were told of, by the conversation that they claim.
    told: BTreeSet<(ConversationId, Option<ParticipantId>)>,
}

impl Driver {
    /// Marks that the user has compared a participant's identity key, or that this
    /// does not hold any more.
    ///
    /// # Errors
    /// `Misuse` for somebody with whom there is no conversation.
    pub fn set_verified(
        &mut self,
        participant: &ParticipantId,
        verified: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.know_all(now);
        let known = self.pair_with(participant).is_some();
        if verified && !known {
            return Err(Error::misuse(
                "there is no conversation with this participant to verify",
            ));
        }
        let key = participant.to_bytes();
        match verified {
            true => {
                self.trust.verified.insert(participant.clone());
                self.overlay.put(VERIFIED, key, records::number_key(now.0));
            }
            false => {
                self.trust.verified.remove(participant);
                self.overlay.delete(VERIFIED, key);
            }
        }
        Ok(())
    }

    /// Whether the user has compared a participant's identity key.
    pub fn is_verified(&self, participant: &ParticipantId) -> bool {
        self.trust.verified.contains(participant)
    }

    pub(super) fn restore_verified(&mut self) -> Result<()> {
        for (key, _) in self.overlay.scan(VERIFIED, &Scan::prefix(""))? {
            self.trust.verified.insert(ParticipantId::new(key)?);
        }
        Ok(())
    }

    /// Takes note of the name that the other one of a conversation claims.
    pub(super) fn remember_name(&mut self, id: ConversationId, record: &wire::Conversation) {
        if let (true, Some(name)) = (record.pair, seen_as(&record.name)) {
            self.trust.names.insert((hash_of(&name), id));
        }
    }

    /// Tells of somebody who claims the name of a contact, or one that looks like it,
    /// with another key.
    pub(super) fn check_name(&mut self, from: Option<&ParticipantId>, name: &str, now: Timestamp) {
        let Some(claimed) = seen_as(name) else {
            return;
        };
        let hash = hash_of(&claimed);
        let (first, last) = (ConversationId([0; 16]), ConversationId([255; 16]));
        let namesakes = self.trust.names.range((hash, first)..=(hash, last));
        let namesakes: Vec<_> = namesakes.map(|(_, id)| *id).take(MAX_NAMESAKES).collect();
        for conversation in namesakes {
            let Some(record) = self.current_record(conversation) else {
                continue;
            };
            let is_other = from.is_none_or(|from| record.participant != from.as_bytes());
            if is_other && !record.closed && seen_as(&record.name).as_ref() == Some(&claimed) {
                self.other_key(conversation, from, name, now);
            }
        }
    }

    /// Tells that another key claims to be the other one of a conversation.
    pub(super) fn other_key(
        &mut self,
        conversation: ConversationId,
        participant: Option<&ParticipantId>,
        name: &str,
        now: Timestamp,
    ) {
        let told = &mut self.trust.told;
        let of = told.range((conversation, None)..);
        let of = of.take_while(|(other, _)| *other == conversation).count();
        let claim = (conversation, participant.cloned());
        if told.contains(&claim) {
            return self.counters.add("repeated.other_key");
        }
        if of >= MAX_OTHER_KEYS {
            return self.counters.add("bounded.other_key");
        }
        told.insert(claim);
        let known = self.current_record(conversation);
        let known = known.and_then(|record| ParticipantId::new(record.participant).ok());
        let kind = EventKind::OtherKey {
            conversation,
            participant: participant.cloned(),
            name: name.to_owned(),
            verified: known.is_some_and(|known| self.is_verified(&known)),
        };
        self.log(&kind, now);
    }

    pub(super) fn current_record(
        &self,
        conversation: ConversationId,
    ) -> Option<wire::Conversation> {
        let current = self.by_id.get(&conversation)?.current;
        self.record(current).ok()
    }
}

fn hash_of(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
