use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cf_core::{ConversationEvent, Timestamp};

use crate::Error;

use super::frame::{Acknowledgement, MAX_SEQUENCE, WINDOW};

/// How many contents wait behind a missing one at most.
pub(crate) const MAX_HELD: usize = 256;

/// What was received of the peer's sequence, and what of it waits for its turn.
pub(crate) struct Order {
    /// Everything below was delivered, or is among the missing.
    next: u64,
    /// Passed over with a gap; still welcome.
    missing: BTreeSet<u64>,
    held: BTreeMap<u64, Held>,
    hold: Duration,
    /// Whether nothing is waited for: another session goes on.
    hurries: bool,
}

/// Something that came before its turn.
pub(crate) struct Held {
    /// What to tell when its turn comes; `None` if nothing.
    pub(crate) event: Option<ConversationEvent>,
    pub(crate) arrived_at: Timestamp,
}

/// What follows from a change of the order.
pub(crate) enum Follows {
    Tell(ConversationEvent),
    /// Store what is held under this number.
    Hold(u64),
    /// Delete what was held under this number.
    Release(u64),
    /// Store the missing numbers.
    Missing,
}

impl Order {
    pub(crate) fn new(hold: Duration) -> Self {
        Self {
            next: 1,
            missing: BTreeSet::new(),
            held: BTreeMap::new(),
            hold,
            hurries: false,
        }
    }

    pub(crate) fn restore(
        hold: Duration,
        next: u64,
        missing: BTreeSet<u64>,
        held: BTreeMap<u64, Held>,
    ) -> Result<Self, Error> {
        let may_miss = |number: &u64| (1..next).contains(number);
        let may_hold = |number: &u64| *number > next && number - next <= WINDOW;
        let is_good = (1..MAX_SEQUENCE).contains(&next)
            && missing.iter().all(may_miss)
            && held.keys().all(may_hold);
        match is_good {
            true => Ok(Self {
                next,
                missing,
                held,
                hold,
                hurries: false,
            }),
            false => Err(Error::Records("numbers of a sequence")),
        }
    }

    /// Waits for nothing any more: tells what is held, and from now on everything
    /// as it comes.
    pub(crate) fn hurry(&mut self) -> Vec<Follows> {
        let mut follows = Vec::new();
        while !self.held.is_empty() {
            self.pass(&mut follows);
        }
        self.hurries = true;
        if !self.missing.is_empty() {
            follows.push(Follows::Tell(ConversationEvent::GapClosed));
        }
        follows
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn missing(&self) -> &BTreeSet<u64> {
        &self.missing
    }

    pub(crate) fn held(&self, number: u64) -> Option<&Held> {
        self.held.get(&number)
    }

    /// Whether a number was received, or never will be.
    pub(crate) fn has(&self, number: u64) -> bool {
        match number < self.next {
            true => !self.missing.contains(&number),
            false => self.held.contains_key(&number),
        }
    }

    /// Refuses a number that no honest peer uses yet.
    pub(crate) fn check(&self, number: u64) -> Result<(), Error> {
        match number.saturating_sub(self.cumulative()) > WINDOW {
            true => Err(Error::Rejected("a sequence number is beyond the window")),
            false => Ok(()),
        }
    }

    /// What to acknowledge in at most `limit` bytes of bitmap, and whether that
    /// is everything.
    pub(crate) fn acknowledgement(&self, limit: usize) -> (Acknowledgement, bool) {
        let cumulative = self.cumulative();
        let highest = self
            .held
            .last_key_value()
            .map_or(self.next - 1, |(at, _)| *at);
        let first = cumulative + 2;
        let most = (limit * 8) as u64;
        let bits = (highest + 1).saturating_sub(first).min(most);
        let mut bitmap = vec![0; bits.div_ceil(8) as usize];
        for bit in (0..bits).filter(|bit| self.has(first + bit)) {
            bitmap[(bit / 8) as usize] |= 1 << (bit % 8);
        }
        let complete = highest < first + most;
        let bitmap = bitmap.into();
        (Acknowledgement { cumulative, bitmap }, complete)
    }

    /// Takes in a number that was not received before.
    pub(crate) fn accept(
        &mut self,
        number: u64,
        event: Option<ConversationEvent>,
        now: Timestamp,
    ) -> Vec<Follows> {
        if self.hurries {
            return self.accept_hurried(number, event);
        }
        let mut follows = Vec::new();
        if self.missing.remove(&number) {
            follows.extend(event.map(Follows::Tell));
            follows.push(Follows::Missing);
            if self.missing.is_empty() {
                follows.push(Follows::Tell(ConversationEvent::GapClosed));
            }
        } else if number == self.next {
            self.next += 1;
            follows.extend(event.map(Follows::Tell));
            self.release(&mut follows);
        } else {
            let arrived_at = now;
            self.held.insert(number, Held { event, arrived_at });
            follows.push(Follows::Hold(number));
            while self.held.len() > MAX_HELD {
                self.pass(&mut follows);
            }
        }
        follows
    }

    /// Takes in a number when nothing is waited for: what is missing before it may
    /// come by another instance, so it is told within a gap of its own.
    fn accept_hurried(&mut self, number: u64, event: Option<ConversationEvent>) -> Vec<Follows> {
        let is_late = self.missing.remove(&number);
        if !is_late {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        }
        let mut follows = vec![Follows::Missing];
        let Some(event) = event else {
            return follows;
        };
        let missing = self.missing.range(..number).count() as u64;
        if missing == 0 && !is_late {
            follows.push(Follows::Tell(event));
            return follows;
        }
        let around = [ConversationEvent::Gap { missing }, event];
        follows.extend(around.map(Follows::Tell));
        follows.push(Follows::Tell(ConversationEvent::GapClosed));
        follows
    }

    /// Passes over what was waited for long enough.
    pub(crate) fn handle_time(&mut self, now: Timestamp) -> Vec<Follows> {
        let mut follows = Vec::new();
        while self.due() <= now {
            self.pass(&mut follows);
        }
        follows
    }

    /// When what is missing is no longer waited for.
    pub(crate) fn due(&self) -> Timestamp {
        let arrived = self.held.values().map(|held| held.arrived_at).min();
        arrived.map_or(Timestamp::NEVER, |arrived| arrived.after(self.hold))
    }

    fn cumulative(&self) -> u64 {
        self.missing.first().copied().unwrap_or(self.next) - 1
    }

    /// Passes over the numbers up to the first that is held.
    fn pass(&mut self, follows: &mut Vec<Follows>) {
        if let Some((first, _)) = self.held.first_key_value() {
            let missing = first - self.next;
            self.missing.extend(self.next..*first);
            self.next = *first;
            follows.push(Follows::Missing);
            follows.push(Follows::Tell(ConversationEvent::Gap { missing }));
            self.release(follows);
        }
    }

    /// Delivers what is held, up to the first number that is missing.
    fn release(&mut self, follows: &mut Vec<Follows>) {
        while let Some(held) = self.held.remove(&self.next) {
            follows.extend(held.event.map(Follows::Tell));
            follows.push(Follows::Release(self.next));
            self.next += 1;
        }
    }
}
