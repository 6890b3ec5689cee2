//! The key schedule: what both sides derive, in the order in which they can.
//!
//! ```text
//! tag, token ───────────────► head key
//! t0, dh1 ‖ dh2 ‖ ss ───────► identity key            Unidentified
//! t1, dh1 ‖ dh2 ‖ dh3 ‖ [dh4] ‖ ss ► SK               Identified
//!                               ├► invite key
//!                               └► exported
//! ```

use cf_core::{ConversationId, RoutingTag, Secret};
use zeroize::Zeroizing;

use super::INBOX;
use crate::crypto::{SealKey, derive, transcript};

const HEAD: &str = "/cf/init/inbox/1 head";
const IDENTITY: &str = "/cf/init/inbox/1 identity";
const SECRET: &str = "/cf/init/inbox/1 secret";
const INVITE: &str = "/cf/init/inbox/1 invite";
const EXPORTED: &str = "/cf/init/inbox/1 exported";

/// The label of a bundle's signature.
pub(super) const BUNDLE: &str = "/cf/init/inbox/1 bundle";

/// The key of an invite's head. Needs no agreement, only the bundle's token.
pub(super) fn head_key(tag: RoutingTag, token: &[u8; 16]) -> SealKey {
    SealKey::derive(tag.as_bytes(), token, HEAD)
}

/// What is agreed on before the recipient knows who the sender is.
pub(super) struct Unidentified {
    t0: [u8; 32],
    dh1: Secret,
    dh2: Secret,
    ss: Secret,
}

impl Unidentified {
    /// From the bundle's bytes and signature, the head's plaintext, DH(E, SPK),
    /// DH(E, IK of the recipient) and the encapsulated secret.
    pub(super) fn new(
        bundle: &[u8],
        signature: &[u8],
        head: &[u8],
        dh1: Secret,
        dh2: Secret,
        ss: Secret,
    ) -> Self {
        let id = INBOX;
        let parts = [id.as_str().as_bytes(), bundle, signature, head];
        Self {
            t0: transcript(&[], &parts),
            dh1,
            dh2,
            ss,
        }
    }

    /// The transcript: the additional data of the sealed identity.
    pub(super) fn t0(&self) -> &[u8; 32] {
        &self.t0
    }

    pub(super) fn identity_key(&self) -> SealKey {
        let input = concat(&[&self.dh1, &self.dh2, &self.ss]);
        SealKey::derive(&self.t0, &input, IDENTITY)
    }

    /// Adds the sender's identity, DH(IK of the sender, SPK) and, with a
    /// one-time prekey, DH(E, OPK).
    pub(super) fn identify(
        &self,
        sealed: &[u8],
        plaintext: &[u8],
        dh3: &Secret,
        dh4: Option<&Secret>,
    ) -> Identified {
        let t1 = transcript(&self.t0, &[sealed, plaintext]);
        let mut secrets = vec![&self.dh1, &self.dh2, dh3];
        secrets.extend(dh4);
        secrets.push(&self.ss);
        Identified {
            t1,
            secret: derive(&t1, &concat(&secrets), &[SECRET.as_bytes()]),
        }
    }
}

/// What is agreed on between the two identities.
pub(super) struct Identified {
    t1: [u8; 32],
    secret: Zeroizing<[u8; 32]>,
}

impl Identified {
    /// The transcript: the additional data of the sealed invite.
    pub(super) fn t1(&self) -> &[u8; 32] {
        &self.t1
    }

    pub(super) fn invite_key(&self) -> SealKey {
        SealKey::derive(&self.t1, &self.secret[..], INVITE)
    }

    /// The secret that the conversation is made from.
    pub(super) fn exported(&self, conversation: &ConversationId) -> Secret {
        let info: [&[u8]; 2] = [EXPORTED.as_bytes(), conversation.as_bytes()];
        let exported = derive::<32>(&self.t1, &self.secret[..], &info);
        Secret::from(&exported[..])
    }

    /// t2, which orders two invites that crossed.
    pub(super) fn precedence(&self, sealed_invite: &[u8]) -> [u8; 32] {
        transcript(&self.t1, &[sealed_invite])
    }
}

/// One secret after the other, in memory that is never moved.
fn concat(secrets: &[&Secret]) -> Zeroizing<Vec<u8>> {
    let len = secrets.iter().map(|secret| secret.expose().len()).sum();
    let mut all = Zeroizing::new(Vec::with_capacity(len));
    for secret in secrets {
        all.extend_from_slice(secret.expose());
    }
    all
}

#[cfg(test)]
mod tests;
