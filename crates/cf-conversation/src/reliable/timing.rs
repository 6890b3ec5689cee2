use std::time::Duration;

use cf_core::{Env, FailureReason, Input, Result, Timestamp};

use super::ReliableSettings;
use super::conversation::{RETRY_AFTER, ReliableConversation};
use super::frame::Body;
use super::records;
use super::sending::BATCH;

/// When the next batch of resends follows.
pub(super) const BATCH_EVERY: Duration = Duration::from_millis(50);

impl ReliableConversation {
    /// Does what is due. A step that fails is made again later: the timer is
    /// spent, and the other steps do not depend on it.
    pub(super) fn handle_time(&mut self, env: &mut Env<'_>) {
        let again = env.now.after(RETRY_AFTER);
        // The driver's timer is spent.
        self.wake = Timestamp::NEVER;
        if self.inner_wake <= env.now {
            self.inner_wake = Timestamp::NEVER;
            if self.wake_inner(env).is_err() {
                self.inner_wake = again;
            }
        }
        let follows = self.order.handle_time(env.now);
        if !follows.is_empty() {
            self.follow(follows);
        }
        self.expire_queue(env.now);
        self.expire_typing(env.now);
        self.end_superseded(env.now);
        // A payload that can't be read was postponed before.
        let _ = self.resend(env);
        if self.flush_due <= env.now && self.flush(env).is_err() {
            self.flush_due = again;
        }
    }

    fn wake_inner(&mut self, env: &mut Env<'_>) -> Result<()> {
        self.call(Input::Time, env)?;
        self.absorb(env).map(|_| ())
    }

    /// When this layer wants to be woken.
    pub(super) fn own_wake(&self) -> Timestamp {
        let first_queued = self.queue.waiting.front();
        let queue = first_queued.map_or(Timestamp::NEVER, |queued| {
            queued.queued_at.after(self.origin.settings.lifetime)
        });
        let dues = [
            self.flights.next_due(),
            self.order.due(),
            self.acknowledgement_due(),
            self.skip_due,
            self.probe_due,
            self.flush_due,
            queue,
            self.reads_due(),
            self.contact_due(),
            self.typing.due(),
            self.superseded_until(),
        ];
        dues.into_iter().min().unwrap_or(Timestamp::NEVER)
    }

    /// When an acknowledgement goes alone: not before the last one has, so that
    /// they don't pile up while a service is away.
    fn acknowledgement_due(&self) -> Timestamp {
        match self.alone {
            None if !self.over => self.acknowledging.due(),
            _ => Timestamp::NEVER,
        }
    }

    /// Sends the frames of its own that are due. What can't be sent now is tried
    /// again later: it is never an error of the input that was handled.
    pub(super) fn say_what_is_due(&mut self, env: &mut Env<'_>) {
        self.say_contact(env);
        self.say_reads(env);
        if self.skip_due <= env.now {
            self.skip_due = Timestamp::NEVER;
            let nothing_to_say =
                self.flights.closed().is_empty() || self.ended || self.superseded.is_some();
            if !nothing_to_say
                && (!self.flights.has_room() || self.transmit(Body::None, None, env).is_err())
            {
                self.skip_due = env.now.after(RETRY_AFTER);
            }
        }
        if self.probe_due <= env.now {
            self.probe_due = Timestamp::NEVER;
            let may_say = self.flights.has_room() && self.superseded.is_none();
            if may_say && self.transmit(Body::None, None, env).is_err() {
                self.probe_due = env.now.after(RETRY_AFTER);
            }
        }
        if self.acknowledgement_due() <= env.now {
            match self.say(Body::None, env) {
                // What a small payload had no room for is not waited for.
                Ok(publish) => {
                    self.alone = publish;
                    self.acknowledging.done();
                }
                Err(_) => self.acknowledging.postpone(env.now.after(RETRY_AFTER)),
            }
        }
    }

    fn expire_queue(&mut self, now: Timestamp) {
        let lifetime = self.origin.settings.lifetime;
        while let Some(first) = self.queue.waiting.front()
            && first.queued_at.after(lifetime) <= now
            && let Some(expired) = self.queue.waiting.pop_front()
        {
            self.delete_own(records::numbered(records::QUEUED, expired.place));
            self.tell_failed(expired.content, FailureReason::Expired);
        }
    }

    /// Sends again what is due.
    fn resend(&mut self, env: &mut Env<'_>) -> Result<()> {
        let settings = self.origin.settings;
        for _ in 0..BATCH {
            let Some(number) = self.flights.due(env.now) else {
                return Ok(());
            };
            let Some(flight) = self.flights.flight_mut(number) else {
                return Ok(());
            };
            let ends_at = flight.sent_at.after(settings.lifetime);
            if ends_at <= env.now {
                self.fail(number, FailureReason::Expired, env);
                continue;
            }
            flight.resent = flight.resent.saturating_add(1);
            let delay = settings.resend_after(flight.resent);
            let due = env.now.after(jittered(delay, env)).min(ends_at);
            self.flights.postpone(number, due);
            self.resent_at = env.now;
            self.head_changed = true;
            if self.flights.needs_probe(number) {
                self.probe_due = env.now;
            }
            let key = records::numbered(records::UNACKNOWLEDGED, number);
            if let Some(stored) = self.record(&key, env)? {
                let stored = records::decode_unacknowledged(stored)?;
                self.publish_again(number, stored, env)?;
            }
        }
        let next = env.now.after(BATCH_EVERY);
        while let Some(number) = self.flights.due(env.now) {
            self.flights.postpone(number, next);
        }
        Ok(())
    }
}

impl ReliableSettings {
    /// How long after it was sent again so often a payload is sent again.
    fn resend_after(&self, resent: u32) -> Duration {
        let doubled = 1u32.checked_shl(resent).unwrap_or(u32::MAX);
        let delay = self.first_resend.saturating_mul(doubled);
        delay.min(self.longest_resend)
    }

    /// How often a payload was sent again, by the schedule, until payloads were
    /// sent again last, and when it is due next. Not in the future if its time has
    /// come, whenever this is asked: a client that is restored for each of its
    /// timers sends again all the same.
    pub(super) fn schedule(&self, sent_at: Timestamp, last: Timestamp) -> (u32, Timestamp) {
        let (mut resent, mut due) = (0, sent_at.after(self.resend_after(0)));
        while due <= last {
            resent += 1;
            let delay = self.resend_after(resent).max(Duration::from_millis(1));
            due = match delay < self.longest_resend {
                true => due.after(delay),
                false => {
                    let steps = last.since(due).as_millis() / delay.as_millis();
                    let steps = u32::try_from(steps).unwrap_or(u32::MAX - 1);
                    resent = resent.saturating_add(steps);
                    due.after(delay.saturating_mul(steps + 1))
                }
            };
        }
        (resent, due)
    }
}

/// Between three and five quarters of a delay, so that clients that failed
/// together do not come back together.
fn jittered(delay: Duration, env: &mut Env<'_>) -> Duration {
    let quarters = 750 + u32::from(u16::from_be_bytes(env.draw())) % 501;
    delay.saturating_mul(quarters) / 1_000
}
