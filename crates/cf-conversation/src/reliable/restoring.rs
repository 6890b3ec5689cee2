use std::collections::{BTreeMap, VecDeque};

use cf_core::{Conversation, DeliveryPoint, Env, Records, Result, Scan, Scoped, Timestamp};
use foldhash::HashSet;

use crate::Error;
use crate::point::Encoder;

use super::acknowledging::Acknowledging;
use super::anew::Anew;
use super::contact::Contact;
use super::conversation::{INNER, OWN, Origin, ReliableConversation};
use super::flight::{Flight, Flights};
use super::order::Order;
use super::queue::Queue;
use super::receipts::Reads;
use super::records;
use super::superseding::Superseded;
use super::typing::Typing;

impl Origin {
    /// Makes the wrapped conversation again, as the records have it.
    pub(super) fn restore_inner(&self, env: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let mut env = Env {
            now: env.now,
            random: &mut *env.random,
            records: &Scoped {
                records: env.records,
                prefix: INNER,
            },
        };
        let identity = self.identity.clone();
        self.protocol.restore(self.conversation, identity, &mut env)
    }
}

impl ReliableConversation {
    /// Wraps a conversation that was just made.
    pub(crate) fn new(origin: Origin, inner: Box<dyn Conversation>, env: &Env<'_>) -> Self {
        let mut conversation = Self::assemble(origin, inner, env.now);
        conversation.head_changed = true;
        conversation.put_head();
        conversation.put_wake();
        conversation
    }

    pub(crate) fn restore(origin: Origin, env: &mut Env<'_>) -> Result<Self> {
        let inner = origin.restore_inner(env)?;
        let own = Scoped {
            records: env.records,
            prefix: OWN,
        };
        let head = own.get(records::HEAD)?;
        let head = records::decode_head(head.ok_or(Error::Records("the head is missing"))?)?;
        let mut restored = Self::assemble(origin, inner, env.now);
        let delay = restored.origin.settings.acknowledge_after;
        let owed = head.owes_acknowledgement;
        restored.acknowledging = Acknowledging::new(delay, owed, env.now);
        restored.ended = head.ended;
        restored.queue.next = head.next_queued;
        let closed = head.closed.into_iter().collect();
        restored.flights = Flights::restore(head.next_sequence, head.acknowledged, closed)?;
        if !restored.flights.closed().is_empty() {
            restored.skip_due = env.now;
        }
        restored.anew = Anew {
            gone: head.gone,
            gone_of_peer: head.gone_of_peer,
            below: head.anew_below,
            points: restore_points(&own, records::PEER_POINTS)?,
            hasten_from: env.now,
            back_from: env.now,
        };
        restored.own_points = restore_points(&own, records::OWN_POINTS)?;
        restored.behind = head.behind;
        restored.contact_of_peer = head.contact_of_peer;
        restored.resent_at = Timestamp(head.resent_at);
        restored.restore_queue(&own, env.now)?;
        restored.restore_order(&own, head.next_delivery)?;
        if let Some(contact) = own.get(records::CONTACT)? {
            let (bundles, sequence) = records::decode_contact(contact)?;
            restored.contact = Some(Contact::new(bundles, sequence, env.now));
        }
        if let Some(reads) = own.get(records::READS)? {
            restored.reads = Reads::new(records::decode_reads(reads)?, env.now);
        }
        if let Some(at) = head.superseded_at {
            restored.restore_superseded(&own, Timestamp(at), env.now)?;
        }
        if !restored.over {
            restored.restore_flights(&own)?;
        }
        if restored.flights.may_lack_probe() {
            restored.probe_due = env.now;
        }
        restored.put_wake();
        Ok(restored)
    }

    fn assemble(origin: Origin, inner: Box<dyn Conversation>, now: Timestamp) -> Self {
        let settings = origin.settings;
        let mut conversation = Self {
            origin,
            inner,
            inner_wake: Timestamp::NEVER,
            flights: Flights::new(),
            queue: Queue::default(),
            pending: HashSet::default(),
            order: Order::new(settings.hold),
            acknowledging: Acknowledging::new(settings.acknowledge_after, false, now),
            alone: None,
            resent_at: Timestamp::default(),
            skip_due: Timestamp::NEVER,
            probe_due: Timestamp::NEVER,
            flush_due: Timestamp::NEVER,
            anew: Anew::default(),
            own_points: None,
            contact: None,
            contact_of_peer: 0,
            reads: Reads::new(VecDeque::new(), now),
            typing: Typing::new(),
            superseded: None,
            behind: false,
            asked_for_renewal: false,
            over: false,
            ended: false,
            broken: false,
            head_changed: false,
            missing_changed: false,
            wake: Timestamp::NEVER,
            outputs: VecDeque::new(),
            came: Vec::new(),
            points: Encoder::default(),
        };
        while let Some(output) = conversation.inner.poll_output() {
            conversation.forward(output, now);
        }
        conversation
    }

    fn restore_flights(&mut self, own: &dyn Records) -> Result<()> {
        let settings = self.origin.settings;
        for (key, value) in own.scan(&Scan::prefix(vec![records::UNACKNOWLEDGED]))? {
            let stored = records::decode_unacknowledged(value)?;
            self.pending.extend(stored.publish.content.clone());
            let (resent, due) = settings.schedule(stored.sent_at, self.resent_at);
            let due = due.min(stored.sent_at.after(settings.lifetime));
            let mut flight = Flight::new(&stored.publish, stored.has_content, stored.sent_at, due);
            flight.resent = resent;
            flight.first = stored.first;
            let number = records::number(&key)?;
            if number >= self.flights.next() {
                return Err(Error::Records("numbers of a sequence").into());
            }
            self.flights.insert(number, flight);
        }
        Ok(())
    }

    fn restore_superseded(
        &mut self,
        own: &dyn Records,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let mut withdrawn = BTreeMap::new();
        for (key, value) in own.scan(&Scan::prefix(vec![records::WITHDRAWN]))? {
            withdrawn.insert(records::number(&key)?, records::decode_withdrawn(value)?);
        }
        self.superseded = Some(Superseded { at, withdrawn });
        self.skip_due = Timestamp::NEVER;
        // Nothing is held.
        self.order.hurry();
        self.over = self.superseded_until() <= now;
        Ok(())
    }

    fn restore_queue(&mut self, own: &dyn Records, now: Timestamp) -> Result<()> {
        let next = self.queue.next;
        for (key, value) in own.scan(&Scan::prefix(vec![records::QUEUED]))? {
            let (content, _, queued_at) = records::decode_queued(value)?;
            self.pending.extend(content.clone());
            self.queue.next = records::number(&key)?;
            self.queue.push(content, queued_at);
            self.flush_due = now;
        }
        self.queue.next = self.queue.next.max(next);
        Ok(())
    }

    fn restore_order(&mut self, own: &dyn Records, next: u64) -> Result<()> {
        let missing = match own.get(records::MISSING)? {
            Some(missing) => records::decode_missing(missing)?,
            None => Default::default(),
        };
        let mut held = BTreeMap::new();
        for (key, value) in own.scan(&Scan::prefix(vec![records::HELD]))? {
            held.insert(records::number(&key)?, records::decode_held(value)?);
        }
        let hold = self.origin.settings.hold;
        self.order = Order::restore(hold, next, missing, held)?;
        Ok(())
    }
}

fn restore_points(own: &dyn Records, key: &[u8]) -> Result<Option<Vec<DeliveryPoint>>> {
    let points = own.get(key)?;
    points.map(records::decode_points).transpose()
}
