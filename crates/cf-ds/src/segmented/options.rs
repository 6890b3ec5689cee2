use std::time::Duration;

/// The bounds of a [`Segmented`](crate::Segmented) service.
///
/// All but the first bound what a subscription holds of payloads that are not
/// complete. At each of them the oldest incomplete payload is given up and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentedOptions {
    /// The longest payload, in bytes. All clients of an address must have the
    /// same; the locator names it.
    pub max_payload_len: usize,
    /// How many payloads of one address are incomplete.
    pub max_incomplete: usize,
    /// How many payloads of the inner service come at an address after the first
    /// piece of one that is still incomplete.
    pub max_span: u64,
    /// How many bytes are held in all; a piece counts with its length and
    /// [`Self::PIECE_OVERHEAD`]. The newest payload is held all the same.
    pub max_bytes: usize,
    /// How long a payload is incomplete, in tokio's time.
    pub max_age: Duration,
}

impl SegmentedOptions {
    /// What a held piece counts beside its own length, in bytes.
    pub const PIECE_OVERHEAD: usize = 128;
}

impl Default for SegmentedOptions {
    fn default() -> Self {
        Self {
            max_payload_len: 1024 * 1024,
            max_incomplete: 64,
            max_span: 8192,
            max_bytes: 64 * 1024 * 1024,
            max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}
