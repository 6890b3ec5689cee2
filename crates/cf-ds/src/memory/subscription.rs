use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use tokio::sync::Notify;

use super::service::Shared;
use super::state::cursor;

/// A reader of logs: it holds positions and no payloads.
pub(super) struct MemorySubscription {
    shared: Arc<Shared>,
    subscriber: u64,
    wake: Arc<Notify>,
}

impl MemorySubscription {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let wake = Arc::new(Notify::new());
        let subscriber = shared.state.lock().subscribe(wake.clone());
        Self {
            shared,
            subscriber,
            wake,
        }
    }

    fn take(&self) -> Option<Delivery> {
        let now = self.shared.now();
        let taken = self.shared.state.lock().take(self.subscriber, now);
        // Outside of the lock, for which others wait.
        taken.map(|(address, sequence, payload)| Delivery {
            address,
            payload,
            cursor: Some(cursor(sequence)),
        })
    }
}

impl Subscription for MemorySubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut state = self.shared.state.lock();
            Ok(state.add(self.subscriber, address, &start)?)
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
                if let Some(delivery) = self.take() {
                    return Ok(delivery);
                }
                self.wake.notified().await;
            }
        })
    }

    /// Does nothing: the log is shared and bounded, whoever has read it.
    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.shared.state.lock().unsubscribe(self.subscriber);
    }
}
