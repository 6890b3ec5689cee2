use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use cf_client::{Driver, Effect, Publication};
use cf_core::{Delivery, Error, Locator, Outcome, PublishRequest, Random, Store, Timestamp};
use cf_testkit::{Fates, SeededRandom};

use crate::checks::Checks;
use crate::client::{Answer, Client};
use crate::network::{Network, Place, cursor};
use crate::plan::Plan;
use crate::trace::Trace;

/// Makes the store beneath a client's disk, at its start and whenever it starts again.
pub(crate) type Stores<'a> = Option<&'a dyn Fn(usize) -> Arc<dyn Store>>;

/// What happens at a time; to a client, in one of its lives.
enum Happening {
    /// A payload arrives.
    Arrives(Place, usize),
    /// The answer to a publish arrives.
    Answer(u64, Outcome),
    /// What is on its way to the disk is there.
    Durable,
    /// The application does something.
    Acts,
    /// The client starts again.
    Starts,
}

struct Due {
    at: Timestamp,
    number: u64,
    client: usize,
    life: u64,
    what: Happening,
}

/// Everything that there is in a life.
pub(crate) struct World<'a> {
    pub(crate) now: Timestamp,
    pub(crate) plan: Plan,
    pub(crate) dice: SeededRandom,
    pub(crate) clients: Vec<Client>,
    pub(crate) network: Network,
    pub(crate) checks: Checks,
    pub(crate) trace: Trace,
    pub(crate) deaths: u64,
    pub(crate) steps: u64,
    stores: Stores<'a>,
    fates: Fates,
    queue: BinaryHeap<Reverse<Due>>,
    queued: u64,
    /// How many things happened at this very time.
    at_once: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        seed: u64,
        plan: Plan,
        clients: Vec<Client>,
        stores: Stores<'a>,
        traced: bool,
    ) -> Self {
        let now = Timestamp(1_800_000_000_000);
        let mut network = Network::default();
        for client in &clients {
            let later = client.upgraded.iter().flat_map(|c| &c.services);
            for service in client.components.services.iter().chain(later) {
                network.add(&**service);
            }
        }
        Self {
            now,
            fates: Fates::new(plan.faults, seed ^ 0x5eed),
            dice: SeededRandom::new(seed),
            checks: Checks::new(&clients),
            clients,
            network,
            trace: Trace::new(traced, now),
            plan,
            deaths: 0,
            steps: 0,
            stores,
            queue: BinaryHeap::new(),
            queued: 0,
            at_once: 0,
        }
    }

    /// Nothing goes wrong any more, and everybody is there.
    pub(crate) fn be_kind(&mut self) {
        self.plan.be_kind();
        self.fates.change(self.plan.faults);
        for client in 0..self.clients.len() {
            self.clients[client].cut_until = self.now;
            if self.clients[client].driver.is_none() {
                self.start(client);
            }
        }
    }

    /// Lets the next thing happen.
    pub(crate) fn step(&mut self) {
        let wakes = self.clients.iter().enumerate();
        let wakes = wakes.filter_map(|(who, c)| Some((c.driver.as_ref()?.next_wake()?, who)));
        let wake = wakes.min();
        let queued = self.queue.peek().map(|Reverse(due)| due.at);
        let before = self.now;
        self.steps += 1;
        match (wake, queued) {
            (Some((at, who)), queued) if queued.is_none_or(|queued| at < queued) => {
                self.now = self.now.max(at);
                self.input(who, |driver, now| (driver.handle_time(now), None));
            }
            (_, Some(_)) => {
                if let Some(Reverse(due)) = self.queue.pop() {
                    self.now = self.now.max(due.at);
                    self.happen(due);
                }
            }
            _ => self.checks.fail("nothing happens any more"),
        }
        self.at_once = if self.now == before {
            self.at_once + 1
        } else {
            0
        };
        if self.at_once > 20_000 {
            self.checks
                .fail("the clients keep each other busy without end");
        }
    }

    fn happen(&mut self, due: Due) {
        let who = due.client;
        if due.life != self.clients[who].life && !matches!(due.what, Happening::Acts) {
            return;
        }
        let cut_until = self.clients[who].cut_until;
        if cut_until > self.now && matches!(due.what, Happening::Arrives(..)) {
            // It keeps its place: what comes after a cut comes in the order that it was in.
            let at = cut_until;
            return self.queue.push(Reverse(Due { at, ..due }));
        }
        match due.what {
            Happening::Arrives(place, index) => self.arrive(who, place, index),
            Happening::Answer(entry, outcome) => {
                if !self.dies(who, "with an answer on its way") {
                    let name = self.clients[who].name;
                    self.trace.note(self.now, name, || {
                        format!("has an answer for {entry}: {}", outcome_name(&outcome))
                    });
                    self.input(who, |driver, now| {
                        (driver.published(entry, outcome, now), None)
                    });
                }
            }
            Happening::Durable => self.durable(who),
            Happening::Acts => {
                let pause = self.up_to(self.plan.pause);
                self.after(pause, who, Happening::Acts);
                self.act(who);
            }
            Happening::Starts => self.start(who),
        }
    }

    fn after(&mut self, pause: Duration, client: usize, what: Happening) {
        self.queued += 1;
        self.queue.push(Reverse(Due {
            at: self.now.after(pause),
            number: self.queued,
            client,
            life: self.clients[client].life,
            what,
        }));
    }

    /// A time up to one, not shorter than a millisecond.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(1 + self.dice.below(most.as_millis() as u64 + 1))
    }

    /// Has all applications begin.
    pub(crate) fn begin(&mut self) {
        for who in 0..self.clients.len() {
            self.start(who);
            self.after(Duration::ZERO, who, Happening::Acts);
        }
    }

    // ---- clients ---------------------------------------------------------------

    /// Gives an input to a client that is alive.
    pub(crate) fn input<T>(
        &mut self,
        who: usize,
        call: impl FnOnce(&mut Driver, Timestamp) -> (T, Option<Answer>),
    ) -> Option<(T, Vec<PublishRequest>)> {
        let client = &mut self.clients[who];
        let driver = client.driver.as_mut()?;
        let (result, answer) = call(driver, self.now);
        let commit = driver.take_commit();
        let published = commit.iter().flat_map(|commit| &commit.effects);
        let published = published.filter_map(|effect| match effect {
            Effect::Publish { request, .. } => Some(request.clone()),
            _ => None,
        });
        let published = published.collect();
        self.checks
            .bounds(client.name, driver, client.pipeline.len());
        client.pipeline.push(commit, answer);
        self.commit(who);
        Some((result, published))
    }

    /// Starts a client from what it has durably.
    fn start(&mut self, who: usize) {
        let mut seed = [0; 8];
        self.dice.fill(&mut seed);
        let random = Box::new(SeededRandom::new(u64::from_be_bytes(seed)));
        let client = &mut self.clients[who];
        if client.driver.is_some() {
            return;
        }
        if let Some(stores) = self.stores {
            client.disk.put_beneath(Some(stores(who)));
        }
        self.trace
            .note(self.now, client.name, || "starts".to_owned());
        let (components, profile) = (client.components.clone(), client.profile.clone());
        let restored = Driver::restore(components, profile, client.disk.clone(), random, self.now);
        let mut driver = match restored {
            Ok(driver) => driver,
            Err(error) => {
                return self
                    .checks
                    .fail(format!("{} can't start: {error}", client.name));
            }
        };
        driver.keep_in_memory(self.plan.awake);
        let commit = driver.take_commit();
        client.driver = Some(driver);
        // What is not confirmed is told again.
        client.application.told = self.checks.started(who, client, commit.as_ref());
        client.pipeline.push(commit, None);
        self.commit(who);
    }

    /// A client may die now; says whether it did.
    pub(crate) fn dies(&mut self, who: usize, when: &str) -> bool {
        let dies = self.plan.deaths > 0 && self.dice.below(1000) < self.plan.deaths;
        if dies {
            self.trace
                .note(self.now, self.clients[who].name, || format!("dies {when}"));
            self.deaths += 1;
            // What was on its way to the disk may be there.
            if self.dice.chance(50) {
                self.write(who);
            }
            self.end(who);
            let away = self.up_to(self.plan.away);
            self.after(away, who, Happening::Starts);
        }
        dies
    }

    /// Ends a client's life.
    pub(crate) fn end(&mut self, who: usize) {
        let client = &mut self.clients[who];
        client.driver = None;
        client.disk.put_beneath(None);
        client.pipeline = Default::default();
        client.batch = None;
        client.life += 1;
        client.subscriptions.clear();
        client.application.died();
    }

    /// Has a client start again, made of something else.
    pub(crate) fn upgrade(&mut self, who: usize) {
        if let Some(upgraded) = self.clients[who].upgraded.take() {
            self.trace.note(self.now, self.clients[who].name, || {
                "is upgraded".to_owned()
            });
            self.clients[who].components = Arc::new(upgraded);
            self.end(who);
            self.start(who);
        }
    }

    // ---- the disk --------------------------------------------------------------

    fn commit(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if let Some(batch) = client.pipeline.begin() {
            client.batch = Some(batch);
            let takes = self.plan.commit.as_millis() as u64;
            let takes = Duration::from_millis(self.dice.below(takes + 1));
            self.after(takes, who, Happening::Durable);
        }
    }

    /// What was on its way to the disk is there now; gives what it lets go.
    fn write(&mut self, who: usize) -> Vec<cf_client::Released<Answer>> {
        let client = &mut self.clients[who];
        let Some(batch) = client.batch.take() else {
            return Vec::new();
        };
        if let Err(error) = client.disk.commit(&batch) {
            self.checks
                .fail(format!("the disk of {} fails: {error}", client.name));
        }
        let released = client.pipeline.durable();
        for effect in released.iter().flat_map(|released| &released.effects) {
            match effect {
                Effect::Acknowledge {
                    locator,
                    address,
                    cursor,
                } => {
                    let place = (locator.clone(), address.clone());
                    client.stopped.insert(place, cursor.clone());
                }
                Effect::Unsubscribe { locator, address } => {
                    client.stopped.remove(&(locator.clone(), address.clone()));
                }
                _ => {}
            }
        }
        for event in self.checks.written(who, &self.clients) {
            let (now, name) = (self.now, self.clients[who].name);
            self.trace.note(now, name, || crate::trace::told(&event));
        }
        released
    }

    fn durable(&mut self, who: usize) {
        if self.dies(who, "before a commit") {
            return;
        }
        if self.plan.failures > 0 && self.dice.below(1000) < self.plan.failures {
            self.trace.note(self.now, self.clients[who].name, || {
                "can't commit".to_owned()
            });
            self.end(who);
            return self.after(Duration::from_secs(1), who, Happening::Starts);
        }
        let released = self.write(who);
        if self.dies(who, "after a commit") {
            return;
        }
        for released in released {
            if let (Some(driver), Some(number)) = (&mut self.clients[who].driver, released.number) {
                driver.committed(number);
            }
            for effect in released.effects {
                if self.dies(who, "before an effect") {
                    return;
                }
                self.carry_out(who, effect);
                if self.dies(who, "after an effect") {
                    return;
                }
            }
            if let Some(answer) = released.reply {
                self.answered(who, answer);
            }
        }
        self.commit(who);
    }

    // ---- the network -----------------------------------------------------------

    fn carry_out(&mut self, who: usize, effect: Effect) {
        match effect {
            Effect::Subscribe {
                locator,
                address,
                start,
            } => {
                let place = (locator, address);
                let from = self.network.start(who, &place, &start);
                let until = self.network.logs.get(&place).map_or(0, Vec::len);
                self.clients[who]
                    .subscriptions
                    .insert(place.clone(), self.now);
                for index in from..until {
                    self.dispatch(who, &place, index);
                }
            }
            Effect::Unsubscribe { locator, address } => {
                self.clients[who].subscriptions.remove(&(locator, address));
            }
            Effect::Acknowledge {
                locator,
                address,
                cursor,
            } => {
                let place = (locator, address);
                self.checks
                    .acknowledged(&self.clients[who], &place, &cursor);
                self.network.acknowledge(who, place, &cursor);
            }
            Effect::Publish {
                entry,
                locator,
                request,
            } => self.publish(who, entry, &locator, request),
            Effect::Tell(seq) => {
                self.checks.told(who, &self.clients[who], seq);
                let application = &mut self.clients[who].application;
                application.told = application.told.max(seq);
            }
            Effect::Advertise(publication) => self.advertise(who, *publication),
            Effect::Withdraw(link, discovery, withdrawal) => {
                let components = self.clients[who].components.clone();
                let mut all = components.discoveries.iter();
                if let Some(discovery) = all.find(|one| *one.id() == discovery) {
                    let withdrawn = pollster::block_on(discovery.withdraw(withdrawal));
                    self.input(who, |driver, now| {
                        (driver.withdrawn(link, withdrawn, now), None)
                    });
                }
            }
            Effect::Signal(..) => {}
        }
    }

    fn advertise(&mut self, who: usize, publication: Publication) {
        let Publication {
            link,
            discovery,
            advertisement,
        } = publication;
        let components = self.clients[who].components.clone();
        let mut all = components.discoveries.iter();
        if let Some(discovery) = all.find(|one| *one.id() == discovery) {
            let advertised = pollster::block_on(discovery.advertise(advertisement));
            // What failed is tried again.
            self.input(who, |driver, now| {
                (driver.advertised(link, advertised, now).is_ok(), None)
            });
        }
    }

    fn publish(&mut self, who: usize, entry: u64, locator: &Locator, request: PublishRequest) {
        let takes = self.fates.delay();
        let is_cut = self.clients[who].cut_until > self.now;
        let is_lost = !is_cut && self.fates.loses_answer();
        let ends = [
            self.clients[who].name,
            locator.as_str().split(':').next().unwrap_or("service"),
        ];
        if is_cut || (is_lost && self.dice.chance(50)) {
            self.trace.way(self.now, ends, "--x", || {
                format!("{entry} is {}", describe(&request))
            });
            let error = Error::unavailable("there is no connection");
            let outcome = if is_cut {
                Outcome::Unavailable(error)
            } else {
                Outcome::Unknown(error)
            };
            return self.after(takes, who, Happening::Answer(entry, outcome));
        }
        let (outcome, is_new) = self.network.publish(locator, &request);
        self.trace.way(self.now, ends, "->>", || {
            format!(
                "{entry} is {} {}",
                describe(&request),
                outcome_name(&outcome)
            )
        });
        if matches!(outcome, Outcome::Accepted { .. }) {
            self.checks.accepted(who, &self.clients, &request.payload);
        }
        let outcome = match is_lost {
            true => Outcome::Unknown(Error::unavailable("the answer was lost")),
            false => outcome,
        };
        self.after(takes, who, Happening::Answer(entry, outcome));
        if is_new {
            self.spread((locator.clone(), request.address));
        }
    }

    /// Sends the last payload of a place on its way to everybody who listens there.
    pub(crate) fn spread(&mut self, place: Place) {
        let last = self
            .network
            .logs
            .get(&place)
            .map_or(0, Vec::len)
            .saturating_sub(1);
        for other in 0..self.clients.len() {
            if self.clients[other].subscriptions.contains_key(&place) {
                self.dispatch(other, &place, last);
            }
        }
    }

    fn dispatch(&mut self, who: usize, place: &Place, index: usize) {
        for passage in self.fates.passages() {
            let mut at = self.now.after(passage.delay);
            let last = self.clients[who].subscriptions.get_mut(place);
            if let Some(last) = last.filter(|_| !passage.out_of_order) {
                at = at.max(*last);
                *last = at;
            }
            let arrives = Happening::Arrives(place.clone(), index);
            self.after(at.since(self.now), who, arrives);
        }
    }

    fn arrive(&mut self, who: usize, place: Place, index: usize) {
        let client = &self.clients[who];
        if !client.subscriptions.contains_key(&place) {
            return;
        }
        if self.dies(who, "before it takes a payload") {
            return;
        }
        let payload = self.network.logs[&place][index].clone();
        let ends = [
            place.0.as_str().split(':').next().unwrap_or("service"),
            self.clients[who].name,
        ];
        self.trace.way(self.now, ends, "-->>", || {
            format!("{} at {:?}", short(&payload), place.1)
        });
        let delivery = Delivery {
            address: place.1,
            payload,
            cursor: Some(cursor(index)),
        };
        self.input(who, |driver, now| {
            (driver.deliver(&place.0, delivery, now), None)
        });
    }
}

fn describe(request: &PublishRequest) -> String {
    format!("{} to {:?}", short(&request.payload), request.address)
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Queued => "queued",
        Outcome::Refused(_) => "refused",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Unavailable(_) => "unavailable",
        Outcome::Unknown(_) => "unknown",
        _ => "another",
    }
}

/// A name for a payload: its last bytes, which nothing repeats.
fn short(payload: &[u8]) -> String {
    let last = &payload[payload.len().saturating_sub(3)..];
    let hex: String = last.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex} ({} B)", payload.len())
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
