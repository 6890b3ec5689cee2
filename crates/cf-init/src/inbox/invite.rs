//! The body of an invite's frame, and the plaintexts within.
//!
//! ```text
//! head                     E 32 ‖ bundle id 16 ‖ ML-KEM ciphertext 1,088 ‖ seal 16
//! sealed identity          384 ‖ seal 16
//! sealed invite            what is left ‖ seal 16
//! ```
//!
//! The plaintexts of the last two are a length (4), a message, and zeros.

use cf_core::{AgreementKey, BundleId, Invite, ParticipantId};
use zeroize::Zeroizing;

use crate::InitError;
use crate::crypto::{KEM_CIPHERTEXT_LEN, SEAL_LEN};
use crate::padded::{self, MIN_BODY_LEN};
use crate::wire::{self, Fault};

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

/// The head: all that the recipient sees before any agreement.
pub(super) struct Head {
    pub(super) ephemeral: [u8; 32],
    pub(super) bundle: BundleId,
    pub(super) kem_ciphertext: [u8; KEM_CIPHERTEXT_LEN],
}

impl Head {
    /// Encodes a head, with room for the rest of the shortest body.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(MIN_BODY_LEN);
        head.extend_from_slice(&self.ephemeral);
        head.extend_from_slice(self.bundle.as_bytes());
        head.extend_from_slice(&self.kem_ciphertext);
        head
    }

    /// The bundle that the head is for.
    pub(super) fn bundle(bytes: &[u8]) -> Option<BundleId> {
        let (bundle, _) = bytes.get(32..)?.split_first_chunk()?;
        Some(BundleId(*bundle))
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

/// Who sends the invite, padded.
pub(super) fn encode_identity(
    participant: &ParticipantId,
    key: &AgreementKey,
) -> Result<Zeroizing<Vec<u8>>, InitError> {
    let message = wire::inbox::Sender {
        participant: participant.to_bytes(),
        agreement_key: Some(key.into()),
    };
    padded::pad(&message, IDENTITY_LEN)
}

pub(super) fn decode_identity(
    plaintext: &[u8],
) -> Result<(ParticipantId, AgreementKey), InitError> {
    let decode = || -> Result<_, Fault> {
        let sender: wire::inbox::Sender = padded::unpad(plaintext)?;
        let participant =
            ParticipantId::new(sender.participant).map_err(|_| "not a participant id")?;
        Ok((participant, wire::agreement_key(sender.agreement_key)?))
    };
    decode().map_err(InitError::MalformedInvite)
}

/// The invite, padded so that the whole body has an allowed length.
pub(super) fn encode_invite(invite: &Invite) -> Result<Zeroizing<Vec<u8>>, InitError> {
    // What the recipient would not take is not sent.
    wire::check_invite(invite).map_err(InitError::UnusableInvite)?;
    let message = wire::contact::Invite::from(invite);
    padded::pad(&message, padded::body_len(&message, FIXED_LEN) - FIXED_LEN)
}

pub(super) fn decode_invite(plaintext: &[u8]) -> Result<Invite, InitError> {
    padded::unpad(plaintext)
        .and_then(wire::invite)
        .map_err(InitError::MalformedInvite)
}

#[cfg(test)]
mod tests;
