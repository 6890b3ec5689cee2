//! The tokio shell: moves values between the driver, the store and the services.
//!
//! It decides nothing. Inputs go into the driver one by one; the commits that
//! come out are made durable together, in order, on a blocking thread, while
//! the driver takes further inputs; effects and answers are let go only then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cf_core::{
    Advertised, ConversationId, Error, Locator, Outcome, Random, Result, Signal, Store, Timestamp,
};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::client::advertise;
use crate::components::{Components, Profile};
use crate::driver::{Driver, Effect};
use crate::link::{LinkId, Publication};
use crate::pipeline::Pipeline;
use crate::service::{Command, FromService, Unheard, serve};

/// Makes a source of randomness for each driver.
pub(crate) type RandomSource = Arc<dyn Fn() -> Box<dyn Random> + Send + Sync>;

/// An input from the application, and the answer that its commit lets go.
pub(crate) type Job = Box<dyn FnOnce(&mut Driver, Timestamp) -> Reply + Send>;
pub(crate) type Reply = Box<dyn FnOnce(Result<()>) + Send>;

/// What is told at once and never again.
pub(crate) type Signals = broadcast::Sender<(ConversationId, Signal)>;

/// The most commits that wait for the store before inputs have to wait.
const MAX_WAITING: usize = 1024;
/// The most bytes that they have before inputs have to wait: what bounds the memory
/// that a large content takes here.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// How long a discovery may take.
const ADVERTISING: Duration = Duration::from_secs(60);
/// The pause after the store has failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Parts {
    pub(crate) components: Arc<Components>,
    pub(crate) profile: Profile,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) random: RandomSource,
}

impl Parts {
    pub(crate) fn driver(&self, now: Timestamp) -> Result<Driver> {
        let components = self.components.clone();
        let random = (self.random)();
        Driver::restore(
            components,
            self.profile.clone(),
            self.store.clone(),
            random,
            now,
        )
    }
}

pub(crate) struct Shell {
    parts: Parts,
    driver: Driver,
    clock: Clock,
    jobs: mpsc::Receiver<Job>,
    told: watch::Sender<u64>,
    signals: Signals,
    links: Links,
    pipeline: Pipeline<Reply>,
    committing: Option<JoinHandle<Result<()>>>,
    /// Links that are with their discovery: no more than the driver has.
    advertising: JoinSet<Done>,
}

/// What a discovery has answered.
enum Done {
    Advertised(LinkId, Result<Advertised>),
    Withdrawn(LinkId, Result<()>),
    Resumed,
}

/// The tasks of the delivery services that one driver speaks with.
struct Links {
    commands: HashMap<Locator, mpsc::UnboundedSender<Command>>,
    inputs: mpsc::Receiver<FromService>,
    tasks: JoinSet<()>,
    unheard: Unheard,
}

impl Links {
    fn new(components: &Components, unheard: Unheard) -> Self {
        unheard.clear();
        let (to_shell, inputs) = mpsc::channel(256);
        let mut commands = HashMap::new();
        let mut tasks = JoinSet::new();
        for service in &components.services {
            // Holds no more than the outbox and the points have, which are bounded.
            #[allow(clippy::disallowed_methods)]
            let (sender, inbox) = mpsc::unbounded_channel();
            commands.insert(service.locator().clone(), sender);
            let unheard = unheard.clone();
            tasks.spawn(serve(service.clone(), inbox, to_shell.clone(), unheard));
        }
        Self {
            commands,
            inputs,
            tasks,
            unheard,
        }
    }
}

impl Shell {
    pub(crate) fn new(
        parts: Parts,
        jobs: mpsc::Receiver<Job>,
        told: watch::Sender<u64>,
        signals: Signals,
        unheard: Unheard,
    ) -> Result<Self> {
        let mut clock = Clock::default();
        let driver = parts.driver(clock.now())?;
        let links = Links::new(&parts.components, unheard);
        let (pipeline, committing) = (Pipeline::default(), None);
        let advertising = JoinSet::new();
        Ok(Self {
            parts,
            driver,
            clock,
            jobs,
            told,
            signals,
            links,
            pipeline,
            committing,
            advertising,
        })
    }

    /// Runs until the application has let go of the client, and everything that
    /// it asked for is durable.
    pub(crate) async fn run(mut self) {
        self.take(None);
        self.resume();
        let mut open = true;
        while open || !self.pipeline.is_empty() {
            self.commit();
            let ready =
                self.pipeline.len() < MAX_WAITING && self.pipeline.bytes() < MAX_WAITING_BYTES;
            let until_wake = self.until_wake();
            tokio::select! {
                Some(done) = finished(&mut self.committing) => {
                    self.committing = None;
                    if !self.release(done).await {
                        break;
                    }
                }
                job = self.jobs.recv(), if open && ready => match job {
                    Some(job) => {
                        let reply = job(&mut self.driver, self.clock.now());
                        self.take(Some(reply));
                    }
                    None => open = false,
                },
                Some(input) = self.links.inputs.recv(), if open && ready => {
                    let now = self.clock.now();
                    match input {
                        FromService::Delivery(locator, delivery) => {
                            self.driver.deliver(&locator, delivery, now);
                        }
                        FromService::Outcome(entry, outcome) => {
                            self.driver.published(entry, outcome, now);
                        }
                    }
                    self.take(None);
                }
                Some(done) = self.advertising.join_next(), if open && ready => {
                    let now = self.clock.now();
                    match done {
                        Ok(Done::Advertised(link, advertised)) => {
                            // What failed is tried again, and shown with the link.
                            let _ = self.driver.advertised(link, advertised, now);
                        }
                        Ok(Done::Withdrawn(link, withdrawn)) => {
                            self.driver.withdrawn(link, withdrawn, now);
                        }
                        Ok(Done::Resumed) | Err(_) => {}
                    }
                    self.take(None);
                }
                () = tokio::time::sleep(until_wake), if open && ready => {
                    self.driver.handle_time(self.clock.now());
                    self.take(None);
                }
            }
        }
        self.links.tasks.shutdown().await;
    }

    /// Queues what an input changed.
    fn take(&mut self, reply: Option<Reply>) {
        self.pipeline.push(self.driver.take_commit(), reply);
    }

    /// Starts to make what waits durable, unless that is under way.
    fn commit(&mut self) {
        if let Some(batch) = self.pipeline.begin() {
            let store = self.parts.store.clone();
            self.committing = Some(tokio::task::spawn_blocking(move || {
                match batch.is_empty() {
                    true => Ok(()),
                    false => store.commit(&batch),
                }
            }));
        }
    }

    /// Lets go what is durable; after a failure, starts again from the store.
    /// `false` if nobody waits for that.
    async fn release(&mut self, result: Result<()>) -> bool {
        if let Err(error) = result {
            tracing::error!(kind = ?error.kind(), "the store failed; starting again from it");
            for reply in self.pipeline.failed() {
                reply(Err(Error::unavailable(format!(
                    "the store failed: {error}"
                ))));
            }
            // What the services still bring belongs to the driver that is gone: a
            // delivery would move a cursor past those whose commit has failed.
            self.advertising.shutdown().await;
            self.links.tasks.shutdown().await;
            self.links = Links::new(&self.parts.components, self.links.unheard.clone());
            loop {
                tokio::time::sleep(STORE_PAUSE).await;
                if self.jobs.is_closed() {
                    return false;
                }
                if let Ok(driver) = self.parts.driver(self.clock.now()) {
                    self.driver = driver;
                    break;
                }
            }
            self.take(None);
            return true;
        }
        for released in self.pipeline.durable() {
            if let Some(number) = released.number {
                self.driver.committed(number);
            }
            let effects = released.effects.into_iter();
            effects.for_each(|effect| self.carry_out(effect));
            if let Some(reply) = released.reply {
                reply(Ok(()));
            }
        }
        true
    }

    fn carry_out(&mut self, effect: Effect) {
        let (locator, command) = match effect {
            Effect::Tell(seq) => {
                self.told.send_replace(seq);
                return;
            }
            Effect::Advertise(publication) => {
                self.advertise(*publication);
                return;
            }
            Effect::Withdraw(link, discovery, withdrawal) => {
                let components = self.parts.components.clone();
                self.advertising.spawn(async move {
                    let withdrawing = async {
                        let discovery = components.discovery(&discovery)?;
                        discovery.withdraw(withdrawal).await
                    };
                    let withdrawn = tokio::time::timeout(ADVERTISING, withdrawing).await;
                    let late = |_| Err(Error::unavailable("the discovery does not answer"));
                    Done::Withdrawn(link, withdrawn.unwrap_or_else(late))
                });
                return;
            }
            Effect::Signal(conversation, signal) => {
                // Nobody may listen.
                let _ = self.signals.send((conversation, signal));
                return;
            }
            Effect::Subscribe {
                locator,
                address,
                start,
            } => (locator, Command::Subscribe(address, start)),
            Effect::Unsubscribe { locator, address } => (locator, Command::Unsubscribe(address)),
            Effect::Acknowledge {
                locator,
                address,
                cursor,
            } => (locator, Command::Acknowledge(address, cursor)),
            Effect::Publish {
                entry,
                locator,
                request,
            } => (locator, Command::Publish(entry, request)),
        };
        match (self.links.commands.get(&locator), command) {
            (Some(service), command) => {
                if let Command::Subscribe(..) = command {
                    self.links.unheard.add(1);
                }
                drop(service.send(command));
            }
            (None, Command::Publish(entry, _)) => {
                let away = Error::unavailable("the service is not configured");
                let now = self.clock.now();
                self.driver
                    .published(entry, Outcome::Unavailable(away), now);
                self.take(None);
            }
            (None, _) => {}
        }
    }

    fn advertise(&mut self, publication: Publication) {
        let components = self.parts.components.clone();
        self.advertising.spawn(async move {
            let Publication {
                link,
                discovery,
                advertisement,
            } = publication;
            let advertising = advertise(&components, &discovery, advertisement);
            let advertised = tokio::time::timeout(ADVERTISING, advertising).await;
            let late = |_| Err(Error::unavailable("the discovery does not answer"));
            Done::Advertised(link, advertised.unwrap_or_else(late))
        });
    }

    /// Has the discoveries go on with what they did when the client ran before.
    fn resume(&mut self) {
        for (discovery, state) in self.driver.resumptions() {
            let components = self.parts.components.clone();
            self.advertising.spawn(async move {
                let resuming = async { components.discovery(&discovery)?.resume(state).await };
                match tokio::time::timeout(ADVERTISING, resuming).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%discovery, %error, "a link is not resumed"),
                    Err(_) => tracing::warn!(%discovery, "a link is not resumed in time"),
                }
                Done::Resumed
            });
        }
    }

    fn until_wake(&mut self) -> Duration {
        let now = self.clock.now();
        self.driver
            .next_wake()
            .map_or(Duration::from_secs(3600), |wake| wake.since(now))
    }
}

/// Waits for the commit under way; never, if there is none.
async fn finished(committing: &mut Option<JoinHandle<Result<()>>>) -> Option<Result<()>> {
    match committing {
        Some(handle) => Some(match handle.await {
            Ok(done) => done,
            Err(_) => Err(Error::unavailable("the store's thread ended")),
        }),
        None => std::future::pending().await,
    }
}

/// The system's clock, which never goes back: where it is set back, time goes on
/// by what has passed since.
struct Clock {
    from: Timestamp,
    since: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            from: Timestamp::default(),
            since: Instant::now(),
        }
    }
}

impl Clock {
    #[allow(clippy::disallowed_methods)]
    fn now(&mut self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        self.advance(
            Timestamp::default().after(wall.unwrap_or_default()),
            Instant::now(),
        )
    }

    fn advance(&mut self, wall: Timestamp, at: Instant) -> Timestamp {
        let passed = self.from.after(at.saturating_duration_since(self.since));
        if wall >= passed {
            (self.from, self.since) = (wall, at);
        }
        passed.max(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on() {
        let mut clock = Clock::default();
        let start = clock.since;
        let day = Timestamp(86_400_000);
        assert_eq!(clock.advance(day, start), day);
        for millis in [1, 2, 500] {
            let later = start + Duration::from_millis(millis);
            assert_eq!(
                clock.advance(Timestamp(1), later),
                Timestamp(day.0 + millis)
            );
        }
    }
}
