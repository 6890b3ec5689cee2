use std::collections::{BTreeMap, BTreeSet};

use cf_core::{ContentId, DeliveryPoint, Publish, PublishId, Timestamp};
use foldhash::HashMap;

use crate::Error;

use super::frame::{Acknowledgement, MAX_SEQUENCE, MAX_SKIPPED, MAX_UNACKNOWLEDGED, WINDOW};

/// How often a content is sent again before a frame without content follows it.
const FIRST_PROBE: u32 = 4;

/// How often a payload was sent again before its peer is taken to be away.
const PATIENT: u32 = 4;

/// What was sent and is not acknowledged.
pub(crate) struct Flights {
    next: u64,
    /// The highest cumulative acknowledgement.
    acknowledged: u64,
    flights: BTreeMap<u64, Flight>,
    due: BTreeSet<(Timestamp, u64)>,
    by_publish: HashMap<PublishId, u64>,
    /// Numbers that never come, to be told until they are acknowledged.
    closed: BTreeSet<u64>,
}

/// One payload that was sent and is not acknowledged. Its bytes are in a record.
pub(crate) struct Flight {
    /// What it is published as.
    pub(crate) publish: PublishId,
    /// What it was published as before it was encrypted anew: of all, the least
    /// that its receipt shows.
    pub(crate) first: PublishId,
    pub(crate) content: Option<ContentId>,
    /// Whether it is more than a frame of the wrapper's own.
    pub(crate) has_content: bool,
    pub(crate) sent_at: Timestamp,
    /// When it is sent again, or given up.
    pub(crate) due: Timestamp,
    /// How often it was sent again.
    pub(crate) resent: u32,
    /// Whether the application was told that a service has it.
    pub(crate) accepted: bool,
    /// Where it was refused.
    pub(crate) refused: Vec<DeliveryPoint>,
}

impl Flight {
    pub(crate) fn new(
        publish: &Publish,
        has_content: bool,
        sent_at: Timestamp,
        due: Timestamp,
    ) -> Self {
        Self {
            publish: publish.id,
            first: publish.id,
            content: publish.content.clone(),
            has_content,
            sent_at,
            due,
            resent: 0,
            accepted: false,
            refused: Vec::new(),
        }
    }
}

impl Flights {
    pub(crate) fn new() -> Self {
        Self {
            next: 1,
            acknowledged: 0,
            closed: BTreeSet::new(),
            flights: BTreeMap::new(),
            due: BTreeSet::new(),
            by_publish: HashMap::default(),
        }
    }

    pub(crate) fn restore(
        next: u64,
        acknowledged: u64,
        closed: BTreeSet<u64>,
    ) -> Result<Self, Error> {
        let is_below = acknowledged < next && closed.iter().all(|number| *number < next);
        if !is_below || next >= MAX_SEQUENCE {
            return Err(Error::Records("numbers of a sequence"));
        }
        Ok(Self {
            next,
            acknowledged,
            closed,
            ..Self::new()
        })
    }

    /// The next sequence number.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Whether the receiver's window has room for another number.
    pub(crate) fn has_room(&self) -> bool {
        self.next - self.acknowledged <= WINDOW
    }

    /// Whether content may travel under the next number.
    pub(crate) fn has_room_for_content(&self) -> bool {
        self.has_room() && self.flights.len() < MAX_UNACKNOWLEDGED
    }

    /// Whether the last frame was sent again so often that its receiver may have
    /// it and no longer know its tag. Each further frame without content waits
    /// twice as long.
    ///
    /// While content waits, also if it was sent again more often: a client that is
    /// restored for each of its timers counts by the schedule, which may step over a
    /// number. Without content it has to end.
    pub(crate) fn needs_probe(&self, number: u64) -> bool {
        let last = (self.flights.last_key_value()).filter(|(last, _)| **last == number);
        let mut behind = self.flights.values().rev();
        let content_before = behind.position(|flight| flight.has_content);
        let probes = content_before.unwrap_or(self.flights.len()) as u32;
        let most = FIRST_PROBE.checked_shl(probes).unwrap_or(u32::MAX);
        last.is_some_and(|(_, flight)| match content_before {
            Some(_) => flight.resent >= most,
            None => flight.resent == most,
        })
    }

    pub(crate) fn closed(&self) -> &BTreeSet<u64> {
        &self.closed
    }

    /// What the next frame says of numbers that never come.
    pub(crate) fn skipped(&self) -> Vec<u64> {
        self.closed.iter().copied().take(MAX_SKIPPED).collect()
    }

    /// Takes in a flight under the next number.
    pub(crate) fn start(&mut self, flight: Flight) -> u64 {
        let number = self.next;
        self.next += 1;
        self.insert(number, flight);
        number
    }

    pub(crate) fn insert(&mut self, number: u64, flight: Flight) {
        self.due.insert((flight.due, number));
        self.by_publish.insert(flight.publish, number);
        self.flights.insert(number, flight);
    }

    pub(crate) fn number_of(&self, publish: PublishId) -> Option<u64> {
        self.by_publish.get(&publish).copied()
    }

    /// All, in the order of sending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Flight)> {
        self.flights
            .iter()
            .map(|(number, flight)| (*number, flight))
    }

    /// The number that a content travels under.
    pub(crate) fn number_of_content(&self, id: &ContentId) -> Option<u64> {
        let mut all = self.iter();
        all.find_map(|(number, flight)| (flight.content.as_ref() == Some(id)).then_some(number))
    }

    /// A publish id above that of everything in flight.
    pub(crate) fn above_all(&self) -> u64 {
        let highest = self.by_publish.keys().max();
        highest.map_or(0, |highest| highest.0 + 1)
    }

    /// A frame was encrypted anew; gives what it was published as.
    pub(crate) fn encrypted_anew(&mut self, number: u64, publish: PublishId) -> Option<PublishId> {
        let flight = self.flights.get_mut(&number)?;
        let before = std::mem::replace(&mut flight.publish, publish);
        flight.refused.clear();
        self.by_publish.remove(&before);
        self.by_publish.insert(publish, number);
        Some(before)
    }

    /// Makes everything due by then, as if it had not been sent again yet.
    pub(crate) fn hasten(&mut self, at: Timestamp) {
        self.due.clear();
        for (number, flight) in &mut self.flights {
            flight.resent = 0;
            flight.due = flight.due.min(at);
            self.due.insert((flight.due, *number));
        }
    }

    /// Whether the last frame was sent again so often by the schedule, and its
    /// probe may not have been sent.
    pub(crate) fn may_lack_probe(&self) -> bool {
        let content = self.flights.values().any(|flight| flight.has_content);
        let last = self.flights.last_key_value();
        content
            && last.is_some_and(|(_, flight)| flight.has_content && flight.resent >= FIRST_PROBE)
    }

    /// Whether something waits for long before it is sent again.
    pub(crate) fn is_patient(&self) -> bool {
        let first = self.flights.first_key_value();
        first.is_some_and(|(_, flight)| flight.resent >= PATIENT)
    }

    pub(crate) fn flight_mut(&mut self, number: u64) -> Option<&mut Flight> {
        self.flights.get_mut(&number)
    }

    /// The flight that is due first, if it is by now.
    pub(crate) fn due(&self, now: Timestamp) -> Option<u64> {
        let (due, number) = self.due.first()?;
        (*due <= now).then_some(*number)
    }

    pub(crate) fn next_due(&self) -> Timestamp {
        self.due.first().map_or(Timestamp::NEVER, |(due, _)| *due)
    }

    pub(crate) fn postpone(&mut self, number: u64, due: Timestamp) {
        if let Some(flight) = self.flights.get_mut(&number) {
            self.due.remove(&(flight.due, number));
            flight.due = due;
            self.due.insert((due, number));
        }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Flight> {
        let flight = self.flights.remove(&number)?;
        self.due.remove(&(flight.due, number));
        self.by_publish.remove(&flight.publish);
        Some(flight)
    }

    /// Gives a flight up: its number never comes.
    pub(crate) fn close(&mut self, number: u64) -> Option<Flight> {
        let flight = self.remove(number)?;
        self.closed.insert(number);
        Some(flight)
    }

    /// Whether an acknowledgement is of what was never sent.
    pub(crate) fn is_beyond(&self, acknowledgement: &Acknowledgement) -> bool {
        acknowledgement.highest() >= self.next
    }

    /// Takes an acknowledgement in; gives the flights that it ends.
    pub(crate) fn acknowledge(&mut self, acknowledgement: &Acknowledgement) -> Vec<(u64, Flight)> {
        let cumulative = acknowledgement.cumulative;
        self.acknowledged = self.acknowledged.max(cumulative);
        let below: Vec<u64> = self
            .flights
            .range(..=cumulative)
            .map(|(at, _)| *at)
            .collect();
        while self
            .closed
            .first()
            .is_some_and(|first| *first <= cumulative)
        {
            self.closed.pop_first();
        }
        for number in acknowledgement.beyond() {
            self.closed.remove(&number);
        }
        (below.into_iter().chain(acknowledgement.beyond()))
            .filter_map(|number| Some((number, self.remove(number)?)))
            .collect()
    }
}
