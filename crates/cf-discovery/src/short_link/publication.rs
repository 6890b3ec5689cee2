use bytes::Bytes;
use cf_core::{Identity, ParticipantId, Result};
use prost::Message;

use crate::canonical;
use crate::link::content::{self, Content};

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../generated/cf_discovery_short_link.rs"]
mod wire;

const LABEL: &str = "/cf/discovery/short-link/1 publication";

/// What a publication adds to its bundles at least, in bytes: an owner and a
/// signature of Ed25519.
pub(super) const MIN_OVERHEAD: usize = 32 + 64;

/// What the owner of a link publishes under it.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) owner: ParticipantId,
    pub(super) generation: u64,
    /// `None`: the owner has revoked the link.
    pub(super) content: Option<Content>,
}

impl Publication {
    pub(super) fn sign(self, identity: &dyn Identity) -> Result<Bytes> {
        let content = self.content.as_ref().map(content::encode);
        let signed = wire::Signed {
            owner: self.owner.to_bytes(),
            generation: self.generation,
            content: content.unwrap_or_default().into(),
        };
        let signed: Bytes = signed.encode_to_vec().into();
        let signature = identity.sign(LABEL, &signed)?;
        Ok(wire::Publication { signed, signature }
            .encode_to_vec()
            .into())
    }

    /// Reads a publication whose owner signed it.
    pub(super) fn verify(bytes: &Bytes, identity: &dyn Identity) -> Result<Self> {
        let publication: wire::Publication = canonical::decode(bytes)?;
        let signed: wire::Signed = canonical::decode(&publication.signed)?;
        let owner = ParticipantId::new(signed.owner)?;
        identity.verify(&owner, LABEL, &publication.signed, &publication.signature)?;
        let content = match signed.content.is_empty() {
            true => None,
            false => Some(content::decode(signed.content)?),
        };
        Ok(Self {
            owner,
            generation: signed.generation,
            content,
        })
    }
}
