//! One delivery service of a client: its subscription and its publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cf_core::{
    Cursor, Delivery, DeliveryAddress, DeliveryService, Error, ErrorKind, Locator, Outcome,
    PublishRequest, Result, Start, Subscription,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

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
    commands: mpsc::UnboundedReceiver<Command>,
    shell: mpsc::Sender<FromService>,
    unheard: Unheard,
) {
    // Holds no more than what it is given.
    #[allow(clippy::disallowed_methods)]
    let (to_feed, of_feed) = mpsc::unbounded_channel();
    let feed = Feed::new(service.clone(), unheard);
    tokio::select! {
        () = publish(service, commands, shell.clone(), to_feed) => {}
        () = bring(feed, of_feed, shell) => {}
    }
}

/// Publishes, and passes on what is not to be published.
async fn publish(
    service: Arc<dyn DeliveryService>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    shell: mpsc::Sender<FromService>,
    to_feed: mpsc::UnboundedSender<Command>,
) {
    let mut publishing = FuturesUnordered::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Publish(entry, request)) => {
                    let service = service.clone();
                    publishing.push(async move { (entry, service.publish(request).await) });
                }
                Some(command) => drop(to_feed.send(command)),
            },
            Some((permit, (entry, outcome))) = async {
                let permit = shell.reserve().await.ok()?;
                publishing.next().await.map(|done| (permit, done))
            }, if !publishing.is_empty() => permit.send(FromService::Outcome(entry, outcome)),
        }
    }
}

/// Subscribes, and brings what comes. A subscription that is under way is not given up
/// for what else is to be done: its service may be slow.
async fn bring(
    mut feed: Feed,
    mut commands: mpsc::UnboundedReceiver<Command>,
    shell: mpsc::Sender<FromService>,
) {
    let locator = feed.service.locator().clone();
    loop {
        while let Ok(command) = commands.try_recv() {
            feed.handle(command);
        }
        if feed.is_due() {
            feed.settle().await;
            continue;
        }
        let pause = feed.not_before;
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(command) => feed.handle(command),
            },
            () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => {
                feed.not_before = None;
            }
            Some((permit, delivery)) = async {
                let permit = shell.reserve().await.ok()?;
                Some((permit, feed.next().await))
            }, if pause.is_none() => if let Ok(delivery) = delivery {
                permit.send(FromService::Delivery(locator.clone(), delivery));
            },
        }
    }
}

/// The subscription, opened again when the service has lost it.
struct Feed {
    service: Arc<dyn DeliveryService>,
    wanted: BTreeMap<DeliveryAddress, Start>,
    subscription: Option<Box<dyn Subscription>>,
    /// Wanted and not yet added to the subscription.
    missing: BTreeSet<DeliveryAddress>,
    unheard: Unheard,
    not_before: Option<Instant>,
}

impl Feed {
    fn new(service: Arc<dyn DeliveryService>, unheard: Unheard) -> Self {
        Self {
            service,
            wanted: BTreeMap::new(),
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

    fn handle(&mut self, command: Command) {
        match command {
            Command::Subscribe(address, start) => self.add(address, start),
            Command::Unsubscribe(address) => self.remove(&address),
            Command::Acknowledge(address, cursor) => self.acknowledge(address, cursor),
            Command::Publish(..) => {}
        }
    }

    /// Whether there is something to subscribe to.
    fn is_due(&self) -> bool {
        let is_complete = self.subscription.is_some() && self.missing.is_empty();
        self.not_before.is_none() && !is_complete && !self.wanted.is_empty()
    }

    /// Opens the subscription and adds what is missing; pauses if the service is away.
    async fn settle(&mut self) {
        if let Err(error) = self.try_settle().await {
            self.fail(&error);
        }
    }

    async fn try_settle(&mut self) -> Result<()> {
        let subscription = match &mut self.subscription {
            Some(subscription) => subscription,
            None => {
                let opened = self.service.subscribe().await?;
                let all: BTreeSet<_> = self.wanted.keys().cloned().collect();
                self.unheard.add(all.len() - self.missing.len());
                self.missing = all;
                self.subscription.insert(opened)
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
        Ok(())
    }

    /// Waits for a delivery; may be dropped at any time.
    async fn next(&mut self) -> Result<Delivery> {
        let Some(subscription) = &mut self.subscription else {
            return std::future::pending().await;
        };
        let next = subscription.next().await;
        if let Err(error) = &next {
            self.fail(error);
        }
        next
    }

    fn fail(&mut self, error: &Error) {
        self.not_before = Some(Instant::now() + PAUSE);
        if !error.is_retryable() {
            self.subscription = None;
        }
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
