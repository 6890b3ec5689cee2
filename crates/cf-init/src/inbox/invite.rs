//! The body of an invite's frame, and the plaintexts within.
//!
//! ```text
//! head                     E 32 ‖ bundle id 16 ‖ ML-KEM ciphertext 1,088 ‖ seal 16
//! sealed identity          384 ‖ seal 16
//! sealed invite            what is left ‖ seal 16
//! ```
//!
//! The plaintexts of the last two are a length (4), a message, and zeros.

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, padded_len};
use cf_core::{
    AgreementKey, BundleId, ConversationId, Invite, InviteId, OfferId, ParticipantId, Timestamp,
};
use prost::Message;
use zeroize::Zeroizing;

use super::wire::{self, Fault};
use super::{MAX_BODY_LEN, MIN_BODY_LEN};
use crate::InitError;
use crate::crypto::{KEM_CIPHERTEXT_LEN, SEAL_LEN};

/// The length of a head's plaintext, in bytes.
pub(super) const HEAD_LEN: usize = 32 + 16 + KEM_CIPHERTEXT_LEN;

/// The length of a sealed head, in bytes.
pub(super) const SEALED_HEAD_LEN: usize = HEAD_LEN + SEAL_LEN;

/// The length of an identity's padded plaintext, in bytes.
const IDENTITY_LEN: usize = 384;

/// The length of a sealed identity, in bytes.
pub(super) const SEALED_IDENTITY_LEN: usize = IDENTITY_LEN + SEAL_LEN;

/// Everything in a body but the plaintext of the invite.
const FIXED_LEN: usize = SEALED_HEAD_LEN + SEALED_IDENTITY_LEN + SEAL_LEN;

/// The length in front of a padded message.
const PREFIX_LEN: usize = 4;

/// The head: all that the recipient sees before any agreement.
pub(super) struct Head {
    pub(super) ephemeral: [u8; 32],
    pub(super) bundle: BundleId,
    pub(super) kem_ciphertext: [u8; KEM_CIPHERTEXT_LEN],
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        [
            &self.ephemeral[..],
            self.bundle.as_bytes(),
            &self.kem_ciphertext,
        ]
        .concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (ephemeral, rest) = bytes.split_first_chunk()?;
        let (bundle, rest) = rest.split_first_chunk()?;
        Some(Self {
            ephemeral: *ephemeral,
            bundle: BundleId(*bundle),
            kem_ciphertext: rest.try_into().ok()?,
        })
    }
}

/// Whether the body of an invite can be this long.
pub(super) fn is_body_len(len: usize) -> bool {
    (MIN_BODY_LEN..=MAX_BODY_LEN).contains(&len)
        && padded_len(len - BODY_OVERHEAD) == len - BODY_OVERHEAD
}

/// Who sends the invite, padded.
pub(super) fn encode_identity(
    participant: &ParticipantId,
    key: &AgreementKey,
) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let message = wire::Sender {
        participant: participant.to_bytes(),
        agreement_key: Some(key.into()),
    };
    pad(&message, IDENTITY_LEN)
}

pub(super) fn decode_identity(
    plaintext: &[u8],
) -> Result<(ParticipantId, AgreementKey), InitError> {
    let decode = || -> Result<_, Fault> {
        let sender: wire::Sender = unpad(plaintext)?;
        let participant =
            ParticipantId::new(sender.participant).map_err(|_| "not a participant id")?;
        Ok((participant, wire::agreement_key(sender.agreement_key)?))
    };
    decode().map_err(InitError::MalformedInvite)
}

/// The invite, padded so that the whole body has an allowed length.
pub(super) fn encode_invite(invite: &Invite) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let message = wire::Invite {
        id: Bytes::copy_from_slice(invite.id.as_bytes()),
        conversation: Bytes::copy_from_slice(invite.conversation.as_bytes()),
        conversation_protocol: invite.conversation_protocol.as_str().to_owned(),
        specification: invite.specification.clone(),
        parameters: invite.parameters.clone(),
        offer: invite
            .offer
            .map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
        chosen_from: invite
            .chosen_from
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        points: invite.points.iter().map(Into::into).collect(),
        offers: invite.offers.iter().map(Into::into).collect(),
        sent_at: invite.sent_at.0,
        display_name: invite.display_name.clone(),
    };
    // What the recipient would not take is not sent.
    from_wire(message.clone()).map_err(InitError::UnusableInvite)?;
    let len = (FIXED_LEN + PREFIX_LEN).saturating_add(message.encoded_len());
    let body = BODY_OVERHEAD.saturating_add(padded_len(len.max(MIN_BODY_LEN) - BODY_OVERHEAD));
    pad(&message, body.min(MAX_BODY_LEN) - FIXED_LEN)
}

pub(super) fn decode_invite(plaintext: &[u8]) -> Result<Invite, InitError> {
    unpad(plaintext)
        .and_then(from_wire)
        .map_err(InitError::MalformedInvite)
}

fn from_wire(invite: wire::Invite) -> Result<Invite, Fault> {
    wire::text(&invite.specification)?;
    wire::text(&invite.display_name)?;
    Ok(Invite {
        id: InviteId(wire::array(&invite.id)?),
        conversation: ConversationId(wire::array(&invite.conversation)?),
        conversation_protocol: wire::protocol(&invite.conversation_protocol)?,
        specification: invite.specification,
        parameters: invite.parameters,
        offer: match &invite.offer[..] {
            [] => None,
            id => Some(OfferId(wire::array(id)?)),
        },
        chosen_from: wire::protocols(&invite.chosen_from)?,
        points: wire::points(&invite.points)?,
        offers: wire::offers(&invite.offers)?,
        sent_at: Timestamp(invite.sent_at),
        display_name: invite.display_name,
    })
}

fn pad(message: &impl Message, to: usize) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let len = message.encoded_len();
    let too_long = InitError::TooLong {
        len,
        max: to - PREFIX_LEN,
    };
    if len > to - PREFIX_LEN {
        return Err(too_long);
    }
    let mut padded = Zeroizing::new(Vec::with_capacity(to));
    let prefix = u32::try_from(len).map_err(|_| too_long)?;
    padded.extend_from_slice(&prefix.to_be_bytes());
    message
        .encode(&mut *padded)
        .expect("a vector takes any length");
    padded.resize(to, 0);
    Ok(padded)
}

fn unpad<M: Message + Default>(padded: &[u8]) -> Result<M, Fault> {
    let (prefix, rest) = padded
        .split_first_chunk::<PREFIX_LEN>()
        .ok_or("shorter than a length")?;
    let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
    let (message, padding) = rest
        .split_at_checked(len)
        .ok_or("shorter than its length says")?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err("padded with something else than zeros");
    }
    wire::decode(&Bytes::copy_from_slice(message))
}

#[cfg(test)]
mod tests;
