use std::time::Duration;

use cf_core::{Locator, Outcome};

/// How one service of a [`Redundant`](crate::Redundant) service does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// Which it is.
    pub locator: Locator,
    /// Whether publishing waits for it. A sick one is probed now and then.
    pub is_healthy: bool,
    /// What it answered last.
    pub last_answer: Option<Answer>,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
    /// How often publishing failed since it last went well.
    pub consecutive_failures: u32,
    /// How long the last answer took.
    pub latency: Option<Duration>,
}

/// How a service answered a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// [`Outcome::Accepted`].
    Accepted,
    /// [`Outcome::Queued`].
    Queued,
    /// [`Outcome::Refused`].
    Refused,
    /// [`Outcome::Unavailable`].
    Unavailable,
    /// [`Outcome::Unknown`].
    Unknown,
    /// Nothing came in time.
    Nothing,
}

impl Answer {
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted { .. } => Self::Accepted,
            Outcome::Queued => Self::Queued,
            Outcome::Refused(_) => Self::Refused,
            Outcome::Unavailable(_) => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}
