use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Capabilities, Content, ContentId, Conversation, ConversationId, ConversationProtocol,
    DeliveryAddress, DeliveryPoint, EmptyRecords, Env, Identity, Incoming, Input, Locator,
    MadeOffer, OfferRequest, Outcome, Output, Peer, PeerId, PointInfo, ProtocolId, Publish, Secret,
    Setup, Timestamp,
};
use cf_testkit::NamedIdentity;

use crate::{Cheap, Rival};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MAX_BODY: usize = 64 * 1024;

/// Two instances of a protocol of this crate.
pub(crate) struct Ours {
    sides: [Box<dyn Conversation>; 2],
    random: Cheap,
    count: u64,
    /// What was put out beside the payload that was asked for, and by whom.
    beside: Vec<(usize, Publish)>,
}

/// What an initialization gives to both.
pub(crate) struct Beginning {
    offer: MadeOffer,
    random: Cheap,
}

impl Ours {
    pub(crate) fn begin(protocol: &Arc<dyn ConversationProtocol>) -> Beginning {
        let mut random = Cheap::default();
        let request = OfferRequest {
            identity: identity("Raya"),
            expires_at: NOW.after(Duration::from_secs(1000)),
            one_time: true,
        };
        let offer = protocol.make_offer(request, &mut env(&mut random));
        let offer = offer.expect("it is possible").expect("it has offers");
        Beginning { offer, random }
    }

    pub(crate) fn create_and_join(
        protocol: &Arc<dyn ConversationProtocol>,
        beginning: Beginning,
    ) -> Self {
        let Beginning { offer, mut random } = beginning;
        let setup = |own, other, id, points: &str| Setup {
            conversation: ConversationId([7; 16]),
            identity: identity(own),
            peer: Some(Peer {
                id: PeerId(id),
                participant: Some(identity(other).id().clone()),
                offer: None,
                points: vec![info(other)],
            }),
            exported: Some(Secret::new(vec![5; 32])),
            offer_secret: None,
            parameters: Bytes::new(),
            points: vec![info(points)],
            arrived_at: None,
        };
        let mut creating = setup("Saro", "Raya", 1, "Saro");
        if let Some(peer) = &mut creating.peer {
            peer.offer = Some(offer.offer);
        }
        let created = protocol.create(creating, &mut env(&mut random));
        let created = created.expect("all is there");
        let mut joining = setup("Raya", "Saro", 2, "Raya");
        (joining.offer_secret, joining.parameters) = (Some(offer.secret), created.parameters);
        let joined = protocol.join(joining, &mut env(&mut random));
        let mut ours = Self {
            sides: [created.conversation, joined.expect("all is there")],
            random,
            count: 0,
            beside: Vec::new(),
        };
        ours.drain(0);
        ours.drain(1);
        ours
    }

    /// Two that have heard of each other.
    pub(crate) fn settled(protocol: &Arc<dyn ConversationProtocol>) -> Self {
        let mut ours = Self::create_and_join(protocol, Self::begin(protocol));
        for from in [0, 1, 0, 1] {
            let frame = ours.send(from, b"hello");
            ours.receive(1 - from, &frame);
            ours.settle();
        }
        ours
    }

    fn handle(&mut self, side: usize, input: Input) {
        let mut env = env(&mut self.random);
        let handled = self.sides[side].handle(input, &mut env);
        handled.expect("nothing is wrong with it");
    }

    /// Takes all outputs, as a driver does; stores nothing.
    fn drain(&mut self, side: usize) {
        while let Some(output) = self.sides[side].poll_output() {
            if let Output::Publish(publish) = output {
                self.beside.push((side, publish));
            }
        }
    }
}

impl Rival for Ours {
    type Wire = Publish;

    fn send(&mut self, from: usize, text: &[u8]) -> Publish {
        self.count += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.count.to_be_bytes());
        let input = Input::Send {
            id: ContentId::new(id.to_vec()).ok(),
            content: Content::Bytes(Bytes::copy_from_slice(text)),
        };
        self.handle(from, input);
        let before = self.beside.len();
        self.drain(from);
        self.beside.swap_remove(before).1
    }

    fn receive(&mut self, to: usize, publish: &Publish) {
        let incoming = Incoming {
            point: publish.points[0].clone(),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body.clone(),
        };
        self.handle(to, Input::Frame(incoming));
        self.drain(to);
    }

    /// Gives the outcomes and delivers the acknowledgements.
    fn settle(&mut self) {
        self.handle(0, Input::Time);
        self.handle(1, Input::Time);
        self.drain(0);
        self.drain(1);
        while let Some((from, publish)) = self.beside.pop() {
            let outcome = Input::Outcome {
                publish: publish.id,
                point: publish.points[0].clone(),
                outcome: Outcome::Accepted { cursor: None },
            };
            self.handle(from, outcome);
            self.receive(1 - from, &publish);
        }
    }

    fn body_len(wire: &Publish) -> usize {
        wire.frame.body.len()
    }
}

fn env(random: &mut Cheap) -> Env<'_> {
    Env {
        now: NOW,
        random,
        records: &EmptyRecords,
    }
}

fn identity(name: &'static str) -> Arc<dyn Identity> {
    Arc::new(NamedIdentity::new(name))
}

fn info(name: &str) -> PointInfo {
    PointInfo {
        point: DeliveryPoint {
            locator: Locator::parse("memory:bench").expect("a locator"),
            address: DeliveryAddress::new(name.as_bytes().to_vec()).expect("an address"),
            framing: ProtocolId::from_static("/cf/framing/tagged/1"),
        },
        max_body_len: MAX_BODY,
        capabilities: Capabilities::none(MAX_BODY + 64),
    }
}
