//! A client of the stock components in the middle of its life, as its driver's
//! commits made it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_client::{Commit, Components, Driver, Effect, LinkOptions, Profile};
use cf_core::{
    Batch, Content, ContentId, ConversationId, Delivery, DeliveryAddress, Locator, Outcome, Result,
    Store, Timestamp,
};
use cf_ds::MemoryService;
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

use crate::meeting::identity;
use crate::scene::NOW;

/// What a client starts from.
pub(crate) struct Home {
    components: Arc<Components>,
    profile: Profile,
    pub(crate) store: MemoryStore,
    /// Every commit, from the first.
    pub(crate) batches: Vec<Batch>,
}

/// A client that runs.
pub(crate) struct Node {
    pub(crate) home: Home,
    pub(crate) driver: Driver,
    /// Its addresses.
    pub(crate) addresses: Vec<(Locator, DeliveryAddress)>,
    /// What it published since.
    pub(crate) published: Vec<(Locator, DeliveryAddress, Bytes)>,
}

impl Home {
    /// The same client on another store.
    pub(crate) fn on(&self, store: MemoryStore) -> Self {
        Self {
            components: self.components.clone(),
            profile: self.profile.clone(),
            store,
            batches: Vec::new(),
        }
    }

    pub(crate) fn start(self, now: Timestamp) -> Result<Node> {
        let driver = Driver::restore(
            self.components.clone(),
            self.profile.clone(),
            Arc::new(self.store.clone()),
            Box::new(SeededRandom::new(9)),
            now,
        )?;
        let mut node = Node {
            home: self,
            driver,
            addresses: Vec::new(),
            published: Vec::new(),
        };
        node.commit(now);
        Ok(node)
    }
}

impl Node {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        let service = MemoryService::new("fuzz").expect("a valid name");
        let components = Arc::new(Components {
            services: vec![Arc::new(service)],
            framings: vec![Arc::new(cf_framing::Tagged), Arc::new(cf_framing::Wap)],
            discoveries: vec![Arc::new(cf_discovery::Link)],
            initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
            conversations: vec![cf_conversation::private()],
        });
        let profile = Profile {
            identity: identity(seed),
            display_name: name.to_owned(),
        };
        let home = Home {
            components,
            profile,
            store: MemoryStore::new(),
            batches: Vec::new(),
        };
        home.start(NOW).expect("an empty store")
    }

    /// Makes everything that was decided durable, and publishes it.
    pub(crate) fn commit(&mut self, now: Timestamp) {
        for _ in 0..64 {
            let Some(commit) = self.driver.take_commit() else {
                return;
            };
            let Commit {
                number,
                batch,
                effects,
            } = commit;
            self.home
                .store
                .commit(&batch)
                .expect("memory takes everything");
            self.home.batches.push(batch);
            self.driver.committed(number);
            for effect in effects {
                self.carry_out(effect, now);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Subscribe {
                locator, address, ..
            } => self.addresses.push((locator, address)),
            Effect::Unsubscribe { locator, address } => {
                self.addresses
                    .retain(|other| *other != (locator.clone(), address.clone()));
            }
            Effect::Publish {
                entry,
                locator,
                request,
            } => {
                let published = (locator, request.address, request.payload);
                self.published.push(published);
                let accepted = Outcome::Accepted { cursor: None };
                self.driver.published(entry, accepted, now);
            }
            _ => {}
        }
    }

    pub(crate) fn deliver(&mut self, place: &(Locator, DeliveryAddress), payload: Bytes) {
        let delivery = Delivery {
            address: place.1.clone(),
            payload,
            cursor: None,
        };
        self.driver.deliver(&place.0, delivery, NOW);
        self.commit(NOW);
    }

    pub(crate) fn send(&mut self, to: ConversationId, text: &str) {
        let id = ContentId::new(text.as_bytes().to_vec()).expect("a short text");
        let content = Content::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        let sent = self.driver.send(to, id, content, NOW);
        sent.expect("the conversation takes it");
        self.commit(NOW);
    }

    /// The texts that it was told.
    pub(crate) fn texts(&self) -> Vec<Bytes> {
        let events = cf_client::events_after(&self.home.store, 0, usize::MAX);
        let events = events.expect("its own log").into_iter();
        let text = |event: cf_client::Event| match event.kind {
            cf_client::EventKind::Message {
                content: Content::Bytes(text),
                ..
            } => Some(text),
            _ => None,
        };
        events.filter_map(text).collect()
    }
}

/// Raya, who talks with Saro and has a request of Oscar's that she has not
/// answered; and what is on its way to her.
pub(crate) struct World {
    pub(crate) raya: Home,
    pub(crate) conversation: ConversationId,
    /// Payloads that she has not got, with the texts that they carry.
    pub(crate) waiting: Vec<((Locator, DeliveryAddress), Bytes)>,
    pub(crate) texts: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut saro = Node::new("Saro", 11);
        let mut raya = Node::new("Raya", 12);
        let mut oscar = Node::new("Oscar", 13);
        let bundles = raya.driver.make_bundles(&LinkOptions::default(), NOW);
        let (bundles, _) = bundles.expect("the stock components make bundles");
        raya.commit(NOW);
        let talk = saro
            .driver
            .connect(&bundles, None, NOW)
            .expect("a good bundle");
        saro.commit(NOW);
        exchange(&mut saro, &mut raya);
        let requests = raya.driver.requests().expect("its own records");
        let conversation = raya.driver.accept(requests[0].id, NOW);
        let conversation = conversation.expect("the components are there");
        raya.commit(NOW);
        exchange(&mut raya, &mut saro);
        for number in 0..4 {
            saro.send(talk, &format!("before {number}"));
            raya.send(conversation, &format!("back {number}"));
            exchange(&mut saro, &mut raya);
            exchange(&mut raya, &mut saro);
        }
        let asked = oscar.driver.connect(&bundles, None, NOW);
        asked.expect("a good bundle");
        oscar.commit(NOW);
        exchange(&mut oscar, &mut raya);
        saro.published.clear();
        let texts: Vec<_> = (0..4).map(|number| format!("later {number}")).collect();
        for text in &texts {
            saro.send(talk, text);
        }
        let later = NOW.after(Duration::from_millis(1));
        saro.driver.handle_time(later);
        saro.commit(later);
        let waiting = std::mem::take(&mut saro.published).into_iter();
        Self {
            raya: raya.home,
            conversation,
            waiting: waiting
                .map(|(at, to, payload)| ((at, to), payload))
                .collect(),
            texts,
        }
    }
}

/// What one published goes to the other.
fn exchange(from: &mut Node, to: &mut Node) {
    for (locator, address, payload) in std::mem::take(&mut from.published) {
        to.deliver(&(locator, address), payload);
    }
}
