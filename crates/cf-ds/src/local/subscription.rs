use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use tokio::sync::Notify;

use super::service::Shared;
use super::state::Look;
use crate::Error;

/// A reader of the file; what it has is in the service's [`State`](super::state::State).
pub(super) struct LocalSubscription {
    shared: Arc<Shared>,
    subscriber: u64,
    wake: Arc<Notify>,
}

impl LocalSubscription {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let wake = Arc::new(Notify::new());
        let subscriber = shared.state.lock().subscribe(wake.clone());
        Self {
            shared,
            subscriber,
            wake,
        }
    }

    /// Adds an address without the reader, if that is possible.
    fn add_now(&self, address: &DeliveryAddress, start: &Start) -> Option<Result<(), Error>> {
        // What the reader sees while the address is looked up it would not see
        // again.
        if let Err(error) = self.shared.state.lock().watch(self.subscriber, address) {
            return Some(Err(error));
        }
        let last = self.shared.lookup.last(address);
        let mut state = self.shared.state.lock();
        let noted = state.unwatch(self.subscriber, address);
        let added = state.add(self.subscriber, address, start, last?.max(noted));
        let is_hungry = state.is_hungry(self.subscriber);
        drop(state);
        if is_hungry {
            self.shared.alarm.ring();
        }
        Some(added)
    }

    /// Takes what was read ahead, and calls the reader if that gets short.
    fn take(&self) -> Option<Result<Delivery, Error>> {
        let (taken, look) = self.shared.state.lock().take(self.subscriber);
        match look {
            Look::No => {}
            Look::Soon => self.shared.alarm.ring_unless_watched(),
            Look::Now => self.shared.alarm.ring(),
        }
        taken
    }
}

impl Subscription for LocalSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            match self.add_now(&address, &start) {
                Some(added) => Ok(added?),
                None => self.shared.alarm.add(self.subscriber, address, start).await,
            }
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.shared.state.lock().remove(self.subscriber, address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            // Taking and answering are one step without a wait in between, so a
            // future that is dropped has taken nothing. A wake-up that comes
            // between taking and waiting is kept by the notification.
            loop {
                if let Some(taken) = self.take() {
                    return Ok(taken?);
                }
                let _watch = self.shared.alarm.watch();
                self.wake.notified().await;
            }
        })
    }

    /// Does nothing: the file is shared and bounded, whoever has read it.
    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}

impl Drop for LocalSubscription {
    fn drop(&mut self) {
        self.shared.state.lock().unsubscribe(self.subscriber);
    }
}
