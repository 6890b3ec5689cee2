//! One delivery service of a client: its subscription and its publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cf_core::{
    BoxFuture, Cursor, Delivery, DeliveryAddress, DeliveryService, ErrorKind, Locator, Outcome,
    PublishRequest, Result, Start, Subscription,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The pause after a service could not be reached.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) enum Command {
    Subscribe(DeliveryAddress, Start),
    Unsubscribe(DeliveryAddress),
    Acknowledge(DeliveryAddress, Cursor),
    Publish(u64, PublishRequest),
}

/// How many addresses wait until their service takes the subscription, where what
/// comes before that is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unheard(Arc<AtomicUsize>);

impl Unheard {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count, Ordering::AcqRel);
    }

    fn sub(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::AcqRel);
    }

    /// Begins again, with the services' tasks.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }
}

pub(crate) enum FromService {
    Delivery(Locator, Delivery),
    Outcome(u64, Outcome),
}

/// Carries out commands and brings deliveries, until the shell is gone.
///
/// It waits for a place at the shell before it takes a delivery, so that a slow
/// store slows the service down and nothing piles up.
pub(crate) async fn serve(
    service: Arc<dyn DeliveryService>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    shell: mpsc::Sender<FromService>,
    unheard: Unheard,
) {
    let mut feed = Feed::new(service.clone(), unheard);
    let mut publishing = FuturesUnordered::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Publish(entry, request)) => {
                    let service = service.clone();
                    publishing.push(async move { (entry, service.publish(request).await) });
                }
                Some(Command::Subscribe(address, start)) => feed.add(address, start),
                Some(Command::Unsubscribe(address)) => feed.remove(&address),
                Some(Command::Acknowledge(address, cursor)) => feed.acknowledge(address, cursor),
            },
            Some((permit, (entry, outcome))) = async {
                let permit = shell.reserve().await.ok()?;
                publishing.next().await.map(|done| (permit, done))
            }, if !publishing.is_empty() => permit.send(FromService::Outcome(entry, outcome)),
            Some((permit, delivery)) = async {
                let permit = shell.reserve().await.ok()?;
                Some((permit, feed.next().await))
            } => if let Ok(delivery) = delivery {
                permit.send(FromService::Delivery(service.locator().clone(), delivery));
            },
        }
    }
}

/// The subscription, opened again when the service has lost it.
///
/// Each step towards it is kept: `next` may be dropped at any time.
struct Feed {
    service: Arc<dyn DeliveryService>,
    wanted: BTreeMap<DeliveryAddress, Start>,
    opening: Option<Opening>,
    subscription: Option<Box<dyn Subscription>>,
    /// Wanted and not yet added to the subscription.
    missing: BTreeSet<DeliveryAddress>,
    unheard: Unheard,
    not_before: Option<Instant>,
}

type Opening = BoxFuture<'static, Result<Box<dyn Subscription>>>;

impl Feed {
    fn new(service: Arc<dyn DeliveryService>, unheard: Unheard) -> Self {
        Self {
            service,
            wanted: BTreeMap::new(),
            opening: None,
            subscription: None,
            missing: BTreeSet::new(),
            unheard,
            not_before: None,
        }
    }

    fn add(&mut self, address: DeliveryAddress, start: Start) {
        // Whoever sent the command has counted it.
        if !self.missing.insert(address.clone()) {
            self.unheard.sub(1);
        }
        self.wanted.insert(address, start);
    }

    fn heard(&mut self, address: &DeliveryAddress) {
        if self.missing.remove(address) {
            self.unheard.sub(1);
        }
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.wanted.remove(address);
        self.heard(address);
        if let Some(subscription) = &mut self.subscription {
            subscription.remove(address);
        }
    }

    fn acknowledge(&mut self, address: DeliveryAddress, cursor: Cursor) {
        if let Some(subscription) = &mut self.subscription {
            subscription.acknowledge(&address, &cursor);
        }
        if let Some(start) = self.wanted.get_mut(&address) {
            *start = Start::After(cursor);
        }
    }

    async fn next(&mut self) -> Result<Delivery> {
        if self.wanted.is_empty() {
            return std::future::pending().await;
        }
        if let Some(until) = self.not_before {
            tokio::time::sleep_until(until).await;
            self.not_before = None;
        }
        let next = self.try_next().await;
        if let Err(error) = &next {
            self.not_before = Some(Instant::now() + PAUSE);
            if !error.is_retryable() {
                self.subscription = None;
            }
        }
        next
    }

    async fn try_next(&mut self) -> Result<Delivery> {
        let subscription = match &mut self.subscription {
            Some(subscription) => subscription,
            None => {
                let service = &self.service;
                let opening = self.opening.get_or_insert_with(|| {
                    let service = service.clone();
                    Box::pin(async move { service.subscribe().await })
                });
                let opened = opening.await;
                self.opening = None;
                let all: BTreeSet<_> = self.wanted.keys().cloned().collect();
                self.unheard.add(all.len() - self.missing.len());
                self.missing = all;
                self.subscription.insert(opened?)
            }
        };
        while let Some(address) = self.missing.first().cloned() {
            if let Some(start) = self.wanted.get(&address) {
                add(&mut **subscription, address.clone(), start.clone()).await?;
            }
            if self.missing.remove(&address) {
                self.unheard.sub(1);
            }
        }
        subscription.next().await
    }
}

/// Subscribes to an address. A cursor that the service does not know is of one
/// that lost its state: whatever it has now is new.
async fn add(
    subscription: &mut dyn Subscription,
    address: DeliveryAddress,
    start: Start,
) -> Result<()> {
    match subscription.add(address.clone(), start).await {
        Err(error) if error.kind() == ErrorKind::Misuse => {
            subscription.add(address, Start::Earliest).await
        }
        added => added,
    }
}
