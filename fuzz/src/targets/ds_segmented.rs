//! Pieces of segmented/1, lost, repeated, reordered, changed and forged, and the
//! cursors of its subscriptions: only a payload that was published comes out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{Cursor, DeliveryAddress, DeliveryService, PublishRequest, Start};
use cf_ds::{Segmented, SegmentedOptions};

use crate::canned::Canned;
use crate::scene::block_on;
use crate::script::Script;

/// What a piece takes at most: room for 2,000 bytes in eight.
const MAX_PIECE_LEN: usize = 400;
const ADDRESS: &str = "raya";

pub(super) fn run(data: &[u8]) {
    block_on(reassemble(&mut Script::new(data)));
}

async fn reassemble(script: &mut Script<'_>) {
    let inner = Canned::new("fuzz", MAX_PIECE_LEN);
    let options = SegmentedOptions {
        max_payload_len: 2_000,
        max_incomplete: 2,
        max_span: 100,
        max_bytes: 4_000,
        ..SegmentedOptions::default()
    };
    let service = Segmented::with_options(Arc::new(inner.clone()), options);
    let service = service.expect("eight pieces are enough");
    let address = DeliveryAddress::new(ADDRESS).expect("an address");
    let (mut published, mut pieces) = (Vec::<Bytes>::new(), Vec::new());
    for fill in 0..3 {
        let payload = vec![fill; script.below(2_000)];
        let request = PublishRequest::new(address.clone(), payload.clone());
        service.publish(request).await;
        published.push(payload.into());
        pieces.extend(inner.take_published());
    }
    let mut subscription = service.subscribe().await.expect("a subscription");
    let cursor = match script.byte() % 3 {
        0 => None,
        _ => Cursor::new(script.part()).ok(),
    };
    let start = cursor.map_or(Start::Earliest, Start::After);
    if subscription.add(address.clone(), start).await.is_err() {
        let added = subscription.add(address.clone(), Start::Earliest).await;
        added.expect("it may start from the first");
    }
    for _ in 0..200 {
        if script.is_over() {
            break;
        }
        let piece = &pieces[script.below(pieces.len())];
        let piece = match script.byte() % 4 {
            0 | 1 => piece.clone(),
            2 => script.mutated(piece),
            _ => script.part(),
        };
        // The inner service carries nothing longer.
        inner.put(piece.slice(..piece.len().min(MAX_PIECE_LEN)));
        let next = tokio::time::timeout(Duration::from_millis(1), subscription.next());
        let Ok(Ok(whole)) = next.await else { continue };
        // What fits into one piece is whole, whoever published it.
        let is_small = whole.payload.len() < MAX_PIECE_LEN;
        assert!(is_small || published.contains(&whole.payload));
        let Some(cursor) = whole.cursor else { continue };
        subscription.acknowledge(&address, &cursor);
        if script.byte().is_multiple_of(8) {
            let changed = Cursor::new(script.mutated(cursor.as_bytes())).unwrap_or(cursor);
            // Either it is taken or nothing has changed.
            let _ = subscription
                .add(address.clone(), Start::After(changed))
                .await;
        }
    }
}
