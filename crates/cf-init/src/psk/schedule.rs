//! What is derived from the shared key. Every derivation has a salt of its own, so
//! that no key and nonce are used twice.

use cf_core::{BundleId, ConversationId, RoutingTag, Secret};

use super::PSK;
use crate::crypto::{SealKey, derive, transcript};

const BUNDLE: &str = "/cf/init/psk/1 bundle";
const HEAD: &str = "/cf/init/psk/1 head";
const INVITE: &str = "/cf/init/psk/1 invite";
const EXPORTED: &str = "/cf/init/psk/1 exported";

/// The length of a salt, in bytes.
pub(super) const SALT_LEN: usize = 32;

/// A salt: random, and for one derivation.
pub(super) type Salt = [u8; SALT_LEN];

/// The shared key.
#[derive(Clone, Debug)]
pub(super) struct Psk(Secret);

impl Psk {
    pub(super) fn new(key: Secret) -> Self {
        Self(key)
    }

    pub(super) fn bundle_key(&self, salt: &Salt) -> SealKey {
        SealKey::derive(salt, self.0.expose(), BUNDLE)
    }

    /// For the head of the frame that has this tag and salt.
    pub(super) fn head_key(&self, tag: RoutingTag, salt: &Salt) -> SealKey {
        let both = [tag.as_bytes(), &salt[..]].concat();
        SealKey::derive(&both, self.0.expose(), HEAD)
    }

    /// Binds what follows to a bundle, as it went over the wire, and a frame.
    pub(super) fn bind(&self, bundle: &[u8], id: BundleId, tag: RoutingTag, salt: &Salt) -> Bound {
        let protocol = PSK;
        let parts: [&[u8]; 5] = [
            protocol.as_str().as_bytes(),
            bundle,
            id.as_bytes(),
            tag.as_bytes(),
            salt,
        ];
        Bound {
            psk: self.clone(),
            t0: transcript(&[], &parts),
        }
    }
}

/// The keys of one handshake.
pub(super) struct Bound {
    psk: Psk,
    t0: [u8; 32],
}

impl Bound {
    pub(super) fn t0(&self) -> &[u8; 32] {
        &self.t0
    }

    pub(super) fn invite_key(&self) -> SealKey {
        SealKey::derive(&self.t0, self.psk.0.expose(), INVITE)
    }

    pub(super) fn exported(&self, conversation: &ConversationId) -> Secret {
        let info = [EXPORTED.as_bytes(), conversation.as_bytes()];
        let exported = derive::<32>(&self.t0, self.psk.0.expose(), &info);
        Secret::from(&exported[..])
    }

    pub(super) fn precedence(&self, sealed_invite: &[u8]) -> [u8; 32] {
        transcript(&self.t0, &[sealed_invite])
    }
}
