//! Between wire messages and the types of the contracts.

use bytes::Bytes;
use cf_core::{
    AgreementKey, DeliveryAddress, DeliveryPoint, Locator, Offer, OfferId, ProtocolId, Timestamp,
};
use prost::Message;

pub(super) use generated::{Bundle, Invite, Sender, SignedBundle};

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../generated/cf_init_inbox.rs"]
mod generated;

/// The most delivery points in a message.
pub(super) const MAX_POINTS: usize = 16;

/// The most offers in a message.
pub(super) const MAX_OFFERS: usize = 32;

/// The most conversation protocols in a message.
pub(super) const MAX_PROTOCOLS: usize = 64;

/// The longest name or reference in a message, in bytes.
pub(super) const MAX_TEXT_LEN: usize = 256;

/// What is wrong with a message.
pub(super) type Fault = &'static str;

/// Decodes a message that encodes to the same bytes again.
pub(super) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Fault> {
    let message = M::decode(bytes.clone()).map_err(|_| "not of its protobuf type")?;
    if message.encode_to_vec() != *bytes {
        return Err("encoded in another than the one accepted way");
    }
    Ok(message)
}

pub(super) fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes
        .try_into()
        .map_err(|_| "a key or id of a wrong length")
}

pub(super) fn text(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_TEXT_LEN {
        return Err("a text is too long");
    }
    Ok(())
}

pub(super) fn protocol(id: &str) -> Result<ProtocolId, Fault> {
    ProtocolId::parse(id).map_err(|_| "not a protocol id")
}

pub(super) fn protocols(ids: &[String]) -> Result<Vec<ProtocolId>, Fault> {
    if ids.len() > MAX_PROTOCOLS {
        return Err("too many conversation protocols");
    }
    ids.iter().map(|id| protocol(id)).collect()
}

pub(super) fn points(points: &[generated::DeliveryPoint]) -> Result<Vec<DeliveryPoint>, Fault> {
    if points.len() > MAX_POINTS {
        return Err("too many delivery points");
    }
    let point = |point: &generated::DeliveryPoint| {
        Ok(DeliveryPoint {
            locator: Locator::parse(&point.locator).map_err(|_| "not a locator")?,
            address: DeliveryAddress::new(point.address.clone())
                .map_err(|_| "not a delivery address")?,
            framing: protocol(&point.framing)?,
        })
    };
    points.iter().map(point).collect()
}

pub(super) fn offers(offers: &[generated::Offer]) -> Result<Vec<Offer>, Fault> {
    if offers.len() > MAX_OFFERS {
        return Err("too many offers");
    }
    let offer = |offer: &generated::Offer| {
        Ok(Offer {
            protocol: protocol(&offer.protocol)?,
            id: OfferId(array(&offer.id)?),
            public: offer.public.clone(),
            expires_at: Timestamp(offer.expires_at),
            one_time: offer.one_time,
        })
    };
    offers.iter().map(offer).collect()
}

pub(super) fn agreement_key(key: Option<generated::AgreementKey>) -> Result<AgreementKey, Fault> {
    let key = key.ok_or("no agreement key")?;
    Ok(AgreementKey {
        public: array(&key.public)?,
        not_before: Timestamp(key.not_before),
        not_after: Timestamp(key.not_after),
        certificate: key.certificate,
    })
}

impl From<&DeliveryPoint> for generated::DeliveryPoint {
    fn from(point: &DeliveryPoint) -> Self {
        Self {
            locator: point.locator.as_str().to_owned(),
            address: Bytes::copy_from_slice(point.address.as_bytes()),
            framing: point.framing.as_str().to_owned(),
        }
    }
}

impl From<&Offer> for generated::Offer {
    fn from(offer: &Offer) -> Self {
        Self {
            protocol: offer.protocol.as_str().to_owned(),
            id: Bytes::copy_from_slice(offer.id.as_bytes()),
            public: offer.public.clone(),
            expires_at: offer.expires_at.0,
            one_time: offer.one_time,
        }
    }
}

impl From<&AgreementKey> for generated::AgreementKey {
    fn from(key: &AgreementKey) -> Self {
        Self {
            public: Bytes::copy_from_slice(&key.public),
            not_before: key.not_before.0,
            not_after: key.not_after.0,
            certificate: key.certificate.clone(),
        }
    }
}
