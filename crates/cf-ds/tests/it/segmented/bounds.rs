//! What is held of incomplete payloads is bounded, and the oldest go first.

use std::time::Duration;

use cf_core::{ErrorKind, Outcome, PublishRequest, Start};
use cf_ds::SegmentedOptions;

use super::{DeliveryService as _, payload, payloads, pieces, publish, small, subscribed, with};
use crate::address;

#[tokio::test]
async fn the_oldest_incomplete_payload_of_an_address_goes_first() {
    let inner = small();
    let options = SegmentedOptions {
        max_incomplete: 3,
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let sent: Vec<_> = (0..4).map(|n| payload(n, 6_000)).collect();
    for payload in &sent {
        publish(&inner, pieces(payload).await.remove(0)).await;
    }
    for payload in &sent[1..] {
        publish(&inner, pieces(payload).await.remove(1)).await;
    }
    assert!(payloads(&mut *subscription) == sent[1..]);
    assert_eq!(service.counts().given_up, 1);
}

#[tokio::test]
async fn bytes_are_bounded_over_all_addresses() {
    let inner = small();
    let options = SegmentedOptions {
        max_bytes: 10 * (3995 + SegmentedOptions::PIECE_OVERHEAD),
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let mut subscription = service.subscribe().await.unwrap();
    let mut halves = Vec::new();
    for n in 0..6 {
        let to = address(&n.to_string());
        subscription.add(to.clone(), Start::Earliest).await.unwrap();
        let sent = payload(n, 4 * 3995);
        let mut first = pieces(&sent).await;
        let rest = first.split_off(2);
        for piece in first {
            inner.publish(PublishRequest::new(to.clone(), piece)).await;
        }
        assert_eq!(payloads(&mut *subscription).len(), 0);
        halves.push((to, sent, rest));
    }
    // Twelve pieces came, ten are held: the first payload went.
    assert_eq!(service.counts().given_up, 1);
    let (to, sent, rest) = halves.remove(5);
    for piece in rest {
        inner.publish(PublishRequest::new(to.clone(), piece)).await;
    }
    assert_eq!(payloads(&mut *subscription), [sent]);
    // Two more pieces were held on the way.
    assert_eq!(service.counts().given_up, 2);
}

#[tokio::test]
async fn a_payload_may_be_as_long_as_all_that_is_held() {
    let inner = small();
    let options = SegmentedOptions {
        max_bytes: 1000,
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let sent = payload(1, 100_000);
    publish(&service, sent.clone()).await;
    assert_eq!(payloads(&mut *subscription), [sent]);
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_payload_goes_at_its_age() {
    let inner = small();
    let options = SegmentedOptions {
        max_age: Duration::from_secs(60),
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let retention = service.capabilities().retention;
    assert_eq!(retention, Some(Duration::from_secs(60)));
    let mut subscription = subscribed(&service, Start::Earliest).await;
    for (seed, wait, given_up) in [(1, 60, 0), (2, 61, 1)] {
        let sent = payload(seed, 6_000);
        let pieces = pieces(&sent).await;
        publish(&inner, pieces[0].clone()).await;
        assert_eq!(payloads(&mut *subscription).len(), 0);
        tokio::time::advance(Duration::from_secs(wait)).await;
        publish(&inner, pieces[1].clone()).await;
        let came = payloads(&mut *subscription).len();
        assert_eq!(
            (came as u64, service.counts().given_up),
            (1 - given_up, given_up)
        );
    }
}

#[tokio::test]
async fn an_incomplete_payload_goes_when_too_much_came_after_it() {
    let inner = small();
    let options = SegmentedOptions {
        max_span: 300,
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    publish(&inner, pieces(&payload(1, 6_000)).await.remove(0)).await;
    for n in 0..300u32 {
        publish(&service, n.to_be_bytes().to_vec()).await;
    }
    assert_eq!(payloads(&mut *subscription).len(), 300);
    assert_eq!(service.counts().given_up, 0);
    publish(&service, "one more").await;
    assert_eq!(payloads(&mut *subscription), ["one more"]);
    assert_eq!(service.counts().given_up, 1);
}

#[tokio::test]
async fn who_sends_more_than_the_receiver_takes_is_dropped_and_counted() {
    let inner = small();
    let options = SegmentedOptions {
        max_payload_len: 8_000,
        ..SegmentedOptions::default()
    };
    let service = with(&inner, options);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    for piece in pieces(&payload(1, 9_000)).await {
        publish(&inner, piece).await;
    }
    publish(&service, payload(2, 8_000)).await;
    assert_eq!(payloads(&mut *subscription), [payload(2, 8_000)]);
    assert_eq!(service.counts().too_long, 1);
    let longer = PublishRequest::new(address("raya"), payload(3, 8_001));
    let Outcome::Refused(error) = service.publish(longer).await else {
        panic!("a payload over the limit was taken");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
