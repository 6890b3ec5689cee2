//! The outcome of the whole, and how a sick service is treated.

use std::time::Duration;

use cf_core::{DeliveryService, ErrorKind, Outcome, Spread, Start};
use cf_ds::{Answer, Redundant, RedundantOptions};
use tokio::time::Instant;

use super::fragile::{Fragile, Mood};
use super::{publish, subscribed, with};
use crate::read;

const SECOND: Duration = Duration::from_secs(1);

fn pair(spread: Spread) -> (Fragile, Fragile, Redundant) {
    let (a, b) = (Fragile::new("a"), Fragile::new("b"));
    let options = RedundantOptions {
        spread,
        ..RedundantOptions::default()
    };
    let both = with(&[&a, &b], options);
    (a, b, both)
}

async fn count(service: &dyn DeliveryService) -> usize {
    let mut subscription = subscribed(service, Start::Earliest).await;
    read(&mut *subscription).len()
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { cursor: None } => "accepted",
        Outcome::Unavailable(_) => "unavailable",
        Outcome::Unknown(_) => "unknown",
        _ => "another",
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_is_the_best_that_is_true() {
    use Mood::*;
    for spread in [Spread::All, Spread::First] {
        for (one, other, outcome) in [
            (Well, Well, "accepted"),
            (Well, Dead, "accepted"),
            (Dead, Well, "accepted"),
            (Hanging, Well, "accepted"),
            (Well, Hanging, "accepted"),
            (Silent, Well, "accepted"),
            (Silent, Dead, "unknown"),
            (Dead, Silent, "unknown"),
            (Hanging, Dead, "unknown"),
            (Hanging, Hanging, "unknown"),
            (Dead, Dead, "unavailable"),
        ] {
            let (a, b, both) = pair(spread);
            a.be(one);
            b.be(other);
            let found = publish(&both, "payload").await;
            assert_eq!(name(&found), outcome, "{spread:?} {one:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn all_means_each_and_first_means_one() {
    for (spread, copies) in [(Spread::All, (1, 1)), (Spread::First, (1, 0))] {
        let (a, b, both) = pair(spread);
        assert_eq!(name(&publish(&both, "payload").await), "accepted");
        assert_eq!((count(&a.inner).await, count(&b.inner).await), copies);
    }
    let (a, b, both) = pair(Spread::First);
    a.be(Mood::Dead);
    assert_eq!(name(&publish(&both, "payload").await), "accepted");
    assert_eq!((count(&a.inner).await, count(&b.inner).await), (0, 1));
}

/// A service that hangs costs one wait; then it is left alone, probed now and then,
/// and taken back when it is well.
#[tokio::test(start_paused = true)]
async fn a_sick_service_costs_one_wait_and_comes_back() {
    for spread in [Spread::All, Spread::First] {
        let (a, _, both) = pair(spread);
        let options = RedundantOptions::default();
        a.be(Mood::Hanging);
        let start = Instant::now();
        for _ in 0..1000 {
            assert_eq!(name(&publish(&both, "payload").await), "accepted");
        }
        let first = match spread {
            Spread::All => options.grace,
            Spread::First => options.timeout,
        };
        assert_eq!(start.elapsed(), first, "{spread:?}");
        let health = both.health().remove(0);
        assert!(!health.is_healthy);
        assert_eq!(health.last_answer, Some(Answer::Nothing));
        // A probe, in vain.
        tokio::time::advance(options.probe_after).await;
        let start = Instant::now();
        for _ in 0..10 {
            publish(&both, "payload").await;
        }
        assert_eq!(start.elapsed(), options.grace, "{spread:?}");
        assert_eq!(both.health()[0].consecutive_failures, 2);
        // And one that is answered.
        a.be(Mood::Well);
        tokio::time::advance(options.probe_after).await;
        publish(&both, "payload").await;
        let health = both.health().remove(0);
        assert!(health.is_healthy);
        assert_eq!(health.consecutive_failures, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_is_waited_for_only_a_little() {
    let (a, _, both) = pair(Spread::All);
    a.be(Mood::Slow(SECOND / 4));
    let start = Instant::now();
    publish(&both, "payload").await;
    assert_eq!(start.elapsed(), SECOND / 4);
    assert_eq!(both.health()[0].latency, Some(SECOND / 4));
    a.be(Mood::Slow(20 * SECOND));
    let start = Instant::now();
    for _ in 0..10 {
        publish(&both, "payload").await;
    }
    assert_eq!(start.elapsed(), RedundantOptions::default().grace);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_sick_all_are_asked() {
    for spread in [Spread::All, Spread::First] {
        let (a, b, both) = pair(spread);
        a.be(Mood::Dead);
        b.be(Mood::Dead);
        for _ in 0..5 {
            assert_eq!(name(&publish(&both, "payload").await), "unavailable");
        }
        assert!(both.health().iter().all(|one| !one.is_healthy));
        b.be(Mood::Well);
        assert_eq!(name(&publish(&both, "payload").await), "accepted");
        let health = both.health();
        assert_eq!(health[1].last_answer, Some(Answer::Accepted));
        assert!(!health[0].is_healthy && health[1].is_healthy);
        assert_eq!(health[0].last_error.as_deref(), Some("dead"));
        assert_eq!(health[0].locator.as_str(), "memory:a");
    }
}

#[tokio::test]
async fn one_byte_more_than_the_least_limit_is_refused() {
    let (_, _, both) = pair(Spread::All);
    let max = both.capabilities().max_payload_len;
    let Outcome::Refused(error) = publish(&both, vec![0; max + 1]).await else {
        panic!("a payload over the limit was taken");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
