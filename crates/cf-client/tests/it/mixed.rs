//! Components that are nothing like each other, mixed in one client: the stock
//! ones and all probes, side by side through the real driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cf_client::{Client, Components, EventKind, Events, LinkOptions, Profile};
use cf_core::*;
use cf_discovery::Link;
use cf_ds::MemoryService;
use cf_framing::Tagged;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

use crate::probes::psk::Psk;
use crate::probes::public_channel::PublicChannel;
use crate::probes::salted::Salted;
use crate::probes::static_discovery::{StaticDiscovery, Table};
use crate::probes::toy_group::ToyGroup;

const GROUP: ProtocolId = ProtocolId::from_static("/probe/conversation/group/1");
const CHANNEL: ProtocolId = ProtocolId::from_static("/probe/conversation/channel/1");
const KEY: [u8; 32] = [7; 32];
const PATIENCE: Duration = Duration::from_secs(20);

/// Three people on one service: Raya has only the tagged framing, Pax only the
/// pre-shared key and a name in a table, Saro everything.
struct World {
    service: Arc<MemoryService>,
    saro: Person,
    raya: Person,
    pax: Person,
}

impl World {
    fn new() -> Self {
        let service = Arc::new(MemoryService::new("mixed").unwrap());
        let table = Table::default();
        let tagged: Arc<dyn FramingStrategy> = Arc::new(Tagged);
        let salted: Arc<dyn FramingStrategy> = Arc::new(Salted::new());
        let inbox: Arc<dyn InitializationProtocol> = Arc::new(InboxProtocol::new());
        let psk: Arc<dyn InitializationProtocol> = Arc::new(Psk::new(KEY));
        let link: Arc<dyn DiscoveryProtocol> = Arc::new(Link);
        let names = |own| -> Arc<dyn DiscoveryProtocol> {
            Arc::new(StaticDiscovery::new(table.clone(), own))
        };
        let components = |framings, discoveries, initializations| Components {
            services: vec![service.clone()],
            framings,
            discoveries,
            initializations,
            conversations: vec![
                cf_conversation::private(),
                Arc::new(ToyGroup::new()),
                Arc::new(PublicChannel::new()),
            ],
        };
        let saro = components(
            vec![salted.clone(), tagged.clone()],
            vec![link.clone(), names(None)],
            vec![inbox.clone(), psk.clone()],
        );
        let raya = components(
            vec![tagged.clone()],
            vec![link, names(None)],
            vec![inbox, psk.clone()],
        );
        let pax = components(vec![salted, tagged], vec![names(Some("pax"))], vec![psk]);
        Self {
            service: service.clone(),
            saro: Person::new(1, "Saro", saro),
            raya: Person::new(2, "Raya", raya),
            pax: Person::new(3, "Pax", pax),
        }
    }
}

/// One person's client, and what it was told so far.
struct Person {
    client: Client,
    events: Events,
    told: Vec<EventKind>,
    components: Components,
    profile: Profile,
    store: Arc<MemoryStore>,
    seeds: Arc<AtomicU64>,
}

impl Person {
    fn new(seed: u64, name: &str, components: Components) -> Self {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap();
        let profile = Profile {
            identity: Arc::new(identity),
            display_name: name.to_owned(),
        };
        let store = Arc::new(MemoryStore::new());
        let seeds = Arc::new(AtomicU64::new(seed * 1000));
        let client = open(&components, &profile, &store, &seeds);
        let events = client.events().unwrap();
        Self {
            client,
            events,
            told: Vec::new(),
            components,
            profile,
            store,
            seeds,
        }
    }

    /// Ends the client and opens another on its store.
    async fn restart(&mut self) {
        let last = self.events.last();
        self.client.clone().shutdown().await;
        self.client = open(&self.components, &self.profile, &self.store, &self.seeds);
        self.events = self.client.events_after(last);
    }

    fn id(&self) -> ParticipantId {
        self.profile.identity.id().clone()
    }

    async fn link(&self) -> String {
        self.client.link(LinkOptions::default()).await.unwrap()
    }

    async fn say(&self, conversation: ConversationId, text: &str) {
        let id = ContentId::new(text.as_bytes().to_vec()).unwrap();
        self.client
            .send(conversation, id, text.to_owned())
            .await
            .unwrap();
    }

    /// Waits for what a test asks for, now or earlier.
    async fn wait<T>(&mut self, what: &str, is: impl Fn(&EventKind) -> Option<T>) -> T {
        let mut seen = 0;
        loop {
            if let Some(found) = self.told[seen..].iter().find_map(&is) {
                return found;
            }
            seen = self.told.len();
            let next = tokio::time::timeout(PATIENCE, self.events.next()).await;
            let Ok(next) = next else {
                let counters = self.client.counters().await.unwrap();
                panic!("{what} never came; told {:?}; {counters:?}", self.told);
            };
            self.told.push(next.unwrap().unwrap().kind);
        }
    }

    /// Accepts the request for a conversation.
    async fn accept(&mut self, conversation_protocol: &ProtocolId) -> ConversationId {
        let waiting = self.client.requests().await.unwrap();
        let request = match waiting
            .into_iter()
            .find(|it| it.protocol == *conversation_protocol)
        {
            Some(request) => request,
            None => {
                let of = |kind: &EventKind| match kind {
                    EventKind::Request(it) if it.protocol == *conversation_protocol => {
                        Some(it.clone())
                    }
                    _ => None,
                };
                self.wait("a request", of).await
            }
        };
        self.told
            .retain(|kind| !matches!(kind, EventKind::Request(it) if it.id == request.id));
        self.client.accept(request.id).await.unwrap()
    }

    /// Waits for a text, and says who is said to have written it.
    async fn hear(&mut self, conversation: ConversationId, text: &str) -> Option<ParticipantId> {
        let of = |kind: &EventKind| match kind {
            EventKind::Message {
                conversation: c,
                content: cf_core::Content::Bytes(content),
                from,
                ..
            } if *c == conversation && content == text => Some(from.clone()),
            _ => None,
        };
        self.wait(text, of).await
    }

    /// How often a text was told in any conversation.
    fn heard(&self, text: &str) -> usize {
        let is = |kind: &&EventKind| matches!(kind, EventKind::Message { content: cf_core::Content::Bytes(content), .. } if content == text);
        self.told.iter().filter(is).count()
    }
}

fn open(
    components: &Components,
    profile: &Profile,
    store: &Arc<MemoryStore>,
    seeds: &Arc<AtomicU64>,
) -> Client {
    let seeds = seeds.clone();
    let random = move || -> Box<dyn Random> {
        Box::new(SeededRandom::new(seeds.fetch_add(1, Ordering::Relaxed)))
    };
    Client::open(components.clone(), profile.clone(), store.clone(), random).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_framings_and_two_initializations_in_one_client() {
    let mut world = World::new();
    let tap = world.service.observe(1000);
    let World {
        saro, raya, pax, ..
    } = &mut world;
    let link = raya.link().await;
    let name = pax.link().await;
    assert_eq!(name, "static:pax");

    let private = cf_conversation::private().id().clone();
    let (tagged, salted) = (Tagged.router(), Salted::new().router());
    for (person, query, text) in [(&mut *raya, link, "hi"), (pax, name, "ho")] {
        let is_salted = text == "ho";
        let conversation = saro.client.add(&query).await.unwrap();
        saro.say(conversation, text).await;
        assert_eq!(person.accept(&private).await, conversation);
        person.hear(conversation, text).await;
        tap.take();
        person.say(conversation, "and to you").await;
        saro.hear(conversation, "and to you").await;
        // In the second round, the first conversation may still have something to say.
        let payloads = tap.take();
        let is_of = |router: &dyn Router| {
            let routed = |delivery: &&Delivery| router.route(&delivery.payload).is_ok();
            payloads.iter().filter(routed).count()
        };
        let (of_tagged, of_salted) = (is_of(&*tagged), is_of(&*salted));
        assert_eq!(of_tagged + of_salted, payloads.len(), "none is of both");
        assert_eq!(of_salted > 0, is_salted);
        assert!(of_tagged > 0 || is_salted);
    }
    // The inbox authenticates who asks; a shared key does not.
    let mut names = Vec::new();
    for kind in &saro.told {
        if let EventKind::Started { from, .. } = kind {
            names.push(from.clone());
        }
    }
    assert_eq!(names, [Some(raya.id()), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_invites_by_what_each_bundle_names() {
    let mut world = World::new();
    let World {
        saro, raya, pax, ..
    } = &mut world;
    let (link, name) = (saro.link().await, pax.link().await);
    let (group, _) = raya.client.create(&GROUP, Bytes::new()).await.unwrap();
    raya.client.add_member(group, &link).await.unwrap();
    raya.say(group, "to Saro alone").await;
    assert_eq!(saro.accept(&GROUP).await, group);
    assert_eq!(saro.hear(group, "to Saro alone").await, Some(raya.id()));

    // Saro was invited by the inbox; Pax is by a shared key, and by Saro.
    saro.client.add_member(group, &name).await.unwrap();
    let joined = |id: ParticipantId| {
        move |kind: &EventKind| match kind {
            EventKind::Joined { participant, .. } if *participant == id => Some(()),
            _ => None,
        }
    };
    raya.wait("Saro", joined(saro.id())).await;
    assert_eq!(pax.accept(&GROUP).await, group);
    for person in [&mut *saro, &mut *raya] {
        person.wait("Pax", joined(pax.id())).await;
    }
    let full = raya.client.add_member(group, &link).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Rejected);

    for round in 0..2 {
        for person in [&*saro, &*raya, &*pax] {
            let text = format!("{} {round}", person.profile.display_name);
            person.say(group, &text).await;
        }
        let everybody = [
            (saro.id(), format!("Saro {round}")),
            (raya.id(), format!("Raya {round}")),
            (pax.id(), format!("Pax {round}")),
        ];
        for person in [&mut *saro, &mut *raya, &mut *pax] {
            for (author, text) in &everybody {
                if *author != person.id() {
                    assert_eq!(person.hear(group, text).await, Some(author.clone()));
                    assert_eq!(person.heard(text), 1);
                }
            }
            person.restart().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_channel_beside_a_private_conversation() {
    let mut world = World::new();
    let World {
        saro, raya, pax, ..
    } = &mut world;
    let private = saro.client.add(&raya.link().await).await.unwrap();
    raya.accept(cf_conversation::private().id()).await;

    let (channel, parameters) = raya.client.create(&CHANNEL, Bytes::new()).await.unwrap();
    raya.say(channel, "before anybody reads").await;
    for reader in [saro, pax] {
        let reading = reader
            .client
            .join(&CHANNEL, parameters.clone())
            .await
            .unwrap();
        let author = reader.hear(reading, "before anybody reads").await;
        assert_eq!(author, Some(raya.id()));
        reader.restart().await;
        let text = format!("for {}", reader.profile.display_name);
        raya.say(channel, &text).await;
        reader.hear(reading, &text).await;
        assert_eq!(reader.heard("before anybody reads"), 1);
        let id = ContentId::new("me too").unwrap();
        let refused = reader.client.send(reading, id, "me too").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Misuse);
    }
    raya.say(private, "only for you").await;
    world.saro.hear(private, "only for you").await;
}
