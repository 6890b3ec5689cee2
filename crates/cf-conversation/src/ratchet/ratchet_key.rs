use std::fmt;

use cf_core::Random;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::Error;
use crate::crypto::Key;

/// An X25519 key pair of one ratchet step. The public part is kept: making it
/// again would cost more than everything else that a message costs.
#[derive(Clone)]
pub(crate) struct RatchetKey {
    secret: StaticSecret,
    public: [u8; 32],
}

impl RatchetKey {
    pub(crate) fn random(random: &mut dyn Random) -> Self {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        random.fill(&mut secret[..]);
        Self::from_secret(*secret)
    }

    pub(crate) fn from_secret(secret: [u8; 32]) -> Self {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret).to_bytes();
        Self { secret, public }
    }

    /// Takes both parts as they were stored.
    pub(crate) fn from_parts(secret: [u8; 32], public: [u8; 32]) -> Self {
        Self {
            secret: StaticSecret::from(secret),
            public,
        }
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// Agrees with a peer's key; refuses one that would fix the result.
    pub(crate) fn agree(&self, peer: &[u8; 32]) -> Result<Key, Error> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(Error::Rejected("a ratchet key without contribution"));
        }
        Ok(Key::new(shared.to_bytes()))
    }
}

impl fmt::Debug for RatchetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RatchetKey")
    }
}
