use std::time::Duration;

use cf_core::Timestamp;

/// How many reliable frames are received at most before one is acknowledged.
const AT_ONCE: u32 = 16;

/// The shortest time between two acknowledgements of frames that came again.
const REPEATED_EVERY: Duration = Duration::from_secs(1);

/// When to acknowledge.
pub(crate) struct Acknowledging {
    delay: Duration,
    due: Timestamp,
    received: u32,
    repeated_from: Timestamp,
}

impl Acknowledging {
    /// `owed` from the records: an acknowledgement was due.
    pub(crate) fn new(delay: Duration, owed: bool, now: Timestamp) -> Self {
        Self {
            delay,
            due: if owed { now } else { Timestamp::NEVER },
            received: 0,
            repeated_from: Timestamp::default(),
        }
    }

    pub(crate) fn is_owed(&self) -> bool {
        self.due != Timestamp::NEVER
    }

    pub(crate) fn due(&self) -> Timestamp {
        self.due
    }

    /// A reliable frame was received.
    pub(crate) fn received(&mut self, now: Timestamp) {
        self.received += 1;
        let delay = if self.received >= AT_ONCE {
            Duration::ZERO
        } else {
            self.delay
        };
        self.due = self.due.min(now.after(delay));
    }

    /// A frame came again: an acknowledgement was lost, perhaps.
    pub(crate) fn repeated(&mut self, now: Timestamp) {
        if now >= self.repeated_from {
            self.repeated_from = now.after(REPEATED_EVERY);
            self.due = self.due.min(now.after(self.delay));
        }
    }

    /// Everything received was acknowledged.
    pub(crate) fn done(&mut self) {
        self.due = Timestamp::NEVER;
        self.received = 0;
    }

    /// It can't be acknowledged before `due`.
    pub(crate) fn postpone(&mut self, due: Timestamp) {
        self.due = due;
    }
}
