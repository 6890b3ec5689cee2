use std::time::Duration;

use bytes::Bytes;
use cf_core::{Random, Timestamp};
use prost::Message;

use crate::Error;
use crate::crypto::Key;
use crate::wire::ratchet as wire;
use crate::wire::ratchet::StoredHealing;

use super::exchange::{Exchange, Stage};
use super::kem_key::{KEM_CIPHERTEXT_LEN, KemSecret};

/// The version of the record.
const VERSION: u32 = 1;

/// The key of the record.
pub(crate) const KEY: &[u8] = b"k";

/// How often the initiator of a conversation begins an exchange of a
/// post-quantum secret. No part of the protocol: a responder answers at any time.
///
/// ```
/// use cf_conversation::HealingSettings;
/// assert_eq!(HealingSettings::default().frames, 1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealingSettings {
    /// How long after the last one, or the beginning.
    pub interval: Duration,
    /// After how many frames, sent and received, at the latest.
    pub frames: u64,
}

impl Default for HealingSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(7 * 24 * 3600),
            frames: 1_000,
        }
    }
}

/// Post-quantum healing of a session: the exchange, and when the next is due.
#[derive(Clone, Debug)]
pub(crate) struct Healing {
    pub(crate) exchange: Exchange,
    settings: HealingSettings,
    /// How many frames the peer's chains before the present one had.
    ended_chains: u64,
    /// When the last exchange ended, or the conversation began.
    last_at: Timestamp,
    /// How many frames there were then.
    last_frames: u64,
}

impl Healing {
    pub(crate) fn new(settings: HealingSettings, initiator: bool, now: Timestamp) -> Self {
        Self {
            exchange: Exchange::new(initiator),
            settings,
            ended_chains: 0,
            last_at: now,
            last_frames: 0,
        }
    }

    /// Adds to a frame what is to be said, if the plaintext stays within `most`
    /// bytes. Begins an exchange if one is due and the frame has room for its key;
    /// tells whether it did. `frames`: those sent, and those of the peer's present
    /// chain.
    pub(crate) fn say(
        &mut self,
        text: &mut wire::Plaintext,
        most: usize,
        frames: u64,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> bool {
        let since = self.total(frames).saturating_sub(self.last_frames);
        let is_due =
            now.since(self.last_at) >= self.settings.interval || since >= self.settings.frames;
        let begins = self.exchange.may_ask() && is_due && text.encoded_len() + KEY_ROOM <= most;
        if begins {
            self.exchange.ask(random);
        }
        text.healing = self.exchange.said();
        if text.encoded_len() > most {
            text.healing = None;
        }
        begins
    }

    /// Takes what an authentic frame says, and whether it is the first of a chain
    /// whose step mixed; gives what is changed, if anything is.
    pub(crate) fn hear(
        &self,
        heard: Option<&wire::Healing>,
        mixed: bool,
        random: &mut dyn Random,
    ) -> Result<Option<Self>, Error> {
        if heard.is_none() && !mixed {
            return Ok(None);
        }
        let mut after = self.clone();
        if mixed {
            after.exchange.mixed();
        }
        let news = match heard {
            Some(heard) => after.exchange.hear(heard, random)?,
            None => false,
        };
        Ok((mixed || news).then_some(after))
    }

    /// Takes note of a step of the peer's, whose chain before had `before` frames;
    /// gives what the own step in answer to it mixes. `sent`: how many frames were.
    pub(crate) fn turn(&mut self, before: u32, sent: u64, now: Timestamp) -> Option<Key> {
        self.ended_chains += u64::from(before);
        let shared = self.exchange.mix();
        if shared.is_some() {
            (self.last_at, self.last_frames) = (now, self.total(sent));
        }
        shared
    }

    fn total(&self, frames: u64) -> u64 {
        self.ended_chains.saturating_add(frames)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut stored = StoredHealing {
            version: VERSION,
            epoch: self.exchange.epoch,
            ended_chains: self.ended_chains,
            last_at: self.last_at.0,
            last_frames: self.last_frames,
            ..StoredHealing::default()
        };
        let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        match &self.exchange.stage {
            Stage::Quiet => {}
            Stage::Asking { secret, .. } => stored.seed = bytes(secret.seed()),
            Stage::Agreed { shared } => stored.shared = bytes(shared.expose()),
            Stage::Answering {
                key,
                ciphertext,
                shared,
            } => {
                stored.answered_key = bytes(key);
                stored.ciphertext = ciphertext.clone();
                stored.shared = bytes(shared.expose());
            }
        }
        stored.encode_to_vec().into()
    }

    pub(crate) fn decode(
        bytes: Bytes,
        settings: HealingSettings,
        initiator: bool,
    ) -> Result<Self, Error> {
        let damaged = || Error::Records("its healing");
        let stored = StoredHealing::decode(bytes).map_err(|_| damaged())?;
        if stored.version > VERSION {
            return Err(Error::Unsupported("a conversation of a newer version"));
        }
        let shared = || -> Result<Key, Error> {
            let shared: [u8; 32] = stored.shared[..].try_into().map_err(|_| damaged())?;
            Ok(Key::new(shared))
        };
        let stage = if !stored.seed.is_empty() {
            let seed: &[u8; 64] = stored.seed[..].try_into().map_err(|_| damaged())?;
            Stage::asking(KemSecret::new(seed))
        } else if !stored.ciphertext.is_empty() {
            if stored.ciphertext.len() != KEM_CIPHERTEXT_LEN {
                return Err(damaged());
            }
            Stage::Answering {
                key: stored.answered_key[..].try_into().map_err(|_| damaged())?,
                ciphertext: stored.ciphertext.clone(),
                shared: shared()?,
            }
        } else if !stored.shared.is_empty() {
            Stage::Agreed { shared: shared()? }
        } else {
            Stage::Quiet
        };
        Ok(Self {
            exchange: Exchange {
                initiator,
                epoch: stored.epoch,
                stage,
            },
            settings,
            ended_chains: stored.ended_chains,
            last_at: Timestamp(stored.last_at),
            last_frames: stored.last_frames,
        })
    }
}

/// The most that a key adds to a plaintext: itself, the epoch, and the fields
/// and lengths around them.
const KEY_ROOM: usize = super::kem_key::KEM_KEY_LEN + 17;
