use bytes::Bytes;
use cf_core::{
    AgreementKey, BundleId, BundleSpec, Identity, ParticipantId, ProtocolId, Result, Timestamp,
};
use prost::Message;

use super::{MAX_BUNDLE_LEN, schedule};
use crate::InitError;
use crate::crypto::KemKey;
use crate::wire::{self, Fault};

/// A decoded introduction bundle.
pub(super) struct Bundle {
    pub(super) spec: BundleSpec,
    pub(super) owner: ParticipantId,
    pub(super) keys: BundleKeys,
    scheme: ProtocolId,
    /// What the owner signed, as it was.
    pub(super) signed: Bytes,
    pub(super) signature: Bytes,
}

/// The public keys of a bundle.
pub(super) struct BundleKeys {
    pub(super) agreement_key: AgreementKey,
    pub(super) signed_prekey: [u8; 32],
    pub(super) kem_key: Bytes,
    pub(super) one_time_prekey: Option<[u8; 32]>,
    pub(super) token: [u8; 16],
}

impl Bundle {
    /// Makes and signs a bundle.
    pub(super) fn sign(
        identity: &dyn Identity,
        spec: &BundleSpec,
        keys: &BundleKeys,
    ) -> Result<Bytes> {
        let signed: Bytes = wire::inbox::Bundle {
            id: Bytes::copy_from_slice(spec.id.as_bytes()),
            generation: spec.generation,
            scheme: identity.scheme().as_str().to_owned(),
            owner: identity.id().to_bytes(),
            agreement_key: Some((&keys.agreement_key).into()),
            signed_prekey: Bytes::copy_from_slice(&keys.signed_prekey),
            kem_key: keys.kem_key.clone(),
            one_time_prekey: keys
                .one_time_prekey
                .map_or_else(Bytes::new, |key| Bytes::copy_from_slice(&key)),
            token: Bytes::copy_from_slice(&keys.token),
            points: spec.points.iter().map(Into::into).collect(),
            offers: spec.offers.iter().map(Into::into).collect(),
            conversation_protocols: spec
                .conversation_protocols
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
            display_name: spec.display_name.clone(),
            expires_at: spec.expires_at.0,
            initializations: spec
                .initializations
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
        }
        .encode_to_vec()
        .into();
        let signature = identity.sign(schedule::BUNDLE, &signed)?;
        let bundle = wire::inbox::SignedBundle {
            bundle: signed,
            signature,
        };
        Ok(bundle.encode_to_vec().into())
    }

    /// Decodes a bundle; verifies nothing.
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, InitError> {
        if bytes.len() > MAX_BUNDLE_LEN {
            return Err(InitError::MalformedBundle("longer than 32 KiB"));
        }
        Self::from_wire(bytes).map_err(InitError::MalformedBundle)
    }

    fn from_wire(bytes: &Bytes) -> Result<Self, Fault> {
        let wire::inbox::SignedBundle {
            bundle: signed,
            signature,
        } = wire::decode(bytes)?;
        let bundle: wire::inbox::Bundle = wire::decode(&signed)?;
        if KemKey::new(&bundle.kem_key).is_none() {
            return Err("not an ML-KEM-768 key");
        }
        let one_time = !bundle.one_time_prekey.is_empty();
        wire::text(&bundle.display_name)?;
        let spec = BundleSpec {
            id: BundleId(wire::array(&bundle.id)?),
            points: wire::points(&bundle.points)?,
            offers: wire::offers(&bundle.offers)?,
            conversation_protocols: wire::protocols(&bundle.conversation_protocols)?,
            initializations: wire::initializations(&bundle.initializations)?,
            display_name: bundle.display_name,
            expires_at: Timestamp(bundle.expires_at),
            one_time,
            generation: bundle.generation,
        };
        if spec.points.is_empty() {
            return Err("no delivery point");
        }
        Ok(Self {
            spec,
            owner: ParticipantId::new(bundle.owner).map_err(|_| "not a participant id")?,
            keys: BundleKeys {
                agreement_key: wire::agreement_key(bundle.agreement_key)?,
                signed_prekey: wire::array(&bundle.signed_prekey)?,
                kem_key: bundle.kem_key,
                one_time_prekey: if one_time {
                    Some(wire::array(&bundle.one_time_prekey)?)
                } else {
                    None
                },
                token: wire::array(&bundle.token)?,
            },
            scheme: wire::protocol(&bundle.scheme)?,
            signed,
            signature,
        })
    }

    /// Verifies that the owner made this bundle and that it may be used now.
    pub(super) fn verify(&self, identity: &dyn Identity, now: Timestamp) -> Result<()> {
        if self.scheme != *identity.scheme() {
            return Err(InitError::OtherScheme.into());
        }
        identity.verify(&self.owner, schedule::BUNDLE, &self.signed, &self.signature)?;
        if now > self.spec.expires_at {
            return Err(InitError::Expired.into());
        }
        identity.verify_agreement_key(&self.owner, &self.keys.agreement_key, now)
    }
}
