//! The first contact, made up by the kit.

use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Capabilities, Conversation, ConversationId, DeliveryAddress, DeliveryPoint, EmptyRecords, Env,
    ErrorKind, Identity, Input, Locator, MadeOffer, OfferRequest, Peer, PeerId, PointInfo,
    ProtocolId, Random, Resume, Secret, Setup,
};
use std::sync::Arc;

use super::pair::{Pair, Weather};
use super::side::Side;
use super::{ConversationUnderTest, NOW};
use crate::{Law, RecordMap, SeededRandom, Verdict};

pub(super) const CONVERSATION: ConversationId = ConversationId(*b"a conversation's");
pub(super) const MAX_BODY_LEN: usize = 16 * 1024;

/// Saro creates a conversation and Raya joins it: by the first contact, by the
/// parameters that `create` gave, or by an invite of the conversation's own.
pub(super) fn pair<'a>(
    law: &'static Law,
    at: &'a ConversationUnderTest,
    weather: Weather,
    seed: u64,
) -> Verdict<Pair<'a>> {
    let mut random = SeededRandom::new(seed);
    let parts = Parts::new(law, at, &mut random)?;
    let (created, parameters, starts_alone) = parts.create(law, at, &mut random)?;
    let saro = Side::new(
        &at.protocol,
        parts.saro.clone(),
        created,
        SeededRandom::new(seed ^ 1),
    );
    // Until Raya has joined, an instance of nobody stands in her place.
    let nobody = Side::new(
        &at.protocol,
        parts.raya.clone(),
        Box::new(Nobody),
        random.clone(),
    );
    let mut pair = Pair::of(law, at, [saro, nobody], random);
    let mut invited = parameters;
    if starts_alone && invited.is_empty() {
        let candidate = Input::Candidate(parts.peer(false));
        law.needs("inviting a candidate", pair.handle(0, candidate)?)?;
        pair.publish(0)?;
        pair.run_for(Duration::from_secs(600))?;
        let invite = pair.sides[0].invites.pop_front();
        invited = match invite {
            Some(invite) => invite.parameters,
            None => return Err(law.broken("a candidate was not invited within ten minutes")),
        };
    }
    let joined = parts.join(at, invited, &mut pair.random);
    let joined = law.needs("joining", joined)?;
    pair.sides[1] = Side::new(
        &at.protocol,
        parts.raya,
        joined,
        SeededRandom::new(seed ^ 2),
    );
    for side in 0..2 {
        pair.collect(side);
        pair.publish(side)?;
    }
    pair.run_for(Duration::from_secs(60))?;
    pair.change(weather);
    Ok(pair)
}

/// What a first contact gives.
pub(super) struct Parts {
    pub(super) saro: Arc<dyn Identity>,
    pub(super) raya: Arc<dyn Identity>,
    offer: Option<MadeOffer>,
    exported: Secret,
    capabilities: Capabilities,
}

impl Parts {
    pub(super) fn new(
        law: &Law,
        at: &ConversationUnderTest,
        random: &mut SeededRandom,
    ) -> Verdict<Self> {
        let (saro, raya) = ((at.identity)(1), (at.identity)(2));
        let mut exported = vec![0; 32];
        random.fill(&mut exported);
        let mut env = Env {
            now: NOW,
            random,
            records: &EmptyRecords,
        };
        let request = OfferRequest {
            identity: raya.clone(),
            expires_at: NOW.after(Duration::from_secs(24 * 60 * 60)),
            one_time: true,
        };
        let made = at.protocol.make_offer(request, &mut env);
        let needs_more = at.protocol.properties().needs_conditional_publish;
        let capabilities = match needs_more {
            true => Capabilities {
                retention: Some(Duration::from_secs(30 * 24 * 60 * 60)),
                resume: Resume::AnyCursor,
                order: true,
                conditional_publish: true,
                ..Capabilities::none(MAX_BODY_LEN + 64)
            },
            false => Capabilities::none(MAX_BODY_LEN + 64),
        };
        Ok(Self {
            saro,
            raya,
            offer: law.needs("making an offer", made)?,
            exported: Secret::new(exported),
            capabilities,
        })
    }

    /// Creates with the peer of the first contact, or, where that is misuse,
    /// alone; whether it was alone.
    fn create(
        &self,
        law: &Law,
        at: &ConversationUnderTest,
        random: &mut SeededRandom,
    ) -> Verdict<(Box<dyn Conversation>, Bytes, bool)> {
        let mut env = Env {
            now: NOW,
            random,
            records: &EmptyRecords,
        };
        let with_peer = self.created_setup(Some(self.peer(false)));
        let (created, alone) = match at.protocol.create(with_peer, &mut env) {
            Err(error) if error.kind() == ErrorKind::Misuse => {
                let alone = self.created_setup(None);
                (
                    law.needs("creating alone", at.protocol.create(alone, &mut env))?,
                    true,
                )
            }
            other => (law.needs("creating", other)?, false),
        };
        Ok((created.conversation, created.parameters, alone))
    }

    /// What Saro creates the conversation from.
    pub(super) fn created_setup(&self, peer: Option<Peer>) -> Setup {
        Setup {
            conversation: CONVERSATION,
            identity: self.saro.clone(),
            exported: peer.is_some().then(|| self.exported.clone()),
            peer,
            offer_secret: None,
            parameters: Bytes::new(),
            points: vec![self.info("Saro's point")],
            arrived_at: None,
        }
    }

    /// Joins with the parameters of an invite.
    pub(super) fn join(
        &self,
        at: &ConversationUnderTest,
        parameters: Bytes,
        random: &mut SeededRandom,
    ) -> cf_core::Result<Box<dyn Conversation>> {
        let records = RecordMap::default();
        let mut env = Env {
            now: NOW,
            random,
            records: &records,
        };
        let setup = Setup {
            conversation: CONVERSATION,
            identity: self.raya.clone(),
            peer: Some(self.peer(true)),
            exported: Some(self.exported.clone()),
            offer_secret: self.offer.as_ref().map(|made| made.secret.clone()),
            parameters,
            points: vec![self.info("Raya's point")],
            arrived_at: Some(self.info("Raya's link")),
        };
        at.protocol.join(setup, &mut env)
    }

    /// Raya as Saro knows her, or Saro as Raya does.
    pub(super) fn peer(&self, is_saro: bool) -> Peer {
        let offer = self.offer.as_ref().map(|made| made.offer.clone());
        match is_saro {
            true => Peer {
                id: PeerId(2),
                participant: Some(self.saro.id().clone()),
                offer: None,
                points: vec![self.info("Saro's point")],
            },
            false => Peer {
                id: PeerId(1),
                participant: Some(self.raya.id().clone()),
                offer,
                points: vec![self.info("Raya's link")],
            },
        }
    }

    fn info(&self, name: &'static str) -> PointInfo {
        PointInfo {
            point: DeliveryPoint {
                locator: Locator::parse("memory:testkit").expect("a locator"),
                address: DeliveryAddress::new(name).expect("an address"),
                framing: ProtocolId::from_static("/cf/framing/tagged/1"),
            },
            max_body_len: MAX_BODY_LEN,
            capabilities: self.capabilities.clone(),
        }
    }
}

/// The parameters of an invite, and who may join with them.
pub(super) fn parameters(law: &'static Law, at: &ConversationUnderTest) -> Verdict<(Parts, Bytes)> {
    let mut random = SeededRandom::new(5);
    let parts = Parts::new(law, at, &mut random)?;
    let (_, parameters, _) = parts.create(law, at, &mut random)?;
    Ok((parts, parameters))
}

/// An instance that takes everything and puts nothing out.
struct Nobody;

impl Conversation for Nobody {
    fn handle(&mut self, _: Input, _: &mut Env<'_>) -> cf_core::Result<()> {
        Ok(())
    }

    fn poll_output(&mut self) -> Option<cf_core::Output> {
        None
    }

    fn export(&self, _: &str) -> cf_core::Result<Secret> {
        Err(cf_core::Error::unsupported("nobody has no secret"))
    }
}
