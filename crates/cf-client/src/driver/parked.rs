//! Parked payloads: what routed nowhere, and may belong to an invite that is
//! still on its way or to a request that the user has not decided.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{Cursor, DeliveryAddress, DeliveryPoint, Locator, Result, RoutingTag, Timestamp};

use super::Driver;
use super::way::SEARCH_BUDGET;
use crate::fault::fault;
use crate::overlay::Overlay;
use crate::records::{self, PARKED, wire};

/// The most parked payloads at one address.
pub const MAX_PARKED: usize = 4096;
/// The most bytes of parked payloads at one address.
pub const MAX_PARKED_BYTES: usize = 16 << 20;
/// The most parked payloads in all.
pub const MAX_PARKED_IN_ALL: usize = 65_536;
/// The most bytes of parked payloads in all.
pub const MAX_PARKED_BYTES_IN_ALL: usize = 256 << 20;
/// How long a payload stays parked.
pub const PARKED_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many tags a second conversations may derive for payloads that routed
/// nowhere, for each address, once [`SEARCH_BUDGET`] is used up.
pub const SEARCH_RATE: u64 = 1024;

/// Where each parked payload is, and by which tag it is waited for.
#[derive(Default)]
pub(super) struct Parked {
    entries: BTreeMap<u64, Entry>,
    by_tag: HashMap<RoutingTag, Vec<u64>>,
    by_address: HashMap<(Locator, DeliveryAddress), Ring>,
    next: u64,
    bytes: usize,
}

struct Entry {
    place: (Locator, DeliveryAddress),
    tag: RoutingTag,
    len: usize,
    at: Timestamp,
}

#[derive(Default)]
struct Ring {
    keys: VecDeque<u64>,
    bytes: usize,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What to try again when a single-use tag is expected.
    pub(super) fn waiting_for(&self, tag: &RoutingTag) -> Vec<u64> {
        self.by_tag.get(tag).cloned().unwrap_or_default()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = u64> {
        self.entries.keys().copied()
    }

    pub(super) fn read(
        &self,
        key: u64,
        overlay: &Overlay,
    ) -> Option<(DeliveryPoint, Bytes, Option<Cursor>)> {
        self.entries.get(&key)?;
        let value = overlay.get(PARKED, &records::number_key(key)).ok()??;
        let parked: wire::Parked = records::read(&value).ok()?;
        let cursor = match parked.has_cursor {
            true => Cursor::new(parked.cursor).ok(),
            false => None,
        };
        Some((records::point(&parked.point).ok()?, parked.payload, cursor))
    }

    pub(super) fn insert(
        &mut self,
        key: u64,
        point: &DeliveryPoint,
        tag: RoutingTag,
        len: usize,
        at: Timestamp,
    ) {
        let place = (point.locator.clone(), point.address.clone());
        let ring = self.by_address.entry(place.clone()).or_default();
        ring.keys.push_back(key);
        ring.bytes += len;
        self.bytes += len;
        self.by_tag.entry(tag).or_default().push(key);
        self.entries.insert(
            key,
            Entry {
                place,
                tag,
                len,
                at,
            },
        );
        self.next = self.next.max(key + 1);
    }

    fn remove(&mut self, key: u64) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        self.bytes -= entry.len;
        if let Some(keys) = self.by_tag.get_mut(&entry.tag) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_tag.remove(&entry.tag);
            }
        }
        if let Some(ring) = self.by_address.get_mut(&entry.place) {
            ring.keys.retain(|other| *other != key);
            ring.bytes -= entry.len;
            if ring.keys.is_empty() {
                self.by_address.remove(&entry.place);
            }
        }
    }

    /// Those that have waited long enough.
    fn expired(&self, now: Timestamp) -> Vec<u64> {
        let expired =
            |(key, entry): (&u64, &Entry)| (now.since(entry.at) > PARKED_FOR).then_some(*key);
        self.entries.iter().filter_map(expired).collect()
    }

    /// The oldest of all, if there are too many in all.
    fn surplus_in_all(&self) -> Option<u64> {
        let full = self.entries.len() > MAX_PARKED_IN_ALL || self.bytes > MAX_PARKED_BYTES_IN_ALL;
        self.entries.keys().next().copied().filter(|_| full)
    }

    /// The oldest at an address, if there are too many or it is too old.
    fn surplus(&self, point: &DeliveryPoint, now: Timestamp) -> Option<u64> {
        let ring = self
            .by_address
            .get(&(point.locator.clone(), point.address.clone()))?;
        let oldest = *ring.keys.front()?;
        let expired = now.since(self.entries.get(&oldest)?.at) > PARKED_FOR;
        let full = ring.keys.len() > MAX_PARKED || ring.bytes > MAX_PARKED_BYTES;
        (expired || full).then_some(oldest)
    }
}

impl Driver {
    /// Keeps a payload until somebody expects it, within the bounds.
    pub(super) fn park(
        &mut self,
        point: &DeliveryPoint,
        payload: &Bytes,
        tag: RoutingTag,
        cursor: Option<Cursor>,
        now: Timestamp,
    ) {
        let key = self.parked.next;
        let parked = wire::Parked {
            point: Some(point.into()),
            payload: payload.clone(),
            at: now.0,
            has_cursor: cursor.is_some(),
            cursor: cursor.map_or(Bytes::new(), |c| Bytes::copy_from_slice(c.as_bytes())),
        };
        if !fault!("forget-what-is-parked") {
            self.overlay
                .put(PARKED, records::number_key(key), records::write(&parked));
        }
        self.parked.insert(key, point, tag, payload.len(), now);
        self.counters.add("parked.payload");
        while let Some(oldest) = self
            .parked
            .surplus(point, now)
            .or_else(|| self.parked.surplus_in_all())
        {
            self.unpark(oldest);
            self.counters.add("evicted.payload");
        }
    }

    /// Deletes what nobody expected for too long.
    pub(super) fn expire_parked(&mut self, now: Timestamp) {
        for key in self.parked.expired(now) {
            self.unpark(key);
            self.counters.add("expired.payload");
        }
    }

    /// Deletes what is parked at an address where nobody listens any more.
    pub(super) fn unpark_all(&mut self, place: &(Locator, DeliveryAddress)) {
        let ring = self.parked.by_address.get(place);
        for key in ring.map_or_else(Vec::new, |ring| ring.keys.iter().copied().collect()) {
            self.unpark(key);
        }
    }

    pub(super) fn unpark(&mut self, key: u64) {
        self.parked.remove(key);
        self.overlay.delete(PARKED, records::number_key(key));
    }

    /// How many tags may be derived for a payload at this point now.
    pub(super) fn search_budget(&mut self, point: &DeliveryPoint, now: Timestamp) -> u32 {
        let place = (point.locator.clone(), point.address.clone());
        self.points
            .get_mut(&place)
            .map_or(0, |listeners| listeners.budget.take(now))
    }

    /// Reads back what is parked.
    pub(super) fn restore_parked(&mut self) -> Result<()> {
        for (key, value) in self.overlay.scan(PARKED, &cf_core::Scan::prefix(""))? {
            let key = records::read_number(&key)?;
            let parked: wire::Parked = records::read(&value)?;
            let point = records::point(&parked.point)?;
            let tag = self
                .routers
                .get(&point.framing)
                .and_then(|r| r.route(&parked.payload).ok());
            if let Some(routed) = tag {
                let len = parked.payload.len();
                self.parked
                    .insert(key, &point, routed.tag, len, Timestamp(parked.at));
            }
            self.parked.next = self.parked.next.max(key + 1);
        }
        Ok(())
    }
}

/// What may be spent on looking further ahead at one address.
#[derive(Default)]
pub(super) struct SearchBudget {
    spent: u64,
    since: Timestamp,
}

impl SearchBudget {
    /// Gives out what is left, whole: a search either can succeed or is not made.
    fn take(&mut self, now: Timestamp) -> u32 {
        let back = now.since(self.since).as_millis() as u64 * SEARCH_RATE / 1000;
        self.spent = self.spent.saturating_sub(back);
        self.since = now;
        // Three searches of the whole budget at once, then one every 16 s.
        if self.spent > 2 * u64::from(SEARCH_BUDGET) {
            return 0;
        }
        self.spent += u64::from(SEARCH_BUDGET);
        SEARCH_BUDGET
    }
}
