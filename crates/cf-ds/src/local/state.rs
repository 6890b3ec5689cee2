use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Delivery, DeliveryAddress, Start};
use tokio::sync::Notify;

use super::cursor::Incarnation;
use super::subscriber::{Need, Subscriber};
use super::transaction::{Accepted, Published};
use crate::Error;

/// The subscriptions of one service. The writer and the reader fill them; they hold the lock
/// for as long as it takes to move a payload, and never while the file is read.
pub(super) struct State {
    incarnation: Incarnation,
    max_addresses: usize,
    listeners: HashMap<DeliveryAddress, Vec<u64>>,
    subscribers: HashMap<u64, Subscriber>,
    /// How many subscribers there ever were; their names.
    subscribed: u64,
    /// The number of the last payload that the subscriptions were shown.
    seen: i64,
    /// Why the file can't be read, and how often that was so.
    trouble: (u64, Option<Error>),
}

/// Whether the reader has to look at the file.
pub(super) enum Look {
    No,
    /// If it does not do so by itself.
    Soon,
    Now,
}

impl State {
    /// No subscriptions: they will be shown what comes after the number `seen`.
    pub(super) fn new(incarnation: Incarnation, seen: i64, max_addresses: usize) -> Self {
        Self {
            incarnation,
            max_addresses,
            listeners: HashMap::new(),
            subscribers: HashMap::new(),
            subscribed: 0,
            seen,
            trouble: (0, None),
        }
    }

    pub(super) fn subscribe(&mut self, wake: Arc<Notify>) -> u64 {
        self.subscribed += 1;
        let told = self.trouble.0 - u64::from(self.trouble.1.is_some());
        let subscriber = Subscriber::new(wake, told);
        self.subscribers.insert(self.subscribed, subscriber);
        self.subscribed
    }

    pub(super) fn unsubscribe(&mut self, subscriber: u64) {
        let Some(gone) = self.subscribers.remove(&subscriber) else {
            return;
        };
        for address in gone.addresses() {
            stop_listening(&mut self.listeners, subscriber, address);
        }
    }

    /// The number of the last payload that the subscriptions were shown.
    pub(super) fn seen(&self) -> i64 {
        self.seen
    }

    /// Subscribes from `start` on, where the last sequence number of the address
    /// is `last`.
    pub(super) fn add(
        &mut self,
        subscriber: u64,
        address: &DeliveryAddress,
        start: &Start,
        last: u64,
    ) -> Result<(), Error> {
        let fetched = match start {
            Start::Earliest => 0,
            Start::Latest => last,
            Start::After(cursor) => match self.incarnation.sequence(cursor) {
                Some(read @ 1..) if read <= last => read,
                _ => return Err(Error::ForeignCursor),
            },
        };
        self.listen(subscriber, address)?;
        if let Some(reader) = self.subscribers.get_mut(&subscriber) {
            reader.place(address, fetched, last);
        }
        Ok(())
    }

    /// Notes what is published to an address while it is looked up.
    pub(super) fn watch(
        &mut self,
        subscriber: u64,
        address: &DeliveryAddress,
    ) -> Result<(), Error> {
        self.listen(subscriber, address)?;
        if let Some(reader) = self.subscribers.get_mut(&subscriber) {
            reader.watch(address);
        }
        Ok(())
    }

    /// Ends watching; the last sequence number that was noted.
    pub(super) fn unwatch(&mut self, subscriber: u64, address: &DeliveryAddress) -> u64 {
        let Some(reader) = self.subscribers.get_mut(&subscriber) else {
            return 0;
        };
        let noted = reader.unwatch();
        if !reader.has(address) {
            stop_listening(&mut self.listeners, subscriber, address);
        }
        noted
    }

    fn listen(&mut self, subscriber: u64, address: &DeliveryAddress) -> Result<(), Error> {
        let max = self.max_addresses;
        if self.listeners.len() >= max && !self.listeners.contains_key(address) {
            return Err(Error::TooManyAddresses { max });
        }
        let listeners = self.listeners.entry(address.clone()).or_default();
        if !listeners.contains(&subscriber) {
            listeners.push(subscriber);
        }
        Ok(())
    }

    /// Whether a subscription has something to read in the file.
    pub(super) fn is_hungry(&self, subscriber: u64) -> bool {
        let subscriber = self.subscribers.get(&subscriber);
        subscriber.is_some_and(Subscriber::is_hungry)
    }

    pub(super) fn remove(&mut self, subscriber: u64, address: &DeliveryAddress) {
        let Some(reader) = self.subscribers.get_mut(&subscriber) else {
            return;
        };
        if reader.remove(address) {
            stop_listening(&mut self.listeners, subscriber, address);
        }
    }

    /// The next payload of the address whose turn it is, or why there is none.
    pub(super) fn take(&mut self, subscriber: u64) -> (Option<Result<Delivery, Error>>, Look) {
        let Some(reader) = self.subscribers.get_mut(&subscriber) else {
            return (None, Look::No);
        };
        if let Some((address, sequence, payload)) = reader.take() {
            let delivery = Delivery {
                address,
                payload,
                cursor: Some(self.incarnation.cursor(sequence)),
            };
            let look = match (reader.is_due_to_look(), reader.is_hungry()) {
                (_, true) => Look::Now,
                (true, false) => Look::Soon,
                (false, false) => Look::No,
            };
            return (Some(Ok(delivery)), look);
        }
        match self.trouble {
            // Nothing will come any more, however often it is asked.
            (_, Some(error @ Error::NoThread)) => (Some(Err(error)), Look::No),
            (number, Some(error)) if reader.told < number => {
                reader.told = number;
                (Some(Err(error)), Look::No)
            }
            _ if reader.is_hungry() => (None, Look::Now),
            _ => (None, Look::No),
        }
    }

    /// Shows the subscriptions what was just accepted, without a look at the file,
    /// and names those to wake. `None` if the reader has to look, since they were
    /// not shown all before it.
    pub(super) fn show(
        &mut self,
        incarnation: Incarnation,
        published: &Published,
    ) -> Option<Vec<Arc<Notify>>> {
        let follows = incarnation == self.incarnation && published.first == self.seen + 1;
        if !follows && !published.accepted.is_empty() {
            return self.subscribers.is_empty().then(Vec::new);
        }
        let mut waiting = Vec::new();
        for (number, accepted) in (published.first..).zip(&published.accepted) {
            let Accepted {
                address,
                sequence,
                payload,
            } = accepted;
            waiting.append(&mut self.offer(number, address, *sequence, payload));
        }
        Some(waiting)
    }

    /// Whether somebody may want a payload in the file, which is shown otherwise.
    pub(super) fn wants(&mut self, number: i64, address: &DeliveryAddress) -> bool {
        let is_wanted = number > self.seen && self.listeners.contains_key(address);
        if !is_wanted {
            self.seen = number.max(self.seen);
        }
        is_wanted
    }

    /// Shows the subscriptions a payload, and names those to wake once the lock is
    /// free, which they need.
    pub(super) fn offer(
        &mut self,
        number: i64,
        address: &DeliveryAddress,
        sequence: u64,
        payload: &Bytes,
    ) -> Vec<Arc<Notify>> {
        // The writer may have shown it meanwhile.
        if number <= self.seen {
            return Vec::new();
        }
        self.seen = number;
        let mut waiting = Vec::new();
        for listener in self.listeners.get(address).into_iter().flatten() {
            if let Some(reader) = self.subscribers.get_mut(listener)
                && reader.offer(address, sequence, payload)
            {
                waiting.push(reader.wake.clone());
            }
        }
        waiting
    }

    /// What to read next, at most `most` addresses for each subscription.
    pub(super) fn needs(&self, most: usize) -> Vec<Need> {
        let subscribers = self.subscribers.iter();
        subscribers
            .flat_map(|(name, reader)| reader.needs(*name, most))
            .collect()
    }

    /// Whether a need still is one.
    pub(super) fn is_needed(&self, need: &Need) -> bool {
        let subscriber = self.subscribers.get(&need.subscriber);
        subscriber.is_some_and(Subscriber::has_room)
    }

    /// Gives a subscription what was read for it.
    pub(super) fn fill(&mut self, need: &Need, rows: Vec<(u64, Bytes)>, is_all: bool) {
        if let Some(reader) = self.subscribers.get_mut(&need.subscriber)
            && reader.fill(need, rows, is_all)
        {
            reader.wake.notify_one();
        }
    }

    /// Goes on with a file that was made again: all that is in it is new.
    pub(super) fn reset(&mut self, incarnation: Incarnation) {
        self.incarnation = incarnation;
        self.seen = 0;
        for reader in self.subscribers.values_mut() {
            reader.reset();
        }
    }

    /// Tells every subscription once that the file can't be read.
    pub(super) fn fail(&mut self, error: Error) {
        self.trouble = (self.trouble.0 + 1, Some(error));
        for reader in self.subscribers.values() {
            reader.wake.notify_one();
        }
    }

    pub(super) fn recover(&mut self) {
        self.trouble.1 = None;
    }
}

fn stop_listening(
    listeners: &mut HashMap<DeliveryAddress, Vec<u64>>,
    subscriber: u64,
    address: &DeliveryAddress,
) {
    if let Some(names) = listeners.get_mut(address) {
        names.retain(|name| *name != subscriber);
        if names.is_empty() {
            listeners.remove(address);
        }
    }
}
