//! One participant's instance, and what a driver keeps for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cf_core::{
    Conversation, ConversationEvent, ConversationId, ConversationProtocol, DeliveryPoint, Env,
    Identity, Incoming, Input, OutgoingInvite, Output, Publish, Result, RoutingTag, Tag, Timestamp,
};

use crate::{Law, RecordMap, SeededRandom, Verdict};

pub(super) struct Side {
    pub(super) protocol: Arc<dyn ConversationProtocol>,
    pub(super) identity: Arc<dyn Identity>,
    pub(super) instance: Box<dyn Conversation>,
    pub(super) records: RecordMap,
    pub(super) random: SeededRandom,
    pub(super) single_use: BTreeSet<RoutingTag>,
    pub(super) standing: BTreeSet<RoutingTag>,
    pub(super) listening: BTreeSet<DeliveryPoint>,
    pub(super) wake: Timestamp,
    /// What is to be told and published, in order.
    pub(super) events: VecDeque<ConversationEvent>,
    pub(super) outbox: VecDeque<Publish>,
    pub(super) invites: VecDeque<OutgoingInvite>,
    /// What routed nowhere yet, each with its frame's standing tag.
    pub(super) parked: Vec<(Incoming, RoutingTag)>,
    /// Whether a tag was expected since what is parked was tried.
    pub(super) expects_anew: bool,
}

impl Side {
    pub(super) fn new(
        protocol: &Arc<dyn ConversationProtocol>,
        identity: Arc<dyn Identity>,
        instance: Box<dyn Conversation>,
        random: SeededRandom,
    ) -> Self {
        let mut side = Self {
            protocol: protocol.clone(),
            identity,
            instance,
            records: RecordMap::default(),
            random,
            single_use: BTreeSet::new(),
            standing: BTreeSet::new(),
            listening: BTreeSet::new(),
            wake: Timestamp::NEVER,
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            invites: VecDeque::new(),
            parked: Vec::new(),
            expects_anew: false,
        };
        side.drain();
        side
    }

    /// Gives an input and takes the outputs; how many there were.
    pub(super) fn handle(&mut self, input: Input, now: Timestamp) -> (Result<()>, usize) {
        let mut random = self.random.clone();
        let answer = self.handle_with(input, now, &mut random);
        self.random = random;
        answer
    }

    /// As [`handle`](Self::handle), with other randomness than the side's own.
    pub(super) fn handle_with(
        &mut self,
        input: Input,
        now: Timestamp,
        random: &mut SeededRandom,
    ) -> (Result<()>, usize) {
        let mut env = Env {
            now,
            random,
            records: &self.records,
        };
        let result = self.instance.handle(input, &mut env);
        (result, self.drain())
    }

    /// Another instance of the same records.
    pub(super) fn copy(&self, law: &Law, id: ConversationId, now: Timestamp) -> Verdict<Self> {
        let mut random = self.random.clone();
        let mut env = Env {
            now,
            random: &mut random,
            records: &self.records,
        };
        let restored = self.protocol.restore(id, self.identity.clone(), &mut env);
        let mut copy = Self {
            protocol: self.protocol.clone(),
            identity: self.identity.clone(),
            instance: law.needs("restoring an instance", restored)?,
            records: self.records.clone(),
            random,
            single_use: BTreeSet::new(),
            standing: BTreeSet::new(),
            listening: BTreeSet::new(),
            wake: Timestamp::NEVER,
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            invites: VecDeque::new(),
            parked: Vec::new(),
            expects_anew: false,
        };
        copy.drain();
        Ok(copy)
    }

    /// Goes on as after a restart of the process: what was to be told and
    /// published still is.
    pub(super) fn restart(&mut self, law: &Law, id: ConversationId, now: Timestamp) -> Verdict {
        let mut fresh = self.copy(law, id, now)?;
        let mut outbox = std::mem::take(&mut self.outbox);
        let is_new = |publish: &Publish| !outbox.iter().any(|other| other.id == publish.id);
        fresh.outbox.retain(is_new);
        outbox.append(&mut fresh.outbox);
        fresh.outbox = outbox;
        let mut events = std::mem::take(&mut self.events);
        events.append(&mut fresh.events);
        fresh.events = events;
        fresh.parked = std::mem::take(&mut self.parked);
        fresh.expects_anew = true;
        *self = fresh;
        Ok(())
    }

    fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(output) = self.instance.poll_output() {
            count += 1;
            match output {
                Output::Publish(publish) => {
                    let is_known = self.outbox.iter().any(|other| other.id == publish.id);
                    self.outbox.extend((!is_known).then_some(publish));
                }
                Output::Withdraw(id) => self.outbox.retain(|publish| publish.id != id),
                Output::Listen(point) => drop(self.listening.insert(point)),
                Output::Unlisten(point) => drop(self.listening.remove(&point)),
                Output::Expect(tag) => {
                    self.expects_anew = true;
                    match tag {
                        Tag::SingleUse(tag) => self.single_use.insert(tag),
                        Tag::Standing(tag) => self.standing.insert(tag),
                    };
                }
                Output::Forget(Tag::SingleUse(tag)) => drop(self.single_use.remove(&tag)),
                Output::Forget(Tag::Standing(tag)) => drop(self.standing.remove(&tag)),
                Output::Invite(invite) => self.invites.push_back(invite),
                Output::Event(event) => self.events.push_back(event),
                Output::Record(change) => self.records.apply(change),
                Output::WakeAt(at) => self.wake = at,
                _ => {}
            }
        }
        count
    }
}
