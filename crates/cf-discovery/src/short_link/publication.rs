use bytes::Bytes;
use cf_core::{BundleSet, Identity, ParticipantId, Result, Timestamp};
use prost::Message;

use crate::Error;
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
    pub(super) bundles: BundleSet,
    pub(super) expires_at: Timestamp,
}

impl Publication {
    pub(super) fn sign(self, identity: &dyn Identity) -> Result<Bytes> {
        let content = content::encode(&Content {
            bundles: self.bundles,
            expires_at: self.expires_at,
        });
        let signed = wire::Signed {
            owner: self.owner.to_bytes(),
            generation: self.generation,
            content: content.into(),
        };
        let signed: Bytes = signed.encode_to_vec().into();
        let signature = identity.sign(LABEL, &signed)?;
        Ok(wire::Publication { signed, signature }
            .encode_to_vec()
            .into())
    }

    /// Reads a publication whose owner signed it.
    pub(super) fn verify(bytes: &Bytes, identity: &dyn Identity) -> Result<Self> {
        let publication: wire::Publication = canonical(bytes)?;
        let signed: wire::Signed = canonical(&publication.signed)?;
        let owner = ParticipantId::new(signed.owner)?;
        identity.verify(&owner, LABEL, &publication.signed, &publication.signature)?;
        let content = content::decode(signed.content)?;
        Ok(Self {
            owner,
            generation: signed.generation,
            bundles: content.bundles,
            expires_at: content.expires_at,
        })
    }
}

/// Decodes what encodes to the same bytes again.
fn canonical<M: Message + Default>(bytes: &Bytes) -> Result<M, Error> {
    let message = M::decode(bytes.clone()).map_err(|_| Error::Content)?;
    match message.encode_to_vec() == *bytes {
        true => Ok(message),
        false => Err(Error::Content),
    }
}
