use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf_core::{DeliveryService, ErrorKind, Outcome, PublishRequest, Start, Timestamp};
use cf_ds::{MemoryOptions, MemoryService};

use crate::{accepted, address, read};

fn service(options: MemoryOptions) -> MemoryService {
    MemoryService::with_options("bounds", options).unwrap()
}

async fn publish(service: &MemoryService, to: &str, payload: impl Into<bytes::Bytes>) {
    accepted(
        service
            .publish(PublishRequest::new(address(to), payload))
            .await,
    );
}

/// The payloads that a late subscriber of all these addresses gets.
async fn retained(service: &MemoryService, addresses: &[&str]) -> Vec<bytes::Bytes> {
    let mut subscription = service.subscribe().await.unwrap();
    for name in addresses {
        subscription
            .add(address(name), Start::Earliest)
            .await
            .unwrap();
    }
    let read = read(&mut *subscription);
    read.into_iter().map(|delivery| delivery.payload).collect()
}

#[tokio::test]
async fn an_address_retains_its_newest_payloads() {
    let service = service(MemoryOptions {
        max_payloads_per_address: 3,
        ..MemoryOptions::default()
    });
    let mut slow = service.subscribe().await.unwrap();
    slow.add(address("a"), Start::Earliest).await.unwrap();
    publish(&service, "b", "b").await;
    for n in 0..5u8 {
        publish(&service, "a", vec![n]).await;
    }
    assert_eq!(
        retained(&service, &["a"]).await,
        [vec![2], vec![3], vec![4]]
    );
    assert_eq!(retained(&service, &["b"]).await, ["b"]);
    // A subscriber that lags goes on with the oldest that is left; the cursor
    // shows the gap.
    let first = read(&mut *slow).remove(0);
    assert_eq!(first.payload, vec![2]);
    assert_eq!(first.cursor.unwrap().as_bytes(), 3u64.to_be_bytes());
}

#[tokio::test]
async fn the_oldest_payload_of_all_goes_first() {
    let each = 100 + MemoryOptions::PAYLOAD_OVERHEAD;
    let service = service(MemoryOptions {
        max_bytes: 3 * each,
        ..MemoryOptions::default()
    });
    for (n, to) in ["a", "b", "a", "b", "b"].into_iter().enumerate() {
        publish(&service, to, vec![n as u8; 100]).await;
    }
    assert_eq!(retained(&service, &["a"]).await, [vec![2; 100]]);
    assert_eq!(
        retained(&service, &["b"]).await,
        [vec![3; 100], vec![4; 100]]
    );
    let max = service.capabilities().max_payload_len;
    publish(&service, "c", vec![9; max]).await;
    assert_eq!(
        retained(&service, &["a", "b", "c"]).await,
        [vec![9; max]],
        "the newest payload stays, however long"
    );
    publish(&service, "a", "small").await;
    assert_eq!(retained(&service, &["a", "b", "c"]).await, ["small"]);
}

#[tokio::test]
async fn with_a_clock_the_declared_retention_ends() {
    let time = Arc::new(AtomicU64::new(1_000_000));
    let clock = time.clone();
    let service = service(MemoryOptions {
        retention: Duration::from_secs(60),
        clock: Some(Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)))),
        ..MemoryOptions::default()
    });
    publish(&service, "a", "first").await;
    time.fetch_add(30_000, Ordering::Relaxed);
    publish(&service, "b", "second").await;
    time.fetch_add(30_000, Ordering::Relaxed);
    assert_eq!(
        retained(&service, &["a", "b"]).await,
        ["first", "second"],
        "kept for all of the retention"
    );
    time.fetch_add(1, Ordering::Relaxed);
    assert_eq!(retained(&service, &["a", "b"]).await, ["second"]);
    // The place of what is gone is not given out again.
    let mut request = PublishRequest::new(address("a"), "third");
    request.condition = Some(cf_core::Condition::Empty);
    let outcome = service.publish(request).await;
    let Outcome::Conflict {
        current: Some(current),
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(current.as_bytes(), 1u64.to_be_bytes());
}

#[tokio::test]
async fn addresses_are_bounded_and_those_only_listened_to_come_free() {
    let service = service(MemoryOptions {
        max_addresses: 2,
        ..MemoryOptions::default()
    });
    publish(&service, "a", "payload").await;
    let mut subscription = service.subscribe().await.unwrap();
    subscription
        .add(address("b"), Start::Earliest)
        .await
        .unwrap();
    let refused = subscription.add(address("c"), Start::Earliest).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    let outcome = service
        .publish(PublishRequest::new(address("c"), "payload"))
        .await;
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
    publish(&service, "a", "payload").await;
    subscription.remove(&address("b"));
    subscription
        .add(address("c"), Start::Earliest)
        .await
        .unwrap();
    drop(subscription);
    publish(&service, "d", "payload").await;
}

/// A client with very many addresses: what is ready is found without a look at
/// the others. A scan of all for each payload would take minutes.
#[tokio::test]
async fn many_addresses_cost_nothing_while_they_are_quiet() {
    const ADDRESSES: u32 = 100_000;
    let service = service(MemoryOptions::default());
    let mut subscription = service.subscribe().await.unwrap();
    for n in 0..ADDRESSES {
        let quiet = address(&n.to_string());
        subscription.add(quiet, Start::Latest).await.unwrap();
    }
    for n in 0..20_000u32 {
        let to = (n * 7919 % ADDRESSES).to_string();
        publish(&service, &to, to.clone()).await;
        let delivery = subscription.next().await.unwrap();
        assert_eq!(delivery.payload, to);
    }
    assert!(read(&mut *subscription).is_empty());
}

#[tokio::test]
async fn a_tap_shows_what_is_accepted_and_is_bounded() {
    let service = service(MemoryOptions::default());
    publish(&service, "a", "before").await;
    let tap = service.observe(2);
    for n in 0..3u8 {
        publish(&service, "a", vec![n]).await;
    }
    let mut refused = PublishRequest::new(address("a"), "refused");
    refused.condition = Some(cf_core::Condition::Empty);
    service.publish(refused).await;
    let seen = tap.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].payload, vec![1]);
    assert_eq!(
        seen[0].cursor.as_ref().unwrap().as_bytes(),
        3u64.to_be_bytes()
    );
    assert_eq!(
        (&seen[1].address, &seen[1].payload[..]),
        (&address("a"), &[2][..])
    );
    assert_eq!(tap.missed(), 1);
    assert!(tap.take().is_empty());
}
