//! Where a conversation and its post-quantum healing meet; private/1 has none.

use cf_core::{Env, Result, Timestamp};

use crate::Error;
use crate::crypto::Key;
use crate::wire::ratchet as wire;

use super::super::healing::{Healing, HealingSettings, KEY};
use super::super::plaintext::Plaintext;
use super::super::setup::Settled;
use super::RatchetConversation;

pub(super) fn restore_healing(
    settings: HealingSettings,
    settled: &Settled,
    env: &Env<'_>,
) -> Result<Healing> {
    let stored = env.records.get(KEY)?;
    let stored = stored.ok_or(Error::Records("a record is missing"))?;
    Ok(Healing::decode(stored, settings, settled.initiator)?)
}

impl RatchetConversation {
    /// Adds to a frame what is to be said, if there is room.
    pub(super) fn say_healing(
        &mut self,
        text: &mut wire::Plaintext,
        most: usize,
        env: &mut Env<'_>,
    ) {
        // Before the responder has shown that it joined there is nothing to heal.
        let (Some(healing), Some(receive)) = (&mut self.healing, &self.session.receive) else {
            return;
        };
        let frames = self.next_publish + u64::from(receive.next);
        if healing.say(text, most, frames, env.now, env.random) {
            self.put_healing();
        }
    }

    /// Takes what an authentic frame says; an error has changed nothing.
    pub(super) fn hear_healing(
        &mut self,
        text: &Plaintext,
        mixed: bool,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let Some(healing) = &self.healing else {
            return Ok(());
        };
        if let Some(after) = healing.hear(text.healing.as_ref(), mixed, env.random)? {
            self.healing = Some(after);
            self.put_healing();
        }
        Ok(())
    }

    /// The secret that a step of the peer's may mix.
    pub(super) fn answered(&self) -> Option<&Key> {
        self.healing.as_ref()?.exchange.answered()
    }

    /// Takes note of a step of the peer's, whose chain before had `before` frames;
    /// gives what the own step in answer to it mixes.
    pub(super) fn turn_healing(&mut self, before: u32, now: Timestamp) -> Option<Key> {
        let healing = self.healing.as_mut()?;
        let shared = healing.turn(before, self.next_publish, now);
        // The responder counts nothing.
        if self.settled.initiator {
            self.put_healing();
        }
        shared
    }

    pub(super) fn put_healing(&mut self) {
        if let Some(healing) = &self.healing {
            self.put(KEY, healing.encode());
        }
    }
}

#[cfg(test)]
mod tests;
