use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Error, Locator, Outcome, ProtocolId, PublishRequest,
    Result, Resume, Subscription,
};
use tokio::time::sleep;

use super::fates::{Fates, Faults};
use super::network::{Network, unavailable};
use super::subscription::FaultySubscription;

/// A delivery service behind a network with faults.
///
/// Loss, repetition, reordering and corruption happen between the service and
/// each subscriber, lost answers between a publisher and the service, delays and
/// stalls at both. It can be cut and mended by hand.
///
/// It declares what is left of the service's promises: with loss neither
/// retention nor resume, with repetition no duplicate suppression, with
/// repetition or reordering no order. Its id and locator are the service's, so
/// that it may stand in its place.
///
/// Clones share one network; two services made apart around one `inner` are two
/// clients with networks of their own.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::DeliveryService;
/// use cf_testkit::{Faults, FaultyService};
/// # fn demo(inner: Arc<dyn DeliveryService>) {
/// let faulty = FaultyService::new(inner, Faults { loss: 10, ..Faults::NONE }, 7);
/// assert!(faulty.capabilities().retention.is_none());
/// faulty.cut();
/// // … now publishing is `Unavailable`, and no payload comes …
/// faulty.mend();
/// # }
/// ```
#[derive(Clone)]
pub struct FaultyService {
    inner: Arc<dyn DeliveryService>,
    network: Arc<Network>,
    declared: Capabilities,
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Payloads that did not reach a subscriber.
    pub lost: u64,
    /// Payloads that reached a subscriber twice.
    pub repeated: u64,
    /// Payloads that others could overtake.
    pub reordered: u64,
    /// Payloads of which a bit was flipped.
    pub corrupted: u64,
    /// Answers to publishes that were lost.
    pub lost_answers: u64,
    /// Times at which everything stood still.
    pub stalls: u64,
}

impl FaultyService {
    /// Puts faults, drawn from a seed, before a service.
    pub fn new(inner: Arc<dyn DeliveryService>, faults: Faults, seed: u64) -> Self {
        Self {
            declared: declared(inner.capabilities(), &faults),
            network: Arc::new(Network::new(Fates::new(faults, seed))),
            inner,
        }
    }

    /// Cuts the network: publishing, subscribing and adding are `Unavailable`,
    /// each subscription tells so once, and what is on its way waits.
    pub fn cut(&self) {
        self.network.cut();
    }

    /// Mends the network.
    pub fn mend(&self) {
        self.network.mend();
    }

    /// Lets everything stand still for so long.
    pub fn stall(&self, duration: Duration) {
        self.network.stall(duration);
    }

    /// Makes no more faults; what it declares stays.
    pub fn calm(&self) {
        self.network.fates.lock().change(Faults::NONE);
    }

    /// How often each fault happened until now.
    pub fn counts(&self) -> FaultCounts {
        *self.network.counts.lock()
    }

    async fn answer(&self, request: PublishRequest) -> Outcome {
        self.network.draw_stall();
        if let Err(error) = self.network.pass().await {
            return Outcome::Unavailable(error);
        }
        let cuts = self.network.cuts();
        let outcome = self.inner.publish(request).await;
        let (delay, lost) = {
            let mut fates = self.network.fates.lock();
            (fates.delay(), fates.loses_answer())
        };
        if delay > Duration::ZERO {
            sleep(delay).await;
        }
        if lost || self.network.cuts() != cuts {
            self.network.counts.lock().lost_answers += 1;
            return Outcome::Unknown(Error::unavailable("the answer was lost"));
        }
        outcome
    }
}

/// What is left of a service's promises.
fn declared(inner: Capabilities, faults: &Faults) -> Capabilities {
    let lossy = faults.loss > 0;
    Capabilities {
        retention: inner.retention.filter(|_| !lossy),
        resume: if lossy { Resume::No } else { inner.resume },
        order: inner.order && faults.repetition == 0 && faults.reordering == 0,
        duplicate_suppression: inner
            .duplicate_suppression
            .filter(|_| faults.repetition == 0),
        ..inner
    }
}

impl DeliveryService for FaultyService {
    fn id(&self) -> &ProtocolId {
        self.inner.id()
    }

    fn locator(&self) -> &Locator {
        self.inner.locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.declared.clone()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(self.answer(request))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            self.network.pass().await?;
            let inner = self.inner.subscribe().await?;
            let subscription = FaultySubscription::new(inner, self.network.clone());
            match self.network.pass().await {
                Ok(()) => Ok(Box::new(subscription) as _),
                Err(_) => Err(unavailable()),
            }
        })
    }
}

impl fmt::Debug for FaultyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyService")
            .field("inner", self.inner.id())
            .field("faults", &self.network.fates.lock().faults())
            .finish_non_exhaustive()
    }
}
