use bytes::{BufMut, Bytes};
use cf_core::{ParticipantId, PeerId, RoutingTag, Setup, Timestamp};
use prost::Message;

use crate::Error;
use crate::crypto::Key;
use crate::wire::ratchet::StoredConversation;

use super::points::{Points, RESEND_LIFETIME};
use super::session::Origin;

/// The version of the record.
const VERSION: u32 = 1;

/// The key of the record.
pub(crate) const KEY: &[u8] = b"c";

/// What was settled when the conversation began, and what rarely changes.
pub(crate) struct Settled {
    pub(crate) session_id: [u8; 32],
    pub(crate) standing_tag: RoutingTag,
    pub(crate) exporter: Key,
    pub(crate) initiator: bool,
    identities: [Bytes; 2],
    pub(crate) peer: PeerId,
    pub(crate) participant: Option<ParticipantId>,
    pub(crate) points: Points,
    /// Whether the responder has shown that it joined.
    pub(crate) answered: bool,
    pub(crate) closed: bool,
    /// Since when another instance sends.
    pub(crate) superseded_at: Option<Timestamp>,
}

impl Settled {
    pub(crate) fn new(setup: &Setup, origin: &Origin, initiator: bool) -> Result<Self, Error> {
        let peer = (setup.peer.as_ref())
            .ok_or(Error::Misuse("a conversation of two is made with a peer"))?;
        // Where the initialization has no identities, neither side has one.
        let own = match peer.participant {
            Some(_) => setup.identity.id().to_bytes(),
            None => Bytes::new(),
        };
        let other = (peer.participant.as_ref()).map_or(Bytes::new(), ParticipantId::to_bytes);
        let arrived_at = setup.arrived_at.as_ref().filter(|_| !initiator);
        let points = Points::new(&setup.points, &peer.points, arrived_at, initiator)?;
        Ok(Self {
            session_id: origin.session_id,
            standing_tag: origin.standing_tag,
            exporter: origin.exporter.clone(),
            initiator,
            identities: if initiator {
                [own, other]
            } else {
                [other, own]
            },
            peer: peer.id,
            participant: peer.participant.clone(),
            points,
            answered: !initiator,
            closed: false,
            superseded_at: None,
        })
    }

    /// When a conversation that was superseded ends.
    pub(crate) fn ends_at(&self) -> Timestamp {
        let at = self.superseded_at;
        at.map_or(Timestamp::NEVER, |at| at.after(RESEND_LIFETIME))
    }

    /// What every frame is bound to: session id ‖ lp(initiator's identity) ‖
    /// lp(responder's identity), lengths in 4 bytes.
    pub(crate) fn context(&self) -> Vec<u8> {
        context(&self.session_id, &self.identities[0], &self.identities[1])
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut stored = StoredConversation {
            version: VERSION,
            session_id: Bytes::copy_from_slice(&self.session_id),
            standing_tag: Bytes::copy_from_slice(self.standing_tag.as_bytes()),
            exporter: Bytes::copy_from_slice(self.exporter.expose()),
            initiator: self.initiator,
            initiator_identity: self.identities[0].clone(),
            responder_identity: self.identities[1].clone(),
            peer: self.peer.0,
            participant: self.participant.as_ref().map(ParticipantId::to_bytes),
            answered: self.answered,
            closed: self.closed,
            superseded_at: self.superseded_at.map(|at| at.0),
            ..StoredConversation::default()
        };
        self.points.store(&mut stored);
        stored.encode_to_vec().into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let damaged = || Error::Records("its setup");
        let stored = StoredConversation::decode(bytes).map_err(|_| damaged())?;
        if stored.version > VERSION {
            return Err(Error::Unsupported("a conversation of a newer version"));
        }
        let exporter: [u8; 32] = stored.exporter[..].try_into().map_err(|_| damaged())?;
        let participant = stored.participant.clone().map(ParticipantId::new);
        Ok(Self {
            session_id: stored.session_id[..].try_into().map_err(|_| damaged())?,
            standing_tag: RoutingTag::from_slice(&stored.standing_tag).map_err(|_| damaged())?,
            exporter: Key::new(exporter),
            initiator: stored.initiator,
            points: Points::restore(&stored)?,
            identities: [stored.initiator_identity, stored.responder_identity],
            peer: PeerId(stored.peer),
            participant: participant.transpose().map_err(|_| damaged())?,
            answered: stored.answered,
            closed: stored.closed,
            superseded_at: stored.superseded_at.map(Timestamp),
        })
    }
}

pub(crate) fn context(session_id: &[u8; 32], initiator: &[u8], responder: &[u8]) -> Vec<u8> {
    let mut context = session_id.to_vec();
    for identity in [initiator, responder] {
        context.put_u32(identity.len() as u32);
        context.put_slice(identity);
    }
    context
}
