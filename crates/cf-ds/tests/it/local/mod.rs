//! What only `/cf/ds/local/1` has: a file, other processes, and their end.

mod bounds;
mod chain;
mod conformance;
mod connector;
mod file;
mod golden;
mod kill;
mod latency;
mod process;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf_core::{Cursor, Delivery, DeliveryService, PublishRequest, Start, Subscription};
use cf_ds::{LocalOptions, LocalService};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{Subject, accepted, address};

pub(crate) fn subject() -> Subject {
    let (directory, count) = (TempDir::new().unwrap(), AtomicU64::new(0));
    Subject {
        make: Box::new(move || {
            let name = count.fetch_add(1, Ordering::Relaxed).to_string();
            Arc::new(LocalService::open(directory.path().join(name)).unwrap())
        }),
        quiet: Duration::from_millis(500),
    }
}

fn open(path: &Path, options: LocalOptions) -> LocalService {
    LocalService::with_options(path, options).unwrap()
}

async fn publish(service: &LocalService, to: &str, payload: impl Into<bytes::Bytes>) -> Cursor {
    let request = PublishRequest::new(address(to), payload);
    accepted(service.publish(request).await)
}

async fn subscribe(service: &LocalService, to: &str, start: Start) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(address(to), start).await.unwrap();
    subscription
}

/// The next payload, which is due.
async fn next(subscription: &mut dyn Subscription) -> Delivery {
    let next = timeout(Duration::from_secs(20), subscription.next()).await;
    next.expect("a payload did not come").unwrap()
}

/// What there is to read at an address, where something is published for the end.
async fn all(service: &LocalService, at: &str) -> Vec<Delivery> {
    let mut subscription = subscribe(service, at, Start::Earliest).await;
    let last = publish(service, at, "the end").await;
    let mut read = Vec::new();
    loop {
        let delivery = next(&mut *subscription).await;
        if delivery.cursor.as_ref() == Some(&last) {
            return read;
        }
        read.push(delivery);
    }
}

/// The sequence number that a cursor of the service ends with.
fn sequence(cursor: &Cursor) -> u64 {
    u64::from_be_bytes(cursor.as_bytes()[8..].try_into().unwrap())
}

fn check_integrity(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let answer: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(answer, "ok");
}
