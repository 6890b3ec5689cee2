use bytes::Bytes;
use cf_core::{BundleId, BundleSpec, Timestamp};
use prost::Message;

use super::PSK;
use super::schedule::{Psk, SALT_LEN, Salt};
use crate::wire::{self, Fault};
use crate::{InitError, MAX_BUNDLE_LEN};

/// A bundle that was opened: `salt 32 ‖ sealed message`.
pub(super) struct Bundle {
    pub(super) spec: BundleSpec,
    /// As discovery carries it.
    pub(super) exact: Bytes,
}

impl Bundle {
    pub(super) fn seal(psk: &Psk, spec: BundleSpec, salt: &Salt) -> Result<Self, InitError> {
        let message = encode(&spec);
        // What nobody would read is not given out.
        decode(&message).map_err(InitError::UnusableBundle)?;
        let sealed = psk.bundle_key(salt).seal(&message, PSK.as_str().as_bytes());
        let exact = Bytes::from([&salt[..], &sealed].concat());
        match exact.len() <= MAX_BUNDLE_LEN {
            true => Ok(Self { spec, exact }),
            false => Err(InitError::UnusableBundle("it is longer than 32 KiB")),
        }
    }

    pub(super) fn open(psk: &Psk, exact: &Bytes) -> Result<Self, InitError> {
        if exact.len() > MAX_BUNDLE_LEN {
            return Err(InitError::MalformedBundle("it is longer than 32 KiB"));
        }
        let (salt, sealed) = exact
            .split_first_chunk::<SALT_LEN>()
            .ok_or(InitError::MalformedBundle("shorter than a salt"))?;
        let message = psk
            .bundle_key(salt)
            .open(sealed, PSK.as_str().as_bytes())
            .ok_or(InitError::BundleNotAuthentic)?;
        let spec = decode(&Bytes::copy_from_slice(&message)).map_err(InitError::MalformedBundle)?;
        Ok(Self {
            spec,
            exact: exact.clone(),
        })
    }
}

fn encode(spec: &BundleSpec) -> Bytes {
    let protocols = spec.conversation_protocols.iter();
    let initializations = spec.initializations.iter();
    wire::psk::Bundle {
        id: Bytes::copy_from_slice(spec.id.as_bytes()),
        generation: spec.generation,
        one_time: spec.one_time,
        points: spec.points.iter().map(Into::into).collect(),
        offers: spec.offers.iter().map(Into::into).collect(),
        conversation_protocols: protocols.map(|id| id.as_str().to_owned()).collect(),
        display_name: spec.display_name.clone(),
        expires_at: spec.expires_at.0,
        initializations: initializations.map(|id| id.as_str().to_owned()).collect(),
    }
    .encode_to_vec()
    .into()
}

fn decode(message: &Bytes) -> Result<BundleSpec, Fault> {
    let bundle: wire::psk::Bundle = wire::decode(message)?;
    wire::text(&bundle.display_name)?;
    let spec = BundleSpec {
        id: BundleId(wire::array(&bundle.id)?),
        points: wire::points(&bundle.points)?,
        offers: wire::offers(&bundle.offers)?,
        conversation_protocols: wire::protocols(&bundle.conversation_protocols)?,
        initializations: wire::initializations(&bundle.initializations)?,
        display_name: bundle.display_name,
        expires_at: Timestamp(bundle.expires_at),
        one_time: bundle.one_time,
        generation: bundle.generation,
    };
    match spec.points.is_empty() {
        true => Err("it has no delivery point"),
        false => Ok(spec),
    }
}
