use bytes::Bytes;
use cf_core::Random;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::crypto::Key;
use crate::wire::ratchet as wire;
use crate::wire::ratchet::healing::Said;

use super::kem_key::{KEM_CIPHERTEXT_LEN, KEM_KEY_LEN, KemKey, KemSecret};

/// The exchanges of ML-KEM secrets in a session: one at a time, each for an
/// epoch of its own. The initiator asks, the responder answers, the initiator
/// mixes; each says what it has to say in every frame until it hears what follows.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) initiator: bool,
    /// How many secrets were mixed.
    pub(crate) epoch: u64,
    pub(crate) stage: Stage,
}

/// How far the exchange for the next epoch is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// There is none.
    Quiet,
    /// The initiator says a key.
    Asking { secret: KemSecret, key: Bytes },
    /// The initiator mixes the secret at its next step.
    Agreed { shared: Key },
    /// The responder says the ciphertext and mixes the secret when a step of the
    /// initiator's does.
    Answering {
        /// SHA-256 of the key that is answered.
        key: [u8; 32],
        ciphertext: Bytes,
        shared: Key,
    },
}

impl Exchange {
    pub(crate) fn new(initiator: bool) -> Self {
        Self {
            initiator,
            epoch: 0,
            stage: Stage::Quiet,
        }
    }

    pub(crate) fn may_ask(&self) -> bool {
        self.initiator && matches!(self.stage, Stage::Quiet)
    }

    /// Opens an exchange with a fresh key.
    pub(crate) fn ask(&mut self, random: &mut dyn Random) {
        let mut seed = Zeroizing::new([0; 64]);
        random.fill(&mut seed[..]);
        self.stage = Stage::asking(KemSecret::new(&seed));
    }

    /// What every frame says now.
    pub(crate) fn said(&self) -> Option<wire::Healing> {
        let said = match &self.stage {
            Stage::Quiet | Stage::Agreed { .. } => return None,
            Stage::Asking { key, .. } => Said::Key(key.clone()),
            Stage::Answering { ciphertext, .. } => Said::Ciphertext(ciphertext.clone()),
        };
        Some(wire::Healing {
            epoch: self.epoch + 1,
            said: Some(said),
        })
    }

    /// Takes what an authentic frame says; tells whether anything changed. After
    /// an error the exchange is as before.
    ///
    /// What is said of an epoch that is over is late, and what is said again is
    /// a repetition. Neither is an error.
    pub(crate) fn hear(
        &mut self,
        heard: &wire::Healing,
        random: &mut dyn Random,
    ) -> Result<bool, Error> {
        if heard.epoch > self.epoch + 1 {
            return Err(Error::Rejected(
                "an exchange for an epoch that can't be next",
            ));
        }
        let is_late = heard.epoch <= self.epoch;
        match (&heard.said, self.initiator) {
            (Some(Said::Key(key)), false) => self.hear_key(key, is_late, random),
            (Some(Said::Ciphertext(ciphertext)), true) => self.hear_answer(ciphertext, is_late),
            (Some(_), _) => Err(Error::Rejected("only the initiator of a session asks")),
            (None, _) => Err(Error::Malformed("an exchange says a key or a ciphertext")),
        }
    }

    fn hear_key(
        &mut self,
        bytes: &Bytes,
        is_late: bool,
        random: &mut dyn Random,
    ) -> Result<bool, Error> {
        if bytes.len() != KEM_KEY_LEN {
            return Err(Error::Malformed("an encapsulation key takes 1,184 bytes"));
        }
        if is_late {
            return Ok(false);
        }
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        match &self.stage {
            Stage::Answering { key, .. } if *key == hash => Ok(false),
            Stage::Answering { .. } => Err(Error::Rejected("two keys for one epoch")),
            _ => {
                let key = KemKey::new(bytes)
                    .ok_or(Error::Malformed("not an ML-KEM-768 encapsulation key"))?;
                let mut seed = Zeroizing::new([0; 32]);
                random.fill(&mut seed[..]);
                let (ciphertext, shared) = key.encapsulate(&seed);
                self.stage = Stage::Answering {
                    key: hash,
                    ciphertext: Bytes::copy_from_slice(&ciphertext),
                    shared,
                };
                Ok(true)
            }
        }
    }

    fn hear_answer(&mut self, bytes: &Bytes, is_late: bool) -> Result<bool, Error> {
        let ciphertext: &[u8; KEM_CIPHERTEXT_LEN] = bytes[..]
            .try_into()
            .map_err(|_| Error::Malformed("a ciphertext takes 1,088 bytes"))?;
        match &self.stage {
            _ if is_late => Ok(false),
            Stage::Asking { secret, .. } => {
                let shared = secret.decapsulate(ciphertext);
                self.stage = Stage::Agreed { shared };
                Ok(true)
            }
            Stage::Agreed { .. } => Ok(false),
            _ => Err(Error::Rejected("an answer that nobody asked for")),
        }
    }

    /// The secret that a step of the peer's may mix.
    pub(crate) fn answered(&self) -> Option<&Key> {
        match &self.stage {
            Stage::Answering { shared, .. } => Some(shared),
            _ => None,
        }
    }

    /// Takes the secret that the next own step is to mix; ends the exchange.
    pub(crate) fn mix(&mut self) -> Option<Key> {
        let Stage::Agreed { shared } = &self.stage else {
            return None;
        };
        let shared = shared.clone();
        self.mixed();
        Some(shared)
    }

    /// Ends the exchange, whose secret was mixed.
    pub(crate) fn mixed(&mut self) {
        self.epoch += 1;
        self.stage = Stage::Quiet;
    }
}

impl Stage {
    pub(crate) fn asking(secret: KemSecret) -> Self {
        let key = Bytes::copy_from_slice(&secret.public());
        Self::Asking { secret, key }
    }
}
