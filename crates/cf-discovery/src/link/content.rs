use bytes::Bytes;
use cf_core::{BundleSet, ProtocolId, Timestamp};
use prost::Message;

use crate::{Error, canonical};

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../generated/cf_discovery_link.rs"]
mod wire;

/// What a link carries.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bundles: BundleSet,
    pub(crate) expires_at: Timestamp,
}

pub(crate) fn encode(content: &Content) -> Vec<u8> {
    let bundles = content.bundles.iter().map(|(id, bundle)| wire::Bundle {
        protocol: id.to_string(),
        bundle: bundle.clone(),
    });
    wire::Content {
        bundles: bundles.collect(),
        expires_at: content.expires_at.0,
    }
    .encode_to_vec()
}

/// Reads a content; the bundles share its memory.
pub(crate) fn decode(bytes: Bytes) -> Result<Content, Error> {
    let content: wire::Content = canonical::decode(&bytes)?;
    let bundles = content.bundles.into_iter().map(|bundle| {
        let id = ProtocolId::parse(&bundle.protocol).map_err(|_| Error::Content)?;
        Ok((id, bundle.bundle))
    });
    let bundles = bundles.collect::<Result<_, Error>>()?;
    Ok(Content {
        bundles: BundleSet::new(bundles).map_err(|_| Error::Content)?,
        expires_at: Timestamp(content.expires_at),
    })
}
