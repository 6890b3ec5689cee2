use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use tokio::time::Instant;

use super::counts::Counts;
use super::cursor::{Bookmark, Place};
use super::options::SegmentedOptions;
use super::reassembly::{Flow, Reassembly};

/// Reads pieces and gives payloads.
pub(super) struct SegmentedSubscription {
    inner: Box<dyn Subscription>,
    reassembly: Reassembly,
}

impl SegmentedSubscription {
    pub(super) fn new(
        inner: Box<dyn Subscription>,
        options: SegmentedOptions,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            inner,
            reassembly: Reassembly::new(options, counts),
        }
    }
}

impl Subscription for SegmentedSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let (flow, start) = Flow::begin(&start)?;
            // Before the inner service answers: if this future is dropped, it may
            // have moved already, and cursors from the new start lose nothing.
            let before = self.reassembly.add(address.clone(), flow);
            let added = self.inner.add(address.clone(), start).await;
            if added.is_err() {
                self.reassembly.restore(address, before);
            }
            added
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.inner.remove(address);
        self.reassembly.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        // What the inner service gave is taken before anything is waited for, so
        // that a future that is dropped loses nothing.
        Box::pin(async {
            loop {
                let delivery = self.inner.next().await?;
                if let Some(whole) = self.reassembly.take(delivery, Instant::now()) {
                    return Ok(whole);
                }
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        if let Ok(bookmark) = Bookmark::decode(cursor)
            && let Place::After(inner) = bookmark.place
        {
            self.inner.acknowledge(address, &inner);
        }
    }
}
