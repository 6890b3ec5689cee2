use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use cf_core::DeliveryAddress;

use super::service::MAX_SERVICES;
use crate::digest::{Digest, digest};

/// Knows the copies of a payload that several services bring.
///
/// It counts for each payload how often each service brought it: the first copy
/// from a second service is dropped, a second copy from the first service is a
/// payload that was published again.
pub(super) struct Window {
    per_address: usize,
    in_all: usize,
    seen: HashMap<DeliveryAddress, Seen>,
    /// The remembered payloads by number: the first is the oldest.
    order: BTreeMap<u64, DeliveryAddress>,
    number: u64,
}

#[derive(Default)]
struct Seen {
    order: BTreeMap<u64, Digest>,
    copies: HashMap<Digest, [u32; MAX_SERVICES]>,
}

impl Window {
    pub(super) fn new(per_address: usize, in_all: usize) -> Self {
        Self {
            per_address: per_address.max(1),
            in_all: in_all.max(1),
            seen: HashMap::new(),
            order: BTreeMap::new(),
            number: 0,
        }
    }

    /// Whether a payload from a service is new.
    pub(super) fn admit(&mut self, service: usize, to: &DeliveryAddress, payload: &Bytes) -> bool {
        let digest = digest("/cf/ds/redundant/1 payload", &[payload]);
        let seen = self.seen.entry(to.clone()).or_default();
        if let Some(copies) = seen.copies.get_mut(&digest) {
            let most = copies.iter().copied().max().unwrap_or(0);
            let own = &mut copies[service];
            *own = own.saturating_add(1);
            return *own > most;
        }
        let mut copies = [0; MAX_SERVICES];
        copies[service] = 1;
        self.number += 1;
        seen.copies.insert(digest, copies);
        seen.order.insert(self.number, digest);
        self.order.insert(self.number, to.clone());
        if seen.order.len() > self.per_address
            && let Some((oldest, _)) = seen.order.first_key_value()
        {
            let oldest = *oldest;
            self.forget(oldest);
        }
        if self.order.len() > self.in_all
            && let Some((oldest, _)) = self.order.first_key_value()
        {
            let oldest = *oldest;
            self.forget(oldest);
        }
        true
    }

    /// Forgets what came at an address.
    pub(super) fn remove(&mut self, address: &DeliveryAddress) {
        if let Some(seen) = self.seen.remove(address) {
            seen.order.keys().for_each(|number| {
                self.order.remove(number);
            });
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(address) = self.order.remove(&number) else {
            return;
        };
        if let Some(seen) = self.seen.get_mut(&address) {
            if let Some(digest) = seen.order.remove(&number) {
                seen.copies.remove(&digest);
            }
            if seen.order.is_empty() {
                self.seen.remove(&address);
            }
        }
    }
}
