//! Encrypting anew what can't arrive as it was published: the peer moved, or has
//! dropped the keys.

use std::time::Duration;

use cf_core::{DeliveryPoint, Env, Output, Result, Timestamp};

use super::conversation::ReliableConversation;
use super::records::{self, Unacknowledged};

/// The shortest time between two times that everything in flight is encrypted
/// anew at once because the peer moved. A peer that moves more often waits for the
/// next resend.
pub(super) const HASTEN_EVERY: Duration = Duration::from_secs(60);

/// What decides whether a frame is encrypted anew.
#[derive(Default)]
pub(crate) struct Anew {
    /// How often keys were dropped here; every frame says it.
    pub(crate) gone: u64,
    /// How often they were at the peer, as it said.
    pub(crate) gone_of_peer: u64,
    /// What was published under a lower id, the peer may have no key for.
    pub(crate) below: u64,
    /// Where the wrapped conversation publishes to.
    pub(crate) points: Option<Vec<DeliveryPoint>>,
    pub(crate) hasten_from: Timestamp,
    /// The same, because the peer is back.
    pub(crate) back_from: Timestamp,
}

impl ReliableConversation {
    /// Takes note of where the wrapped conversation publishes to.
    pub(super) fn note_points(&mut self, points: &[DeliveryPoint], now: Timestamp) {
        let before = self.anew.points.as_deref();
        if before.is_some_and(|before| are_same(before, points)) {
            return;
        }
        let moved = before.is_some();
        self.anew.points = Some(points.to_vec());
        self.put_own(records::PEER_POINTS, records::encode_points(points));
        if moved {
            self.try_contact(true, now);
        }
        if moved && now >= self.anew.hasten_from {
            self.anew.hasten_from = now.after(HASTEN_EVERY);
            self.flights.hasten(now);
        }
    }

    /// The peer was heard: what it did not acknowledge after being away is sent again
    /// soon, in order, unless it is acknowledged before.
    pub(super) fn peer_is_back(&mut self, now: Timestamp) {
        if now >= self.anew.back_from && self.flights.is_patient() {
            self.anew.back_from = now.after(HASTEN_EVERY);
            self.flights
                .hasten(now.after(self.origin.settings.first_resend));
        }
    }

    /// The peer said how often it dropped keys.
    pub(super) fn peer_dropped(&mut self, gone: u64) {
        if gone > self.anew.gone_of_peer {
            self.anew.gone_of_peer = gone;
            self.anew.below = self.flights.above_all();
            self.head_changed = true;
        }
    }

    /// Publishes a frame again: as it was, or encrypted anew where that can't
    /// arrive. What can't be encrypted now is published as it was.
    pub(super) fn publish_again(
        &mut self,
        number: u64,
        stored: Unacknowledged,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let went_to = &stored.publish.points;
        let present = self.anew.points.as_deref();
        let is_moved = present.is_some_and(|present| !are_same(present, went_to));
        let is_gone = stored.publish.id.0 < self.anew.below;
        if let Some(body) = stored.body.as_ref().filter(|_| is_moved || is_gone) {
            let id = stored.publish.content.as_ref();
            if let Ok(complete) = self.encrypt(number, body, id, env) {
                self.replace(number, &stored, env);
                self.said(complete);
                return Ok(());
            }
        }
        self.outputs.push_back(Output::Publish(stored.publish));
        Ok(())
    }

    fn replace(&mut self, number: u64, stored: &Unacknowledged, env: &Env<'_>) {
        while let Some(output) = self.inner.poll_output() {
            if let Output::Publish(publish) = &output {
                let points = self.points.encode(&publish.points);
                let value = records::encode_unacknowledged(
                    publish,
                    points,
                    stored.first,
                    stored.has_content,
                    stored.sent_at,
                    stored.body.as_ref(),
                );
                let before = self.flights.encrypted_anew(number, publish.id);
                self.outputs.extend(before.map(Output::Withdraw));
                self.put_own(records::numbered(records::UNACKNOWLEDGED, number), value);
            }
            self.forward(output, env.now);
        }
    }
}

pub(super) fn are_same(a: &[DeliveryPoint], b: &[DeliveryPoint]) -> bool {
    a.len() == b.len() && a.iter().all(|point| b.contains(point))
}
