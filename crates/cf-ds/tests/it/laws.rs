use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Condition, Cursor, DeliveryAddress, DeliveryService, ErrorKind, Outcome, PublishRequest,
    Random, Start, Subscription,
};
use cf_testkit::SeededRandom;
use tokio::time::{sleep, timeout};

use crate::{Subject, accepted, address};

/// Makes a test of each law, for each service.
macro_rules! laws {
    ($($law:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $law() {
                super::$law(crate::Subject::memory()).await;
            })*
        }

        #[cfg(feature = "local")]
        mod local {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $law() {
                super::$law(crate::local::subject()).await;
            })*
        }
    };
}

laws! {
    every_subscriber_gets_every_payload_of_its_addresses_and_no_other
    a_payload_of_the_exact_limit_is_taken_and_one_byte_more_refused
    a_condition_is_checked_against_the_last_cursor
    conditional_publishing_is_linearizable
    a_dropped_next_loses_nothing
    one_busy_address_does_not_hold_back_another
    a_cursor_of_another_service_is_misuse_and_changes_nothing
}

async fn publish(service: &dyn DeliveryService, to: &DeliveryAddress, bytes: &[u8]) -> Cursor {
    let request = PublishRequest::new(to.clone(), bytes.to_vec());
    accepted(service.publish(request).await)
}

/// A subscriber and what the contract says that it must still get, per address.
struct Reader {
    subscription: Box<dyn Subscription>,
    due: HashMap<DeliveryAddress, Vec<(Cursor, Bytes)>>,
}

fn is_due(reader: &Reader) -> bool {
    !reader.due.values().all(Vec::is_empty)
}

/// Random publishing, subscribing from anywhere, unsubscribing and reading by
/// several subscribers, against a model of what each must get and in what order.
async fn every_subscriber_gets_every_payload_of_its_addresses_and_no_other(subject: Subject) {
    let mut satisfied = Vec::new();
    for seed in 0..64 {
        let random = &mut SeededRandom::new(seed);
        let service = subject.service();
        let addresses: Vec<_> = (0..4).map(|n| address(&format!("address {n}"))).collect();
        let mut logs: HashMap<DeliveryAddress, Vec<(Cursor, Bytes)>> = HashMap::new();
        let mut readers: Vec<Reader> = Vec::new();
        for _ in 0..400 {
            let at = addresses[random.below(4) as usize].clone();
            let log = logs.entry(at.clone()).or_default();
            match random.below(10) {
                0..4 => {
                    let mut payload = vec![0; random.below(40) as usize];
                    random.fill(&mut payload);
                    let cursor = publish(&*service, &at, &payload).await;
                    let entry = (cursor, Bytes::from(payload));
                    log.push(entry.clone());
                    for reader in &mut readers {
                        if let Some(due) = reader.due.get_mut(&at) {
                            due.push(entry.clone());
                        }
                    }
                }
                4 if readers.len() < 5 => readers.push(Reader {
                    subscription: service.subscribe().await.unwrap(),
                    due: HashMap::new(),
                }),
                _ if readers.is_empty() => {}
                choice => {
                    let chosen = random.below(readers.len() as u64) as usize;
                    let reader = &mut readers[chosen];
                    match choice {
                        4 => drop(readers.remove(chosen)),
                        5 => {
                            reader.subscription.remove(&at);
                            reader.due.remove(&at);
                        }
                        6 | 7 => {
                            let read = random.below(log.len() as u64 + 1) as usize;
                            let (start, read) = match random.below(3) {
                                0 => (Start::Latest, log.len()),
                                1 if read > 0 => (Start::After(log[read - 1].0.clone()), read),
                                _ => (Start::Earliest, 0),
                            };
                            reader.subscription.add(at.clone(), start).await.unwrap();
                            reader.due.insert(at, log[read..].to_vec());
                        }
                        _ => {
                            let is_due = is_due(reader);
                            let next = subject.next(&mut *reader.subscription, is_due).await;
                            if let Some(delivery) = next {
                                let (cursor, payload) =
                                    reader.due.get_mut(&delivery.address).unwrap().remove(0);
                                assert_eq!(delivery.cursor, Some(cursor));
                                assert_eq!(delivery.payload, payload);
                            }
                        }
                    }
                }
            }
        }
        for mut reader in readers {
            while is_due(&reader) {
                let next = subject.next(&mut *reader.subscription, true).await;
                let delivery = next.unwrap();
                let due = reader.due.get_mut(&delivery.address).unwrap();
                assert_eq!((delivery.cursor.unwrap(), delivery.payload), due.remove(0));
            }
            satisfied.push(reader.subscription);
        }
    }
    sleep(subject.quiet).await;
    for subscription in &mut satisfied {
        assert_eq!(subject.next(&mut **subscription, false).await, None);
    }
}

async fn a_payload_of_the_exact_limit_is_taken_and_one_byte_more_refused(subject: Subject) {
    let service = subject.service();
    let max = service.capabilities().max_payload_len;
    let raya = address("raya");
    publish(&*service, &raya, &vec![7; max]).await;
    let request = PublishRequest::new(raya.clone(), vec![7; max + 1]);
    let Outcome::Refused(error) = service.publish(request).await else {
        panic!("one byte more was not refused");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(raya, Start::Earliest).await.unwrap();
    assert_eq!(subject.read(&mut *subscription).await.len(), 1);
}

async fn a_condition_is_checked_against_the_last_cursor(subject: Subject) {
    let service = subject.service();
    let raya = address("raya");
    let conditional = async |condition| {
        let mut request = PublishRequest::new(raya.clone(), "payload");
        request.condition = Some(condition);
        service.publish(request).await
    };
    let conflict = |outcome| match outcome {
        Outcome::Conflict { current } => current,
        other => panic!("no conflict: {other:?}"),
    };
    let never = Cursor::new(vec![0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    let zero = Cursor::new(vec![0; 8]).unwrap();
    assert_eq!(conflict(conditional(Condition::LastIs(never)).await), None);
    assert_eq!(conflict(conditional(Condition::LastIs(zero)).await), None);
    let first = accepted(conditional(Condition::Empty).await);
    let current = conflict(conditional(Condition::Empty).await);
    assert_eq!(current.as_ref(), Some(&first));
    let second = accepted(conditional(Condition::LastIs(first.clone())).await);
    let current = conflict(conditional(Condition::LastIs(first)).await);
    assert_eq!(current.as_ref(), Some(&second));
    let foreign = Cursor::new("not a sequence number").unwrap();
    let current = conflict(conditional(Condition::LastIs(foreign)).await);
    assert_eq!(current, Some(second));
}

/// Writers that each append to the last payload they know: every accepted
/// payload names its predecessor, so a lost or doubled step breaks the chain.
async fn conditional_publishing_is_linearizable(subject: Subject) {
    const WRITERS: u64 = 16;
    const STEPS: u64 = 100;
    let service = subject.service();
    let raya = address("raya");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (service, raya) = (service.clone(), raya.clone());
        writers.spawn(async move {
            let mut last: Option<Cursor> = None;
            let mut conflicts = 0u64;
            for _ in 0..STEPS {
                loop {
                    let named = last.as_ref().map_or(Bytes::new(), |cursor| {
                        Bytes::copy_from_slice(cursor.as_bytes())
                    });
                    let mut request = PublishRequest::new(raya.clone(), named);
                    request.condition = Some(match &last {
                        None => Condition::Empty,
                        Some(cursor) => Condition::LastIs(cursor.clone()),
                    });
                    match service.publish(request).await {
                        Outcome::Accepted { cursor } => {
                            last = cursor;
                            break;
                        }
                        Outcome::Conflict { current } => {
                            assert_ne!(current, last, "a conflict with what was named");
                            last = current;
                            conflicts += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                    tokio::task::yield_now().await;
                }
                tokio::task::yield_now().await;
            }
            conflicts
        });
    }
    let conflicts: u64 = writers.join_all().await.into_iter().sum();
    assert!(conflicts > 0, "the writers never met");
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(raya, Start::Earliest).await.unwrap();
    let chain = subject.read(&mut *subscription).await;
    assert_eq!(chain.len() as u64, WRITERS * STEPS);
    let mut before = Bytes::new();
    for delivery in chain {
        assert_eq!(delivery.payload, before);
        before = Bytes::copy_from_slice(delivery.cursor.unwrap().as_bytes());
    }
}

/// A waiting subscriber is woken, also when its `next` is dropped all the time.
async fn a_dropped_next_loses_nothing(subject: Subject) {
    const PAYLOADS: u32 = 5_000;
    let service = subject.service();
    let raya = address("raya");
    let mut patient = service.subscribe().await.unwrap();
    let mut hasty = service.subscribe().await.unwrap();
    for subscription in [&mut patient, &mut hasty] {
        subscription
            .add(raya.clone(), Start::Earliest)
            .await
            .unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        for n in 0..PAYLOADS {
            publish(&*service, &raya, &n.to_be_bytes()).await;
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    tasks.spawn(async move {
        for n in 0..PAYLOADS {
            assert_eq!(patient.next().await.unwrap().payload[..], n.to_be_bytes());
        }
    });
    tasks.spawn(async move {
        for n in 0..PAYLOADS {
            let delivery = loop {
                tokio::select! {
                    biased;
                    delivery = hasty.next() => break delivery.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
            };
            assert_eq!(delivery.payload[..], n.to_be_bytes());
        }
    });
    timeout(Duration::from_secs(30), tasks.join_all())
        .await
        .expect("a wake-up was lost");
}

async fn one_busy_address_does_not_hold_back_another(subject: Subject) {
    let service = subject.service();
    let (busy, quiet) = (address("busy"), address("quiet"));
    let mut subscription = service.subscribe().await.unwrap();
    for at in [&busy, &quiet] {
        subscription.add(at.clone(), Start::Earliest).await.unwrap();
    }
    for _ in 0..100 {
        publish(&*service, &busy, b"again").await;
    }
    // Moving an address gives it no further turn.
    for _ in 0..3 {
        subscription
            .add(busy.clone(), Start::Earliest)
            .await
            .unwrap();
    }
    publish(&*service, &quiet, b"once").await;
    // Until it is at the subscription.
    sleep(subject.quiet).await;
    let first_two: Vec<_> = subject.read(&mut *subscription).await.drain(..2).collect();
    assert!(first_two.iter().any(|delivery| delivery.address == quiet));
}

async fn a_cursor_of_another_service_is_misuse_and_changes_nothing(subject: Subject) {
    let service = subject.service();
    let raya = address("raya");
    let first = publish(&*service, &raya, b"first").await;
    let mut subscription = service.subscribe().await.unwrap();
    subscription
        .add(raya.clone(), Start::After(first))
        .await
        .unwrap();
    for foreign in [&[0; 8][..], &2u64.to_be_bytes(), &[255; 8], b"", &[1; 9]] {
        let foreign = Cursor::new(foreign.to_vec()).unwrap();
        let error = subscription
            .add(raya.clone(), Start::After(foreign))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
    }
    publish(&*service, &raya, b"second").await;
    let read = subject.read(&mut *subscription).await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].payload, "second");
}
