use cf_core::{
    ConversationId, Env, Frame, Handshake, Invite, Result, RoutingTag, SealedInvite, Secret,
};

use super::bundle::Bundle;
use super::recipient::FIXED_LEN;
use super::schedule::{Bound, Psk, Salt};
use crate::InitError;
use crate::padded;
use crate::wire;

/// A first contact between its two steps.
pub(super) struct Sender {
    conversation: ConversationId,
    exported: Secret,
    tag: RoutingTag,
    salt: Salt,
    sealed_head: Vec<u8>,
    keys: Bound,
}

impl Sender {
    pub(super) fn start(
        psk: &Psk,
        bundle: &Bundle,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Self {
        let (tag, salt) = (RoutingTag(env.draw()), env.draw());
        let id = bundle.spec.id;
        let keys = psk.bind(&bundle.exact, id, tag, &salt);
        Self {
            conversation,
            exported: keys.exported(&conversation),
            tag,
            salt,
            sealed_head: psk.head_key(tag, &salt).seal(id.as_bytes(), &[]),
            keys,
        }
    }
}

impl Handshake for Sender {
    fn exported(&self) -> &Secret {
        &self.exported
    }

    fn seal(self: Box<Self>, invite: &Invite, _: &mut Env<'_>) -> Result<SealedInvite> {
        if invite.conversation != self.conversation {
            return Err(InitError::OtherConversation.into());
        }
        let message = wire::contact::Invite::from(invite);
        // What the recipient would not take is not sent.
        wire::check_invite(invite).map_err(InitError::UnusableInvite)?;
        let len = padded::body_len(&message, FIXED_LEN) - FIXED_LEN;
        let plaintext = padded::pad(&message, len)?;
        let sealed_invite = self.keys.invite_key().seal(&plaintext, self.keys.t0());
        let body = [&self.salt[..], &self.sealed_head, &sealed_invite].concat();
        Ok(SealedInvite {
            frame: Frame::new(self.tag, body),
            precedence: self.keys.precedence(&sealed_invite),
        })
    }
}
