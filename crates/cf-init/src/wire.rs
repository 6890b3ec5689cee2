//! Between wire messages and the types of the contracts.

use bytes::Bytes;
use cf_core::{
    AgreementKey, BundleSet, ConversationId, DeliveryAddress, DeliveryPoint, Invite, InviteId,
    Locator, Offer, OfferId, ProtocolId, Timestamp,
};
use prost::Message;

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_init_contact.rs"]
pub(crate) mod contact;
#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_init_inbox.rs"]
pub(crate) mod inbox;
#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_init_psk.rs"]
pub(crate) mod psk;

/// The most delivery points in a message.
pub(crate) const MAX_POINTS: usize = 16;

/// The most offers in a message.
pub(crate) const MAX_OFFERS: usize = 32;

/// The most conversation protocols in a message.
pub(crate) const MAX_PROTOCOLS: usize = 64;

/// The longest name or reference in a message, in bytes.
pub(crate) const MAX_TEXT_LEN: usize = 256;

/// What is wrong with a message.
pub(crate) type Fault = &'static str;

/// Decodes a message that encodes to the same bytes again.
pub(crate) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Fault> {
    let message = M::decode(bytes.clone()).map_err(|_| "not of its protobuf type")?;
    if message.encode_to_vec() != *bytes {
        return Err("encoded in another than the one accepted way");
    }
    Ok(message)
}

pub(crate) fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes
        .try_into()
        .map_err(|_| "a key or id of a wrong length")
}

pub(crate) fn text(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_TEXT_LEN {
        return Err("a text is too long");
    }
    Ok(())
}

pub(crate) fn protocol(id: &str) -> Result<ProtocolId, Fault> {
    ProtocolId::parse(id).map_err(|_| "not a protocol id")
}

pub(crate) fn protocols(ids: &[String]) -> Result<Vec<ProtocolId>, Fault> {
    if ids.len() > MAX_PROTOCOLS {
        return Err("too many conversation protocols");
    }
    ids.iter().map(|id| protocol(id)).collect()
}

pub(crate) fn initializations(ids: &[String]) -> Result<Vec<ProtocolId>, Fault> {
    if ids.len() > BundleSet::MAX_BUNDLES {
        return Err("too many initialization protocols");
    }
    ids.iter().map(|id| protocol(id)).collect()
}

pub(crate) fn points(points: &[contact::DeliveryPoint]) -> Result<Vec<DeliveryPoint>, Fault> {
    if points.len() > MAX_POINTS {
        return Err("too many delivery points");
    }
    let point = |point: &contact::DeliveryPoint| {
        Ok(DeliveryPoint {
            locator: Locator::parse(&point.locator).map_err(|_| "not a locator")?,
            address: DeliveryAddress::new(point.address.clone())
                .map_err(|_| "not a delivery address")?,
            framing: protocol(&point.framing)?,
        })
    };
    points.iter().map(point).collect()
}

pub(crate) fn offers(offers: &[contact::Offer]) -> Result<Vec<Offer>, Fault> {
    if offers.len() > MAX_OFFERS {
        return Err("too many offers");
    }
    let offer = |offer: &contact::Offer| {
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

pub(crate) fn agreement_key(key: Option<inbox::AgreementKey>) -> Result<AgreementKey, Fault> {
    let key = key.ok_or("no agreement key")?;
    Ok(AgreementKey {
        public: array(&key.public)?,
        not_before: Timestamp(key.not_before),
        not_after: Timestamp(key.not_after),
        certificate: key.certificate,
    })
}

/// Reads an invite.
pub(crate) fn invite(invite: contact::Invite) -> Result<Invite, Fault> {
    text(&invite.specification)?;
    text(&invite.display_name)?;
    Ok(Invite {
        id: InviteId(array(&invite.id)?),
        conversation: ConversationId(array(&invite.conversation)?),
        conversation_protocol: protocol(&invite.conversation_protocol)?,
        specification: invite.specification,
        parameters: invite.parameters,
        offer: match &invite.offer[..] {
            [] => None,
            id => Some(OfferId(array(id)?)),
        },
        chosen_from: protocols(&invite.chosen_from)?,
        points: points(&invite.points)?,
        offers: offers(&invite.offers)?,
        sent_at: Timestamp(invite.sent_at),
        display_name: invite.display_name,
    })
}

/// Whether [`invite`] would take an invite: its types hold all but these bounds.
pub(crate) fn check_invite(invite: &Invite) -> Result<(), Fault> {
    text(&invite.specification)?;
    text(&invite.display_name)?;
    let counts = [
        (
            invite.chosen_from.len(),
            MAX_PROTOCOLS,
            "too many conversation protocols",
        ),
        (invite.points.len(), MAX_POINTS, "too many delivery points"),
        (invite.offers.len(), MAX_OFFERS, "too many offers"),
    ];
    match counts.into_iter().find(|(count, max, _)| count > max) {
        Some((_, _, fault)) => Err(fault),
        None => Ok(()),
    }
}

impl From<&Invite> for contact::Invite {
    fn from(invite: &Invite) -> Self {
        Self {
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
        }
    }
}

impl From<&DeliveryPoint> for contact::DeliveryPoint {
    fn from(point: &DeliveryPoint) -> Self {
        Self {
            locator: point.locator.as_str().to_owned(),
            address: Bytes::copy_from_slice(point.address.as_bytes()),
            framing: point.framing.as_str().to_owned(),
        }
    }
}

impl From<&Offer> for contact::Offer {
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

impl From<&AgreementKey> for inbox::AgreementKey {
    fn from(key: &AgreementKey) -> Self {
        Self {
            public: Bytes::copy_from_slice(&key.public),
            not_before: key.not_before.0,
            not_after: key.not_after.0,
            certificate: key.certificate.clone(),
        }
    }
}
