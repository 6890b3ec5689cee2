use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use tokio::sync::Notify;

use super::service::Shared;
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

    /// Takes what was read ahead, and calls the reader if that gets short.
    fn take(&self) -> Option<Result<Delivery, Error>> {
        let (taken, is_hungry) = self.shared.state.lock().take(self.subscriber);
        if is_hungry {
            self.shared.alarm.ring();
        }
        taken
    }
}

impl Subscription for LocalSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.shared.alarm.add(self.subscriber, address, start))
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
                let _waiting = Waiting::begin(&self.shared);
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

/// Makes the reader look at the file again and again, for as long as it lives.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state.lock();
        state.waiting += 1;
        let is_first = state.waiting == 1;
        drop(state);
        if is_first {
            shared.alarm.ring();
        }
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().waiting -= 1;
    }
}
