use std::time::Duration;

use bytes::Bytes;

use crate::SeededRandom;

/// What a network does to payloads; each but the durations in percent of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Payloads that do not reach a subscriber.
    pub loss: u8,
    /// Payloads that reach a subscriber twice.
    pub repetition: u8,
    /// Payloads that others may overtake.
    pub reordering: u8,
    /// Payloads of which a bit is flipped. No delivery service may do that, and no
    /// capability says it: for tests of what is above.
    pub corruption: u8,
    /// Publishes of which the answer is lost, though they were published.
    pub lost_answers: u8,
    /// Payloads and publishes at which everything stands still for [`stall`](Self::stall).
    pub stalls: u8,
    /// How long a stall is.
    pub stall: Duration,
    /// The longest way of a payload, and of an answer.
    pub delay: Duration,
}

impl Faults {
    /// No faults.
    pub const NONE: Self = Self {
        loss: 0,
        repetition: 0,
        reordering: 0,
        corruption: 0,
        lost_answers: 0,
        stalls: 0,
        stall: Duration::ZERO,
        delay: Duration::ZERO,
    };

    /// A network that is bad in every way that the contract allows.
    pub const BAD: Self = Self {
        loss: 20,
        repetition: 10,
        reordering: 30,
        lost_answers: 10,
        stalls: 1,
        stall: Duration::from_secs(5),
        delay: Duration::from_secs(2),
        ..Self::NONE
    };
}

/// Decides from a seed what becomes of each payload.
///
/// ```
/// use cf_testkit::{Fates, Faults};
/// let mut fates = Fates::new(Faults { loss: 50, ..Faults::NONE }, 1);
/// let arrived = (0..1000).map(|_| fates.passages().len()).sum::<usize>();
/// assert!((400..600).contains(&arrived));
/// ```
#[derive(Clone, Debug)]
pub struct Fates {
    faults: Faults,
    random: SeededRandom,
}

/// How one copy of a payload reaches a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// How long it takes.
    pub delay: Duration,
    /// Whether payloads behind it may overtake it.
    pub out_of_order: bool,
    /// A number that names the bit that is flipped, if one is.
    pub flipped: Option<u64>,
}

impl Fates {
    /// Starts at a seed.
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            random: SeededRandom::new(seed),
        }
    }

    /// What it does.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// From now on does this.
    pub fn change(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// The copies of a payload that reach a subscriber: none if it is lost.
    pub fn passages(&mut self) -> Vec<Passage> {
        let faults = self.faults;
        if self.chance(faults.loss) {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.chance(faults.repetition));
        (0..copies).map(|_| self.passage()).collect()
    }

    /// Whether the answer to a publish is lost.
    pub fn loses_answer(&mut self) -> bool {
        self.chance(self.faults.lost_answers)
    }

    /// How long everything stands still now, if it does.
    pub fn stall(&mut self) -> Option<Duration> {
        self.chance(self.faults.stalls).then_some(self.faults.stall)
    }

    /// How long an answer takes.
    pub fn delay(&mut self) -> Duration {
        let longest = u64::try_from(self.faults.delay.as_micros()).unwrap_or(u64::MAX);
        match longest {
            0 => Duration::ZERO,
            _ => Duration::from_micros(self.random.below(longest)),
        }
    }

    fn passage(&mut self) -> Passage {
        let faults = self.faults;
        let flipped = self.chance(faults.corruption);
        Passage {
            delay: self.delay(),
            out_of_order: self.chance(faults.reordering),
            flipped: flipped.then(|| self.random.below(u64::MAX)),
        }
    }

    /// Draws nothing where there is no such fault, so that one more kind of fault
    /// leaves the others as they were.
    fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.random.chance(percent.into())
    }
}

impl Passage {
    /// The payload as it arrives.
    pub fn arrived(&self, payload: &Bytes) -> Bytes {
        let Some(number) = self.flipped else {
            return payload.clone();
        };
        let mut bytes = payload.to_vec();
        if let Some(bits) = (bytes.len() as u64).checked_mul(8).filter(|bits| *bits > 0) {
            let bit = (number % bits) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes.into()
    }
}
