use std::sync::Arc;
use std::time::Duration;

use cf_core::{DeliveryService, Outcome, PublishRequest};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::health::{Answer, ServiceHealth};
use super::options::RedundantOptions;
use crate::Error;

/// One of the services, and what is known of it.
pub(super) struct Member {
    pub(super) service: Arc<dyn DeliveryService>,
    max_failures: u32,
    probe_after: Duration,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    last_answer: Option<Answer>,
    last_error: Option<String>,
    failures: u32,
    latency: Option<Duration>,
    /// While it is sick: when it is asked again.
    probe_at: Option<Instant>,
}

/// Whether a service is to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Healthy,
    /// Sick, and to be probed by who was told so.
    Probe,
    /// Sick, and left alone.
    Rest,
}

impl Member {
    pub(super) fn new(service: Arc<dyn DeliveryService>, options: &RedundantOptions) -> Self {
        Self {
            service,
            max_failures: options.max_failures,
            probe_after: options.probe_after,
            record: Mutex::default(),
        }
    }

    pub(super) fn turn(&self, now: Instant) -> Turn {
        let mut record = self.record.lock();
        match record.probe_at {
            None => Turn::Healthy,
            Some(at) if at <= now => {
                record.probe_at = Some(now + self.probe_after);
                Turn::Probe
            }
            Some(_) => Turn::Rest,
        }
    }

    /// Publishes, and notes the answer or that there was none in time.
    pub(super) async fn publish(&self, request: PublishRequest, limit: Duration) -> Outcome {
        let asked = Instant::now();
        match timeout(limit, self.service.publish(request)).await {
            Ok(outcome) => {
                self.note(&outcome, asked.elapsed());
                outcome
            }
            Err(_) => Outcome::Unknown(self.note_silence(limit).into()),
        }
    }

    /// Notes that an answer did not come within this time.
    pub(super) fn note_silence(&self, limit: Duration) -> Error {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let error = Error::NoAnswer { millis };
        let mut record = self.record.lock();
        record.last_answer = Some(Answer::Nothing);
        record.last_error = Some(error.to_string());
        record.failures = record.failures.saturating_add(1);
        record.probe_at = Some(Instant::now() + self.probe_after);
        error
    }

    fn note(&self, outcome: &Outcome, latency: Duration) {
        let mut record = self.record.lock();
        record.last_answer = Some(Answer::of(outcome));
        record.latency = Some(latency);
        match outcome {
            // A refusal is an answer: the service is there.
            Outcome::Accepted { .. } | Outcome::Refused(_) => {
                record.failures = 0;
                record.probe_at = None;
            }
            Outcome::Queued => {}
            _ => {
                record.failures = record.failures.saturating_add(1);
                if record.failures >= self.max_failures {
                    record.probe_at = Some(Instant::now() + self.probe_after);
                }
            }
        }
        if let Outcome::Refused(error) | Outcome::Unavailable(error) | Outcome::Unknown(error) =
            outcome
        {
            record.last_error = Some(error.to_string());
        }
    }

    pub(super) fn health(&self) -> ServiceHealth {
        let record = self.record.lock();
        ServiceHealth {
            locator: self.service.locator().clone(),
            is_healthy: record.probe_at.is_none(),
            last_answer: record.last_answer,
            last_error: record.last_error.clone(),
            consecutive_failures: record.failures,
            latency: record.latency,
        }
    }
}
