//! Cursors of redundant/1, and payloads that come over one service or both.

use std::sync::Arc;
use std::time::Duration;

use cf_core::{Cursor, DeliveryAddress, DeliveryService, Start};
use cf_ds::Redundant;

use crate::canned::Canned;
use crate::scene::block_on;
use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    block_on(read(&mut Script::new(data)));
}

async fn read(script: &mut Script<'_>) {
    let services = [Canned::new("one", 1_000), Canned::new("two", 1_000)];
    let inner = services
        .clone()
        .map(|service| Arc::new(service) as Arc<dyn DeliveryService>);
    let service = Redundant::new(inner.to_vec()).expect("two services");
    let address = DeliveryAddress::new("raya").expect("an address");
    let mut subscription = service.subscribe().await.expect("a subscription");
    let added = subscription.add(address.clone(), Start::Earliest).await;
    added.expect("it may start from the first");
    let mut put = Vec::new();
    for _ in 0..20 {
        if script.is_over() {
            break;
        }
        let (which, payload) = (script.byte(), script.part());
        for (bit, service) in services.iter().enumerate() {
            if which >> bit & 1 == 1 {
                service.put(payload.clone());
                put.push(payload.clone());
            }
        }
        let next = tokio::time::timeout(Duration::from_millis(10), subscription.next());
        let Ok(Ok(delivery)) = next.await else {
            continue;
        };
        assert!(put.contains(&delivery.payload));
        let Some(cursor) = delivery.cursor else {
            continue;
        };
        subscription.acknowledge(&address, &cursor);
        let resumed = subscription.add(address.clone(), Start::After(cursor.clone()));
        resumed.await.expect("its own cursor");
        // Its check tells a mistake; whoever forges a cursor only reads elsewhere.
        if let Ok(changed) = Cursor::new(script.mutated(cursor.as_bytes())) {
            let added = subscription.add(address.clone(), Start::After(changed));
            let _ = added.await;
        }
    }
}
