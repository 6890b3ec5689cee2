//! The window in which copies are known, and cursors that take too much room.

use std::sync::Arc;

use cf_core::{
    BoxFuture, Capabilities, Cursor, Delivery, DeliveryAddress, DeliveryService, Locator, Outcome,
    ProtocolId, PublishRequest, Result, Start, Subscription,
};
use cf_ds::{MemoryService, Redundant, RedundantOptions};

use super::{memory, publish, subscribed};
use crate::{address, read};

#[tokio::test]
async fn the_same_payload_published_again_comes_again() {
    let both = super::of(&["a", "b"]);
    let mut subscription = subscribed(&both, Start::Earliest).await;
    for _ in 0..3 {
        publish(&both, "same").await;
        assert_eq!(read(&mut *subscription).len(), 1);
    }
    for _ in 0..3 {
        publish(&both, "same").await;
    }
    assert_eq!(read(&mut *subscription).len(), 3);
}

/// One service brings all its payloads before the other: what is still in the
/// window is known, and what is not comes twice.
#[tokio::test]
async fn copies_are_known_within_the_window() {
    for (per_address, in_all, twice) in [(100, 1000, 0), (30, 1000, 40), (100, 50, 40)] {
        let (a, b) = (memory("a"), memory("b"));
        let options = RedundantOptions {
            window_per_address: per_address,
            window: in_all,
            ..RedundantOptions::default()
        };
        let services = vec![Arc::new(a.clone()) as _, Arc::new(b.clone()) as _];
        let both = Redundant::with_options(services, options).unwrap();
        let mut subscription = both.subscribe().await.unwrap();
        for to in ["one", "other"] {
            let to = address(to);
            subscription.add(to, Start::Earliest).await.unwrap();
        }
        let mut came = 0;
        for service in [a, b] {
            for to in ["one", "other"] {
                for n in 0..40u8 {
                    let request = PublishRequest::new(address(to), vec![n]);
                    service.publish(request).await;
                }
            }
            came += read(&mut *subscription).len();
        }
        let most = 80 + 2 * twice;
        let range = 80 + usize::from(twice > 0)..=most;
        assert!(range.contains(&came), "{per_address} {in_all}: {came}");
    }
}

/// A service in memory with cursors as long as a contract allows.
struct LongCursors(MemoryService);

fn lengthen(cursor: &Cursor) -> Cursor {
    let mut bytes = vec![7; Cursor::MAX_LEN - 8];
    bytes.extend_from_slice(cursor.as_bytes());
    Cursor::new(bytes).unwrap()
}

impl DeliveryService for LongCursors {
    fn id(&self) -> &ProtocolId {
        self.0.id()
    }

    fn locator(&self) -> &Locator {
        self.0.locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        self.0.publish(request)
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async { Ok(Box::new(Long(self.0.subscribe().await?)) as _) })
    }
}

struct Long(Box<dyn Subscription>);

impl Subscription for Long {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        let start = match start {
            Start::After(cursor) => {
                let bytes = cursor.as_bytes()[Cursor::MAX_LEN - 8..].to_vec();
                Start::After(Cursor::new(bytes).unwrap())
            }
            other => other,
        };
        self.0.add(address, start)
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.0.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            let mut delivery = self.0.next().await?;
            delivery.cursor = delivery.cursor.as_ref().map(lengthen);
            Ok(delivery)
        })
    }

    fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
}

/// A cursor for which there is no room is left out: there everything comes again,
/// and nothing is lost.
#[tokio::test]
async fn cursors_that_take_too_much_room_lose_nothing() {
    let long = LongCursors(memory("b"));
    let both = Redundant::new(vec![Arc::new(memory("a")), Arc::new(long)]).unwrap();
    for n in 0..5u8 {
        publish(&both, vec![n]).await;
    }
    let mut subscription = subscribed(&both, Start::Earliest).await;
    let all = read(&mut *subscription);
    let cursor = all[2].cursor.clone().unwrap();
    let mut again = subscribed(&both, Start::After(cursor)).await;
    let came: Vec<_> = read(&mut *again).into_iter().map(|d| d.payload).collect();
    assert!(all[3..].iter().all(|due| came.contains(&due.payload)));
    assert_eq!(came.len(), 5, "the second service began anew");
}
