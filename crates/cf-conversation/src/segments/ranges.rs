use std::collections::BTreeMap;
use std::ops::Range;

use crate::wire::segments::StoredRange;

/// Which bytes of a content are there: ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// How many bytes are there.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// How many ranges there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether any byte of a range is there.
    pub(super) fn overlaps(&self, range: &Range<u64>) -> bool {
        let before = self.0.range(..range.end).next_back();
        before.is_some_and(|(_, to)| *to > range.start)
    }

    /// Adds a range, joining it with what it touches.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        while let Some((from, to)) = self.0.range(..=end).next_back()
            && *to >= start
        {
            let from = *from;
            (start, end) = (start.min(from), end.max(*to));
            self.0.remove(&from);
        }
        self.0.insert(start, end);
    }

    pub(super) fn store(&self) -> Vec<StoredRange> {
        let store = |(from, to): (&u64, &u64)| StoredRange {
            from: *from,
            to: *to,
        };
        self.0.iter().map(store).collect()
    }

    pub(super) fn restore(stored: &[StoredRange]) -> Self {
        Self(stored.iter().map(|range| (range.from, range.to)).collect())
    }
}

/// Whether a whole cent of `len` lies between two amounts.
pub(super) fn passes_a_cent(before: u64, after: u64, len: u64) -> bool {
    let cents = |amount: u64| amount.saturating_mul(100).checked_div(len);
    cents(before) != cents(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set_of_bytes(pairs in proptest::collection::vec((0u64..60, 1u64..9), 0..30)) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 70];
            for (from, len) in pairs {
                let range = from..from + len;
                let there = bytes[from as usize..(from + len) as usize].iter().any(|byte| *byte);
                prop_assert_eq!(ranges.overlaps(&range), there);
                ranges.insert(range);
                bytes[from as usize..(from + len) as usize].fill(true);
                prop_assert_eq!(ranges.total(), bytes.iter().filter(|byte| **byte).count() as u64);
                let starts = (0..70).filter(|at| bytes[*at] && (*at == 0 || !bytes[*at - 1]));
                prop_assert_eq!(ranges.count(), starts.count());
                prop_assert_eq!(&Ranges::restore(&ranges.store()), &ranges);
            }
        }
    }

    #[test]
    fn a_cent_is_passed_once() {
        let passed = (0..1_000).filter(|at| passes_a_cent(*at, at + 1, 1_000));
        assert_eq!(passed.count(), 100);
    }
}
