use std::collections::{BTreeMap, HashSet, VecDeque};

use cf_core::{Conversation, Env, Records, Result, Scan, Scoped, Timestamp};

use crate::Error;

use super::acknowledging::Acknowledging;
use super::conversation::{INNER, OWN, Origin, ReliableConversation};
use super::flight::{Flight, Flights};
use super::order::Order;
use super::queue::Queue;
use super::records;

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
        restored.restore_flights(&own, env.now)?;
        restored.restore_queue(&own, env.now)?;
        restored.restore_order(&own, head.next_delivery)?;
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
            pending: HashSet::new(),
            order: Order::new(settings.hold),
            acknowledging: Acknowledging::new(settings.acknowledge_after, false, now),
            alone: None,
            skip_due: Timestamp::NEVER,
            probe_due: Timestamp::NEVER,
            flush_due: Timestamp::NEVER,
            ended: false,
            broken: false,
            head_changed: false,
            missing_changed: false,
            wake: Timestamp::NEVER,
            outputs: VecDeque::new(),
        };
        while let Some(output) = conversation.inner.poll_output() {
            conversation.forward(output, now);
        }
        conversation
    }

    /// All are sent again before long: what was published last may never have
    /// left.
    fn restore_flights(&mut self, own: &dyn Records, now: Timestamp) -> Result<()> {
        let due = now.after(self.origin.settings.first_resend);
        for (key, value) in own.scan(&Scan::prefix(vec![records::UNACKNOWLEDGED]))? {
            let (publish, has_content, sent_at) = records::decode_publish(value)?;
            self.pending.extend(publish.content.clone());
            let flight = Flight::new(&publish, has_content, sent_at, due);
            let number = records::number(&key)?;
            if number >= self.flights.next() {
                return Err(Error::Records("numbers of a sequence").into());
            }
            self.flights.insert(number, flight);
        }
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
