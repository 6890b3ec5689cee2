//! What JetStream is asked and answers, as JSON.

use serde::{Deserialize, Serialize};

/// JetStream's error codes that mean something here.
pub(crate) mod code {
    pub(crate) const NO_MESSAGE: u64 = 10037;
    pub(crate) const NOT_ENABLED: u64 = 10076;
    pub(crate) const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;
    pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
    pub(crate) const STREAM_NAME_IN_USE: u64 = 10058;
    pub(crate) const SUBJECTS_OVERLAP: u64 = 10065;
    pub(crate) const TOO_LONG: u64 = 10054;
    pub(crate) const WRONG_LAST: u64 = 10071;
    pub(crate) const OTHER_STREAM: u64 = 10060;
}

#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

/// What a stream answers to a publish.
#[derive(Debug, Deserialize)]
pub(crate) struct PublishAck {
    #[serde(default)]
    pub(crate) stream: String,
    #[serde(default)]
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) duplicate: bool,
    pub(crate) error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamList {
    #[serde(default)]
    pub(crate) total: usize,
    #[serde(default)]
    pub(crate) streams: Option<Vec<StreamInfo>>,
    pub(crate) error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamAnswer {
    #[serde(flatten)]
    pub(crate) info: Option<StreamInfo>,
    pub(crate) error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    pub(crate) created: String,
    pub(crate) state: StreamState,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) last_seq: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StreamConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) subjects: Vec<String>,
    pub(crate) retention: String,
    pub(crate) max_consumers: i64,
    pub(crate) max_msgs: i64,
    pub(crate) max_bytes: i64,
    /// In nanoseconds.
    pub(crate) max_age: u64,
    #[serde(default)]
    pub(crate) max_msgs_per_subject: i64,
    #[serde(default)]
    pub(crate) max_msg_size: i64,
    pub(crate) discard: String,
    pub(crate) storage: String,
    pub(crate) num_replicas: u8,
    /// In nanoseconds.
    #[serde(default)]
    pub(crate) duplicate_window: u64,
    #[serde(default)]
    pub(crate) allow_direct: bool,
    #[serde(default)]
    pub(crate) republish: Option<Republish>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Republish {
    pub(crate) src: String,
    pub(crate) dest: String,
    #[serde(default)]
    pub(crate) headers_only: bool,
}

/// Which message of a stream to give.
#[derive(Debug, Serialize)]
pub(crate) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_by_subj: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetAnswer {
    pub(crate) message: Option<KeptMessage>,
    pub(crate) error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeptMessage {
    pub(crate) seq: u64,
    /// Base64.
    #[serde(default)]
    pub(crate) data: String,
    /// Base64.
    #[serde(default)]
    pub(crate) hdrs: String,
}

/// Makes a consumer that lives until it is not used.
#[derive(Debug, Serialize)]
pub(crate) struct CreateConsumer<'a> {
    pub(crate) stream_name: &'a str,
    pub(crate) config: ConsumerConfig<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConsumerConfig<'a> {
    pub(crate) deliver_policy: &'a str,
    pub(crate) opt_start_seq: u64,
    pub(crate) filter_subject: &'a str,
    pub(crate) ack_policy: &'a str,
    pub(crate) replay_policy: &'a str,
    /// In nanoseconds.
    pub(crate) inactive_threshold: u64,
    pub(crate) num_replicas: u8,
    pub(crate) mem_storage: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConsumerAnswer {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) error: Option<Failure>,
}

/// Asks a consumer for messages.
#[derive(Debug, Serialize)]
pub(crate) struct PullRequest {
    pub(crate) batch: usize,
    pub(crate) max_bytes: usize,
    pub(crate) no_wait: bool,
}
