//! Two participants, a link with faults between them, and a virtual clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{HealingSettings, PRIVATE_2, Ratchet, Reliable, private};
use cf_core::{
    AgreementKey, BundleSet, Capabilities, Content, ContentId, Conversation, ConversationEvent,
    ConversationId, ConversationProtocol, DeliveryAddress, DeliveryPoint, Env, Identity, Incoming,
    Input, Locator, OfferRequest, Outcome, Output, ParticipantId, Peer, PeerId, PointInfo,
    ProtocolId, Publish, PublishId, Result, RoutingTag, Secret, Setup, Signal, Tag, Timestamp,
};
use cf_testkit::{RecordMap, SeededRandom};

pub(crate) const CONVERSATION: ConversationId = ConversationId([7; 16]);
/// When private/2 begins an exchange here: every few messages.
pub(crate) const OFTEN: HealingSettings = HealingSettings {
    interval: Duration::from_secs(3600),
    frames: 6,
};

/// What is reliable, the second with many exchanges.
pub(crate) fn reliable() -> [Arc<dyn ConversationProtocol>; 2] {
    let healing = Arc::new(Ratchet::with_healing(OFTEN));
    [private(), Arc::new(Reliable::new(PRIVATE_2, healing))]
}

/// What is encrypted: what is reliable, and the ratchets within.
pub(crate) fn encrypted() -> [Arc<dyn ConversationProtocol>; 4] {
    let [private, private_2] = reliable();
    let ratchet_2 = Ratchet::with_healing(OFTEN);
    [
        private,
        Arc::new(Ratchet::new()),
        private_2,
        Arc::new(ratchet_2),
    ]
}

pub(crate) const MAX_BODY: usize = 16 * 1024;

/// An identity that is only a name.
pub(crate) struct Named(ProtocolId, ParticipantId);

impl Named {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        let scheme = ProtocolId::from_static("/example/identity/1");
        Arc::new(Self(scheme, ParticipantId::new(name).unwrap()))
    }
}

impl Identity for Named {
    fn scheme(&self) -> &ProtocolId {
        &self.0
    }
    fn id(&self) -> &ParticipantId {
        &self.1
    }
    fn sign(&self, _: &str, _: &[u8]) -> Result<Bytes> {
        unreachable!("a conversation signs nothing")
    }
    fn verify(&self, _: &ParticipantId, _: &str, _: &[u8], _: &[u8]) -> Result<()> {
        unreachable!("a conversation verifies nothing")
    }
    fn agreement_key(&self, _: Timestamp) -> Result<AgreementKey> {
        unreachable!("a conversation has keys of its own")
    }
    fn agree(&self, _: &[u8; 32], _: &[u8; 32]) -> Result<Secret> {
        unreachable!("a conversation has keys of its own")
    }
    fn verify_agreement_key(
        &self,
        _: &ParticipantId,
        _: &AgreementKey,
        _: Timestamp,
    ) -> Result<()> {
        unreachable!("a conversation has keys of its own")
    }
}

pub(crate) fn point(name: &str) -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:test").unwrap(),
        address: DeliveryAddress::new(name.as_bytes().to_vec()).unwrap(),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

pub(crate) fn info(name: &str) -> PointInfo {
    PointInfo {
        point: point(name),
        max_body_len: MAX_BODY,
        capabilities: Capabilities::none(MAX_BODY + 64),
    }
}

/// One side: an instance and what a driver keeps for it.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) protocol: Arc<dyn ConversationProtocol>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) conversation: Box<dyn Conversation>,
    pub(crate) records: RecordMap,
    pub(crate) expected: HashSet<RoutingTag>,
    pub(crate) standing: HashSet<RoutingTag>,
    pub(crate) listening: HashSet<DeliveryPoint>,
    pub(crate) wake: Timestamp,
    pub(crate) events: Vec<ConversationEvent>,
    pub(crate) answered: Vec<PeerId>,
    pub(crate) unsent: Vec<(ContentId, Content)>,
    pub(crate) contacts: Vec<BundleSet>,
    pub(crate) signals: Vec<Signal>,
    /// How often a new session was asked for.
    pub(crate) renewals: usize,
    pub(crate) outbox: Vec<Publish>,
    pub(crate) random: SeededRandom,
    /// The large contents that it sends.
    pub(crate) large: HashMap<ContentId, Bytes>,
    /// The parts that it received.
    pub(crate) chunks: BTreeMap<(ContentId, u64), Bytes>,
    wanted: Vec<(ContentId, u64, u32)>,
}

impl Side {
    fn new(
        name: &'static str,
        protocol: &Arc<dyn ConversationProtocol>,
        identity: Arc<dyn Identity>,
        conversation: Box<dyn Conversation>,
        random: SeededRandom,
    ) -> Self {
        let mut side = Self {
            name,
            protocol: Arc::clone(protocol),
            identity,
            conversation,
            records: RecordMap::default(),
            expected: HashSet::new(),
            standing: HashSet::new(),
            listening: HashSet::new(),
            wake: Timestamp::NEVER,
            events: Vec::new(),
            answered: Vec::new(),
            unsent: Vec::new(),
            contacts: Vec::new(),
            signals: Vec::new(),
            renewals: 0,
            outbox: Vec::new(),
            random,
            large: HashMap::new(),
            chunks: BTreeMap::new(),
            wanted: Vec::new(),
        };
        side.drain();
        side
    }

    /// Gives the parts that are wanted, as a driver does before its commit.
    fn give_chunks(&mut self, now: Timestamp) {
        while let Some((content, offset, len)) = self.wanted.pop() {
            let whole = self.large.get(&content).cloned().unwrap_or_default();
            let from = whole.len().min(offset as usize);
            let bytes = whole.slice(from..whole.len().min(from + len as usize));
            let input = Input::Chunk {
                content,
                offset,
                bytes,
            };
            let mut env = Env {
                now,
                random: &mut self.random,
                records: &self.records,
            };
            self.conversation.handle(input, &mut env).unwrap();
            self.drain();
        }
    }

    pub(crate) fn send_large(&mut self, id: &str, bytes: impl Into<Bytes>, now: Timestamp) {
        let (id, bytes) = (
            ContentId::new(id.as_bytes().to_vec()).unwrap(),
            bytes.into(),
        );
        let len = bytes.len() as u64;
        self.large.insert(id.clone(), bytes);
        let (id, content) = (Some(id), Content::Large { len });
        self.handle(Input::Send { id, content }, now).unwrap();
    }

    /// The parts of a content, joined.
    pub(crate) fn joined(&self, id: &ContentId) -> Vec<u8> {
        let mut joined = Vec::new();
        for ((_, offset), part) in self.chunks.iter().filter(|((of, _), _)| of == id) {
            assert_eq!(
                *offset,
                joined.len() as u64,
                "a part is missing or overlaps"
            );
            joined.extend_from_slice(part);
        }
        joined
    }

    /// Takes an input and dies before its commit.
    pub(crate) fn die_within(&mut self, input: Input, now: Timestamp) {
        let before = (self.records.clone(), self.chunks.clone(), self.events.len());
        let (outbox, unsent) = (self.outbox.clone(), self.unsent.clone());
        let (signals, answered) = (self.signals.len(), self.answered.len());
        self.handle(input, now).ok();
        (self.records, self.chunks) = (before.0, before.1);
        (self.outbox, self.unsent) = (outbox, unsent);
        self.events.truncate(before.2);
        self.signals.truncate(signals);
        self.answered.truncate(answered);
        self.restart(now);
    }

    /// Gives an input and drains the outputs; how many there were.
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) -> Result<usize> {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = self.conversation.handle(input, &mut env);
        let outputs = self.drain();
        self.give_chunks(now);
        result.map(|()| outputs)
    }

    pub(crate) fn send(&mut self, id: &str, text: impl Into<Bytes>, now: Timestamp) -> Result<()> {
        let id = Some(ContentId::new(id.as_bytes().to_vec()).unwrap());
        let content = Content::Bytes(text.into());
        self.handle(Input::Send { id, content }, now).map(|_| ())
    }

    pub(crate) fn restart(&mut self, now: Timestamp) {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let identity = Arc::clone(&self.identity);
        self.conversation = (self.protocol)
            .restore(CONVERSATION, identity, &mut env)
            .unwrap();
        self.expected.clear();
        self.standing.clear();
        self.listening.clear();
        self.wake = Timestamp::NEVER;
        self.wanted.clear();
        self.drain();
        self.give_chunks(now);
    }

    pub(crate) fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.conversation.poll_output() {
            count += 1;
            match output {
                Output::Publish(publish) => self.outbox.push(publish),
                Output::Withdraw(id) => self.outbox.retain(|publish| publish.id != id),
                Output::Listen(point) => drop(self.listening.insert(point)),
                Output::Unlisten(point) => assert!(self.listening.remove(&point)),
                Output::Expect(Tag::SingleUse(tag)) => drop(self.expected.insert(tag)),
                Output::Expect(Tag::Standing(tag)) => drop(self.standing.insert(tag)),
                Output::Forget(Tag::SingleUse(tag)) => assert!(self.expected.remove(&tag)),
                Output::Forget(Tag::Standing(tag)) => assert!(self.standing.remove(&tag)),
                Output::Unsent { id, content } => self.unsent.push((id, content)),
                Output::Contact { bundles, .. } => self.contacts.push(bundles),
                Output::Signal(signal) => self.signals.push(signal),
                Output::Renew => self.renewals += 1,
                Output::Event(event) => self.events.push(event),
                Output::Record(change) => self.records.apply(change),
                Output::WakeAt(at) => self.wake = at,
                Output::Answered(peer) => self.answered.push(peer),
                Output::WantChunk {
                    content,
                    offset,
                    len,
                } => self.wanted.push((content, offset, len)),
                Output::Chunk {
                    len: _,
                    content,
                    offset,
                    bytes,
                    ..
                } => drop(self.chunks.insert((content, offset), bytes)),
                Output::DropChunks { content, .. } => {
                    self.chunks.retain(|(of, _), _| *of != content);
                }
                other => panic!("{other:?}"),
            }
        }
        count
    }

    /// What arrived, in order.
    pub(crate) fn contents(&self) -> Vec<Bytes> {
        let content = |event: &ConversationEvent| match event {
            ConversationEvent::Content {
                content: Content::Bytes(bytes),
                ..
            } => Some(bytes.clone()),
            _ => None,
        };
        self.events.iter().filter_map(content).collect()
    }
}

/// How bad the link is.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) repetition: u64,
    pub(crate) restart: u64,
    /// How often a process dies within an input, before its commit.
    pub(crate) death: u64,
    pub(crate) longest_delay: u64,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        loss: 0,
        repetition: 0,
        restart: 0,
        death: 0,
        longest_delay: 1,
    };
    pub(crate) const BAD: Self = Self {
        loss: 30,
        repetition: 10,
        restart: 3,
        death: 0,
        longest_delay: 5_000,
    };
}

/// Saro (0) invited Raya (1).
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) now: Timestamp,
    pub(crate) faults: Faults,
    pub(crate) random: SeededRandom,
    /// Whose payloads are all lost, although a service accepts them.
    pub(crate) muted: [bool; 2],
    /// Points whose service is gone.
    pub(crate) gone: HashSet<DeliveryPoint>,
    /// How many payloads were lost in a row, up to the last published.
    pub(crate) lost: u64,
    wire: BTreeMap<(Timestamp, u64), (usize, Incoming)>,
    order: u64,
    /// Every payload that was published, by its tag.
    pub(crate) payloads: HashMap<RoutingTag, (PublishId, Bytes)>,
}

impl Pair {
    pub(crate) fn new(protocol: &Arc<dyn ConversationProtocol>, faults: Faults, seed: u64) -> Self {
        let now = Timestamp(1_800_000_000_000);
        let mut random = SeededRandom::new(seed);
        let saro: Arc<dyn Identity> = Named::new("Saro's identity key");
        let raya: Arc<dyn Identity> = Named::new("Raya's identity key");
        let mut env = Env {
            now,
            random: &mut random,
            records: &cf_core::EmptyRecords,
        };
        let request = OfferRequest {
            identity: Arc::clone(&raya),
            expires_at: now.after(Duration::from_secs(1000)),
            one_time: true,
        };
        let made = protocol.make_offer(request, &mut env).unwrap().unwrap();
        let exported = Secret::new(env.draw::<32>().to_vec());
        let setup = Setup {
            conversation: CONVERSATION,
            identity: Arc::clone(&saro),
            peer: Some(Peer {
                id: PeerId(1),
                participant: Some(raya.id().clone()),
                offer: Some(made.offer),
                points: vec![info("Raya's link")],
            }),
            exported: Some(exported.clone()),
            offer_secret: None,
            parameters: Bytes::new(),
            points: vec![info("Saro's point")],
            arrived_at: None,
        };
        let created = protocol.create(setup, &mut env).unwrap();
        let setup = Setup {
            conversation: CONVERSATION,
            identity: Arc::clone(&raya),
            peer: Some(Peer {
                id: PeerId(2),
                participant: Some(saro.id().clone()),
                offer: None,
                points: vec![info("Saro's point")],
            }),
            exported: Some(exported),
            offer_secret: Some(made.secret),
            parameters: created.parameters,
            points: vec![info("Raya's point")],
            arrived_at: Some(info("Raya's link")),
        };
        let joined = protocol.join(setup, &mut env).unwrap();
        let side = |name, identity, conversation, seed| {
            Side::new(
                name,
                protocol,
                identity,
                conversation,
                SeededRandom::new(seed),
            )
        };
        let mut pair = Self {
            sides: [
                side("Saro", saro, created.conversation, seed ^ 0x5a50),
                side("Raya", raya, joined, seed ^ 0x4a7a),
            ],
            now,
            faults,
            random,
            muted: [false; 2],
            gone: HashSet::new(),
            lost: 0,
            wire: BTreeMap::new(),
            order: 0,
            payloads: HashMap::new(),
        };
        pair.publish(1);
        pair
    }

    /// Joins with an invite's parameters from a stranger.
    pub(crate) fn joining(
        protocol: &Arc<dyn ConversationProtocol>,
        parameters: Bytes,
    ) -> Result<Box<dyn Conversation>> {
        let mut random = SeededRandom::new(1);
        let raya: Arc<dyn Identity> = Named::new("Raya's identity key");
        let mut env = Env {
            now: Timestamp(1_800_000_000_000),
            random: &mut random,
            records: &cf_core::EmptyRecords,
        };
        let setup = Setup {
            conversation: CONVERSATION,
            identity: raya,
            peer: Some(Peer {
                id: PeerId(2),
                participant: None,
                offer: None,
                points: vec![info("Saro's point")],
            }),
            exported: Some(Secret::new(vec![1; 32])),
            offer_secret: Some(Secret::new(vec![2; 32])),
            parameters,
            points: vec![info("Raya's point")],
            arrived_at: Some(info("Raya's link")),
        };
        protocol.join(setup, &mut env)
    }

    pub(crate) fn send(&mut self, from: usize, id: &str, text: impl Into<Bytes>) {
        self.sides[from].send(id, text, self.now).unwrap();
        self.publish(from);
    }

    /// Puts what a side published on the wire, with the link's faults.
    pub(crate) fn publish(&mut self, from: usize) {
        while !self.sides[from].outbox.is_empty() {
            let publish = self.sides[from].outbox.remove(0);
            self.check(&publish);
            for point in &publish.points {
                if self.gone.contains(point) {
                    self.lost += 1;
                    continue;
                }
                let outcome = Outcome::Accepted { cursor: None };
                let input = Input::Outcome {
                    publish: publish.id,
                    point: point.clone(),
                    outcome,
                };
                self.sides[from].handle(input, self.now).unwrap();
                if self.muted[from] || self.random.chance(self.faults.loss) {
                    self.lost += 1;
                    continue;
                }
                self.lost = 0;
                let copies = 1 + u64::from(self.random.chance(self.faults.repetition));
                for _ in 0..copies {
                    let delay = self.random.below(self.faults.longest_delay) + 1;
                    let at = self.now.after(Duration::from_millis(delay));
                    self.order += 1;
                    let incoming = Incoming {
                        point: point.clone(),
                        cursor: None,
                        tag: publish.frame.tag,
                        body: publish.frame.body.clone(),
                    };
                    self.wire.insert((at, self.order), (1 - from, incoming));
                }
            }
        }
    }

    /// A tag has one payload, for ever: no key and nonce pair for other bytes.
    fn check(&mut self, publish: &Publish) {
        let tag = publish.frame.tag;
        let payload = (publish.id, publish.frame.body.clone());
        let known = self.payloads.entry(tag).or_insert_with(|| payload.clone());
        assert!(*known == payload, "a tag was used for two payloads");
    }

    /// Routes as a driver does; what routes nowhere is lost.
    pub(crate) fn deliver(&mut self, to: usize, incoming: Incoming) {
        let side = &mut self.sides[to];
        if !side.listening.contains(&incoming.point) {
            return;
        }
        if self.faults.death > 0 && self.random.chance(self.faults.death) {
            side.die_within(Input::Frame(incoming.clone()), self.now);
        }
        if !side.expected.contains(&incoming.tag) {
            let input = Input::Miss {
                cursor: None,
                point: incoming.point.clone(),
                tag: incoming.tag,
                budget: 8_192,
            };
            side.handle(input, self.now).unwrap();
        }
        if side.expected.contains(&incoming.tag) {
            side.handle(Input::Frame(incoming), self.now).unwrap();
        }
        self.publish(to);
    }

    /// Lets one thing happen; false if nothing will before `until`.
    pub(crate) fn step(&mut self, until: Timestamp) -> bool {
        let wire = self
            .wire
            .first_key_value()
            .map_or(Timestamp::NEVER, |((at, _), _)| *at);
        let wake = self.sides[0].wake.min(self.sides[1].wake);
        let next = wire.min(wake);
        if next > until {
            return false;
        }
        self.now = self.now.max(next);
        if wire <= wake {
            if let Some((_, (to, incoming))) = self.wire.pop_first() {
                self.deliver(to, incoming);
            }
        } else {
            let who = usize::from(self.sides[1].wake == wake);
            self.sides[who].wake = Timestamp::NEVER;
            self.sides[who].handle(Input::Time, self.now).unwrap();
            self.publish(who);
        }
        if self.random.chance(self.faults.restart) {
            let who = self.random.below(2) as usize;
            self.sides[who].restart(self.now);
        }
        true
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        while self.step(until) {}
        self.now = until;
    }
}
