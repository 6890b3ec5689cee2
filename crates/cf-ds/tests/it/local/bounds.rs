use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cf_core::{
    Condition, DeliveryService, ErrorKind, Outcome, PayloadId, PublishRequest, Start, Timestamp,
};
use cf_ds::{LocalOptions, LocalService};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{all, next, open, publish, sequence, subscribe};
use crate::{accepted, address};

/// A service in a file of its own, with a clock that the test sets.
struct Town {
    service: LocalService,
    time: Arc<AtomicU64>,
    directory: TempDir,
}

fn town(options: LocalOptions) -> Town {
    let directory = TempDir::new().unwrap();
    let time = Arc::new(AtomicU64::new(1_000_000));
    let clock = time.clone();
    let options = LocalOptions {
        clock: Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))),
        ..options
    };
    Town {
        service: open(&directory.path().join("town.db"), options),
        time,
        directory,
    }
}

/// The payloads that a late subscriber of the address gets, each one byte.
async fn retained(service: &LocalService, at: &str) -> Vec<u8> {
    let mut subscription = subscribe(service, at, Start::Earliest).await;
    let mut read = Vec::new();
    while let Ok(delivery) = timeout(Duration::from_millis(500), subscription.next()).await {
        read.push(delivery.unwrap().payload[0]);
    }
    read
}

#[tokio::test]
async fn an_address_retains_its_newest_payloads() {
    let town = town(LocalOptions {
        max_payloads_per_address: 3,
        ..LocalOptions::default()
    });
    publish(&town.service, "b", "b").await;
    for n in 0..5 {
        publish(&town.service, "a", vec![n]).await;
    }
    assert_eq!(retained(&town.service, "a").await, [2, 3, 4]);
    assert_eq!(retained(&town.service, "b").await, *b"b");
    // The cursor shows the gap.
    let mut subscription = subscribe(&town.service, "a", Start::Earliest).await;
    let first = next(&mut *subscription).await;
    assert_eq!(sequence(&first.cursor.unwrap()), 3);
}

#[tokio::test]
async fn the_oldest_payload_of_all_goes_first() {
    let each = 100 + LocalOptions::PAYLOAD_OVERHEAD;
    let town = town(LocalOptions {
        max_bytes: 3 * each,
        ..LocalOptions::default()
    });
    let service = &town.service;
    for (n, to) in ["a", "b", "a", "b", "b"].into_iter().enumerate() {
        publish(service, to, vec![n as u8; 100]).await;
    }
    assert_eq!(retained(service, "a").await, [2]);
    assert_eq!(retained(service, "b").await, [3, 4]);
    let max = service.capabilities().max_payload_len;
    publish(service, "c", vec![9; max]).await;
    assert!(
        retained(service, "b").await.is_empty(),
        "the newest stays, however long"
    );
    assert_eq!(retained(service, "c").await, [9]);
}

#[tokio::test]
async fn the_declared_retention_ends_and_conditions_do_not_forget() {
    let town = town(LocalOptions {
        retention: Duration::from_secs(60),
        ..LocalOptions::default()
    });
    let (service, time) = (&town.service, &town.time);
    publish(service, "a", vec![1]).await;
    time.fetch_add(30_000, Ordering::Relaxed);
    publish(service, "b", vec![2]).await;
    time.fetch_add(30_000, Ordering::Relaxed);
    assert_eq!(
        retained(service, "a").await,
        [1],
        "kept for all of the time"
    );
    time.fetch_add(1, Ordering::Relaxed);
    assert!(retained(service, "a").await.is_empty());
    assert_eq!(retained(service, "b").await, [2]);
    // Its place is not given out again, also when it is gone from the file.
    publish(service, "b", vec![3]).await;
    let rows = rows(&town, "SELECT count(*) FROM payload");
    assert_eq!(rows, 2);
    let mut request = PublishRequest::new(address("a"), "third");
    request.condition = Some(Condition::Empty);
    let outcome = service.publish(request).await;
    let Outcome::Conflict {
        current: Some(current),
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(sequence(&current), 1);
    let cursor = publish(service, "a", vec![4]).await;
    assert_eq!(sequence(&cursor), 2);
}

/// What is let go at once is bounded, and the rest follows by itself.
#[tokio::test]
async fn a_long_backlog_is_let_go_in_parts() {
    let town = town(LocalOptions {
        retention: Duration::from_secs(60),
        ..LocalOptions::default()
    });
    let service = &town.service;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2_000u32 {
        let service = service.clone();
        tasks.spawn(async move { publish(&service, "old", n.to_be_bytes().to_vec()).await });
    }
    tasks.join_all().await;
    town.time.fetch_add(60_001, Ordering::Relaxed);
    publish(service, "new", vec![1]).await;
    let count = || rows(&town, "SELECT count(*) FROM payload");
    for _ in 0..100 {
        if count() == 1 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(), 1);
    let counted = rows(&town, "SELECT bytes FROM service");
    assert_eq!(counted, 1 + LocalOptions::PAYLOAD_OVERHEAD as u64);
}

#[tokio::test]
async fn a_repeated_publish_is_dropped_for_a_while() {
    let town = town(LocalOptions::default());
    let service = &town.service;
    let window = service.capabilities().duplicate_suppression.unwrap();
    let repeat = async |to: &str, id: u8| {
        let mut request = PublishRequest::new(address(to), "payload");
        request.id = Some(PayloadId([id; 16]));
        sequence(&accepted(service.publish(request).await))
    };
    assert_eq!(repeat("a", 1).await, 1);
    assert_eq!(repeat("a", 2).await, 2);
    assert_eq!(repeat("a", 1).await, 1);
    assert_eq!(repeat("b", 1).await, 1, "each address for itself");
    let both = tokio::join!(repeat("a", 3), repeat("a", 3));
    assert_eq!(both, (3, 3), "in one group, too");
    // A repeated conditional publish learns that it was the first.
    let mut request = PublishRequest::new(address("c"), "payload");
    request.condition = Some(Condition::Empty);
    request.id = Some(PayloadId([1; 16]));
    let first = accepted(service.publish(request.clone()).await);
    assert_eq!(accepted(service.publish(request).await), first);
    town.time
        .fetch_add(window.as_millis() as u64, Ordering::Relaxed);
    assert_eq!(repeat("a", 1).await, 1, "for all of the time");
    town.time.fetch_add(1, Ordering::Relaxed);
    assert_eq!(repeat("a", 1).await, 4);
    assert_eq!(all(service, "a").await.len(), 4);
    assert_eq!(rows(&town, "SELECT count(*) FROM publish"), 1);
    assert_eq!(rows(&town, "SELECT ids FROM service"), 1);
}

#[tokio::test]
async fn ids_are_bounded() {
    let town = town(LocalOptions {
        max_ids: 10,
        ..LocalOptions::default()
    });
    for n in 0..30 {
        let mut request = PublishRequest::new(address("a"), "payload");
        request.id = Some(PayloadId([n; 16]));
        accepted(town.service.publish(request).await);
    }
    assert_eq!(rows(&town, "SELECT count(*) FROM publish"), 10);
}

#[tokio::test]
async fn addresses_are_bounded() {
    let town = town(LocalOptions {
        max_addresses: 2,
        ..LocalOptions::default()
    });
    let service = &town.service;
    publish(service, "a", "payload").await;
    publish(service, "b", "payload").await;
    let outcome = service
        .publish(PublishRequest::new(address("c"), "payload"))
        .await;
    let Outcome::Unavailable(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    publish(service, "a", "payload").await;
    let mut subscription = subscribe(service, "a", Start::Latest).await;
    subscription.add(address("b"), Start::Latest).await.unwrap();
    let refused = subscription.add(address("c"), Start::Latest).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    subscription.remove(&address("b"));
    subscription.add(address("c"), Start::Latest).await.unwrap();
}

/// A client with very many addresses, that it comes back to after a while, and
/// that another process publishes to.
#[tokio::test]
async fn many_addresses_cost_nothing_while_they_are_quiet() {
    const ADDRESSES: u32 = 10_000;
    let town = town(LocalOptions::default());
    let elsewhere = open(
        &town.directory.path().join("town.db"),
        LocalOptions::default(),
    );
    for n in 0..500u32 {
        publish(&elsewhere, &(n * 7).to_string(), (n * 7).to_string()).await;
    }
    let mut subscription = town.service.subscribe().await.unwrap();
    for n in 0..ADDRESSES {
        let added = subscription.add(address(&n.to_string()), Start::Earliest);
        added.await.unwrap();
    }
    for _ in 0..500 {
        let delivery = next(&mut *subscription).await;
        assert_eq!(delivery.payload, delivery.address.as_bytes());
    }
    for n in 0..500u32 {
        let to = (n * 7919 % ADDRESSES).to_string();
        publish(&town.service, &to, to.clone()).await;
        assert_eq!(next(&mut *subscription).await.payload, to);
    }
    assert!(
        timeout(Duration::from_millis(50), subscription.next())
            .await
            .is_err()
    );
}

/// A subscriber that is behind by more than it reads ahead gets all of it, in
/// order; a quiet address is not behind a busy one.
#[tokio::test]
async fn a_long_way_behind_is_read_in_parts() {
    let town = town(LocalOptions::default());
    let service = &town.service;
    let mut slow = subscribe(service, "busy", Start::Latest).await;
    slow.add(address("quiet"), Start::Latest).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..3_000u32 {
        let service = service.clone();
        tasks.spawn(async move { publish(&service, "busy", vec![7; n as usize % 5_000]).await });
    }
    tasks.join_all().await;
    publish(service, "quiet", "quiet").await;
    sleep(Duration::from_millis(100)).await;
    let (mut busy, mut quiet_after) = (0, None);
    while busy < 3_000 || quiet_after.is_none() {
        let delivery = next(&mut *slow).await;
        if delivery.payload == "quiet" {
            quiet_after = Some(busy);
        } else {
            busy += 1;
            assert_eq!(sequence(&delivery.cursor.unwrap()), busy);
        }
    }
    assert!(quiet_after < Some(400), "{quiet_after:?}");
}

/// The log does not grow without end, though somebody reads all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_is_bounded() {
    let town = town(LocalOptions {
        max_bytes: 1024 * 1024,
        ..LocalOptions::default()
    });
    let service = &town.service;
    let mut subscription = subscribe(service, "a", Start::Latest).await;
    for _ in 0..3_000 {
        publish(service, "a", vec![7; 20_000]).await;
        let _ = timeout(Duration::ZERO, subscription.next()).await;
    }
    let len = |name: &str| {
        let path = town.directory.path().join(name);
        std::fs::metadata(path).unwrap().len()
    };
    assert!(len("town.db-wal") < 40 << 20, "{}", len("town.db-wal"));
    assert!(len("town.db") < 4 << 20, "{}", len("town.db"));
}

/// Whatever ends the service's threads, nobody waits for ever.
#[tokio::test]
async fn a_thread_that_panics_leaves_nobody_waiting() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("town.db");
    let options = LocalOptions {
        clock: Arc::new(|| {
            let thread = std::thread::current();
            let is_ours = thread.name().is_some_and(|name| name.starts_with("cf-ds"));
            assert!(!is_ours, "the clock is broken, as the test wants it");
            Timestamp(1)
        }),
        ..LocalOptions::default()
    };
    let service = open(&path, options);
    let publish = || service.publish(PublishRequest::new(address("a"), "payload"));
    // Another process writes, so that the publish is the thread's.
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = publish().await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    let outcome = publish().await;
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
    let mut subscription = subscribe(&service, "a", Start::Earliest).await;
    for _ in 0..2 {
        let failure = timeout(Duration::from_secs(10), subscription.next()).await;
        assert_eq!(failure.unwrap().unwrap_err().kind(), ErrorKind::Other);
    }
}

/// A publisher that panics while it writes takes nobody else with it.
#[tokio::test]
async fn a_publisher_that_panics_leaves_the_file_to_others() {
    let directory = TempDir::new().unwrap();
    let breaks = AtomicBool::new(true);
    let options = LocalOptions {
        clock: Arc::new(move || {
            // The service's own threads may look at it at any time.
            let thread = std::thread::current();
            let is_ours = thread.name().is_some_and(|name| name.starts_with("cf-ds"));
            let breaks = !is_ours && breaks.swap(false, Ordering::Relaxed);
            assert!(!breaks, "the clock is broken, as the test wants it");
            Timestamp(1)
        }),
        ..LocalOptions::default()
    };
    let service = open(&directory.path().join("town.db"), options);
    let other = service.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { publish(&other, "a", "lost").await });
    let broken = tasks.join_next().await.unwrap();
    assert!(broken.unwrap_err().is_panic());
    assert_eq!(sequence(&publish(&service, "a", "first").await), 1);
}

/// A publish whose future is dropped early is nobody's burden, and delays none.
#[tokio::test]
async fn a_publish_that_is_given_up_holds_nothing() {
    let town = town(LocalOptions::default());
    let service = &town.service;
    for n in 0..100u8 {
        let request = PublishRequest::new(address("given up"), vec![n]);
        assert!(crate::poll_once(service.publish(request)).is_none());
    }
    let mut subscription = subscribe(service, "given up", Start::Earliest).await;
    for n in 0..100u8 {
        assert_eq!(next(&mut *subscription).await.payload, vec![n]);
    }
}

fn rows(town: &Town, sql: &str) -> u64 {
    let connection = rusqlite::Connection::open(town.directory.path().join("town.db")).unwrap();
    let count: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    count.unsigned_abs()
}
