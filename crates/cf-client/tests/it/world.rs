//! Whole clients in virtual time, from a seed: the very driver that the tokio
//! shell runs, on stores that are crashed at every boundary and a network that
//! loses, repeats, delays and reorders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_client::{Commit, Components, Driver, Effect, Event, Profile, Publication, events_after};
use cf_core::{
    Advertised, Advertisement, Batch, BundleSet, Content, ContentId, ConversationId, Cursor,
    Delivery, DeliveryAddress, Identity, Locator, Outcome, ProtocolId, Random, Result, Signal,
    Start, Store, Timestamp,
};
use cf_ds::MemoryService;
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

/// What goes wrong, in percent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u64,
    pub(crate) repetition: u64,
    pub(crate) reordering: u64,
    pub(crate) crash: u64,
    /// The service can't be reached for publishing.
    pub(crate) outage: bool,
}

pub(crate) struct Node {
    components: Arc<Components>,
    profile: Profile,
    pub(crate) store: MemoryStore,
    driver: Option<Driver>,
    /// Commits that are decided and not durable: lost in a crash.
    pipeline: Vec<Commit>,
    /// Addresses and how far each was read.
    subscriptions: BTreeMap<(Locator, DeliveryAddress), usize>,
}

impl Node {
    /// Where it reads.
    pub(crate) fn places(&self) -> Vec<(Locator, DeliveryAddress)> {
        self.subscriptions.keys().cloned().collect()
    }

    /// Reads on in a log that was emptied.
    pub(crate) fn read_from_start(&mut self) {
        self.subscriptions.values_mut().for_each(|next| *next = 0);
    }

    /// Puts something around its identity.
    pub(crate) fn wrap_identity(
        &mut self,
        wrap: impl FnOnce(Arc<dyn Identity>) -> Arc<dyn Identity>,
    ) {
        self.profile.identity = wrap(self.profile.identity.clone());
    }

    pub(crate) fn identity(&self) -> &dyn cf_core::Identity {
        &*self.profile.identity
    }
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) faults: Faults,
    pub(crate) now: Timestamp,
    pub(crate) random: SeededRandom,
    pub(crate) crashes: u64,
    /// How many conversations a client keeps in memory.
    pub(crate) max_awake: usize,
    /// Services that are gone for good.
    pub(crate) gone: BTreeSet<Locator>,
    /// What each client was told at once.
    pub(crate) signals: Vec<(usize, Signal)>,
    /// Everything that the service ever accepted.
    pub(crate) log: BTreeMap<(Locator, DeliveryAddress), Vec<Bytes>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            nodes: Vec::new(),
            faults: Faults::default(),
            now: Timestamp(1_800_000_000_000),
            random: SeededRandom::new(seed),
            crashes: 0,
            max_awake: cf_client::limits::MAX_AWAKE,
            gone: BTreeSet::new(),
            signals: Vec::new(),
            log: BTreeMap::new(),
        }
    }

    /// Adds a client of the stock components, changed by `change`.
    pub(crate) fn add(&mut self, name: &str, change: impl FnOnce(&mut Components)) -> usize {
        let service = MemoryService::new("world").expect("a valid name");
        let mut components = Components {
            services: vec![Arc::new(service)],
            framings: vec![Arc::new(cf_framing::Tagged)],
            discoveries: vec![Arc::new(cf_discovery::Link)],
            initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
            conversations: vec![cf_conversation::private()],
        };
        change(&mut components);
        let identity = cf_identity::SoftwareIdentity::generate(&mut self.random).expect("a seed");
        self.nodes.push(Node {
            components: Arc::new(components),
            profile: Profile {
                identity: Arc::new(identity),
                display_name: name.to_owned(),
            },
            store: MemoryStore::default(),
            driver: None,
            pipeline: Vec::new(),
            subscriptions: BTreeMap::new(),
        });
        self.nodes.len() - 1
    }

    /// Gives an input to a client and waits until it is durable. `None` if the
    /// client crashed before that was known.
    pub(crate) fn input<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Driver, Timestamp) -> T,
    ) -> Option<T> {
        let result = self.input_without_waiting(node, call)?;
        self.commit(node).then_some(result)
    }

    /// Gives an input to a client, whose commit may become durable later.
    fn input_without_waiting<T>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Driver, Timestamp) -> T,
    ) -> Option<T> {
        self.start(node);
        let now = self.now;
        let at = &mut self.nodes[node];
        let driver = at.driver.as_mut()?;
        let result = call(driver, now);
        at.pipeline.extend(driver.take_commit());
        Some(result)
    }

    /// Starts a client from its store, if it is not running.
    fn start(&mut self, node: usize) {
        while self.nodes[node].driver.is_none() {
            let mut seed = [0; 8];
            self.random.fill(&mut seed);
            let random = Box::new(SeededRandom::new(u64::from_be_bytes(seed)));
            let at = &mut self.nodes[node];
            at.subscriptions.clear();
            let store = Arc::new(at.store.clone());
            let (components, profile) = (at.components.clone(), at.profile.clone());
            let driver = Driver::restore(components, profile, store, random, self.now);
            let mut driver = driver.expect("a client's store can be opened again");
            driver.keep_in_memory(self.max_awake);
            at.pipeline.extend(driver.take_commit());
            at.driver = Some(driver);
            self.commit(node);
        }
    }

    /// Makes everything decided durable at once and carries out its effects;
    /// `false` if the client crashed at one of the boundaries.
    fn commit(&mut self, node: usize) -> bool {
        while !self.nodes[node].pipeline.is_empty() {
            if self.crashes_now(node) {
                return false;
            }
            let mut commits = std::mem::take(&mut self.nodes[node].pipeline);
            let mut batch = Batch::default();
            commits
                .iter_mut()
                .for_each(|commit| batch.append(std::mem::take(&mut commit.batch)));
            self.nodes[node]
                .store
                .commit(&batch)
                .expect("memory takes everything");
            for commit in commits {
                if let Some(driver) = &mut self.nodes[node].driver {
                    driver.committed(commit.number);
                }
                for effect in commit.effects {
                    if self.crashes_now(node) {
                        return false;
                    }
                    self.carry_out(node, effect);
                }
            }
        }
        true
    }

    fn crashes_now(&mut self, node: usize) -> bool {
        let crashes = self.faults.crash > 0 && self.random.below(1000) < self.faults.crash;
        if crashes {
            self.crashes += 1;
            self.kill(node);
        }
        crashes
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Subscribe {
                locator,
                address,
                start,
            } => {
                let from = match start {
                    Start::After(cursor) => position(&cursor) + 1,
                    _ => 0,
                };
                self.nodes[node]
                    .subscriptions
                    .insert((locator, address), from);
            }
            Effect::Unsubscribe { locator, address } => {
                self.nodes[node].subscriptions.remove(&(locator, address));
            }
            Effect::Publish {
                entry,
                locator,
                request,
            } => {
                if self.faults.outage || self.gone.contains(&locator) {
                    let (now, at) = (self.now, &mut self.nodes[node]);
                    if let Some(driver) = &mut at.driver {
                        let away = cf_core::Error::unavailable("the service is away");
                        driver.published(entry, Outcome::Unavailable(away), now);
                        at.pipeline.extend(driver.take_commit());
                    }
                    return;
                }
                let lost = self.random.chance(self.faults.loss);
                let log = self.log.entry((locator, request.address)).or_default();
                if !lost {
                    log.push(request.payload);
                }
                // A lost payload was accepted all the same: delivery is not promised.
                let cursor = (!lost).then(|| cursor(log.len() - 1));
                let now = self.now;
                let at = &mut self.nodes[node];
                if let Some(driver) = &mut at.driver {
                    driver.published(entry, Outcome::Accepted { cursor }, now);
                    at.pipeline.extend(driver.take_commit());
                }
            }
            Effect::Withdraw(link, discovery, withdrawal) => {
                let mut all = self.nodes[node].components.discoveries.iter();
                let discovery = all.find(|other| *other.id() == discovery);
                let withdrawing = discovery.expect("it is there").withdraw(withdrawal);
                let (withdrawn, now) = (pollster::block_on(withdrawing), self.now);
                let at = &mut self.nodes[node];
                if let Some(driver) = &mut at.driver {
                    driver.withdrawn(link, withdrawn, now);
                    at.pipeline.extend(driver.take_commit());
                }
            }
            Effect::Advertise(publication) => self.advertise(node, *publication),
            Effect::Signal(_, signal) => self.signals.push((node, signal)),
            Effect::Acknowledge { .. } | Effect::Tell(_) => {}
        }
    }

    /// Gives a link to its discovery, which answers at once.
    fn advertise(&mut self, node: usize, publication: Publication) {
        let Publication {
            link,
            discovery,
            advertisement,
        } = publication;
        let advertised = self.published(node, &discovery, advertisement);
        let (now, at) = (self.now, &mut self.nodes[node]);
        if let Some(driver) = &mut at.driver {
            // What failed is tried again.
            let _ = driver.advertised(link, advertised, now);
            at.pipeline.extend(driver.take_commit());
        }
    }

    /// What a client's discovery says to an advertisement.
    pub(crate) fn published(
        &self,
        node: usize,
        discovery: &ProtocolId,
        advertisement: Advertisement,
    ) -> Result<Advertised> {
        let mut all = self.nodes[node].components.discoveries.iter();
        let discovery = all.find(|other| other.id() == discovery);
        pollster::block_on(discovery.expect("it is there").advertise(advertisement))
    }

    /// Delivers one payload that waits for a client; `false` if none does.
    pub(crate) fn deliver_one(&mut self, node: usize) -> bool {
        self.start(node);
        let at = &self.nodes[node];
        let waiting: Vec<_> = at
            .subscriptions
            .iter()
            .filter_map(|(place, next)| Some((place, *next, self.log.get(place)?)))
            .filter(|(_, next, log)| *next < log.len())
            .map(|(place, next, log)| (place.clone(), next, log.len()))
            .collect();
        if waiting.is_empty() {
            return false;
        }
        let chosen = self.random.below(waiting.len() as u64) as usize;
        let (place, next, len) = waiting[chosen].clone();
        let mut index = next;
        if self.random.chance(self.faults.reordering) {
            index += self.random.below((len - next).min(20) as u64) as usize;
        }
        if index == next && !self.random.chance(self.faults.repetition) {
            self.nodes[node]
                .subscriptions
                .insert(place.clone(), next + 1);
        }
        let payload = self.log[&place][index].clone();
        let delivery = Delivery {
            address: place.1,
            payload,
            cursor: (index == next).then(|| cursor(index)),
        };
        self.input_without_waiting(node, |driver, now| driver.deliver(&place.0, delivery, now));
        if self.random.chance(30) {
            self.commit(node);
        }
        true
    }

    /// Lets time pass and everything happen, `rounds` times.
    pub(crate) fn run(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for node in 0..self.nodes.len() {
                for _ in 0..64 {
                    if !self.deliver_one(node) {
                        break;
                    }
                }
                self.input(node, Driver::handle_time);
            }
            self.now = self.now.after(Duration::from_millis(200));
        }
    }

    /// Lets time leap from one wish to be woken to the next.
    pub(crate) fn settle(&mut self, leaps: usize) {
        for _ in 0..leaps {
            self.run(3);
            let wakes = self
                .nodes
                .iter()
                .filter_map(|node| node.driver.as_ref()?.next_wake());
            if let Some(at) = wakes.min()
                && at.since(self.now) < Duration::from_secs(24 * 60 * 60)
            {
                self.now = self.now.max(at);
            }
        }
    }

    pub(crate) fn bundles(&mut self, node: usize) -> BundleSet {
        loop {
            let made = self.input(node, |driver, now| {
                driver.make_bundles(&cf_client::LinkOptions::default(), now)
            });
            if let Some(made) = made {
                return made.expect("the stock components make bundles").0;
            }
        }
    }

    /// Sends text under an id of the same words.
    pub(crate) fn send(&mut self, node: usize, to: ConversationId, text: &str) {
        self.send_text(node, to, text, text);
    }

    /// Sends text, again and again until it is known that it was committed.
    pub(crate) fn send_text(&mut self, node: usize, to: ConversationId, id: &str, text: &str) {
        let id = ContentId::new(id.as_bytes().to_vec()).expect("a short text");
        let content = Content::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        loop {
            let (id, content) = (id.clone(), content.clone());
            match self.input(node, |driver, now| driver.send(to, id, content, now)) {
                Some(sent) => {
                    sent.expect("the conversation takes it");
                    return;
                }
                None => continue,
            }
        }
    }

    pub(crate) fn events(&self, node: usize) -> Vec<Event> {
        events_after(&self.nodes[node].store, 0, usize::MAX).expect("the log can be read")
    }

    pub(crate) fn with<T>(&mut self, node: usize, call: impl FnOnce(&Driver) -> T) -> T {
        self.start(node);
        call(
            self.nodes[node]
                .driver
                .as_ref()
                .expect("it was just started"),
        )
    }

    /// A client loses everything but its identity.
    pub(crate) fn wipe(&mut self, node: usize) {
        self.kill(node);
        self.nodes[node].store = MemoryStore::default();
    }

    /// What a client has stored by now.
    pub(crate) fn backup(&self, node: usize) -> MemoryStore {
        self.nodes[node].store.snapshot()
    }

    /// A client goes back to what it had stored before.
    pub(crate) fn put_back(&mut self, node: usize, backup: &MemoryStore) {
        self.kill(node);
        self.nodes[node].store = backup.snapshot();
    }

    /// A client starts again with other components.
    /// Crashes a client, which starts again with other components.
    pub(crate) fn recompose(&mut self, node: usize, change: impl FnOnce(&mut Components)) {
        self.kill(node);
        let mut components = (*self.nodes[node].components).clone();
        change(&mut components);
        self.nodes[node].components = Arc::new(components);
    }

    /// Where a client listens.
    pub(crate) fn places(&mut self, node: usize) -> BTreeSet<(Locator, DeliveryAddress)> {
        self.start(node);
        self.nodes[node].subscriptions.keys().cloned().collect()
    }

    /// Makes a client of another store.
    pub(crate) fn restored(&self, node: usize, store: MemoryStore) -> Result<Driver> {
        let (at, random) = (&self.nodes[node], SeededRandom::new(1));
        let (components, profile) = (at.components.clone(), at.profile.clone());
        Driver::restore(
            components,
            profile,
            Arc::new(store),
            Box::new(random),
            self.now,
        )
    }

    /// Crashes a client now.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].driver = None;
        self.nodes[node].pipeline.clear();
    }
}

fn cursor(index: usize) -> Cursor {
    Cursor::new((index as u64).to_be_bytes().to_vec()).expect("8 bytes")
}

fn position(cursor: &Cursor) -> usize {
    u64::from_be_bytes(cursor.as_bytes().try_into().expect("8 bytes")) as usize
}

/// The texts of one conversation in a client's log, in order.
pub(crate) fn texts(events: &[Event], of: ConversationId) -> Vec<String> {
    let text = |event: &Event| match &event.kind {
        cf_client::EventKind::Message {
            conversation,
            content: Content::Bytes(content),
            ..
        } if *conversation == of => Some(String::from_utf8_lossy(content).into_owned()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

/// The request that came last.
pub(crate) fn last_request(events: &[Event]) -> Option<cf_client::Request> {
    events.iter().rev().find_map(|event| match &event.kind {
        cf_client::EventKind::Request(request) => Some(request.clone()),
        _ => None,
    })
}

/// Accepts the request of an invite, until that is known to be committed.
pub(crate) fn accept(world: &mut World, node: usize) -> Result<ConversationId> {
    let request = last_request(&world.events(node)).expect("a request has come");
    loop {
        let known = world.with(node, |driver| driver.requests().expect("readable"));
        if !known.iter().any(|other| other.id == request.id) {
            let all = world.with(node, Driver::conversations);
            return Ok(all.last().expect("it was accepted").id);
        }
        if let Some(accepted) = world.input(node, |driver, now| driver.accept(request.id, now)) {
            return accepted;
        }
    }
}
