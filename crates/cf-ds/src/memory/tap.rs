use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use cf_core::Delivery;
use parking_lot::Mutex;

/// Shows the payloads that a [`MemoryService`](crate::MemoryService) accepts;
/// dropping it ends that.
pub struct Tap {
    observed: Arc<Observed>,
}

impl Tap {
    pub(super) fn new(capacity: usize) -> Self {
        let observed = Observed {
            capacity,
            queue: Mutex::default(),
        };
        Self {
            observed: Arc::new(observed),
        }
    }

    pub(super) fn downgrade(&self) -> Weak<Observed> {
        Arc::downgrade(&self.observed)
    }

    /// Takes what was accepted since the last call, in the order of acceptance.
    pub fn take(&self) -> Vec<Delivery> {
        self.observed.queue.lock().deliveries.drain(..).collect()
    }

    /// How many payloads the tap had no room for since it was made.
    pub fn missed(&self) -> u64 {
        self.observed.queue.lock().missed
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.observed.queue.lock();
        write!(f, "Tap({} payloads)", queue.deliveries.len())
    }
}

/// What a tap holds, as the service sees it.
pub(super) struct Observed {
    capacity: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    missed: u64,
}

impl Observed {
    pub(super) fn push(&self, delivery: Delivery) {
        let mut queue = self.queue.lock();
        queue.deliveries.push_back(delivery);
        if queue.deliveries.len() > self.capacity {
            queue.deliveries.pop_front();
            queue.missed += 1;
        }
    }
}
