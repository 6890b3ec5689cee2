use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use cf_testkit::delivery::every_subscriber_gets_each_payload;
use cf_testkit::{DeliveryUnderTest, Fates, Faults, FaultyService, UnderTest};
use tokio::time::Instant;

use crate::delivery::toy::Toy;

const QUICK: Duration = Duration::from_millis(3);

fn faulty(faults: Faults) -> FaultyService {
    FaultyService::new(Arc::new(Toy::new(None)), faults, 1)
}

cf_testkit::delivery_service_tests!(without_faults, || faulty(Faults::NONE));
cf_testkit::delivery_service_tests!(lossy, || faulty(Faults {
    loss: 30,
    delay: QUICK,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(repeating, || faulty(Faults {
    repetition: 50,
    delay: QUICK,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(reordering, || faulty(Faults {
    reordering: 50,
    delay: QUICK,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(losing_answers, || faulty(Faults {
    lost_answers: 20,
    ..Faults::NONE
}));
cf_testkit::delivery_service_tests!(bad_in_every_way, || faulty(Faults {
    stall: QUICK,
    delay: QUICK,
    ..Faults::BAD
}));
cf_testkit::delivery_service_tests!(cut_and_mended, || {
    let service = faulty(Faults {
        delay: QUICK,
        ..Faults::NONE
    });
    let network = service.clone();
    DeliveryUnderTest::of(Arc::new(service)).reconnect(Arc::new(move || {
        let network = network.clone();
        Box::pin(async move {
            network.cut();
            tokio::time::sleep(Duration::from_millis(20)).await;
            network.mend();
        })
    }))
});

fn address() -> DeliveryAddress {
    DeliveryAddress::new("raya").unwrap()
}

fn request(payload: &'static str) -> PublishRequest {
    PublishRequest::new(address(), payload)
}

async fn subscribed(service: &FaultyService) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(address(), Start::Earliest).await.unwrap();
    subscription
}

/// A day of a bad network: what arrives when, and what became of each publish.
async fn day(seed: u64) -> Vec<String> {
    let faults = Faults {
        corruption: 5,
        ..Faults::BAD
    };
    let service = FaultyService::new(Arc::new(Toy::new(None)), faults, seed);
    let mut subscription = subscribed(&service).await;
    let start = Instant::now();
    let mut log = Vec::new();
    for number in 0..200u64 {
        let payload = number.to_be_bytes().to_vec();
        let outcome = service
            .publish(PublishRequest::new(address(), payload))
            .await;
        log.push(format!("{:?}: {outcome:?}", start.elapsed()));
        while let Ok(next) =
            tokio::time::timeout(Duration::from_secs(60), subscription.next()).await
        {
            log.push(format!(
                "{:?}: {:?}",
                start.elapsed(),
                next.unwrap().payload
            ));
        }
    }
    assert!(service.counts().lost > 10 && service.counts().repeated > 5);
    assert!(service.counts().lost_answers > 5 && service.counts().corrupted > 2);
    assert!(service.counts().stalls > 0 && service.counts().reordered > 10);
    log
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_one_run_in_no_time() {
    let first = day(7).await;
    assert_eq!(first, day(7).await);
    assert_ne!(first, day(8).await);
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_told_once_and_what_was_on_its_way_comes_after_it() {
    let service = faulty(Faults {
        delay: Duration::from_secs(60),
        ..Faults::NONE
    });
    let mut subscription = subscribed(&service).await;
    let accepted = service.publish(request("before")).await;
    assert!(matches!(accepted, Outcome::Accepted { .. }), "{accepted:?}");
    service.cut();
    let outcome = service.publish(request("meanwhile")).await;
    assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
    assert!(service.subscribe().await.err().unwrap().is_retryable());
    let added = subscription.add(address(), Start::Earliest).await;
    assert!(added.unwrap_err().is_retryable());
    assert!(subscription.next().await.unwrap_err().is_retryable());
    let hour = Duration::from_secs(3600);
    assert!(
        tokio::time::timeout(hour, subscription.next())
            .await
            .is_err()
    );
    service.mend();
    assert_eq!(subscription.next().await.unwrap().payload, "before");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_under_way_at_a_cut_is_lost() {
    let service = faulty(Faults {
        delay: Duration::from_secs(60),
        ..Faults::NONE
    });
    let mut subscription = subscribed(&service).await;
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        service.cut();
        service.mend();
    };
    let (outcome, ()) = tokio::join!(service.publish(request("published")), cutting);
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert!(subscription.next().await.unwrap_err().is_retryable());
    assert_eq!(subscription.next().await.unwrap().payload, "published");
}

#[tokio::test(start_paused = true)]
async fn a_stall_holds_everything_up() {
    let service = faulty(Faults::NONE);
    let mut subscription = subscribed(&service).await;
    service.publish(request("before")).await;
    let start = Instant::now();
    service.stall(Duration::from_secs(100));
    assert_eq!(subscription.next().await.unwrap().payload, "before");
    assert_eq!(start.elapsed(), Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn calm_weather_makes_no_faults() {
    let service = faulty(Faults {
        loss: 100,
        lost_answers: 100,
        ..Faults::NONE
    });
    let mut subscription = subscribed(&service).await;
    let outcome = service.publish(request("lost")).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    let hour = Duration::from_secs(3600);
    assert!(
        tokio::time::timeout(hour, subscription.next())
            .await
            .is_err()
    );
    service.calm();
    service.publish(request("calm")).await;
    assert_eq!(subscription.next().await.unwrap().payload, "calm");
    assert_eq!(service.capabilities().resume, Resume::No);
}

#[test]
fn what_is_declared_is_what_is_left() {
    let declared = |faults| faulty(faults).capabilities();
    let all = Toy::new(None).capabilities();
    assert_eq!(declared(Faults::NONE), all);
    assert_eq!(
        declared(Faults {
            lost_answers: 9,
            delay: QUICK,
            ..Faults::NONE
        }),
        all
    );
    let lossy = declared(Faults {
        loss: 1,
        ..Faults::NONE
    });
    assert_eq!(
        (lossy.retention, lossy.resume, lossy.order),
        (None, Resume::No, true)
    );
    let repeating = declared(Faults {
        repetition: 1,
        ..Faults::NONE
    });
    assert_eq!(
        (repeating.order, repeating.duplicate_suppression),
        (false, None)
    );
    assert!(
        !declared(Faults {
            reordering: 1,
            ..Faults::NONE
        })
        .order
    );
}

/// Flipped bits are no delivery service's right: the suite says so.
#[tokio::test]
async fn corruption_is_caught() {
    let service = faulty(Faults {
        corruption: 50,
        ..Faults::NONE
    });
    let under_test = DeliveryUnderTest::of(Arc::new(service))
        .patience(Duration::from_millis(300), Duration::from_millis(30));
    let verdict = every_subscriber_gets_each_payload(under_test).await;
    crate::assert_broken(verdict, cf_testkit::delivery::law::EVERY_SUBSCRIBER);
}

#[test]
fn a_flipped_bit_is_one_bit() {
    let mut fates = Fates::new(
        Faults {
            corruption: 100,
            ..Faults::NONE
        },
        3,
    );
    let payload = Bytes::from(vec![0; 50]);
    for _ in 0..100 {
        let arrived = fates.passages()[0].arrived(&payload);
        let ones: u32 = arrived.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!((arrived.len(), ones), (50, 1));
        assert_eq!(fates.passages()[0].arrived(&Bytes::new()), "");
    }
}
