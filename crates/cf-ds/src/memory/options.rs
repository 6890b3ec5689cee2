use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::Timestamp;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The bounds of a [`MemoryService`](crate::MemoryService). At each bound the
/// oldest payloads go first.
#[derive(Clone)]
pub struct MemoryOptions {
    /// The longest payload, in bytes. No more than `max_bytes` counts.
    pub max_payload_len: usize,
    /// How many payloads of one address are retained; at least one is.
    pub max_payloads_per_address: usize,
    /// How many bytes are retained in all; a payload counts with its length and
    /// [`Self::PAYLOAD_OVERHEAD`].
    pub max_bytes: usize,
    /// How many addresses are in use: subscribed to, or ever published to.
    pub max_addresses: usize,
    /// How long a payload is retained, as the service declares.
    pub retention: Duration,
    /// Lets payloads go that are older than `retention`. Without a clock none
    /// goes for its age, and only the other bounds hold.
    pub clock: Option<Clock>,
}

impl MemoryOptions {
    /// What a retained payload counts beside its own length, in bytes.
    pub const PAYLOAD_OVERHEAD: usize = 128;
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            max_payload_len: 1024 * 1024,
            max_payloads_per_address: 65_536,
            max_bytes: 256 * 1024 * 1024,
            max_addresses: 1024 * 1024,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            clock: None,
        }
    }
}

impl fmt::Debug for MemoryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryOptions")
            .field("max_payload_len", &self.max_payload_len)
            .field("max_payloads_per_address", &self.max_payloads_per_address)
            .field("max_bytes", &self.max_bytes)
            .field("max_addresses", &self.max_addresses)
            .field("retention", &self.retention)
            .field("clock", &self.clock.is_some())
            .finish()
    }
}
