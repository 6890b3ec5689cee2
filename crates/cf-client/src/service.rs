//! One delivery service of a client: its subscription and its publishes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    Cursor, Delivery, DeliveryAddress, DeliveryService, ErrorKind, Locator, Outcome,
    PublishRequest, Result, Start, Subscription,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

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
    let mut feed = Feed {
        service: service.clone(),
        subscription: None,
        wanted: BTreeMap::new(),
    };
    let mut publishing = FuturesUnordered::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Publish(entry, request)) => {
                    let service = service.clone();
                    publishing.push(async move { (entry, service.publish(request).await) });
                }
                Some(Command::Subscribe(address, start)) => feed.add(address, start).await,
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
            } => match delivery {
                Ok(delivery) => {
                    permit.send(FromService::Delivery(service.locator().clone(), delivery));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

/// The subscription, opened again when the service has lost it.
struct Feed {
    service: Arc<dyn DeliveryService>,
    subscription: Option<Box<dyn Subscription>>,
    wanted: BTreeMap<DeliveryAddress, Start>,
}

impl Feed {
    async fn add(&mut self, address: DeliveryAddress, start: Start) {
        self.wanted.insert(address.clone(), start.clone());
        if let Some(subscription) = &mut self.subscription
            && add(&mut **subscription, address, start).await.is_err()
        {
            self.subscription = None;
        }
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.wanted.remove(address);
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
        if self.subscription.is_none() {
            let mut subscription = self.service.subscribe().await?;
            for (address, start) in &self.wanted {
                add(&mut *subscription, address.clone(), start.clone()).await?;
            }
            self.subscription = Some(subscription);
        }
        let Some(subscription) = &mut self.subscription else {
            return std::future::pending().await;
        };
        let next = subscription.next().await;
        if next.as_ref().is_err_and(|error| !error.is_retryable()) {
            self.subscription = None;
        }
        next
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
