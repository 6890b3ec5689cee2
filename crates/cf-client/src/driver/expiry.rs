//! What is kept for a time: requests that nobody decided, offers that nobody
//! can use any longer.

use std::time::Duration;

use cf_core::{InviteId, Result, Scan, Timestamp};

use super::{Driver, Wake};
use crate::records::{self, OFFERS, REQUESTS, wire};

/// How long a request waits for the user or for its component, from when the
/// invite was made; and how long an offer's secret outlives the offer, so that
/// such a request can still be accepted.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Driver {
    /// Deletes what has expired, and comes again in a day.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if let Err(error) = self.try_expire(now) {
            self.rejected("failed.expiry", &error);
        }
        self.wakes.insert((now.after(EVERY), Wake::Expiry));
    }

    fn try_expire(&mut self, now: Timestamp) -> Result<()> {
        self.expire_parked(now);
        self.expire_spools(now)?;
        self.expire_links(now);
        let over = |since: u64| Timestamp(since).after(REQUEST_LIFETIME) <= now;
        for (key, value) in self.overlay.scan(REQUESTS, &Scan::prefix(""))? {
            if over(records::read::<wire::Request>(&value)?.sent_at) {
                self.forget_request(InviteId::from_slice(&key)?);
                self.counters.add("expired.request");
            }
        }
        for (key, value) in self.overlay.scan(OFFERS, &Scan::prefix(""))? {
            if over(records::read::<wire::OfferSecret>(&value)?.expires_at) {
                self.overlay.delete(OFFERS, key);
            }
        }
        Ok(())
    }
}
