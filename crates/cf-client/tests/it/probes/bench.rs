//! A service, some routers and a queue: just enough of a client to run
//! conversations on the level of the contract.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use cf_identity::SoftwareIdentity;
use cf_testkit::{RecordMap, SeededRandom};

const MAX_PAYLOAD_LEN: usize = 64 * 1024;

/// What the conversations under test live in.
pub(super) struct Bench {
    pub(super) now: Timestamp,
    pub(super) random: SeededRandom,
    pub(super) parties: Vec<Party>,
    framing: Arc<dyn FramingStrategy>,
    log: BTreeMap<DeliveryAddress, Vec<Bytes>>,
}

/// One participant's conversation, and what it put out.
pub(super) struct Party {
    pub(super) identity: Arc<dyn Identity>,
    pub(super) records: RecordMap,
    pub(super) machine: Box<dyn Conversation>,
    pub(super) events: Vec<ConversationEvent>,
    pub(super) invites: Vec<OutgoingInvite>,
    pub(super) answered: Vec<PeerId>,
    protocol: Arc<dyn ConversationProtocol>,
    router: Box<dyn Router>,
    listens: BTreeMap<DeliveryPoint, usize>,
    parked: Vec<(DeliveryPoint, Bytes, Cursor)>,
    outbox: VecDeque<Publish>,
    wake: Option<Timestamp>,
}

impl Bench {
    pub(super) fn new(seed: u64, framing: Arc<dyn FramingStrategy>) -> Self {
        let (now, random) = (Timestamp(1_700_000_000_000), SeededRandom::new(seed));
        Self {
            now,
            random,
            parties: Vec::new(),
            framing,
            log: BTreeMap::new(),
        }
    }

    /// What a conversation of `identity` is made from.
    pub(super) fn setup(&mut self, identity: &Arc<dyn Identity>, parameters: Bytes) -> Setup {
        let point = DeliveryPoint {
            locator: Locator::parse("bench:").unwrap(),
            address: DeliveryAddress::random(&mut self.random),
            framing: self.framing.id().clone(),
        };
        let capabilities = Capabilities {
            retention: Some(Duration::MAX),
            resume: Resume::AnyCursor,
            order: true,
            conditional_publish: true,
            ..Capabilities::none(MAX_PAYLOAD_LEN)
        };
        let max_body_len = self.framing.max_body_len(MAX_PAYLOAD_LEN);
        Setup {
            conversation: ConversationId::random(&mut self.random),
            identity: identity.clone(),
            peer: None,
            exported: None,
            offer_secret: None,
            parameters,
            points: vec![PointInfo {
                point,
                max_body_len,
                capabilities,
            }],
            arrived_at: None,
        }
    }

    pub(super) fn identity(&mut self) -> Arc<dyn Identity> {
        Arc::new(SoftwareIdentity::generate(&mut self.random).unwrap())
    }

    /// Creates a conversation, or joins with parameters; its number and what
    /// `create` gave for others.
    pub(super) fn add(
        &mut self,
        protocol: &Arc<dyn ConversationProtocol>,
        identity: &Arc<dyn Identity>,
        parameters: Option<Bytes>,
    ) -> Result<(usize, Bytes)> {
        let setup = self.setup(identity, parameters.clone().unwrap_or_default());
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        let created = match parameters {
            None => protocol.create(setup, &mut env)?,
            Some(parameters) => Created {
                conversation: protocol.join(setup, &mut env)?,
                parameters,
            },
        };
        self.parties.push(Party {
            identity: identity.clone(),
            records: RecordMap::default(),
            machine: created.conversation,
            events: Vec::new(),
            invites: Vec::new(),
            answered: Vec::new(),
            protocol: protocol.clone(),
            router: self.framing.router(),
            listens: BTreeMap::new(),
            parked: Vec::new(),
            outbox: VecDeque::new(),
            wake: None,
        });
        let party = self.parties.len() - 1;
        self.drain(party);
        Ok((party, created.parameters))
    }

    pub(super) fn input(&mut self, party: usize, input: Input) -> Result<()> {
        let Party {
            machine, records, ..
        } = &mut self.parties[party];
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records,
        };
        let taken = machine.handle(input, &mut env);
        if taken.is_err() {
            assert!(
                machine.poll_output().is_none(),
                "a refused input puts nothing out"
            );
        }
        self.drain(party);
        taken
    }

    pub(super) fn send(&mut self, party: usize, text: &str) -> Result<()> {
        let id = Some(ContentId::new(text.as_bytes().to_vec())?);
        let content = Content::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        self.input(party, Input::Send { id, content })
    }

    pub(super) fn invite(
        &mut self,
        party: usize,
        peer: u64,
        who: Option<&Arc<dyn Identity>>,
    ) -> Result<()> {
        let participant = who.map(|identity| identity.id().clone());
        let peer = Peer {
            id: PeerId(peer),
            participant,
            offer: None,
            points: Vec::new(),
        };
        self.input(party, Input::Candidate(peer))
    }

    /// Forgets the instance and makes it again from its records.
    pub(super) fn restore(&mut self, party: usize) {
        let at = &mut self.parties[party];
        let id = ConversationId([0; 16]);
        let mut env = Env {
            now: self.now,
            random: &mut self.random,
            records: &at.records,
        };
        at.machine = at
            .protocol
            .restore(id, at.identity.clone(), &mut env)
            .unwrap();
        at.router = self.framing.router();
        at.wake = None;
        self.drain(party);
    }

    /// Lets everything happen, in an order that the seed chooses.
    pub(super) fn run(&mut self) {
        let mut idle = 0;
        while idle < 200 {
            let party = self.random.below(self.parties.len() as u64) as usize;
            let moved = match self.random.below(2) {
                0 => self.publish(party),
                _ => self.deliver(party),
            };
            idle = if moved { 0 } else { idle + 1 };
            if idle == 100 {
                self.now = self.now.after(Duration::from_secs(60));
                for party in 0..self.parties.len() {
                    if self.parties[party]
                        .wake
                        .take_if(|at| *at <= self.now)
                        .is_some()
                    {
                        self.input(party, Input::Time).unwrap();
                        idle = 0;
                    }
                }
            }
        }
    }

    /// Lets everything be published, and nothing be delivered.
    pub(super) fn publish_all(&mut self) {
        for party in 0..self.parties.len() {
            while self.publish(party) {}
        }
    }

    /// Puts bytes at every address where somebody listens.
    pub(super) fn litter(&mut self, bytes: &Bytes) {
        self.log
            .values_mut()
            .for_each(|payloads| payloads.push(bytes.clone()));
    }

    /// The texts that a party was told, sorted.
    pub(super) fn texts(&self, party: usize) -> Vec<String> {
        let text = |event: &ConversationEvent| match event {
            ConversationEvent::Content {
                content: Content::Bytes(text),
                ..
            } => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        let mut texts: Vec<_> = self.parties[party].events.iter().filter_map(text).collect();
        texts.sort();
        texts
    }

    /// All that was published.
    pub(super) fn payloads(&self) -> Vec<(DeliveryAddress, Bytes)> {
        let flat = |(address, payloads): (&DeliveryAddress, &Vec<Bytes>)| {
            payloads
                .iter()
                .map(|payload| (address.clone(), payload.clone()))
                .collect::<Vec<_>>()
        };
        self.log.iter().flat_map(flat).collect()
    }

    /// A payload as the frame that a party gets.
    pub(super) fn incoming(
        &self,
        party: usize,
        address: &DeliveryAddress,
        payload: &Bytes,
    ) -> Option<Incoming> {
        let at = &self.parties[party];
        let point = at.listens.keys().find(|point| point.address == *address)?;
        let routed = self.framing.router().route(payload).ok()?;
        Some(Incoming {
            point: point.clone(),
            cursor: None,
            tag: routed.tag,
            body: routed.body,
        })
    }

    fn publish(&mut self, party: usize) -> bool {
        let Some(publish) = self.parties[party].outbox.pop_front() else {
            return false;
        };
        let point = publish.points[0].clone();
        let payload = self
            .framing
            .encode(&publish.frame, MAX_PAYLOAD_LEN)
            .unwrap();
        let log = self.log.entry(point.address.clone()).or_default();
        let current = (!log.is_empty()).then(|| cursor(log.len() - 1));
        let outcome = match publish.condition {
            Some(Condition::Empty) if current.is_some() => Outcome::Conflict { current },
            Some(Condition::LastIs(ref last)) if Some(last) != current.as_ref() => {
                Outcome::Conflict { current }
            }
            _ => {
                log.push(payload);
                Outcome::Accepted {
                    cursor: Some(cursor(log.len() - 1)),
                }
            }
        };
        // A conditional answer that is lost now and then, as the contract allows.
        let lost = publish.condition.is_some() && self.random.chance(20);
        let outcome = match lost {
            true => Outcome::Unknown(Error::unavailable("the answer was lost")),
            false => outcome,
        };
        self.input(
            party,
            Input::Outcome {
                publish: publish.id,
                point,
                outcome,
            },
        )
        .unwrap();
        true
    }

    fn deliver(&mut self, party: usize) -> bool {
        let Bench {
            random,
            parties,
            log,
            ..
        } = self;
        let at = &mut parties[party];
        let waiting = |(point, next): (&DeliveryPoint, &usize)| {
            let payload = log.get(&point.address)?.get(*next)?;
            Some((point.clone(), payload.clone(), cursor(*next)))
        };
        let mut waiting: Vec<_> = at.listens.iter().filter_map(waiting).collect();
        if waiting.is_empty() {
            return false;
        }
        let (point, payload, cursor) =
            waiting.swap_remove(random.below(waiting.len() as u64) as usize);
        // Now and then the service delivers a payload twice.
        if !random.chance(10) {
            *at.listens.get_mut(&point).unwrap() += 1;
        }
        self.route(party, point, payload, cursor);
        true
    }

    fn route(&mut self, party: usize, point: DeliveryPoint, payload: Bytes, cursor: Cursor) {
        let Ok(mut routed) = self.parties[party].router.route(&payload) else {
            return;
        };
        if routed.instance.is_none() {
            let miss = Input::Miss {
                cursor: None,
                point: point.clone(),
                tag: routed.tag,
                budget: 100,
            };
            self.input(party, miss).unwrap();
            routed = self.parties[party].router.route(&payload).unwrap();
        }
        let Routed {
            instance,
            tag,
            body,
        } = routed;
        let incoming = Incoming {
            point: point.clone(),
            cursor: Some(cursor.clone()),
            tag,
            body,
        };
        let wanted = instance
            .is_some()
            .then(|| self.input(party, Input::Frame(incoming)));
        if wanted.is_none_or(|taken| taken.is_err_and(|error| error.is_retryable())) {
            self.parties[party].parked.push((point, payload, cursor));
        }
    }

    fn drain(&mut self, party: usize) {
        let at = &mut self.parties[party];
        let mut again = false;
        while let Some(output) = at.machine.poll_output() {
            match output {
                Output::Publish(publish) => at.outbox.push_back(publish),
                Output::Listen(point) => {
                    at.listens.entry(point).or_insert(0);
                }
                Output::Unlisten(point) => {
                    at.listens.remove(&point);
                }
                Output::Expect(tag) => {
                    at.router.expect(tag, InstanceId(1)).unwrap();
                    again = true;
                }
                Output::Forget(tag) => at.router.forget(tag, InstanceId(1)),
                Output::Invite(invite) => at.invites.push(invite),
                Output::Answered(peer) => at.answered.push(peer),
                Output::Event(event) => at.events.push(event),
                Output::Record(change) => at.records.apply(change),
                Output::WakeAt(wake) => at.wake = Some(wake),
                output => panic!("not expected of a probe: {output:?}"),
            }
        }
        if again {
            for (point, payload, cursor) in std::mem::take(&mut self.parties[party].parked) {
                self.route(party, point, payload, cursor);
            }
        }
    }
}

fn cursor(place: usize) -> Cursor {
    Cursor::new(place.to_be_bytes().to_vec()).unwrap()
}
