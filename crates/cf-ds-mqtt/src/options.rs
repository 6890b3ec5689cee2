use std::time::Duration;

/// The bounds of an [`MqttService`](crate::MqttService).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttOptions {
    /// What the client is called at the broker. Only with a name of its own, that no
    /// other client has, do its sessions outlive the service. 1 to 16 letters, digits,
    /// `_` and `-`.
    pub client: Option<String>,
    /// The longest payload, in bytes. What the broker says that it takes may be less.
    pub max_payload_len: usize,
    /// For how long the broker keeps a session whose client is away.
    pub session_expiry: Duration,
    /// How long to wait for an answer of the broker.
    pub timeout: Duration,
    /// How many payloads of a subscription are not acknowledged at most: read ahead,
    /// or given and not acknowledged. Of those that were given, the oldest is
    /// acknowledged without being told when there are half as many.
    pub receive_maximum: u16,
    /// How many addresses a subscription takes.
    pub max_addresses: usize,
}

impl MqttOptions {
    /// What the rest of a packet takes of the longest one of the broker, in bytes.
    pub const PACKET_OVERHEAD: usize = 256;
}

impl Default for MqttOptions {
    fn default() -> Self {
        Self {
            client: None,
            max_payload_len: 1024 * 1024,
            session_expiry: Duration::from_secs(7 * 24 * 60 * 60),
            timeout: Duration::from_secs(5),
            receive_maximum: 4096,
            max_addresses: 16 * 1024,
        }
    }
}
