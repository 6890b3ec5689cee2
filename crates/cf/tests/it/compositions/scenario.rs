//! First contact, talk, restart, talk, upgrade: one scenario for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf::core::{Content, ConversationId, DeliveryService, Identity};
use cf::discovery::StaticTable;
use cf::identity::SoftwareIdentity;
use cf::store::MemoryStore;
use cf::{Client, Components, EventKind, Events, LinkOptions, Profile, Severity, lint};
use cf_testkit::{Faults, FaultyService, SeededRandom};

use super::table::{Composition, Own};

/// How long one step may take; in virtual time, where that is possible.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the scenario, on a kind network or a faulty one.
pub(super) fn run(composition: &Composition, is_faulty: bool) {
    let folder = tempfile::tempdir().unwrap();
    let service = composition.service(folder.path());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .start_paused(composition.lives_in_memory());
    let people = async {
        let table = StaticTable::new();
        let person = |seed, name| Person::new(composition, &service, &table, seed, name, is_faulty);
        let (mut saro, mut raya) = (person(1, "saro"), person(2, "raya"));
        meet(composition, &mut saro, &mut raya).await;
    };
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.build().unwrap().block_on(people);
    }));
    if let Err(panic) = lived {
        eprintln!("{}, faulty: {is_faulty}", composition.name());
        std::panic::resume_unwind(panic);
    }
}

async fn meet(composition: &Composition, saro: &mut Person, raya: &mut Person) {
    let query = raya.client.link(LinkOptions::default()).await.unwrap();
    let talk = saro.client.add(&query).await.unwrap();
    saro.say(talk, "1").await;
    let at_raya = raya.accept().await;
    raya.hear(at_raya, "1").await;
    raya.say(at_raya, "2").await;
    saro.hear(talk, "2").await;
    for (round, upgraded) in [(3, false), (5, true)] {
        for person in [&mut *saro, &mut *raya] {
            if upgraded {
                person.components = composition.upgraded(&person.components);
            }
            person.restart().await;
        }
        let (one, two) = (round.to_string(), (round + 1).to_string());
        saro.say(talk, &one).await;
        raya.hear(at_raya, &one).await;
        raya.say(at_raya, &two).await;
        saro.hear(talk, &two).await;
    }
    for (person, texts) in [(saro, ["2", "4", "6"]), (raya, ["1", "3", "5"])] {
        assert_eq!(person.heard, texts, "each once and in order");
    }
}

struct Person {
    client: Client,
    events: Events,
    heard: Vec<String>,
    components: Components,
    profile: Profile,
    store: Arc<MemoryStore>,
    seeds: Arc<AtomicU64>,
}

impl Person {
    fn new(
        composition: &Composition,
        service: &Arc<dyn DeliveryService>,
        table: &StaticTable,
        seed: u64,
        name: &str,
        is_faulty: bool,
    ) -> Self {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap();
        let identity: Arc<dyn Identity> = Arc::new(identity);
        let own = Own {
            identity: identity.clone(),
            service: service.clone(),
            table,
            name,
        };
        let mut components = composition.components(service.clone(), &own);
        if is_faulty {
            let with = |loss| {
                let faults = Faults {
                    loss,
                    delay: Duration::from_millis(100),
                    stalls: 0,
                    ..Faults::BAD
                };
                let faulty = FaultyService::new(service.clone(), faults, seed);
                composition.components(Arc::new(faulty), &own)
            };
            let is_refused = |components: &Components| {
                let mut findings = lint(&components.descriptor()).into_iter();
                findings.any(|finding| finding.severity == Severity::Refuse)
            };
            components = with(20);
            if is_refused(&components) {
                // It needs a service that keeps what it takes.
                components = with(0);
            }
        }
        let profile = Profile {
            identity,
            display_name: name.to_owned(),
        };
        let store = Arc::new(MemoryStore::default());
        let seeds = Arc::new(AtomicU64::new(seed << 32));
        let client = open(&components, &profile, &store, &seeds);
        let events = client.events_after(0);
        Self {
            client,
            events,
            heard: Vec::new(),
            components,
            profile,
            store,
            seeds,
        }
    }

    async fn restart(&mut self) {
        let last = self.events.last();
        self.client.clone().shutdown().await;
        self.client = open(&self.components, &self.profile, &self.store, &self.seeds);
        self.events = self.client.events_after(last);
    }

    async fn say(&self, conversation: ConversationId, text: &str) {
        let id = cf::content_id(text).unwrap();
        let sent = self.client.send(conversation, id, text.to_owned()).await;
        sent.unwrap();
    }

    async fn accept(&mut self) -> ConversationId {
        loop {
            if let EventKind::Request(request) = self.next("a request").await {
                return self.client.accept(request.id).await.unwrap();
            }
        }
    }

    async fn hear(&mut self, conversation: ConversationId, text: &str) {
        while self.heard.last().is_none_or(|last| last != text) {
            if let EventKind::Message {
                conversation: of,
                content: Content::Bytes(content),
                ..
            } = self.next(text).await
            {
                assert_eq!(of, conversation);
                self.heard
                    .push(String::from_utf8_lossy(&content).into_owned());
            }
        }
    }

    async fn next(&mut self, what: &str) -> EventKind {
        let next = tokio::time::timeout(PATIENCE, self.events.next()).await;
        let next = next.unwrap_or_else(|_| panic!("{what} never came"));
        next.unwrap().unwrap().kind
    }
}

fn open(
    components: &Components,
    profile: &Profile,
    store: &Arc<MemoryStore>,
    seeds: &Arc<AtomicU64>,
) -> Client {
    let seeds = seeds.clone();
    let random = move || Box::new(SeededRandom::new(seeds.fetch_add(1, Ordering::Relaxed))) as _;
    Client::open(components.clone(), profile.clone(), store.clone(), random).unwrap()
}
