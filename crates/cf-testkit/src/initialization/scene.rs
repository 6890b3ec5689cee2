//! Saro, who sends invites, and Raya's inbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSpec, ConversationId, DeliveryAddress, DeliveryPoint, EmptyRecords, Env, Frame,
    Identity, Inbox, InboxOutput, InitializationProtocol, Invitation, Invite, InviteId, Locator,
    Offer, OfferId, Opened, ProtocolId, Random, Result, SealedInvite, Secret, Timestamp,
};

use super::{InitializationUnderTest, NOW};
use crate::{Law, RecordMap, SeededRandom, Verdict};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a law needs.
pub(super) struct Scene<'a> {
    pub(super) law: &'static Law,
    pub(super) at: &'a InitializationUnderTest,
    pub(super) saro: Arc<dyn Identity>,
    pub(super) raya: Side,
    pub(super) random: SeededRandom,
    pub(super) now: Timestamp,
}

/// An invite on its way, and what its sender knows of it.
pub(super) struct Sent {
    pub(super) invite: Invite,
    pub(super) sealed: SealedInvite,
    pub(super) exported: Secret,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        law: &'static Law,
        at: &'a InitializationUnderTest,
        seed: u64,
    ) -> Verdict<Self> {
        Ok(Self {
            law,
            at,
            saro: (at.identity)(1),
            raya: Side::new(law, &at.protocol, (at.identity)(2), seed)?,
            random: SeededRandom::new(seed ^ 0x5a50),
            now: NOW,
        })
    }

    /// Someone else, with an inbox and a bundle of their own at Raya's point.
    pub(super) fn stranger(&mut self) -> Verdict<Side> {
        let mut oscar = Side::new(self.law, &self.at.stranger, (self.at.identity)(3), 77)?;
        oscar.bundle(self.law, spec(&mut self.random))?;
        Ok(oscar)
    }

    pub(super) fn bundle(&mut self, one_time: bool) -> Verdict<Bytes> {
        let spec = BundleSpec {
            one_time,
            ..spec(&mut self.random)
        };
        self.raya.bundle(self.law, spec)
    }

    pub(super) fn invite(&mut self, bundle: &Bytes) -> Verdict<Sent> {
        let invite = invite(&mut self.random, self.now);
        self.send(bundle, invite)
    }

    pub(super) fn send(&mut self, bundle: &Bytes, invite: Invite) -> Verdict<Sent> {
        let law = self.law;
        let protocol = &self.at.protocol;
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        let handshake = protocol.initiate(&self.saro, bundle, invite.conversation, &mut env);
        let handshake = law.needs("starting a first contact", handshake)?;
        let exported = handshake.exported().clone();
        let sealed = law.needs("sealing an invite", handshake.seal(&invite, &mut env))?;
        Ok(Sent {
            invite,
            sealed,
            exported,
        })
    }

    /// Whether a bundle is taken by a sender.
    pub(super) fn initiate(&mut self, bundle: &Bytes) -> Result<()> {
        let conversation = ConversationId::random(&mut self.random);
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        let protocol = &self.at.protocol;
        protocol
            .initiate(&self.saro, bundle, conversation, &mut env)
            .map(drop)
    }

    /// Raya gets an invite that she has to take.
    pub(super) fn open(&mut self, frame: &Frame) -> Verdict<Invitation> {
        match self.raya.receive(frame) {
            Some(Ok(Opened::New(invitation))) => Ok(*invitation),
            None => Err(self.law.broken("a good invite was not recognized")),
            other => Err(self.law.broken(format!("a good invite gave {other:?}"))),
        }
    }
}

/// A recipient and its records.
pub(super) struct Side {
    protocol: Arc<dyn InitializationProtocol>,
    pub(super) identity: Arc<dyn Identity>,
    pub(super) inbox: Box<dyn Inbox>,
    pub(super) records: RecordMap,
    pub(super) listening: BTreeSet<DeliveryPoint>,
    pub(super) now: Timestamp,
    /// How many outputs the last call had.
    pub(super) outputs: usize,
    random: SeededRandom,
}

impl Side {
    pub(super) fn new(
        law: &Law,
        protocol: &Arc<dyn InitializationProtocol>,
        identity: Arc<dyn Identity>,
        seed: u64,
    ) -> Verdict<Self> {
        let mut random = SeededRandom::new(seed);
        let mut env = Env {
            now: NOW,
            random: &mut random,
            records: &EmptyRecords,
        };
        let inbox = protocol.inbox(identity.clone(), &mut env);
        let mut side = Self {
            protocol: protocol.clone(),
            identity,
            inbox: law.needs("opening an inbox", inbox)?,
            records: RecordMap::default(),
            listening: BTreeSet::new(),
            now: NOW,
            outputs: 0,
            random,
        };
        side.call(|_, _| ());
        Ok(side)
    }

    /// Makes a call and takes its outputs.
    pub(super) fn call<T>(&mut self, call: impl FnOnce(&mut dyn Inbox, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = call(&mut *self.inbox, &mut env);
        self.outputs = 0;
        while let Some(output) = self.inbox.poll_output() {
            self.outputs += 1;
            match output {
                InboxOutput::Listen(point) => drop(self.listening.insert(point)),
                InboxOutput::Unlisten(point) => drop(self.listening.remove(&point)),
                InboxOutput::Record(change) => self.records.apply(change),
                _ => {}
            }
        }
        result
    }

    pub(super) fn bundle(&mut self, law: &Law, spec: BundleSpec) -> Verdict<Bytes> {
        let made = self.call(|inbox, env| inbox.make_bundle(spec, env));
        law.needs("making a bundle", made)
    }

    /// Recognizes a frame and opens it; `None` if it is not recognized.
    pub(super) fn receive(&mut self, frame: &Frame) -> Option<Result<Opened>> {
        self.outputs = 0;
        let recognized = self
            .inbox
            .recognize(&point("link"), frame.tag, &frame.body)?;
        Some(self.call(|inbox, env| inbox.open(recognized, env)))
    }

    /// The instance as a restart finds it.
    pub(super) fn restart(&mut self, law: &Law) -> Verdict {
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &self.records,
        };
        let inbox = self.protocol.inbox(self.identity.clone(), &mut env);
        self.inbox = law.needs("restoring an inbox", inbox)?;
        self.listening.clear();
        self.call(|_, _| ());
        Ok(())
    }

    /// Checks that a frame is not taken, and that nothing is stored for it.
    pub(super) fn refuses(&mut self, law: &Law, frame: &Frame, what: &str) -> Verdict {
        use cf_core::ErrorKind::{Malformed, Rejected};
        let before = self.records.clone();
        match self.receive(frame) {
            None => {}
            Some(Err(error)) if matches!(error.kind(), Malformed | Rejected) => {}
            Some(other) => return Err(law.broken(format!("{what} gave {other:?}"))),
        }
        if self.outputs > 0 || self.records != before {
            let outputs = self.outputs;
            return Err(law.broken(format!("{what} was refused and put {outputs} outputs out")));
        }
        Ok(())
    }
}

/// The point of a name.
pub(super) fn point(name: &'static str) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:testkit").expect("a locator"),
        address: DeliveryAddress::new(name).expect("an address"),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

pub(super) fn spec(random: &mut SeededRandom) -> BundleSpec {
    BundleSpec {
        id: BundleId::random(random),
        points: vec![point("link")],
        offers: vec![offer(random)],
        conversation_protocols: vec![
            ProtocolId::from_static("/example/conversation/chess/8"),
            ProtocolId::from_static("/example/conversation/chess/7"),
        ],
        initializations: vec![
            ProtocolId::from_static("/example/init/door/9"),
            ProtocolId::from_static("/example/init/door/8"),
        ],
        display_name: "Raya ☕".into(),
        expires_at: NOW.after(7 * DAY),
        one_time: false,
        generation: 1,
    }
}

fn offer(random: &mut SeededRandom) -> Offer {
    let mut public = vec![0; 40];
    random.fill(&mut public);
    Offer {
        protocol: ProtocolId::from_static("/example/conversation/chess/7"),
        id: OfferId::random(random),
        public: public.into(),
        expires_at: NOW.after(7 * DAY),
        one_time: false,
    }
}

/// An invite for a conversation protocol that nobody here has.
pub(super) fn invite(random: &mut SeededRandom, sent_at: Timestamp) -> Invite {
    let mut parameters = vec![0; 50];
    random.fill(&mut parameters);
    Invite {
        id: InviteId::random(random),
        conversation: ConversationId::random(random),
        conversation_protocol: ProtocolId::from_static("/unheard/of/conversation/9"),
        specification: "https://example.org/unheard/of/9".into(),
        parameters: parameters.into(),
        offer: Some(OfferId::random(random)),
        chosen_from: vec![ProtocolId::from_static("/unheard/of/conversation/9")],
        points: vec![point("saro"), point("saro elsewhere")],
        offers: vec![offer(random)],
        sent_at,
        display_name: "Saro".into(),
    }
}
