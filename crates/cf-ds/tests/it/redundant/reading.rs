//! Subscriptions of which a part dies, hangs, forgets and comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{DeliveryService, ErrorKind, Spread, Start, Subscription};
use cf_ds::{Redundant, RedundantOptions};
use tokio::time::{Instant, timeout};

use super::fragile::{Fragile, Mood};
use super::{memory, publish, subscribed, with};
use crate::{address, poll_once, read};

/// All that comes until nothing does for a minute.
async fn rest(subscription: &mut dyn Subscription) -> Vec<Bytes> {
    let mut came = Vec::new();
    while let Ok(next) = timeout(Duration::from_secs(60), subscription.next()).await {
        came.push(next.unwrap().payload);
    }
    came
}

fn number(n: u32) -> Bytes {
    n.to_be_bytes().to_vec().into()
}

/// One service dies or hangs in the middle and comes back, then the other for good.
/// What is on that one alone was read before.
#[tokio::test(start_paused = true)]
async fn while_one_is_sick_everything_comes_once() {
    for spread in [Spread::All, Spread::First] {
        for mood in [Mood::Dead, Mood::Hanging] {
            let services = [Fragile::new("a"), Fragile::new("b")];
            let options = RedundantOptions {
                spread,
                ..RedundantOptions::default()
            };
            let both = with(&[&services[0], &services[1]], options);
            let mut subscription = subscribed(&both, Start::Earliest).await;
            let mut came = Vec::new();
            for n in 0..60 {
                match n {
                    10 => services[0].be(mood),
                    30 => services[0].be(Mood::Well),
                    31 => tokio::time::sleep(Duration::from_secs(20)).await,
                    40 => {
                        came.extend(rest(&mut *subscription).await);
                        services[1].be(mood);
                    }
                    _ => {}
                }
                let outcome = publish(&both, number(n)).await;
                assert!(matches!(outcome, cf_core::Outcome::Accepted { .. }));
                if n % 3 == 0 {
                    came.extend(poll_once(subscription.next()).map(|next| next.unwrap().payload));
                }
            }
            came.extend(rest(&mut *subscription).await);
            came.sort();
            let sent: Vec<_> = (0..60).map(number).collect();
            assert_eq!(came, sent, "{spread:?} {mood:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn adding_waits_little_for_a_service_that_hangs_and_nothing_the_next_time() {
    let (a, b) = (Fragile::new("a"), Fragile::new("b"));
    let both = with(&[&a, &b], RedundantOptions::default());
    a.be(Mood::Hanging);
    let mut subscription = both.subscribe().await.unwrap();
    let start = Instant::now();
    for n in 0..100u32 {
        let to = address(&n.to_string());
        subscription.add(to, Start::Earliest).await.unwrap();
    }
    assert_eq!(start.elapsed(), RedundantOptions::default().grace);
    // What is on the one that hung comes when it is back.
    let request = cf_core::PublishRequest::new(address("7"), "only here");
    a.inner.publish(request).await;
    a.be(Mood::Well);
    assert_eq!(rest(&mut *subscription).await, ["only here"]);
}

#[tokio::test(start_paused = true)]
async fn adding_fails_while_none_can_be_reached_and_leaves_nothing_behind() {
    let (a, b) = (Fragile::new("a"), Fragile::new("b"));
    let both = with(&[&a, &b], RedundantOptions::default());
    a.be(Mood::Dead);
    b.be(Mood::Hanging);
    let mut subscription = both.subscribe().await.unwrap();
    for _ in 0..2 {
        let added = subscription.add(address("raya"), Start::Earliest).await;
        assert_eq!(added.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    a.be(Mood::Well);
    b.be(Mood::Well);
    publish(&both, "payload").await;
    assert_eq!(rest(&mut *subscription).await.len(), 0);
    let again = subscription.add(address("raya"), Start::Earliest).await;
    again.unwrap();
    assert_eq!(rest(&mut *subscription).await, ["payload"]);
}

/// A cursor of any delivery, and whichever of the services is there afterwards.
#[tokio::test(start_paused = true)]
async fn a_cursor_resumes_each_service_where_it_was() {
    let services = [Fragile::new("a"), Fragile::new("b")];
    let first = RedundantOptions {
        spread: Spread::First,
        ..RedundantOptions::default()
    };
    let both = with(&[&services[0], &services[1]], first);
    for n in 0..20 {
        services[0].be(if n % 2 == 0 { Mood::Well } else { Mood::Dead });
        publish(&both, number(n)).await;
    }
    services[0].be(Mood::Well);
    let mut subscription = subscribed(&both, Start::Earliest).await;
    let all = read(&mut *subscription);
    assert_eq!(all.len(), 20);
    for (index, delivery) in all.iter().enumerate() {
        let start = Start::After(delivery.cursor.clone().unwrap());
        let mut again = subscribed(&both, start).await;
        let came = rest(&mut *again).await;
        let due: Vec<_> = all[index + 1..].iter().map(|d| d.payload.clone()).collect();
        assert_eq!(came.len(), due.len());
        assert!(due.iter().all(|payload| came.contains(payload)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_lost_its_state_starts_anew_and_all_of_them_are_misuse() {
    let (a, b) = (memory("a"), memory("b"));
    let of = |a: &cf_ds::MemoryService, b: &cf_ds::MemoryService| {
        Redundant::new(vec![Arc::new(a.clone()), Arc::new(b.clone())]).unwrap()
    };
    let both = of(&a, &b);
    publish(&both, "old").await;
    let mut subscription = subscribed(&both, Start::Earliest).await;
    publish(&both, "older").await;
    assert_eq!(rest(&mut *subscription).await.len(), 2);
    publish(&both, "last").await;
    let cursor = subscription.next().await.unwrap().cursor.unwrap();
    // One was made anew.
    let anew = of(&memory("a"), &b);
    publish(&anew, "new").await;
    let mut subscription = subscribed(&anew, Start::After(cursor.clone())).await;
    let came = rest(&mut *subscription).await;
    assert!(
        came.contains(&"new".into()) && !came.contains(&"old".into()),
        "{came:?}"
    );
    // Both were.
    let anew = of(&memory("a"), &memory("b"));
    let mut subscription = subscribed(&anew, Start::Earliest).await;
    let added = subscription
        .add(address("raya"), Start::After(cursor))
        .await;
    assert_eq!(added.unwrap_err().kind(), ErrorKind::Misuse);
    publish(&anew, "goes on").await;
    assert_eq!(rest(&mut *subscription).await, ["goes on"]);
}

#[tokio::test]
async fn a_cursor_is_of_one_set_of_services() {
    let both = super::of(&["a", "b"]);
    publish(&both, "payload").await;
    let mut subscription = subscribed(&both, Start::Earliest).await;
    let cursor = subscription.next().await.unwrap().cursor.unwrap();
    for other in [&["a", "c"][..], &["a"], &["a", "b", "c"]] {
        let other = super::of(other);
        publish(&other, "payload").await;
        let mut subscription = other.subscribe().await.unwrap();
        let start = Start::After(cursor.clone());
        let error = subscription.add(address("raya"), start).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
    }
    // The order in which they are given is no part of it.
    let mut services = vec![Arc::new(memory("b")) as Arc<dyn DeliveryService>];
    services.push(Arc::new(memory("a")));
    let same = Redundant::new(services).unwrap();
    publish(&same, "one").await;
    publish(&same, "two").await;
    let mut subscription = subscribed(&same, Start::After(cursor)).await;
    assert!(
        read(&mut *subscription)
            .iter()
            .any(|one| one.payload == "two")
    );
}
