use crate::crypto::{Extracted, Key};
use crate::label;

use super::chain_key::ChainKey;

/// The secret that every Diffie-Hellman result of a session is mixed into.
#[derive(Clone, Debug)]
pub(crate) struct RootKey(pub(crate) Key);

/// What one step of the root chain gives.
pub(crate) struct RootStep {
    pub(crate) root: RootKey,
    /// Of the chain that begins with this step.
    pub(crate) chain: ChainKey,
    /// The header key of the chain after that one, in the same direction.
    pub(crate) next_header: Key,
}

impl RootKey {
    /// HKDF(this; agreed; `ratchet`): root key, chain key, next header key.
    pub(crate) fn step(&self, agreed: &Key) -> RootStep {
        let extracted = Extracted::new(self.0.expose(), agreed.expose());
        let mut bytes = zeroize::Zeroizing::new([0; 96]);
        extracted.expand(&[label::RATCHET], &mut bytes[..]);
        let part = |at: usize| {
            let mut key = [0; 32];
            key.copy_from_slice(&bytes[at..at + 32]);
            Key::new(key)
        };
        RootStep {
            root: RootKey(part(0)),
            chain: ChainKey(part(32)),
            next_header: part(64),
        }
    }
}
