//! What a state machine is given with every call: time, randomness, records.

use std::time::Duration;

use crate::Records;

/// A time: milliseconds since 1970 in UTC. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// This much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A source of bytes that nobody else can predict.
///
/// # Laws
/// - In a running client the bytes come from a cryptographically secure
///   generator; in a simulator the same seed gives the same bytes.
///
/// ```
/// use cf_core::Random;
/// struct Counter(u8);
/// impl Random for Counter {
///     fn fill(&mut self, bytes: &mut [u8]) {
///         for byte in bytes {
///             *byte = self.0;
///             self.0 = self.0.wrapping_add(1);
///         }
///     }
/// }
/// assert_eq!(cf_core::OfferId::random(&mut Counter(0)).0[15], 15);
/// ```
pub trait Random: Send {
    /// Fills all of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What a state machine is given with every call.
pub struct Env<'a> {
    /// The time of this call. It never goes back between two calls of a driver.
    pub now: Timestamp,
    /// Fresh bytes.
    pub random: &'a mut dyn Random,
    /// The instance's own records, as its earlier outputs made them.
    pub records: &'a dyn Records,
}

impl Env<'_> {
    /// Draws `N` bytes.
    pub fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}
