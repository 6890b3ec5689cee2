//! The laws of the delivery service contract, and the bounds of
//! `/cf/ds/memory/1`.

#![allow(clippy::unwrap_used)]

mod bounds;
mod connector;
mod laws;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cf_core::{Cursor, Delivery, DeliveryAddress, Outcome, Subscription};

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
