use std::time::Duration;

/// The bounds of a [`NatsService`](crate::NatsService) and how its streams are made.
///
/// Streams that are there already keep what they were made with, and the service
/// declares that.
///
/// ```
/// let options = cf_ds_nats::NatsOptions {
///     replicas: 3,
///     ..cf_ds_nats::NatsOptions::default()
/// };
/// assert_eq!(options.shards, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsOptions {
    /// Whether to make the streams where they are not.
    pub create: bool,
    /// How many streams to make, by which addresses are sharded: 1, 2, 4, 8 or 16.
    pub shards: u8,
    /// On how many servers of a cluster to keep each payload: 1, 3 or 5.
    pub replicas: u8,
    /// How long a payload is retained.
    pub retention: Duration,
    /// How many bytes are retained in all; the oldest payloads go first.
    pub max_bytes: u64,
    /// How many payloads of one address are retained; its oldest go first.
    pub max_payloads_per_address: u32,
    /// The longest payload, in bytes. What the server takes may be less.
    pub max_payload_len: usize,
    /// For how long a repeated publish is dropped.
    pub duplicate_suppression: Duration,
    /// How long to wait for an answer of the server.
    pub timeout: Duration,
    /// How often a subscription looks for what it may have missed without
    /// noticing, though its connection holds.
    pub audit_interval: Duration,
    /// How many addresses a subscription takes.
    pub max_addresses: usize,
}

impl NatsOptions {
    /// The most streams.
    pub const MAX_SHARDS: u8 = 16;
    /// What a payload's headers take of the longest message of the server, in bytes.
    pub const HEADERS_LEN: usize = 1024;
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            create: true,
            shards: 1,
            replicas: 1,
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            max_bytes: 1024 * 1024 * 1024,
            max_payloads_per_address: 65_536,
            max_payload_len: 1024 * 1024,
            duplicate_suppression: Duration::from_secs(2 * 60),
            timeout: Duration::from_secs(5),
            audit_interval: Duration::from_secs(15),
            max_addresses: 128 * 1024,
        }
    }
}
