use bytes::Bytes;
use cf_core::{Identity, ParticipantId, Result, Timestamp};
use prost::Message;

use super::query;
use crate::link::content::{self, Content};
use crate::{Error, canonical};

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../generated/cf_discovery_directory.rs"]
mod wire;

const LABEL: &str = "/cf/discovery/directory/1 claim";

/// What a claim adds to its bundles at least, in bytes: an owner and a signature of
/// Ed25519, and a name.
pub(super) const MIN_OVERHEAD: usize = 32 + 64 + 1;

/// That somebody wants to be found by a name.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) owner: ParticipantId,
    pub(super) name: String,
    pub(super) published_at: Timestamp,
    pub(super) generation: u64,
    /// `None`: no longer.
    pub(super) content: Option<Content>,
}

impl Claim {
    pub(super) fn sign(self, identity: &dyn Identity) -> Result<Bytes> {
        let content = self.content.as_ref().map(content::encode);
        let signed = wire::Signed {
            owner: self.owner.to_bytes(),
            name: self.name,
            published_at: self.published_at.0,
            generation: self.generation,
            content: content.unwrap_or_default().into(),
        };
        let signed: Bytes = signed.encode_to_vec().into();
        let signature = identity.sign(LABEL, &signed)?;
        let claim = wire::Claim { signed, signature };
        Ok(claim.encode_to_vec().into())
    }

    /// Reads a claim that its owner signed.
    pub(super) fn verify(bytes: &Bytes, identity: &dyn Identity) -> Result<Self> {
        let claim: wire::Claim = canonical::decode(bytes)?;
        let signed: wire::Signed = canonical::decode(&claim.signed)?;
        if query::checked_name(&signed.name)? != signed.name {
            return Err(Error::Content.into());
        }
        let owner = ParticipantId::new(signed.owner)?;
        identity.verify(&owner, LABEL, &claim.signed, &claim.signature)?;
        let content = match signed.content.is_empty() {
            true => None,
            false => Some(content::decode(signed.content)?),
        };
        Ok(Self {
            owner,
            name: signed.name,
            published_at: Timestamp(signed.published_at),
            generation: signed.generation,
            content,
        })
    }

    /// Of two claims of one owner the later counts.
    pub(super) fn order(&self) -> (Timestamp, u64) {
        (self.published_at, self.generation)
    }
}
