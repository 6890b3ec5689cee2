//! One delivery service of a client: its subscription and its publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
) {
    let mut feed = Feed::new(service.clone());
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
    not_before: Option<Instant>,
}

type Opening = BoxFuture<'static, Result<Box<dyn Subscription>>>;

impl Feed {
    fn new(service: Arc<dyn DeliveryService>) -> Self {
        Self {
            service,
            wanted: BTreeMap::new(),
            opening: None,
            subscription: None,
            missing: BTreeSet::new(),
            not_before: None,
        }
    }

    fn add(&mut self, address: DeliveryAddress, start: Start) {
        self.missing.insert(address.clone());
        self.wanted.insert(address, start);
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.wanted.remove(address);
        self.missing.remove(address);
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
                self.missing = self.wanted.keys().cloned().collect();
                self.subscription.insert(opened?)
            }
        };
        while let Some(address) = self.missing.first().cloned() {
            if let Some(start) = self.wanted.get(&address) {
                add(&mut **subscription, address.clone(), start.clone()).await?;
            }
            self.missing.remove(&address);
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
