//! The laws of the delivery service contract, and the bounds of
//! the services.

#![allow(clippy::unwrap_used)]

mod bounds;
mod conformance;
mod connector;
mod laws;
#[cfg(feature = "local")]
mod local;
mod redundant;
mod segmented;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cf_core::{Cursor, Delivery, DeliveryAddress, DeliveryService, Outcome, Subscription};
use cf_ds::MemoryService;
use tokio::time::timeout;

/// A kind of service under test.
struct Subject {
    make: Box<dyn Fn() -> Arc<dyn DeliveryService> + Send + Sync>,
    /// When nothing has come for so long, nothing was on its way.
    quiet: Duration,
}

impl Subject {
    fn memory() -> Self {
        Self {
            make: Box::new(|| Arc::new(MemoryService::new("laws").unwrap())),
            quiet: Duration::ZERO,
        }
    }

    /// A service on which nothing was published yet.
    fn service(&self) -> Arc<dyn DeliveryService> {
        (self.make)()
    }

    /// The next payload, for which it waits patiently if it `is_due`.
    async fn next(&self, subscription: &mut dyn Subscription, is_due: bool) -> Option<Delivery> {
        if !is_due {
            return poll_once(subscription.next()).map(Result::unwrap);
        }
        let next = timeout(Duration::from_secs(10), subscription.next()).await;
        Some(next.expect("a payload did not come").unwrap())
    }

    /// What is there to read now.
    async fn read(&self, subscription: &mut dyn Subscription) -> Vec<Delivery> {
        let mut read = Vec::new();
        while let Ok(delivery) = timeout(self.quiet, subscription.next()).await {
            read.push(delivery.unwrap());
        }
        read
    }
}

fn address(name: &str) -> DeliveryAddress {
    DeliveryAddress::new(name.to_owned()).unwrap()
}

/// Polls a future once and drops it.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// What is there to read now.
fn read(subscription: &mut dyn Subscription) -> Vec<Delivery> {
    std::iter::from_fn(|| poll_once(subscription.next()))
        .map(|delivery| delivery.unwrap())
        .collect()
}

fn accepted(outcome: Outcome) -> Cursor {
    match outcome {
        Outcome::Accepted {
            cursor: Some(cursor),
        } => cursor,
        other => panic!("not accepted: {other:?}"),
    }
}
