//! Two participants of a conversation, what each driver keeps, and the lines
//! between them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleSet, Content, ContentId, Conversation, ConversationEvent, ConversationId,
    ConversationProtocol, DeliveryPoint, Env, Error, ErrorKind, Identity, Incoming, Input,
    MadeOffer, OfferRequest, Outcome, Output, Peer, PeerId, Publish, Result, RoutingTag, Secret,
    Setup, Tag, Timestamp,
};
use cf_testkit::{NamedIdentity, RecordMap, SeededRandom};

use crate::scene::{NOW, env, info};

pub(crate) const CONVERSATION: ConversationId = ConversationId([7; 16]);

/// How many tags a driver lets an instance derive for one frame.
const BUDGET: u32 = 64;

/// How many payloads wait on a line; what comes then is lost.
const MAX_WAITING: usize = 256;

/// One side: an instance and what a driver keeps for it.
pub(crate) struct Side {
    protocol: Arc<dyn ConversationProtocol>,
    identity: Arc<dyn Identity>,
    pub(crate) conversation: Box<dyn Conversation>,
    pub(crate) records: RecordMap,
    pub(crate) expected: HashSet<RoutingTag>,
    pub(crate) listening: HashSet<DeliveryPoint>,
    pub(crate) wake: Timestamp,
    pub(crate) outbox: Vec<Publish>,
    pub(crate) events: Vec<ConversationEvent>,
    /// What it gave back for another instance.
    pub(crate) unsent: Vec<(ContentId, Content)>,
    /// The contact of the peer's that it was told last.
    pub(crate) contact: Option<BundleSet>,
    /// The parts of large contents that it keeps, by their offset.
    pub(crate) parts: HashMap<ContentId, BTreeMap<u64, Bytes>>,
    /// The parts of large contents that it asked for and has not got.
    pub(crate) wanted: VecDeque<(ContentId, u64, u32)>,
    random: SeededRandom,
}

impl Side {
    pub(crate) fn new(
        protocol: Arc<dyn ConversationProtocol>,
        identity: Arc<dyn Identity>,
        conversation: Box<dyn Conversation>,
        seed: u64,
    ) -> Self {
        let mut side = Self {
            protocol,
            identity,
            conversation,
            records: RecordMap::default(),
            expected: HashSet::new(),
            listening: HashSet::new(),
            wake: Timestamp::NEVER,
            outbox: Vec::new(),
            events: Vec::new(),
            unsent: Vec::new(),
            contact: None,
            parts: HashMap::new(),
            wanted: VecDeque::new(),
            random: SeededRandom::new(seed),
        };
        side.drain();
        side
    }

    /// Gives an input and drains the outputs: an error has put nothing out.
    pub(crate) fn handle(&mut self, input: Input, now: Timestamp) -> Result<()> {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = self.conversation.handle(input, &mut env);
        let outputs = self.drain();
        assert!(result.is_ok() || outputs == 0, "an error puts nothing out");
        result
    }

    /// Drops the instance and restores it from its records.
    pub(crate) fn restart(&mut self, now: Timestamp) -> Result<()> {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let identity = Arc::clone(&self.identity);
        self.conversation = self.protocol.restore(CONVERSATION, identity, &mut env)?;
        self.expected.clear();
        self.listening.clear();
        self.wanted.clear();
        self.wake = Timestamp::NEVER;
        self.drain();
        Ok(())
    }

    /// Takes the parts of a large content that is whole, joined.
    pub(crate) fn take_joined(&mut self, content: &ContentId) -> Bytes {
        let mut joined = Vec::new();
        for (offset, part) in self.parts.remove(content).unwrap_or_default() {
            assert_eq!(offset, joined.len() as u64, "a part is missing");
            joined.extend_from_slice(&part);
        }
        joined.into()
    }

    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.conversation.poll_output() {
            count += 1;
            match output {
                Output::Publish(publish) => {
                    self.outbox.retain(|other| other.id != publish.id);
                    self.outbox.push(publish);
                }
                Output::Withdraw(id) => self.outbox.retain(|publish| publish.id != id),
                Output::Listen(point) => drop(self.listening.insert(point)),
                Output::Unlisten(point) => drop(self.listening.remove(&point)),
                Output::Expect(tag) => drop(self.expected.insert(*tag.tag())),
                Output::Forget(Tag::SingleUse(tag)) => drop(self.expected.remove(&tag)),
                Output::Event(event) => self.events.push(event),
                Output::Record(change) => self.records.apply(change),
                Output::WakeAt(at) => self.wake = at,
                Output::Unsent { id, content } => self.unsent.push((id, content)),
                Output::Contact { bundles, .. } => self.contact = Some(bundles),
                Output::WantChunk {
                    content,
                    offset,
                    len,
                } => self.wanted.push_back((content, offset, len)),
                Output::Chunk {
                    content,
                    offset,
                    bytes,
                    ..
                } => {
                    let before = self.parts.entry(content).or_default().insert(offset, bytes);
                    assert_eq!(before, None, "a part is kept twice");
                }
                Output::DropChunks { content, .. } => drop(self.parts.remove(&content)),
                _ => {}
            }
        }
        count
    }
}

/// Saro (0) invited Raya (1).
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) now: Timestamp,
    /// What is on its way to each side.
    pub(crate) lines: [Vec<Incoming>; 2],
    /// What each side was told to send, and took.
    pub(crate) sent: [Vec<(ContentId, Bytes)>; 2],
    /// Whether all that was sent has to arrive.
    pub(crate) is_sure: bool,
    /// Whether the service refuses what is published next.
    pub(crate) refuses: bool,
    /// Whether a side sends nothing any more, and has given back what it could.
    pub(crate) is_superseded: [bool; 2],
    /// How many events of each side were checked, and the contents that it was told.
    checked: [usize; 2],
    told: [HashSet<ContentId>; 2],
}

impl Pair {
    /// The initiator may have a protocol of its own that speaks with the other's.
    pub(crate) fn new(
        initiator: &Arc<dyn ConversationProtocol>,
        responder: &Arc<dyn ConversationProtocol>,
    ) -> Self {
        let (saro, raya) = (named("Saro"), named("Raya"));
        let mut random = SeededRandom::new(1);
        let made = offer(responder, &raya);
        let created = initiator.create(creating(initiator, made.clone()), &mut env(&mut random));
        let created = created.expect("a good offer");
        let join = joining(Some(made.secret), created.parameters);
        let joined = responder.join(join, &mut env(&mut random));
        let side = |protocol: &Arc<_>, identity, conversation, seed| {
            Side::new(Arc::clone(protocol), identity, conversation, seed)
        };
        let sides = [
            side(initiator, saro, created.conversation, 2),
            side(responder, raya, joined.expect("good parameters"), 3),
        ];
        Self {
            sides,
            now: NOW,
            lines: [Vec::new(), Vec::new()],
            sent: [Vec::new(), Vec::new()],
            is_sure: true,
            refuses: false,
            is_superseded: [false; 2],
            checked: [0; 2],
            told: [HashSet::new(), HashSet::new()],
        }
    }

    /// Sends a content; each has an id and bytes of its own.
    pub(crate) fn send(&mut self, from: usize, len: usize) -> Result<()> {
        self.send_as(from, len, Content::Bytes)
    }

    /// The same, of a content that is given by its length.
    pub(crate) fn send_large(&mut self, from: usize, len: usize) -> Result<()> {
        self.send_as(from, len, |bytes| Content::Large {
            len: bytes.len() as u64,
        })
    }

    fn send_as(
        &mut self,
        from: usize,
        len: usize,
        content: impl FnOnce(Bytes) -> Content,
    ) -> Result<()> {
        let number = self.sent[from].len();
        let id = ContentId::new(format!("{from} {number}")).expect("a short id");
        let mut bytes = vec![b'.'; len];
        bytes.extend_from_slice(id.as_bytes());
        let bytes = Bytes::from(bytes);
        let input = Input::Send {
            id: Some(id.clone()),
            content: content(bytes.clone()),
        };
        self.sides[from].handle(input, self.now)?;
        self.sent[from].push((id, bytes));
        self.settle(from);
        Ok(())
    }

    /// Puts what a side published on the line, gives the parts that it asked for,
    /// and checks what it was told.
    pub(crate) fn settle(&mut self, from: usize) {
        self.publish(from);
        while let Some((content, offset, len)) = self.sides[from].wanted.pop_front() {
            let mut sent = self.sent[from].iter();
            let found = sent.find(|(id, _)| *id == content);
            let (_, bytes) = found.expect("it asks for what it sends");
            let at = offset as usize;
            let input = Input::Chunk {
                bytes: bytes.slice(at..at + len as usize),
                content,
                offset,
            };
            let taken = self.sides[from].handle(input, self.now);
            if let Err(error) = taken {
                // A content that was refused meanwhile wants no part any more.
                assert_eq!(error.kind(), ErrorKind::Misuse, "{error}");
            }
            self.publish(from);
        }
        self.check(from);
    }

    fn publish(&mut self, from: usize) {
        while !self.sides[from].outbox.is_empty() {
            let publish = self.sides[from].outbox.remove(0);
            for point in &publish.points {
                let outcome = match self.refuses {
                    true => Outcome::Refused(Error::rejected("no")),
                    false => Outcome::Accepted { cursor: None },
                };
                let line = &mut self.lines[1 - from];
                if !self.refuses && line.len() < MAX_WAITING {
                    line.push(Incoming {
                        point: point.clone(),
                        cursor: None,
                        tag: publish.frame.tag,
                        body: publish.frame.body.clone(),
                    });
                }
                self.is_sure &= !self.refuses;
                let input = Input::Outcome {
                    publish: publish.id,
                    point: point.clone(),
                    outcome,
                };
                let taken = self.sides[from].handle(input, self.now);
                taken.expect("an outcome of its own publish");
            }
            self.refuses = false;
        }
    }

    /// Only what the other side sent is told, and once.
    fn check(&mut self, who: usize) {
        let side = &mut self.sides[who];
        let checked = self.checked[who].min(side.events.len());
        let events = side.events.split_off(checked);
        for event in &events {
            let ConversationEvent::Content { id, content, .. } = event else {
                continue;
            };
            let told = match content {
                Content::Large { .. } => side.take_joined(id),
                Content::Bytes(bytes) => bytes.clone(),
            };
            let mut sent = self.sent[1 - who].iter();
            let is_sent = sent.any(|(other, bytes)| other == id && told == bytes);
            assert!(is_sent, "{id:?} was never sent");
            assert!(self.told[who].insert(id.clone()), "{id:?} was told twice");
        }
        side.events.extend(events);
        self.checked[who] = side.events.len();
    }

    /// Another instance sends for a side from now on.
    pub(crate) fn supersede(&mut self, who: usize) {
        let superseded = self.sides[who].handle(Input::Supersede, self.now);
        superseded.expect("its own records");
        self.is_superseded[who] = true;
        self.settle(who);
    }

    /// Routes as a driver does; what routes nowhere is lost. `None` if it is.
    pub(crate) fn deliver(&mut self, to: usize, incoming: Incoming) -> Option<Result<()>> {
        let side = &mut self.sides[to];
        if !side.listening.contains(&incoming.point) {
            return None;
        }
        if !side.expected.contains(&incoming.tag) {
            let miss = Input::Miss {
                point: incoming.point.clone(),
                cursor: None,
                tag: incoming.tag,
                budget: BUDGET,
            };
            side.handle(miss, self.now).expect("a miss is no error");
        }
        let is_expected = self.sides[to].expected.contains(&incoming.tag);
        let result = is_expected.then(|| self.sides[to].handle(Input::Frame(incoming), self.now));
        self.settle(to);
        result
    }

    /// Time passes, and wakes who wants to be woken.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        for who in 0..2 {
            for _ in 0..8 {
                if self.sides[who].wake > self.now {
                    break;
                }
                self.sides[who].wake = Timestamp::NEVER;
                let woken = self.sides[who].handle(Input::Time, self.now);
                woken.expect("time is no error");
                self.settle(who);
            }
        }
    }

    pub(crate) fn restart(&mut self, who: usize) {
        let restored = self.sides[who].restart(self.now);
        restored.expect("its own records");
        self.settle(who);
    }

    /// Delivers all that is on its way, first come, first served.
    pub(crate) fn deliver_all(&mut self) {
        for to in [0, 1, 0, 1] {
            for incoming in std::mem::take(&mut self.lines[to]) {
                let delivered = self.deliver(to, incoming);
                assert!(!matches!(delivered, Some(Err(_))), "{delivered:?}");
            }
        }
    }

    /// From now on nothing goes wrong: everything arrives.
    pub(crate) fn heal(&mut self) {
        self.refuses = false;
        let end = self.now.after(Duration::from_secs(2 * 24 * 3600));
        for _ in 0..400 {
            self.deliver_all();
            let wake = self.sides[0].wake.min(self.sides[1].wake);
            let is_quiet = self.lines.iter().all(Vec::is_empty);
            if is_quiet && (wake > end || self.is_all_told()) {
                break;
            }
            if is_quiet {
                self.pass(wake.since(self.now));
            }
        }
        assert!(!self.is_sure || self.is_all_told(), "contents are missing");
    }

    /// The first content that a side was told.
    pub(crate) fn told(&self, who: usize) -> Option<ContentId> {
        let mut sent = self.sent[1 - who].iter().map(|(content, _)| content);
        sent.find(|content| self.told[who].contains(*content))
            .cloned()
    }

    /// Whether every content was told, or given back.
    fn is_all_told(&self) -> bool {
        let is_told = |from: usize, content: &ContentId| {
            let mut unsent = self.sides[from].unsent.iter();
            self.told[1 - from].contains(content) || unsent.any(|(id, _)| id == content)
        };
        (0..2).all(|from| (self.sent[from].iter()).all(|(content, _)| is_told(from, content)))
    }
}

pub(crate) fn named(name: &'static str) -> Arc<dyn Identity> {
    Arc::new(NamedIdentity::new(name))
}

pub(crate) fn offer(
    protocol: &Arc<dyn ConversationProtocol>,
    identity: &Arc<dyn Identity>,
) -> MadeOffer {
    let request = OfferRequest {
        identity: Arc::clone(identity),
        expires_at: NOW.after(Duration::from_secs(1000)),
        one_time: true,
    };
    let made = protocol.make_offer(request, &mut env(&mut SeededRandom::new(4)));
    made.expect("an offer").expect("it needs one")
}

/// How Saro creates a conversation from Raya's offer.
pub(crate) fn creating(protocol: &Arc<dyn ConversationProtocol>, made: MadeOffer) -> Setup {
    let mut offer = made.offer;
    offer.protocol = protocol.id().clone();
    Setup {
        conversation: CONVERSATION,
        identity: named("Saro"),
        peer: Some(Peer {
            id: PeerId(1),
            participant: Some(named("Raya").id().clone()),
            offer: Some(offer),
            points: vec![info("Raya's link")],
        }),
        exported: Some(Secret::new(vec![5; 32])),
        offer_secret: None,
        parameters: Bytes::new(),
        points: vec![info("Saro's point")],
        arrived_at: None,
    }
}

/// How Raya joins it.
pub(crate) fn joining(offer_secret: Option<Secret>, parameters: Bytes) -> Setup {
    Setup {
        conversation: CONVERSATION,
        identity: named("Raya"),
        peer: Some(Peer {
            id: PeerId(2),
            participant: Some(named("Saro").id().clone()),
            offer: None,
            points: vec![info("Saro's point")],
        }),
        exported: Some(Secret::new(vec![5; 32])),
        offer_secret,
        parameters,
        points: vec![info("Raya's point")],
        arrived_at: Some(info("Raya's link")),
    }
}
