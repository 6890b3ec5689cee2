use std::time::Duration;

use cf_core::Spread;

/// How a [`Redundant`](crate::Redundant) service publishes, waits and remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedundantOptions {
    /// Whether a payload is published to all healthy services, or to the first of
    /// them that accepts it, in the order in which they were given.
    pub spread: Spread,
    /// How long a service has for an answer while none has accepted.
    pub timeout: Duration,
    /// How long the others have once one has accepted, and a sick one that is
    /// probed.
    pub grace: Duration,
    /// How many failures in a row make a service sick; no answer in time does at
    /// once.
    pub max_failures: u32,
    /// When a sick service is asked again.
    pub probe_after: Duration,
    /// How many payloads of one address are remembered to know a copy of them.
    pub window_per_address: usize,
    /// How many payloads are remembered in all.
    pub window: usize,
}

impl Default for RedundantOptions {
    fn default() -> Self {
        Self {
            spread: Spread::All,
            timeout: Duration::from_secs(5),
            grace: Duration::from_millis(500),
            max_failures: 3,
            probe_after: Duration::from_secs(10),
            window_per_address: 1024,
            window: 65_536,
        }
    }
}
