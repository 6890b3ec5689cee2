use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cf_core::Timestamp;

use crate::Clock;

/// The bounds of a [`LocalService`](crate::LocalService). At each bound the
/// oldest payloads go first.
///
/// Each process applies its own to the file that they share, so that they had
/// better be the same everywhere.
///
/// ```
/// let options = cf_ds::LocalOptions {
///     durability: cf_ds::Durability::PowerCut,
///     ..cf_ds::LocalOptions::default()
/// };
/// assert_eq!(options.max_payload_len, 1024 * 1024);
/// ```
#[derive(Clone)]
pub struct LocalOptions {
    /// The longest payload, in bytes. No more than `max_bytes` counts.
    pub max_payload_len: usize,
    /// How many payloads of one address are retained; at least one is.
    pub max_payloads_per_address: usize,
    /// How many bytes are retained in all; a payload counts with its length and
    /// [`Self::PAYLOAD_OVERHEAD`].
    pub max_bytes: usize,
    /// How many addresses were ever published to; also how many one service is
    /// subscribed to.
    pub max_addresses: usize,
    /// How long a payload is retained, as the service declares.
    pub retention: Duration,
    /// For how long a repeated publish is dropped, as the service declares.
    /// `None`: it is another payload.
    pub duplicate_suppression: Option<Duration>,
    /// How many ids of publishes are remembered at most, to drop repetitions.
    pub max_ids: usize,
    /// What an accepted payload survives.
    pub durability: Durability,
    /// How long a publish waits while other processes write, before it is
    /// unavailable. Opening waits as long.
    pub busy_timeout: Duration,
    /// How often a service looks for what other processes published, while one
    /// of its subscribers waits.
    pub poll_interval: Duration,
    /// The greatest length of the file, in bytes; the disk counts as full beyond.
    pub max_file_len: Option<u64>,
    /// Tells the time that payloads are stamped with, and how old they are. All
    /// processes need the same.
    pub clock: Clock,
}

/// What an accepted payload survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// That any process is killed at any time. A power cut may take the last
    /// payloads, and leaves the file good (`synchronous = NORMAL`).
    #[default]
    KilledProcess,
    /// A power cut, too: every commit waits for the disk (`synchronous = FULL`).
    PowerCut,
}

impl LocalOptions {
    /// What a retained payload counts beside its own length, in bytes.
    pub const PAYLOAD_OVERHEAD: usize = 128;

    /// The longest payload that counts, in bytes.
    pub(super) fn longest_payload(&self) -> usize {
        let most = self.max_bytes.saturating_sub(Self::PAYLOAD_OVERHEAD);
        self.max_payload_len.min(most)
    }
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            max_payload_len: 1024 * 1024,
            max_payloads_per_address: 65_536,
            max_bytes: 1024 * 1024 * 1024,
            max_addresses: 1024 * 1024,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            duplicate_suppression: Some(Duration::from_secs(2 * 60)),
            max_ids: 1024 * 1024,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_millis(5),
            max_file_len: None,
            clock: Arc::new(system_time),
        }
    }
}

impl fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalOptions")
            .field("max_payload_len", &self.max_payload_len)
            .field("max_payloads_per_address", &self.max_payloads_per_address)
            .field("max_bytes", &self.max_bytes)
            .field("max_addresses", &self.max_addresses)
            .field("retention", &self.retention)
            .field("duplicate_suppression", &self.duplicate_suppression)
            .field("max_ids", &self.max_ids)
            .field("durability", &self.durability)
            .field("busy_timeout", &self.busy_timeout)
            .field("poll_interval", &self.poll_interval)
            .field("max_file_len", &self.max_file_len)
            .finish_non_exhaustive()
    }
}

// The file outlives the processes, so that only the machine's own clock can tell
// how old a payload in it is.
#[allow(clippy::disallowed_methods)]
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}
