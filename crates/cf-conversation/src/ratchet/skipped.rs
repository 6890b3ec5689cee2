use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::{RecordChange, RoutingTag, Timestamp};
use prost::Message;

use crate::Error;
use crate::crypto::Key;
use crate::label::Labels;
use crate::wire::ratchet::StoredSkippedKey;

use super::message_key::MessageKey;

/// How many message keys of frames that did not come are kept.
pub(crate) const MAX_SKIPPED: usize = 2_048;

/// What the keys of these records start with.
pub(crate) const PREFIX: u8 = b's';

/// The message keys of frames that did not come yet, oldest first; each is a
/// record of its own.
#[derive(Default)]
pub(crate) struct Skipped {
    keys: BTreeMap<u64, SkippedKey>,
    next: u64,
}

pub(crate) struct SkippedKey {
    pub(crate) tag: RoutingTag,
    pub(crate) key: MessageKey,
    pub(crate) expires_at: Timestamp,
}

impl Skipped {
    /// Keeps a key; gives its place.
    pub(crate) fn keep(&mut self, key: SkippedKey, changes: &mut Vec<RecordChange>) -> u64 {
        let place = self.next;
        self.next += 1;
        let stored = StoredSkippedKey {
            tag: Bytes::copy_from_slice(key.tag.as_bytes()),
            key: Bytes::copy_from_slice(key.key.0.expose()),
            expires_at: key.expires_at.0,
        };
        changes.push(RecordChange::Put {
            key: record_key(place),
            value: stored.encode_to_vec().into(),
        });
        self.keys.insert(place, key);
        place
    }

    pub(crate) fn key(&self, place: u64) -> Option<&SkippedKey> {
        self.keys.get(&place)
    }

    pub(crate) fn remove(&mut self, place: u64, changes: &mut Vec<RecordChange>) {
        if self.keys.remove(&place).is_some() {
            changes.push(RecordChange::Delete {
                key: record_key(place),
            });
        }
    }

    /// Takes the oldest key out if there are too many, or if it has expired.
    pub(crate) fn drop_oldest(
        &mut self,
        now: Timestamp,
        changes: &mut Vec<RecordChange>,
    ) -> Option<SkippedKey> {
        let (place, oldest) = self.keys.first_key_value()?;
        if self.keys.len() <= MAX_SKIPPED && oldest.expires_at > now {
            return None;
        }
        let place = *place;
        changes.push(RecordChange::Delete {
            key: record_key(place),
        });
        self.keys.remove(&place)
    }

    /// Takes all out.
    pub(crate) fn clear(&mut self, changes: &mut Vec<RecordChange>) {
        for place in std::mem::take(&mut self.keys).into_keys() {
            let key = record_key(place);
            changes.push(RecordChange::Delete { key });
        }
    }

    /// When the oldest key expires.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.keys
            .first_key_value()
            .map_or(Timestamp::NEVER, |(_, key)| key.expires_at)
    }

    /// Takes in a record; gives its place and tag.
    pub(crate) fn restore(
        &mut self,
        key: &[u8],
        value: Bytes,
        labels: &'static Labels,
    ) -> Result<(u64, RoutingTag), Error> {
        let damaged = || Error::Records("a skipped key");
        let place: [u8; 8] = key
            .get(1..)
            .and_then(|place| place.try_into().ok())
            .ok_or_else(damaged)?;
        let place = u64::from_be_bytes(place);
        let next = place.checked_add(1).ok_or_else(damaged)?;
        let stored = StoredSkippedKey::decode(value).map_err(|_| damaged())?;
        let tag = RoutingTag::from_slice(&stored.tag).map_err(|_| damaged())?;
        let key: [u8; 32] = stored.key[..].try_into().map_err(|_| damaged())?;
        self.next = self.next.max(next);
        self.keys.insert(
            place,
            SkippedKey {
                tag,
                key: MessageKey(Key::new(key), labels),
                expires_at: Timestamp(stored.expires_at),
            },
        );
        Ok((place, tag))
    }
}

fn record_key(place: u64) -> Bytes {
    let mut key = BytesMut::with_capacity(9);
    key.put_u8(PREFIX);
    key.put_u64(place);
    key.freeze()
}
