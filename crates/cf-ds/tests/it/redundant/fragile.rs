use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    BoxFuture, Capabilities, Cursor, Delivery, DeliveryAddress, DeliveryService, Error, Locator,
    Outcome, ProtocolId, PublishRequest, Result, Start, Subscription,
};
use cf_ds::MemoryService;
use tokio::sync::watch;

/// How a service does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Well,
    /// Everything is `Unavailable`.
    Dead,
    /// Nothing is ever answered.
    Hanging,
    /// Publishes take so long.
    Slow(Duration),
    /// Payloads are taken, and the answers are lost.
    Silent,
}

/// A service in memory that falls ill when it is told to.
#[derive(Clone)]
pub(super) struct Fragile {
    pub(super) inner: MemoryService,
    mood: Arc<watch::Sender<Mood>>,
}

impl Fragile {
    pub(super) fn new(name: &str) -> Self {
        Self {
            inner: MemoryService::new(name).unwrap(),
            mood: Arc::new(watch::Sender::new(Mood::Well)),
        }
    }

    pub(super) fn be(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn pass(&self) -> Result<()> {
        let mut mood = self.mood.subscribe();
        let mood = mood.wait_for(|mood| *mood != Mood::Hanging).await;
        match *mood.expect("the sender is here") {
            Mood::Dead => Err(Error::unavailable("dead")),
            _ => Ok(()),
        }
    }
}

impl DeliveryService for Fragile {
    fn id(&self) -> &ProtocolId {
        self.inner.id()
    }

    fn locator(&self) -> &Locator {
        self.inner.locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if let Err(error) = self.pass().await {
                return Outcome::Unavailable(error);
            }
            let mood = *self.mood.borrow();
            if let Mood::Slow(duration) = mood {
                tokio::time::sleep(duration).await;
            }
            let outcome = self.inner.publish(request).await;
            match mood {
                Mood::Silent => Outcome::Unknown(Error::unavailable("the answer was lost")),
                _ => outcome,
            }
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            self.pass().await?;
            let inner = self.inner.subscribe().await?;
            let service = self.clone();
            Ok(Box::new(FragileSubscription { inner, service }) as _)
        })
    }
}

struct FragileSubscription {
    inner: Box<dyn Subscription>,
    service: Fragile,
}

impl Subscription for FragileSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.service.pass().await?;
            self.inner.add(address, start).await
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.inner.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            loop {
                let mut mood = self.service.mood.subscribe();
                self.service.pass().await?;
                tokio::select! {
                    biased;
                    _ = mood.changed() => {}
                    delivery = self.inner.next() => return delivery,
                }
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        self.inner.acknowledge(address, cursor);
    }
}

/// A service that promises nothing.
pub(super) struct Void {
    locator: Locator,
}

impl Default for Void {
    fn default() -> Self {
        Self {
            locator: Locator::parse("void:").unwrap(),
        }
    }
}

impl DeliveryService for Void {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = ProtocolId::from_static("/test/ds/void/1");
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::none(1_000_000)
    }

    fn publish(&self, _: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async { Outcome::Refused(Error::rejected("nothing is taken")) })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async { Err(Error::unavailable("there is nothing")) })
    }
}
