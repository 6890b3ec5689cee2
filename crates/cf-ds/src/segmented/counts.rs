use std::sync::atomic::{AtomicU64, Ordering};

/// What the subscriptions of a [`Segmented`](crate::Segmented) service dropped
/// since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentedCounts {
    /// Payloads of the inner service that are no piece.
    pub malformed: u64,
    /// Pieces that are not of the payload that they name.
    pub wrong: u64,
    /// Pieces that were there already.
    pub repeated: u64,
    /// Payloads over the declared limit.
    pub too_long: u64,
    /// Incomplete payloads that were given up at a bound.
    pub given_up: u64,
}

/// The same, while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) malformed: Count,
    pub(super) wrong: Count,
    pub(super) repeated: Count,
    pub(super) too_long: Count,
    pub(super) given_up: Count,
}

impl Counts {
    pub(super) fn read(&self) -> SegmentedCounts {
        SegmentedCounts {
            malformed: self.malformed.read(),
            wrong: self.wrong.read(),
            repeated: self.repeated.read(),
            too_long: self.too_long.read(),
            given_up: self.given_up.read(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
