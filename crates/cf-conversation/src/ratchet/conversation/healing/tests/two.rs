//! Two conversations, and what a driver does for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Capabilities, Content, ContentId, Conversation, ConversationEvent, ConversationId,
    DeliveryAddress, DeliveryPoint, Env, Frame, Incoming, Input, Locator, Output, Peer, PeerId,
    PointInfo, ProtocolId, RoutingTag, Secret, Setup, Timestamp,
};
use cf_testkit::{NamedIdentity, RecordMap, SeededRandom};
use prost::Message;

use crate::label::PRIVATE_2;
use crate::ratchet::exchange::{Exchange, Stage};
use crate::ratchet::head;
use crate::ratchet::healing::{Healing, HealingSettings};
use crate::ratchet::plaintext;
use crate::ratchet::ratchet_key::RatchetKey;
use crate::ratchet::session::{Origin, Session};
use crate::ratchet::setup::Settled;
use crate::wire::ratchet as wire;

use super::super::super::RatchetConversation;

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
pub(super) const OFTEN: HealingSettings = HealingSettings {
    interval: Duration::from_secs(3600),
    frames: 6,
};
pub(super) const MAX_BODY: usize = 16 * 1024;

/// The initiator is 0, the responder 1.
pub(super) struct Two {
    pub(super) sides: [Side; 2],
    pub(super) settings: HealingSettings,
    pub(super) now: Timestamp,
    pub(super) sent: u32,
}

pub(super) struct Side {
    pub(super) talk: RatchetConversation,
    pub(super) records: RecordMap,
    pub(super) random: SeededRandom,
    pub(super) told: Vec<Bytes>,
    pub(super) outbox: Vec<Frame>,
}

pub(super) fn point() -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:test").unwrap(),
        address: DeliveryAddress::new(b"a point".to_vec()).unwrap(),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

impl Two {
    pub(super) fn new(settings: HealingSettings, max_body_len: usize, seed: u64) -> Self {
        let origin = Origin::new(&Secret::new(vec![3; 32]), &PRIVATE_2);
        let offer = RatchetKey::from_secret([4; 32]);
        let own = RatchetKey::from_secret([5; 32]);
        let other = RatchetKey::from_secret([6; 32]);
        let public = *own.public();
        let sessions = [
            Session::initiate(&origin, offer.public(), own).unwrap(),
            Session::respond(&origin, &offer, &public, other).unwrap(),
        ];
        let info = PointInfo {
            point: point(),
            max_body_len,
            capabilities: Capabilities::none(max_body_len),
        };
        let mut at = 0;
        let sides = sessions.map(|session| {
            let initiator = at == 0;
            let setup = Setup {
                conversation: ConversationId([7; 16]),
                identity: Arc::new(NamedIdentity::new(["Saro", "Raya"][at])),
                peer: Some(Peer {
                    id: PeerId(1),
                    participant: None,
                    offer: None,
                    points: vec![info.clone()],
                }),
                exported: None,
                offer_secret: None,
                parameters: Bytes::new(),
                points: vec![info.clone()],
                arrived_at: None,
            };
            let settled = Settled::new(&setup, &origin, initiator).unwrap();
            let healing = Healing::new(settings, initiator, NOW);
            at += 1;
            let mut side = Side {
                talk: RatchetConversation::new(settled, session, Some(healing)),
                records: RecordMap::default(),
                random: SeededRandom::new(seed + at as u64),
                told: Vec::new(),
                outbox: Vec::new(),
            };
            side.drain();
            side
        });
        Self {
            sides,
            settings,
            now: NOW,
            sent: 0,
        }
    }

    pub(super) fn often() -> Self {
        Self::new(OFTEN, MAX_BODY, 1)
    }

    /// Has a side send; gives the frame and its content.
    pub(super) fn send(&mut self, from: usize) -> (Frame, Bytes) {
        self.sent += 1;
        let content = Bytes::from(format!("content {}", self.sent));
        let input = Input::Send {
            id: ContentId::new(content.clone()).ok(),
            content: Content::Bytes(content.clone()),
        };
        self.sides[from].handle(input, self.now).unwrap();
        (self.sides[from].outbox.pop().unwrap(), content)
    }

    pub(super) fn receive(&mut self, to: usize, frame: &Frame) -> cf_core::Result<()> {
        self.sides[to].handle(incoming(frame), self.now)
    }

    pub(super) fn pass(&mut self, from: usize) -> Frame {
        let (frame, content) = self.send(from);
        self.receive(1 - from, &frame).unwrap();
        assert_eq!(*self.sides[1 - from].told.last().unwrap(), content);
        frame
    }

    /// Lets them take turns until a side is at a stage.
    pub(super) fn until(&mut self, side: usize, stage: &str) {
        for turn in 0..40 {
            if self.stage(side) == stage {
                return;
            }
            self.pass(turn % 2);
        }
        panic!("never {stage}");
    }

    pub(super) fn exchange(&self, side: usize) -> &Exchange {
        &self.sides[side].talk.healing.as_ref().unwrap().exchange
    }

    pub(super) fn epochs(&self) -> [u64; 2] {
        [self.exchange(0).epoch, self.exchange(1).epoch]
    }

    pub(super) fn stage(&self, side: usize) -> &'static str {
        match self.exchange(side).stage {
            Stage::Quiet => "quiet",
            Stage::Asking { .. } => "asking",
            Stage::Agreed { .. } => "agreed",
            Stage::Answering { .. } => "answering",
        }
    }

    pub(super) fn restart(&mut self, side: usize) {
        let (settings, now) = (self.settings, self.now);
        let side = &mut self.sides[side];
        let mut env = Env {
            now,
            random: &mut side.random,
            records: &side.records,
        };
        side.talk = RatchetConversation::restore(&PRIVATE_2, Some(settings), &mut env).unwrap();
        side.drain();
    }
}

impl Side {
    pub(super) fn handle(&mut self, input: Input, now: Timestamp) -> cf_core::Result<()> {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = self.talk.handle(input, &mut env);
        self.drain();
        result
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.talk.poll_output() {
            match output {
                Output::Record(change) => self.records.apply(change),
                Output::Publish(publish) => self.outbox.push(publish.frame),
                Output::Event(ConversationEvent::Content {
                    content: Content::Bytes(content),
                    ..
                }) => self.told.push(content),
                _ => {}
            }
        }
    }

    /// All that a frame could change.
    pub(super) fn state(&self) -> (Bytes, Bytes, RecordMap, usize) {
        let head = head::encode(&self.talk.session, self.talk.next_publish);
        let healing = self.talk.healing.as_ref().unwrap().encode();
        (head, healing, self.records.clone(), self.told.len())
    }

    /// A frame in which this side says what it likes.
    pub(super) fn says(&mut self, healing: wire::Healing) -> Frame {
        let mut text = plaintext::encode(None, NOW, Vec::new(), Bytes::from_static(b"evil"));
        text.healing = Some(healing);
        let standing = RoutingTag([0; 16]);
        let context = self.talk.context.clone();
        let len = text.encoded_len();
        let mut session = self.talk.session.clone();
        session.seal([9; 16], standing, &context, len, |body| {
            text.encode_raw(body);
        })
    }
}

pub(super) fn incoming(frame: &Frame) -> Input {
    Input::Frame(Incoming {
        point: point(),
        cursor: None,
        tag: frame.tag,
        body: frame.body.clone(),
    })
}
