use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Condition, Cursor, Delivery, DeliveryAddress, Outcome, PublishRequest, Start, Timestamp,
};
use tokio::sync::Notify;

use super::options::MemoryOptions;
use super::tap::{Observed, Tap};
use crate::Error;

/// The logs and who reads them. Every method takes effect at once, so that the
/// lock around it makes publishing linearizable.
pub(super) struct State {
    bounds: Bounds,
    logs: HashMap<DeliveryAddress, Log>,
    subscribers: HashMap<u64, Subscriber>,
    /// Every retained payload by its number: the first is the oldest.
    retained: BTreeMap<u64, DeliveryAddress>,
    /// How many payloads were accepted; their numbers.
    accepted: u64,
    /// How many subscribers there ever were; their names.
    subscribed: u64,
    /// What the retained payloads count.
    bytes: usize,
    taps: Vec<Weak<Observed>>,
}

struct Bounds {
    payloads_per_address: usize,
    bytes: usize,
    addresses: usize,
    retention: Duration,
}

/// The payloads of one address: those with the sequence numbers up to `last`.
#[derive(Default)]
struct Log {
    last: u64,
    entries: VecDeque<Entry>,
    listeners: BTreeSet<u64>,
}

struct Entry {
    number: u64,
    at: Option<Timestamp>,
    payload: Bytes,
}

struct Subscriber {
    wake: Arc<Notify>,
    positions: HashMap<DeliveryAddress, Position>,
    /// The addresses that have a payload to read, by whose turn is next.
    ready: BTreeMap<u64, DeliveryAddress>,
    turns: u64,
}

/// How far a subscriber has read an address.
struct Position {
    next: u64,
    turn: Option<u64>,
}

impl State {
    pub(super) fn new(options: &MemoryOptions) -> Self {
        Self {
            bounds: Bounds {
                payloads_per_address: options.max_payloads_per_address.max(1),
                bytes: options.max_bytes,
                addresses: options.max_addresses,
                retention: options.retention,
            },
            logs: HashMap::new(),
            subscribers: HashMap::new(),
            retained: BTreeMap::new(),
            accepted: 0,
            subscribed: 0,
            bytes: 0,
            taps: Vec::new(),
        }
    }

    /// Publishes, and names those who wait for it: they are woken when the lock is
    /// free again, which they need.
    pub(super) fn publish(
        &mut self,
        request: PublishRequest,
        now: Option<Timestamp>,
    ) -> (Outcome, Vec<Arc<Notify>>) {
        let PublishRequest {
            address,
            payload,
            condition,
            ..
        } = request;
        self.expire(now);
        let last = self.logs.get(&address).map_or(0, |log| log.last);
        let holds = match &condition {
            None => true,
            Some(Condition::Empty) => last == 0,
            Some(Condition::LastIs(cursor)) => last != 0 && sequence(cursor) == Some(last),
        };
        if !holds {
            let current = (last != 0).then(|| cursor(last));
            return (Outcome::Conflict { current }, Vec::new());
        }
        if let Err(error) = self.check_room(&address) {
            return (Outcome::Unavailable(error.into()), Vec::new());
        }
        let waiting = self.append(&address, payload.clone(), now);
        let cursor = cursor(last + 1);
        self.taps.retain(|tap| match tap.upgrade() {
            Some(tap) => {
                tap.push(Delivery {
                    address: address.clone(),
                    payload: payload.clone(),
                    cursor: Some(cursor.clone()),
                });
                true
            }
            None => false,
        });
        let cursor = Some(cursor);
        (Outcome::Accepted { cursor }, waiting)
    }

    pub(super) fn observe(&mut self, tap: &Tap) {
        self.taps.push(tap.downgrade());
    }

    pub(super) fn subscribe(&mut self, wake: Arc<Notify>) -> u64 {
        self.subscribed += 1;
        let subscriber = Subscriber {
            wake,
            positions: HashMap::new(),
            ready: BTreeMap::new(),
            turns: 0,
        };
        self.subscribers.insert(self.subscribed, subscriber);
        self.subscribed
    }

    pub(super) fn unsubscribe(&mut self, subscriber: u64) {
        let Some(gone) = self.subscribers.remove(&subscriber) else {
            return;
        };
        for address in gone.positions.keys() {
            self.stop_listening(subscriber, address);
        }
    }

    pub(super) fn add(
        &mut self,
        subscriber: u64,
        address: DeliveryAddress,
        start: &Start,
    ) -> Result<(), Error> {
        let last = self.logs.get(&address).map_or(0, |log| log.last);
        let next = match start {
            Start::Earliest => 1,
            Start::Latest => last + 1,
            Start::After(cursor) => match sequence(cursor) {
                Some(read @ 1..) if read <= last => read + 1,
                _ => return Err(Error::ForeignCursor),
            },
        };
        self.check_room(&address)?;
        let Some(reader) = self.subscribers.get_mut(&subscriber) else {
            return Ok(());
        };
        reader.remove(&address);
        reader
            .positions
            .insert(address.clone(), Position { next, turn: None });
        if next <= last {
            reader.queue(&address);
        }
        let log = self.logs.entry(address).or_default();
        log.listeners.insert(subscriber);
        Ok(())
    }

    pub(super) fn remove(&mut self, subscriber: u64, address: &DeliveryAddress) {
        let Some(reader) = self.subscribers.get_mut(&subscriber) else {
            return;
        };
        if reader.remove(address) {
            self.stop_listening(subscriber, address);
        }
    }

    /// The next payload of the address whose turn it is.
    pub(super) fn take(
        &mut self,
        subscriber: u64,
        now: Option<Timestamp>,
    ) -> Option<(DeliveryAddress, u64, Bytes)> {
        self.expire(now);
        let reader = self.subscribers.get_mut(&subscriber)?;
        while let Some((_, address)) = reader.ready.pop_first() {
            let Some(position) = reader.positions.get_mut(&address) else {
                continue;
            };
            position.turn = None;
            let Some(log) = self.logs.get(&address) else {
                continue;
            };
            // What was retained when the address became ready may be gone.
            let Some((sequence, payload)) = log.first_from(position.next) else {
                continue;
            };
            position.next = sequence + 1;
            if sequence < log.last {
                reader.queue(&address);
            }
            return Some((address, sequence, payload));
        }
        None
    }

    fn append(
        &mut self,
        address: &DeliveryAddress,
        payload: Bytes,
        at: Option<Timestamp>,
    ) -> Vec<Arc<Notify>> {
        self.accepted += 1;
        self.bytes += counted(&payload);
        self.retained.insert(self.accepted, address.clone());
        let log = self.logs.entry(address.clone()).or_default();
        log.last += 1;
        log.entries.push_back(Entry {
            number: self.accepted,
            at,
            payload,
        });
        let full = log.entries.len() > self.bounds.payloads_per_address;
        let mut waiting = Vec::new();
        for listener in &log.listeners {
            if let Some(reader) = self.subscribers.get_mut(listener)
                && reader.queue(address)
            {
                waiting.push(reader.wake.clone());
            }
        }
        if full {
            self.drop_first(&address.clone());
        }
        while self.bytes > self.bounds.bytes && self.retained.len() > 1 {
            self.drop_oldest();
        }
        waiting
    }

    /// Lets the payloads go that are older than the retention.
    fn expire(&mut self, now: Option<Timestamp>) {
        let Some(now) = now else { return };
        let bound = now.before(self.bounds.retention);
        let is_old = |state: &Self| {
            let (_, address) = state.retained.first_key_value()?;
            let entry = state.logs.get(address)?.entries.front()?;
            Some(entry.at? < bound)
        };
        while is_old(self) == Some(true) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, address)) = self.retained.first_key_value() {
            let address = address.clone();
            self.drop_first(&address);
        }
    }

    fn drop_first(&mut self, address: &DeliveryAddress) {
        let entry = self.logs.get_mut(address).map(|log| &mut log.entries);
        if let Some(entry) = entry.and_then(VecDeque::pop_front) {
            self.retained.remove(&entry.number);
            self.bytes -= counted(&entry.payload);
        }
    }

    fn check_room(&self, address: &DeliveryAddress) -> Result<(), Error> {
        let max = self.bounds.addresses;
        if self.logs.len() >= max && !self.logs.contains_key(address) {
            return Err(Error::TooManyAddresses { max });
        }
        Ok(())
    }

    /// Forgets a listener, and the address if nothing was ever published there:
    /// otherwise its last sequence number must outlive its payloads.
    fn stop_listening(&mut self, subscriber: u64, address: &DeliveryAddress) {
        if let Some(log) = self.logs.get_mut(address) {
            log.listeners.remove(&subscriber);
            if log.last == 0 && log.listeners.is_empty() {
                self.logs.remove(address);
            }
        }
    }
}

impl Log {
    /// The first retained payload whose sequence number is at least `from`.
    fn first_from(&self, from: u64) -> Option<(u64, Bytes)> {
        let first = self.last - self.entries.len() as u64 + 1;
        let sequence = from.max(first);
        let index = usize::try_from(sequence - first).ok()?;
        let entry = self.entries.get(index)?;
        Some((sequence, entry.payload.clone()))
    }
}

impl Subscriber {
    /// Gives an address the last turn, unless it waits for one; says whether it did.
    fn queue(&mut self, address: &DeliveryAddress) -> bool {
        match self.positions.get_mut(address) {
            Some(position) if position.turn.is_none() => {
                self.turns += 1;
                position.turn = Some(self.turns);
                self.ready.insert(self.turns, address.clone());
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, address: &DeliveryAddress) -> bool {
        let removed = self.positions.remove(address);
        if let Some(turn) = removed.as_ref().and_then(|position| position.turn) {
            self.ready.remove(&turn);
        }
        removed.is_some()
    }
}

fn counted(payload: &Bytes) -> usize {
    payload.len() + MemoryOptions::PAYLOAD_OVERHEAD
}

/// A cursor is the sequence number, from 1, in eight bytes, the highest first.
pub(super) fn cursor(sequence: u64) -> Cursor {
    let bytes = Bytes::copy_from_slice(&sequence.to_be_bytes());
    Cursor::new(bytes).expect("a cursor may have eight bytes")
}

fn sequence(cursor: &Cursor) -> Option<u64> {
    let bytes = cursor.as_bytes().try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}
