//! A cursor never passes a payload that is not complete yet.

use bytes::Bytes;
use cf_core::{Delivery, Start};
use cf_testkit::SeededRandom;

use super::{around, payload, payloads, pieces, publish, small, subscribed};
use crate::{poll_once, read};

/// Pieces of several payloads, mixed: whatever the delivery after which a client
/// starts again, it gets all that it did not have.
#[tokio::test]
async fn from_every_cursor_all_that_came_after_it_comes() {
    for seed in 0..40 {
        let mut random = SeededRandom::new(seed);
        let mut sent: Vec<Bytes> = Vec::new();
        let mut queues = Vec::new();
        for n in 0..12 {
            let len = [10, 5_000, 9_000, 14_000][random.below(4) as usize];
            let one = payload(1000 * seed + n, len);
            queues.push(pieces(&one).await);
            sent.push(one);
        }
        let inner = small();
        // Up to four payloads are under way at a time.
        while !queues.is_empty() {
            let at = random.below(queues.len().min(4) as u64) as usize;
            publish(&inner, queues[at].remove(0)).await;
            if queues[at].is_empty() {
                queues.remove(at);
            }
        }
        let service = around(&inner);
        let mut first = subscribed(&service, Start::Earliest).await;
        let deliveries = read(&mut *first);
        assert_eq!(deliveries.len(), sent.len());
        for (index, delivery) in deliveries.iter().enumerate() {
            let start = Start::After(delivery.cursor.clone().unwrap());
            let mut again = subscribed(&service, start).await;
            let came = payloads(&mut *again);
            for due in &deliveries[index + 1..] {
                assert!(came.contains(&due.payload), "seed {seed}, after {index}");
            }
        }
        // A client that is killed after each delivery gets to the end, too.
        let mut got: Vec<Bytes> = Vec::new();
        let mut start = Start::Earliest;
        for _ in 0..200 {
            let mut subscription = subscribed(&service, start.clone()).await;
            // It goes on until it has something new.
            let next = std::iter::from_fn(|| poll_once(subscription.next()))
                .map(Result::unwrap)
                .find(|next: &Delivery| !got.contains(&next.payload));
            let Some(next) = next else { break };
            start = Start::After(next.cursor.unwrap());
            got.push(next.payload);
        }
        assert_eq!(got.len(), sent.len(), "seed {seed}");
    }
}

/// Of a payload that is complete, pieces may stand on both sides of the place to go
/// on from. They hold back no cursor, also after several starts.
#[tokio::test]
async fn halves_of_complete_payloads_hold_no_cursor_back() {
    let inner = small();
    let service = around(&inner);
    let [one, other] = [1, 2].map(|seed| payload(seed, 6_000));
    let ([one_a, one_b], [other_a, other_b]) = (
        <[Bytes; 2]>::try_from(pieces(&one).await).unwrap(),
        <[Bytes; 2]>::try_from(pieces(&other).await).unwrap(),
    );
    for piece in [one_a, other_a, one_b] {
        publish(&inner, piece).await;
    }
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let mut delivery = read(&mut *subscription).remove(0);
    assert_eq!(delivery.payload, one);
    // Behind the first piece: the other payload is still incomplete.
    for n in 0..3u8 {
        let start = Start::After(delivery.cursor.unwrap());
        let mut subscription = subscribed(&service, start).await;
        publish(&service, vec![n]).await;
        let mut came = read(&mut *subscription);
        assert_eq!(came.len(), usize::from(n) + 1, "since the first piece");
        delivery = came.remove(n.into());
        assert_eq!(delivery.payload, vec![n]);
    }
    let start = Start::After(delivery.cursor.unwrap());
    let mut subscription = subscribed(&service, start).await;
    publish(&inner, other_b).await;
    let delivery = read(&mut *subscription).pop().unwrap();
    assert_eq!(delivery.payload, other);
    let start = Start::After(delivery.cursor.unwrap());
    let mut subscription = subscribed(&service, start).await;
    assert_eq!(
        payloads(&mut *subscription).len(),
        0,
        "nothing is waited for"
    );
    publish(&service, "new").await;
    assert_eq!(payloads(&mut *subscription), ["new"]);
}

/// The same payload again is another publish: it comes again.
#[tokio::test]
async fn a_payload_published_again_comes_again() {
    let service = around(&small());
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let sent = payload(1, 50_000);
    for _ in 0..3 {
        publish(&service, sent.clone()).await;
        assert!(payloads(&mut *subscription) == [&sent[..]]);
    }
}

/// Pieces of a payload whose publisher was cut off are completed by its next try.
#[tokio::test]
async fn a_second_try_completes_the_first() {
    let inner = small();
    let service = around(&inner);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    let sent = payload(1, 20_000);
    for piece in pieces(&sent).await.into_iter().take(3) {
        publish(&inner, piece).await;
    }
    publish(&service, sent.clone()).await;
    assert_eq!(payloads(&mut *subscription), [sent]);
}
