use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cf_core::{BoxFuture, Cursor, Delivery, DeliveryAddress, Result, Start, Subscription};
use tokio::time::{Instant, sleep_until};

use super::network::{Network, unavailable};

/// The most payloads that are on their way; then nothing more is taken from the
/// service until some have arrived.
const MAX_ON_THE_WAY: usize = 4096;

/// A subscription behind a network with faults.
pub(super) struct FaultySubscription {
    inner: Box<dyn Subscription>,
    network: Arc<Network>,
    /// What is on its way, by when it arrives.
    on_the_way: BTreeMap<(Instant, u64), Delivery>,
    /// When the last payload of each address arrives that keeps its place.
    last: HashMap<DeliveryAddress, Instant>,
    taken: u64,
    /// How many cuts of the network were told.
    told_cuts: u64,
}

impl FaultySubscription {
    pub(super) fn new(inner: Box<dyn Subscription>, network: Arc<Network>) -> Self {
        Self {
            inner,
            told_cuts: network.cuts(),
            network,
            on_the_way: BTreeMap::new(),
            last: HashMap::new(),
            taken: 0,
        }
    }

    /// Sends a payload on its way, as often and as late as the seed says.
    fn dispatch(&mut self, delivery: &Delivery) {
        self.network.draw_stall();
        let passages = self.network.fates.lock().passages();
        let mut counts = self.network.counts.lock();
        match passages.len() {
            0 => counts.lost += 1,
            copies => counts.repeated += copies as u64 - 1,
        }
        let now = Instant::now();
        for passage in passages {
            let mut at = now + passage.delay;
            if passage.out_of_order {
                counts.reordered += 1;
            } else {
                let last = self.last.entry(delivery.address.clone()).or_insert(at);
                at = at.max(*last);
                *last = at;
            }
            counts.corrupted += u64::from(passage.flipped.is_some());
            self.taken += 1;
            let arrived = Delivery {
                payload: passage.arrived(&delivery.payload),
                ..delivery.clone()
            };
            self.on_the_way.insert((at, self.taken), arrived);
        }
    }

    /// What has arrived by now.
    fn arrived(&mut self) -> Option<Delivery> {
        let first = self.on_the_way.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    fn drop_on_the_way(&mut self, address: &DeliveryAddress) {
        self.on_the_way
            .retain(|_, delivery| delivery.address != *address);
        self.last.remove(address);
    }
}

impl Subscription for FaultySubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.network.pass().await?;
            self.inner.add(address.clone(), start).await?;
            self.drop_on_the_way(&address);
            self.network.pass().await
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.drop_on_the_way(address);
        self.inner.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        // What was taken from the service is in `on_the_way` before anything is
        // waited for, so that a future that is dropped loses nothing.
        Box::pin(async {
            loop {
                let cuts = self.network.cuts();
                if std::mem::replace(&mut self.told_cuts, cuts) != cuts {
                    return Err(unavailable());
                }
                // Before asking, so that no change between is missed.
                let mut link = self.network.watch();
                if self.network.pass().await.is_err() {
                    self.network.whole().await;
                    continue;
                }
                if let Some(delivery) = self.arrived() {
                    return Ok(delivery);
                }
                let first = self.on_the_way.keys().next().map(|(at, _)| *at);
                let has_room = self.on_the_way.len() < MAX_ON_THE_WAY;
                tokio::select! {
                    biased;
                    _ = link.changed() => {}
                    taken = self.inner.next(), if has_room => {
                        let delivery = taken?;
                        self.dispatch(&delivery);
                    }
                    () = async { sleep_until(first.unwrap_or_else(Instant::now)).await },
                        if first.is_some() => {}
                }
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        self.inner.acknowledge(address, cursor);
    }
}
