//! The outbox: payloads that are to be published, from the commit that decided
//! it until the service's answer is committed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Condition, Cursor, DeliveryPoint, Error, Input, InstanceId, Locator, Outcome, PayloadId,
    PeerId, Publish, PublishId, PublishRequest, Result, Spread, Timestamp,
};

use super::{Driver, Effect, Wake, Work};
use crate::fault::fault;
use crate::records::{self, OUTBOX, wire};

/// The pause before a payload is published again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many payloads are on their way to one service at once, the oldest first: what
/// was sent later does not get further ahead of what has to be published again.
const WINDOW: usize = 128;
/// How often a payload is published again at once when its service is back.
const AT_ONCE: u32 = 3;
/// How often it is looked for payloads that a service which is back may take.
const HURRY: Duration = Duration::from_millis(50);

/// Payloads on their way to a service.
#[derive(Default)]
pub(super) struct Outbox {
    entries: BTreeMap<u64, Entry>,
    publishing: HashMap<(InstanceId, PublishId), u32>,
    /// Those that may be published, for each service.
    ready: HashMap<Locator, BTreeSet<u64>>,
    /// Those that a service was asked to take and has not answered.
    asked: HashMap<u64, Locator>,
    /// How many those are for each service.
    on_the_way: HashMap<Locator, usize>,
    /// Those that failed, until they are published again.
    waiting: BTreeMap<u64, Pause>,
    /// When those that wait were last looked at for a service that is back.
    hurried_at: Timestamp,
    next: u64,
}

#[derive(Clone, Copy)]
struct Pause {
    from: Timestamp,
    to: Timestamp,
}

pub(super) struct Entry {
    /// Who wants to know the outcome.
    instance: Option<(InstanceId, PublishId)>,
    destinations: Vec<(DeliveryPoint, Bytes)>,
    condition: Option<Condition>,
    id: PayloadId,
    /// The invite that it is, if it is one.
    invite: Option<(InstanceId, PeerId)>,
    attempts: u32,
}

impl Entry {
    /// Where it is published this time.
    fn destination(&self) -> Option<&(DeliveryPoint, Bytes)> {
        let alternatives = self.destinations.len().max(1);
        self.destinations.get(self.attempts as usize % alternatives)
    }
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, key: u64, entry: Entry) {
        if let Some(publish) = entry.instance {
            *self.publishing.entry(publish).or_default() += 1;
        }
        self.next = self.next.max(key + 1);
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: u64) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.waiting.remove(&key);
        if let Some((point, _)) = entry.destination()
            && let Some(ready) = self.ready.get_mut(&point.locator)
        {
            ready.remove(&key);
        }
        if let Some(publish) = entry.instance
            && let Some(count) = self.publishing.get_mut(&publish)
        {
            *count -= 1;
            if *count == 0 {
                self.publishing.remove(&publish);
            }
        }
        Some(entry)
    }

    /// The oldest that its service may be asked to take now.
    fn next_ready(&mut self, locator: &Locator) -> Option<u64> {
        if self
            .on_the_way
            .get(locator)
            .is_some_and(|count| *count >= WINDOW)
        {
            return None;
        }
        let key = self.ready.get_mut(locator)?.pop_first()?;
        self.asked.insert(key, locator.clone());
        *self.on_the_way.entry(locator.clone()).or_default() += 1;
        Some(key)
    }

    /// A service has answered; gives which.
    fn answered(&mut self, key: u64) -> Option<Locator> {
        let locator = self.asked.remove(&key)?;
        if let Some(count) = self.on_the_way.get_mut(&locator) {
            *count -= 1;
            if *count == 0 {
                self.on_the_way.remove(&locator);
            }
        }
        Some(locator)
    }

    pub(super) fn keys(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }
}

impl Driver {
    /// Puts a conversation's frame into the outbox.
    pub(super) fn enqueue(&mut self, instance: InstanceId, publish: Publish) {
        let Publish {
            id,
            points,
            spread,
            condition,
            frame,
            ..
        } = publish;
        if self.outbox.publishing.contains_key(&(instance, id)) {
            return;
        }
        self.note_peer_points(instance, &points);
        let mut destinations = Vec::new();
        for point in points {
            match self.encode(&point, &frame) {
                Ok(payload) => destinations.push((point, payload)),
                Err(error) => {
                    self.work
                        .push_back(Work::Refused(instance, id, point, error));
                }
            }
        }
        let publish = Some((instance, id));
        match spread {
            Spread::First if !destinations.is_empty() => {
                self.put_outgoing(publish, None, destinations, condition);
            }
            _ => destinations.into_iter().for_each(|destination| {
                self.put_outgoing(publish, None, vec![destination], condition.clone());
            }),
        }
    }

    /// Puts a frame of no conversation that is kept into the outbox.
    pub(super) fn publish_alone(&mut self, publish: Publish) {
        for point in publish.points {
            match self.encode(&point, &publish.frame) {
                Ok(payload) => self.put_outgoing(None, None, vec![(point, payload)], None),
                Err(error) => self.rejected("failed.encode", &error),
            }
        }
    }

    /// Puts an invite into the outbox, unless it still waits there.
    pub(super) fn put_invite_payload(
        &mut self,
        invite: (InstanceId, PeerId),
        destinations: Vec<(DeliveryPoint, Bytes)>,
    ) {
        let mut entries = self.outbox.entries.values();
        if entries.any(|entry| entry.invite == Some(invite)) {
            return;
        }
        for destination in destinations {
            self.put_outgoing(None, Some(invite), vec![destination], None);
        }
    }

    /// Takes an invite out of the outbox, wherever no service has it yet.
    pub(super) fn withdraw_invite(&mut self, invite: (InstanceId, PeerId)) {
        self.withdraw_all(|entry| entry.invite == Some(invite));
    }

    /// Takes a frame out of the outbox, wherever no service has it yet.
    pub(super) fn withdraw(&mut self, instance: InstanceId, publish: PublishId) {
        self.withdraw_all(|entry| entry.instance == Some((instance, publish)));
    }

    /// Takes all frames of an instance out of the outbox.
    pub(super) fn withdraw_everything(&mut self, instance: InstanceId) {
        self.withdraw_all(|entry| entry.instance.is_some_and(|(of, _)| of == instance));
    }

    fn withdraw_all(&mut self, chosen: impl Fn(&Entry) -> bool) {
        let of = |(key, entry): (&u64, &Entry)| chosen(entry).then_some(*key);
        let keys: Vec<u64> = self.outbox.entries.iter().filter_map(of).collect();
        for key in keys {
            self.outbox.remove(key);
            self.overlay.delete(OUTBOX, records::number_key(key));
            self.counters.add("withdrawn.payload");
        }
    }

    /// Encodes a frame for a point, under the limit of its service. One that is not
    /// configured now may be again: its payloads wait.
    pub(super) fn encode(&self, point: &DeliveryPoint, frame: &cf_core::Frame) -> Result<Bytes> {
        let framing = self
            .components
            .framing(&point.framing)
            .ok_or_else(|| Error::unsupported("this client does not have the point's framing"))?;
        let service = self.components.service(&point.locator);
        let limit = service.map_or(usize::MAX, |s| s.capabilities().max_payload_len);
        framing.encode(frame, limit)
    }

    /// Puts a payload into the outbox: published once this commit is durable.
    fn put_outgoing(
        &mut self,
        instance: Option<(InstanceId, PublishId)>,
        invite: Option<(InstanceId, PeerId)>,
        destinations: Vec<(DeliveryPoint, Bytes)>,
        condition: Option<Condition>,
    ) {
        let key = self.outbox.next;
        let id = PayloadId::random(&mut *self.random);
        let entry = Entry {
            instance,
            destinations,
            condition,
            id,
            invite,
            attempts: 0,
        };
        if !fault!("forget-the-outbox") {
            self.overlay
                .put(OUTBOX, records::number_key(key), write(&entry));
        }
        self.outbox.insert(key, entry);
        self.publish_again(key);
    }

    /// Publishes at once what waits for a service that has just taken something: what
    /// was sent later must not get far ahead of it.
    fn hurry(&mut self, back: &Locator, now: Timestamp) {
        if self.outbox.waiting.is_empty() || now < self.outbox.hurried_at.after(HURRY) {
            return;
        }
        self.outbox.hurried_at = now;
        let is_due = |(key, pause): &(&u64, &Pause)| {
            self.outbox.entries.get(key).is_some_and(|entry| {
                let point = entry.destination();
                // What fails again and again is not to be published without a pause.
                point.is_some_and(|(point, _)| point.locator == *back)
                    && (entry.attempts <= AT_ONCE || now >= pause.from.after(FIRST_PAUSE))
            })
        };
        let due = self.outbox.waiting.iter().filter(is_due);
        let due: Vec<_> = due.map(|(key, pause)| (*key, *pause)).collect();
        for (key, pause) in due {
            self.wakes.remove(&(pause.to, Wake::Outgoing(key)));
            self.publish_again(key);
        }
    }

    /// Asks for the publish of an entry, when its turn comes.
    pub(super) fn publish_again(&mut self, key: u64) {
        self.outbox.waiting.remove(&key);
        let entry = self.outbox.entries.get(&key);
        let Some((point, _)) = entry.and_then(Entry::destination) else {
            return;
        };
        if self.outbox.asked.contains_key(&key) {
            return;
        }
        let locator = point.locator.clone();
        let ready = self.outbox.ready.entry(locator.clone()).or_default();
        ready.insert(key);
        self.publish_ready(&locator);
    }

    /// Asks a service to take what is ready, as far as there is room on the way.
    fn publish_ready(&mut self, locator: &Locator) {
        while let Some(key) = self.outbox.next_ready(locator) {
            let entry = self.outbox.entries.get(&key);
            let Some((entry, (point, payload))) =
                entry.and_then(|entry| Some((entry, entry.destination()?)))
            else {
                self.outbox.answered(key);
                continue;
            };
            self.effects.push(Effect::Publish {
                entry: key,
                locator: point.locator.clone(),
                request: PublishRequest {
                    address: point.address.clone(),
                    payload: payload.clone(),
                    condition: entry.condition.clone(),
                    id: Some(entry.id),
                },
            });
        }
    }

    /// Takes the outcome of an [`Effect::Publish`].
    pub fn published(&mut self, key: u64, outcome: Outcome, now: Timestamp) {
        let asked = self.outbox.answered(key);
        self.take_outcome(key, outcome, now);
        if let Some(locator) = asked {
            self.publish_ready(&locator);
        }
    }

    fn take_outcome(&mut self, key: u64, outcome: Outcome, now: Timestamp) {
        let Some(entry) = self.outbox.entries.get_mut(&key) else {
            return;
        };
        let alternatives = entry.destinations.len();
        let alternative = entry.attempts as usize % alternatives.max(1);
        let again = match &outcome {
            Outcome::Queued | Outcome::Unavailable(_) => true,
            Outcome::Unknown(_) => entry.condition.is_none() && !fault!("unknown-is-accepted"),
            Outcome::Refused(_) if alternatives > 1 => {
                entry.destinations.remove(alternative);
                true
            }
            _ => false,
        };
        if again {
            entry.attempts = entry.attempts.saturating_add(1);
            let pause = FIRST_PAUSE
                .saturating_mul(1 << entry.attempts.min(12))
                .min(LONGEST_PAUSE);
            let (from, to) = (now, now.after(pause));
            self.wakes.insert((to, Wake::Outgoing(key)));
            self.outbox.waiting.insert(key, Pause { from, to });
            self.counters.add("repeated.publish");
            return;
        }
        let point = entry.destinations[alternative].0.clone();
        let instance = entry.instance;
        self.outbox.remove(key);
        if let Outcome::Accepted { .. } = outcome {
            self.hurry(&point.locator, now);
        }
        self.overlay.delete(OUTBOX, records::number_key(key));
        self.counters.add("published.payload");
        if let Some((instance, publish)) = instance {
            self.outcome(instance, publish, point, outcome, now);
        }
        self.settle(now);
    }

    /// Tells a conversation what became of its publish.
    pub(super) fn outcome(
        &mut self,
        instance: InstanceId,
        publish: PublishId,
        point: DeliveryPoint,
        outcome: Outcome,
        now: Timestamp,
    ) {
        self.know_session(instance, now);
        let input = Input::Outcome {
            publish,
            point,
            outcome,
        };
        if let Err(error) = self.input(instance, input, now) {
            self.rejected("failed.outcome", &error);
        }
    }
}

fn write(entry: &Entry) -> Bytes {
    let (condition, cursor) = match &entry.condition {
        None => (0, Bytes::new()),
        Some(Condition::Empty) => (1, Bytes::new()),
        Some(Condition::LastIs(cursor)) => (2, Bytes::copy_from_slice(cursor.as_bytes())),
    };
    let (instance, publish) = entry.instance.map_or((0, 0), |(i, p)| (i.0, p.0));
    records::write(&wire::Outgoing {
        instance,
        publish,
        destinations: write_destinations(&entry.destinations),
        condition,
        cursor,
        payload_id: Bytes::copy_from_slice(entry.id.as_bytes()),
        invite: entry
            .invite
            .map_or(Bytes::new(), |(i, p)| records::peer_key(i, p)),
    })
}

pub(super) fn read(bytes: &Bytes) -> Result<Entry> {
    let outgoing: wire::Outgoing = records::read(bytes)?;
    Ok(Entry {
        instance: (outgoing.instance > 0)
            .then_some((InstanceId(outgoing.instance), PublishId(outgoing.publish))),
        destinations: read_destinations(&outgoing.destinations)?,
        condition: match outgoing.condition {
            0 => None,
            1 => Some(Condition::Empty),
            _ => Some(Condition::LastIs(Cursor::new(outgoing.cursor)?)),
        },
        id: PayloadId::from_slice(&outgoing.payload_id)?,
        invite: match outgoing.invite.is_empty() {
            true => None,
            false => Some(records::read_pair(&outgoing.invite)?),
        },
        attempts: 0,
    })
}

pub(super) fn write_destinations(all: &[(DeliveryPoint, Bytes)]) -> Vec<wire::Destination> {
    let write = |(point, payload): &(DeliveryPoint, Bytes)| wire::Destination {
        point: Some(point.into()),
        payload: payload.clone(),
    };
    all.iter().map(write).collect()
}

pub(super) fn read_destinations(all: &[wire::Destination]) -> Result<Vec<(DeliveryPoint, Bytes)>> {
    all.iter()
        .map(|d| Ok((records::point(&d.point)?, d.payload.clone())))
        .collect()
}
