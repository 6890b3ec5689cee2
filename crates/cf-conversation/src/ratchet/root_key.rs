use zeroize::Zeroizing;

use crate::crypto::{Extracted, Key};
use crate::label::{self, Labels};

use super::chain_key::ChainKey;

/// The secret that every Diffie-Hellman result of a session is mixed into.
#[derive(Clone, Debug)]
pub(crate) struct RootKey(pub(crate) Key, pub(crate) &'static Labels);

/// What one step of the root chain gives.
pub(crate) struct RootStep {
    pub(crate) root: RootKey,
    /// Of the chain that begins with this step.
    pub(crate) chain: ChainKey,
    /// The header key of the chain after that one, in the same direction.
    pub(crate) next_header: Key,
}

impl RootKey {
    /// Makes a step with a Diffie-Hellman result and, if the step mixes one, a
    /// secret of ML-KEM: root key, chain key, next header key.
    ///
    /// ```text
    /// HKDF(this; agreed; `ratchet`), or HKDF(this; agreed ‖ shared; `healing`)
    /// ```
    pub(crate) fn step(&self, agreed: &Key, shared: Option<&Key>) -> RootStep {
        let Self(root, labels) = self;
        let mut bytes = Zeroizing::new([0; 96]);
        match shared {
            None => Extracted::new(root.expose(), agreed.expose())
                .expand(&[labels.ratchet], &mut bytes[..]),
            Some(shared) => {
                let mut both = Zeroizing::new([0; 64]);
                both[..32].copy_from_slice(agreed.expose());
                both[32..].copy_from_slice(shared.expose());
                Extracted::new(root.expose(), &both[..]).expand(&[label::HEALING], &mut bytes[..]);
            }
        }
        let part = |at: usize| {
            let mut key = [0; 32];
            key.copy_from_slice(&bytes[at..at + 32]);
            Key::new(key)
        };
        RootStep {
            root: Self(part(0), labels),
            chain: ChainKey(part(32), labels),
            next_header: part(64),
        }
    }
}
