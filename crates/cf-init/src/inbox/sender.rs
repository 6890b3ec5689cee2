use cf_core::{
    ConversationId, Env, Frame, Handshake, Identity, Invite, Result, RoutingTag, SealedInvite,
    Secret,
};
use zeroize::Zeroizing;

use super::bundle::Bundle;
use super::invite::{self, Head};
use super::schedule::{self, Identified, Unidentified};
use crate::InitError;
use crate::crypto::{AgreementSecret, KemKey};

/// A first contact between its two steps.
pub(super) struct Sender {
    conversation: ConversationId,
    exported: Secret,
    token: [u8; 16],
    head: Vec<u8>,
    sealed_identity: Vec<u8>,
    keys: Identified,
}

impl Sender {
    /// Agrees on all secrets with the owner of a verified bundle.
    pub(super) fn start(
        identity: &dyn Identity,
        bundle: &Bundle,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Self> {
        let keys = &bundle.keys;
        let ephemeral = AgreementSecret::new(&Zeroizing::new(env.draw()));
        let (kem_ciphertext, ss) = KemKey::new(&keys.kem_key)
            .ok_or(InitError::MalformedBundle("not an ML-KEM-768 key"))?
            .encapsulate(&Zeroizing::new(env.draw()));
        let head = Head {
            ephemeral: ephemeral.public(),
            bundle: bundle.spec.id,
            kem_ciphertext,
        }
        .encode();

        let unidentified = Unidentified::new(
            &bundle.signed,
            &bundle.signature,
            &head,
            ephemeral.agree(&keys.signed_prekey)?,
            ephemeral.agree(&keys.agreement_key.public)?,
            ss,
        );
        let own = identity.agreement_key(env.now)?;
        let plaintext = invite::encode_identity(identity.id(), &own)?;
        let sealed_identity = unidentified
            .identity_key()
            .seal(&plaintext, unidentified.t0());

        let dh3 = identity.agree(&own.public, &keys.signed_prekey)?;
        let dh4 = match &keys.one_time_prekey {
            Some(key) => Some(ephemeral.agree(key)?),
            None => None,
        };
        let identified = unidentified.identify(&sealed_identity, &plaintext, &dh3, dh4.as_ref());
        Ok(Self {
            conversation,
            exported: identified.exported(&conversation),
            token: keys.token,
            head,
            sealed_identity,
            keys: identified,
        })
    }
}

impl Handshake for Sender {
    fn exported(&self) -> &Secret {
        &self.exported
    }

    fn seal(self: Box<Self>, invite: &Invite, env: &mut Env<'_>) -> Result<SealedInvite> {
        if invite.conversation != self.conversation {
            return Err(InitError::OtherConversation.into());
        }
        let mut plaintext = invite::encode_invite(invite)?;
        let key = self.keys.invite_key();
        key.seal_in_place(&mut plaintext, self.keys.t1());
        // It is no plaintext any more: nothing to overwrite.
        let sealed_invite = std::mem::take(&mut *plaintext);
        let tag = RoutingTag(env.draw());
        let mut body = self.head;
        schedule::head_key(tag, &self.token).seal_in_place(&mut body, &[]);
        body.extend_from_slice(&self.sealed_identity);
        body.extend_from_slice(&sealed_invite);
        Ok(SealedInvite {
            frame: Frame::new(tag, body),
            precedence: self.keys.precedence(&sealed_invite),
        })
    }
}
