//! What a client keeps in its store: namespaces, keys and values.

use bytes::Bytes;
use cf_core::{
    BundleId, ContentId, ContentState, ConversationId, DeliveryAddress, DeliveryPoint, Error,
    FailureReason, InstanceId, Invitation, Invite, InviteId, Locator, Offer, OfferId,
    ParticipantId, PeerId, ProtocolId, Result, Secret, Timestamp,
};
use prost::Message;

use crate::event::Request;
use crate::link::LinkId;

mod events;

pub(crate) use events::{read_event, write_event};

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_client_store.rs"]
pub(crate) mod wire;

/// The version of everything below.
pub(crate) const VERSION: u64 = 1;

pub(crate) const META: &[u8] = b"meta";
pub(crate) const PLACES: &[u8] = b"places";
pub(crate) const CONVERSATIONS: &[u8] = b"#conversations";
/// Key: a conversation; value: the numbers of its sessions, eight bytes each.
pub(crate) const ROLL: &[u8] = b"roll";
/// Key: the number of a session that is in memory, or whose tags are.
pub(crate) const RESIDENT: &[u8] = b"#resident";
pub(crate) const OFFERS: &[u8] = b"offers";
pub(crate) const OUTBOX: &[u8] = b"#outbox";
pub(crate) const INVITES: &[u8] = b"invites";
pub(crate) const CANDIDATES: &[u8] = b"candidates";
pub(crate) const PARKED: &[u8] = b"#parked";
pub(crate) const REQUESTS: &[u8] = b"requests";
pub(crate) const EVENTS: &[u8] = b"#events";
pub(crate) const CURSORS: &[u8] = b"cursors";
pub(crate) const CONTACTS: &[u8] = b"contacts";
pub(crate) const UNSENT: &[u8] = b"#unsent";
pub(crate) const SPOOLS: &[u8] = b"spools";
/// Key: a participant whose identity key was compared; value: when.
pub(crate) const VERIFIED: &[u8] = b"verified";
pub(crate) const LINKS: &[u8] = b"links";
/// The bundles of each link's newest generation, while it is to be published again.
pub(crate) const LINK_BUNDLES: &[u8] = b"link-bundles";
pub(crate) const BLOCKED: &[u8] = b"blocked";
/// Conversations that a backup brought back, until they have a session. Key: the
/// conversation; value: what is known of it.
pub(crate) const RETURNED: &[u8] = b"returned";

/// The namespace of a conversation's own records.
pub(crate) fn instance_namespace(instance: InstanceId) -> Bytes {
    [b"conversation/", &instance.0.to_be_bytes()[..]]
        .concat()
        .into()
}

/// The namespace of an initialization protocol's own records.
pub(crate) fn inbox_namespace(id: &ProtocolId) -> Bytes {
    [b"inbox", id.as_str().as_bytes()].concat().into()
}

pub(crate) fn peer_key(instance: InstanceId, peer: PeerId) -> Bytes {
    [instance.0.to_be_bytes(), peer.0.to_be_bytes()]
        .concat()
        .into()
}

pub(crate) fn offer_key(protocol: &ProtocolId, id: OfferId) -> Bytes {
    [protocol.as_str().as_bytes(), &[0], id.as_bytes()]
        .concat()
        .into()
}

/// The namespace of the states of what was sent in a conversation. Key: the
/// content's id.
pub(crate) fn states_namespace(conversation: ConversationId) -> Bytes {
    [b"states/", conversation.as_bytes()].concat().into()
}

/// The namespace of what came in a conversation of two. Key: the author's id of
/// it; value: the number of its event.
pub(crate) fn received_namespace(conversation: ConversationId) -> Bytes {
    [b"received/", conversation.as_bytes()].concat().into()
}

/// The sides of a conversation that a spool may belong to.
const OWN: u8 = 0;
const PEER: u8 = 1;

/// The key of a large content's spool: conversation, side, content id with its
/// length, author. `from` is `None` for what is sent here.
pub(crate) fn spool_key(
    conversation: ConversationId,
    from: Option<Option<&ParticipantId>>,
    id: &ContentId,
) -> Bytes {
    let side = if from.is_some() { PEER } else { OWN };
    let author = from.flatten().map_or(&[][..], ParticipantId::as_bytes);
    let len = id.as_bytes().len() as u8;
    [
        conversation.as_bytes(),
        &[side, len][..],
        id.as_bytes(),
        author,
    ]
    .concat()
    .into()
}

/// Whether a spool is of a content that is sent here.
pub(crate) fn is_own_spool(key: &[u8]) -> bool {
    key.get(16) == Some(&OWN)
}

/// The namespace of a spool's rows. Key: the offset where the row starts.
pub(crate) fn spool_namespace(key: &[u8]) -> Bytes {
    [b"#spool/", key].concat().into()
}

pub(crate) fn cursor_key(locator: &Locator, address: &DeliveryAddress) -> Bytes {
    [locator.as_str().as_bytes(), &[0], address.as_bytes()]
        .concat()
        .into()
}

pub(crate) fn number_key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Above every number that counts something, so that a damaged one overflows
/// nothing.
const MAX_NUMBER: u64 = 1 << 62;

pub(crate) fn read_number(bytes: &[u8]) -> Result<u64> {
    let number = bytes.try_into().map(u64::from_be_bytes).ok();
    number
        .filter(|number| *number < MAX_NUMBER)
        .ok_or_else(damaged)
}

pub(crate) fn read_pair(key: &[u8]) -> Result<(InstanceId, PeerId)> {
    match key.split_at_checked(8) {
        Some((instance, peer)) => Ok((
            InstanceId(read_number(instance)?),
            PeerId(
                peer.try_into()
                    .map(u64::from_be_bytes)
                    .map_err(|_| damaged())?,
            ),
        )),
        None => Err(damaged()),
    }
}

pub(crate) fn read<M: Message + Default>(bytes: &Bytes) -> Result<M> {
    M::decode(bytes.clone()).map_err(|_| damaged())
}

/// What went wrong with stored bytes is nobody's fault outside.
pub(crate) fn stored(error: Error) -> Error {
    use cf_core::ErrorKind::{Malformed, Misuse, Rejected};
    match error.kind() {
        Malformed | Rejected | Misuse => damaged(),
        _ => error,
    }
}

pub(crate) fn damaged() -> Error {
    Error::new(
        cf_core::ErrorKind::Other,
        "a record in the store is damaged",
    )
}

pub(crate) fn write(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

impl From<&DeliveryPoint> for wire::Point {
    fn from(point: &DeliveryPoint) -> Self {
        Self {
            locator: point.locator.as_str().to_owned(),
            address: Bytes::copy_from_slice(point.address.as_bytes()),
            framing: point.framing.as_str().to_owned(),
        }
    }
}

impl wire::Point {
    pub(crate) fn to_core(&self) -> Result<DeliveryPoint> {
        Ok(DeliveryPoint {
            locator: Locator::parse(&self.locator)?,
            // Not a part of the record, which would stay in memory with it.
            address: DeliveryAddress::new(Bytes::copy_from_slice(&self.address))?,
            framing: ProtocolId::parse(&self.framing)?,
        })
    }
}

pub(crate) fn point(point: &Option<wire::Point>) -> Result<DeliveryPoint> {
    point.as_ref().ok_or_else(damaged)?.to_core()
}

impl From<&Offer> for wire::Offer {
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

impl wire::Offer {
    fn to_core(&self) -> Result<Offer> {
        Ok(Offer {
            protocol: ProtocolId::parse(&self.protocol)?,
            id: OfferId::from_slice(&self.id)?,
            public: self.public.clone(),
            expires_at: Timestamp(self.expires_at),
            one_time: self.one_time,
        })
    }
}

/// Writes an invitation that waits.
pub(crate) fn request(
    initialization: &ProtocolId,
    invitation: &Invitation,
    supported: bool,
) -> wire::Request {
    let invite = &invitation.invite;
    wire::Request {
        initialization: initialization.as_str().to_owned(),
        conversation: Bytes::copy_from_slice(invite.conversation.as_bytes()),
        protocol: invite.conversation_protocol.as_str().to_owned(),
        specification: invite.specification.clone(),
        parameters: invite.parameters.clone(),
        offer: invite
            .offer
            .map(|id| Bytes::copy_from_slice(&id.0))
            .unwrap_or_default(),
        chosen_from: invite
            .chosen_from
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        points: invite.points.iter().map(Into::into).collect(),
        offers: invite.offers.iter().map(Into::into).collect(),
        sent_at: invite.sent_at.0,
        name: invite.display_name.clone(),
        from: participant(&invitation.from),
        exported: Bytes::copy_from_slice(invitation.exported.expose()),
        precedence: Bytes::copy_from_slice(&invitation.precedence),
        bundle: Bytes::copy_from_slice(invitation.bundle.as_bytes()),
        point: Some((&invitation.point).into()),
        id: Bytes::copy_from_slice(invite.id.as_bytes()),
        supported,
        anonymous: invitation.from.is_none(),
        held_since: 0,
        link: Bytes::new(),
        label: String::new(),
        len: 0,
    }
}

impl wire::Request {
    pub(crate) fn invitation(&self) -> Result<Invitation> {
        let ids = self.chosen_from.iter().map(|id| ProtocolId::parse(id));
        let offer = match self.offer.is_empty() {
            true => None,
            false => Some(OfferId::from_slice(&self.offer)?),
        };
        Ok(Invitation {
            invite: Invite {
                id: InviteId::from_slice(&self.id)?,
                conversation: ConversationId::from_slice(&self.conversation)?,
                conversation_protocol: ProtocolId::parse(&self.protocol)?,
                specification: self.specification.clone(),
                parameters: self.parameters.clone(),
                offer,
                chosen_from: ids.collect::<Result<_>>()?,
                points: self
                    .points
                    .iter()
                    .map(wire::Point::to_core)
                    .collect::<Result<_>>()?,
                offers: self
                    .offers
                    .iter()
                    .map(wire::Offer::to_core)
                    .collect::<Result<_>>()?,
                sent_at: Timestamp(self.sent_at),
                display_name: self.name.clone(),
            },
            from: read_participant(&self.from, self.anonymous)?,
            exported: Secret::from(&self.exported[..]),
            precedence: self.precedence[..].try_into().map_err(|_| damaged())?,
            bundle: BundleId::from_slice(&self.bundle)?,
            point: point(&self.point)?,
        })
    }

    pub(crate) fn public(&self) -> Result<Request> {
        Ok(Request {
            id: InviteId::from_slice(&self.id)?,
            conversation: ConversationId::from_slice(&self.conversation)?,
            from: read_participant(&self.from, self.anonymous)?,
            name: self.name.clone(),
            protocol: ProtocolId::parse(&self.protocol)?,
            specification: self.specification.clone(),
            supported: self.supported,
            link: read_link(&self.link)?,
            label: self.label.clone(),
        })
    }
}

/// The link that a request came through.
pub(crate) fn read_link(bytes: &[u8]) -> Result<Option<LinkId>> {
    match bytes.is_empty() {
        true => Ok(None),
        false => LinkId::from_slice(bytes).map(Some),
    }
}

pub(crate) fn write_link(link: Option<LinkId>) -> Bytes {
    link.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()))
}

fn participant(participant: &Option<ParticipantId>) -> Bytes {
    participant
        .as_ref()
        .map(ParticipantId::to_bytes)
        .unwrap_or_default()
}

pub(crate) fn read_participant(bytes: &Bytes, anonymous: bool) -> Result<Option<ParticipantId>> {
    if anonymous {
        Ok(None)
    } else {
        ParticipantId::new(bytes.clone()).map(Some)
    }
}

pub(crate) fn write_state(state: ContentState) -> u32 {
    match state {
        ContentState::Queued => 1,
        ContentState::Accepted => 2,
        ContentState::Delivered => 3,
        ContentState::Read => 4,
        ContentState::Failed(FailureReason::Expired) => 16,
        ContentState::Failed(FailureReason::Refused) => 17,
        ContentState::Failed(_) => 18,
        _ => 0,
    }
}

pub(crate) fn read_state(state: u32) -> Result<ContentState> {
    Ok(match state {
        1 => ContentState::Queued,
        2 => ContentState::Accepted,
        3 => ContentState::Delivered,
        4 => ContentState::Read,
        16 => ContentState::Failed(FailureReason::Expired),
        17 => ContentState::Failed(FailureReason::Refused),
        18 => ContentState::Failed(FailureReason::Closed),
        _ => return Err(damaged()),
    })
}
