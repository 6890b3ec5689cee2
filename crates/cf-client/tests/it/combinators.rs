//! Whole clients over combined parts: several services as one, a service for
//! small payloads with segments, two framings at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cf_client::{Client, Components, EventKind, Events, LinkOptions, Profile};
use cf_core::*;
use cf_ds::{MemoryOptions, MemoryService, Redundant, RedundantOptions, Segmented, Tap};
use cf_framing::{Tagged, Wap};
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);

/// A client, and what it is told.
struct Person {
    client: Client,
    events: Events,
}

impl Person {
    fn new(
        name: &str,
        seed: u64,
        service: Arc<dyn DeliveryService>,
        framings: Vec<Arc<dyn FramingStrategy>>,
    ) -> Self {
        let components = Components {
            services: vec![service],
            framings,
            discoveries: vec![Arc::new(cf_discovery::Link)],
            initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
            conversations: vec![cf_conversation::private()],
        };
        let random = &mut SeededRandom::new(seed);
        let identity = cf_identity::SoftwareIdentity::generate(random).unwrap();
        let profile = Profile {
            identity: Arc::new(identity),
            display_name: name.to_owned(),
        };
        let next = AtomicU64::new(seed << 32);
        let random = move || Box::new(SeededRandom::new(next.fetch_add(1, Ordering::Relaxed))) as _;
        let store = Arc::new(MemoryStore::default());
        let client = Client::open(components, profile, store, random).unwrap();
        let events = client.events().unwrap();
        Self { client, events }
    }

    async fn link(&self) -> String {
        self.client.link(LinkOptions::default()).await.unwrap()
    }

    async fn say(&self, conversation: ConversationId, text: &str) {
        let id = ContentId::new(text[..text.len().min(60)].to_owned()).unwrap();
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

    /// The next texts, as they are told.
    async fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let missing = format!("text {} of {count}", heard.len() + 1);
            if let EventKind::Message {
                content: cf_core::Content::Bytes(content),
                ..
            } = self.next(&missing).await
            {
                heard.push(String::from_utf8_lossy(&content).into_owned());
            }
        }
        heard
    }

    /// The texts that come within a moment.
    async fn rest(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        let moment = Duration::from_millis(500);
        while let Ok(next) = tokio::time::timeout(moment, self.events.next()).await {
            if let EventKind::Message {
                content: cf_core::Content::Bytes(content),
                ..
            } = next.unwrap().unwrap().kind
            {
                heard.push(String::from_utf8_lossy(&content).into_owned());
            }
        }
        heard
    }

    async fn next(&mut self, what: &str) -> EventKind {
        let next = tokio::time::timeout(PATIENCE, self.events.next()).await;
        let Ok(next) = next else {
            let counters = self.client.counters().await.unwrap();
            panic!("{what} did not come; {counters:?}");
        };
        next.unwrap().unwrap().kind
    }
}

/// How a service ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    NotYet,
    Refuses,
    Hangs,
}

/// A service that ends when it is told to.
#[derive(Clone)]
struct Mortal {
    inner: MemoryService,
    end: Arc<watch::Sender<End>>,
}

impl Mortal {
    fn new(name: &str) -> Self {
        Self {
            inner: MemoryService::new(name).unwrap(),
            end: Arc::new(watch::Sender::new(End::NotYet)),
        }
    }

    async fn pass(&self) -> Result<()> {
        let end = *self.end.borrow();
        match end {
            End::NotYet => Ok(()),
            End::Refuses => Err(Error::unavailable("the service is gone")),
            End::Hangs => std::future::pending().await,
        }
    }
}

impl DeliveryService for Mortal {
    fn id(&self) -> &ProtocolId {
        self.inner.id()
    }

    fn locator(&self) -> &Locator {
        self.inner.locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async {
            match self.pass().await {
                Ok(()) => self.inner.publish(request).await,
                Err(error) => Outcome::Unavailable(error),
            }
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            self.pass().await?;
            let inner = self.inner.subscribe().await?;
            let service = self.clone();
            Ok(Box::new(MortalSubscription { inner, service }) as _)
        })
    }
}

struct MortalSubscription {
    inner: Box<dyn Subscription>,
    service: Mortal,
}

impl Subscription for MortalSubscription {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.service.pass().await?;
            self.inner.add(address, start).await
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        self.inner.remove(address);
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            loop {
                let mut end = self.service.end.subscribe();
                self.service.pass().await?;
                tokio::select! {
                    biased;
                    _ = end.changed() => {}
                    delivery = self.inner.next() => return delivery,
                }
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        self.inner.acknowledge(address, cursor);
    }
}

/// One conversation over two services, one of which ends in the middle of it:
/// everything arrives, once and in order.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_services_ends_and_nothing_is_lost() {
    for spread in [Spread::All, Spread::First] {
        for end in [End::Refuses, End::Hangs] {
            let services = [Mortal::new("town"), Mortal::new("village")];
            // Each client has its own; both have the same locator.
            let redundant = || -> Arc<dyn DeliveryService> {
                let services = services.iter().map(|one| Arc::new(one.clone()) as _);
                let options = RedundantOptions {
                    spread,
                    timeout: Duration::from_secs(1),
                    ..RedundantOptions::default()
                };
                Arc::new(Redundant::with_options(services.collect(), options).unwrap())
            };
            let mut saro = Person::new("Saro", 1, redundant(), vec![Arc::new(Tagged)]);
            let mut raya = Person::new("Raya", 2, redundant(), vec![Arc::new(Tagged)]);
            let talk = saro.client.add(&raya.link().await).await.unwrap();
            assert_eq!(raya.accept().await, talk);
            let mut sent = [Vec::new(), Vec::new()];
            for n in 0..60 {
                if n == 25 {
                    services[0].end.send_replace(end);
                }
                let texts = [format!("Saro {n}"), format!("Raya {n}")];
                saro.say(talk, &texts[0]).await;
                raya.say(talk, &texts[1]).await;
                for (sent, text) in sent.iter_mut().zip(texts) {
                    sent.push(text);
                }
            }
            let [from_saro, from_raya] = sent;
            assert_eq!(raya.hear(60).await, from_saro, "{spread:?} {end:?}");
            assert_eq!(saro.hear(60).await, from_raya, "{spread:?} {end:?}");
            assert_eq!([raya.rest().await, saro.rest().await], [[""; 0]; 2]);
        }
    }
}

/// A service that takes 4 KiB: invites and long messages pass in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_service_for_small_payloads_invites_and_messages_pass() {
    let options = MemoryOptions {
        max_payload_len: 4096,
        ..MemoryOptions::default()
    };
    let small = MemoryService::with_options("small", options).unwrap();
    let tap = small.observe(10_000);
    let segmented = || -> Arc<dyn DeliveryService> {
        Arc::new(Segmented::new(Arc::new(small.clone())).unwrap())
    };
    let mut saro = Person::new("Saro", 3, segmented(), vec![Arc::new(Tagged)]);
    let mut raya = Person::new("Raya", 4, segmented(), vec![Arc::new(Tagged)]);
    let talk = saro.client.add(&raya.link().await).await.unwrap();
    assert_eq!(raya.accept().await, talk);
    let invite = tap.take();
    assert!(invite.len() > 1, "the invite fits in one payload");
    let long = "long ".repeat(30_000);
    let texts = ["short", &long, "short again"];
    for text in texts {
        saro.say(talk, text).await;
    }
    assert!(raya.hear(3).await == texts);
    raya.say(talk, "and back").await;
    assert_eq!(saro.hear(1).await, ["and back"]);
    assert!(tap.take().len() > 30);
    assert_eq!([raya.rest().await, saro.rest().await], [[""; 0]; 2]);
}

/// Saro has both framings, Raya and Pax one of them each.
struct Framings {
    tap: Tap,
    saro: Person,
    raya: Person,
    pax: Person,
}

impl Framings {
    fn new() -> Self {
        let service = Arc::new(MemoryService::new("framings").unwrap());
        let tagged = || Arc::new(Tagged) as Arc<dyn FramingStrategy>;
        let wap = || Arc::new(Wap) as Arc<dyn FramingStrategy>;
        Self {
            tap: service.observe(10_000),
            saro: Person::new("Saro", 5, service.clone(), vec![tagged(), wap()]),
            raya: Person::new("Raya", 6, service.clone(), vec![tagged()]),
            pax: Person::new("Pax", 7, service, vec![wap()]),
        }
    }

    /// Saro talks with both at once, with each in the framing that they have.
    async fn talk(mut self, with_raya: ConversationId, with_pax: ConversationId) {
        for (peer, talk, is_wap) in [
            (&mut self.raya, with_raya, false),
            (&mut self.pax, with_pax, true),
        ] {
            self.tap.take();
            peer.say(talk, "to you").await;
            assert_eq!(self.saro.hear(1).await, ["to you"]);
            self.saro.say(talk, "and to you").await;
            assert_eq!(peer.hear(1).await, ["and to you"]);
            // A late acknowledgement to the other peer may be among them.
            let payloads = self.tap.take().into_iter().map(|one| one.payload);
            let (tagged, wap): (Vec<_>, Vec<_>) =
                payloads.partition(|payload| Tagged.router().route(payload).is_ok());
            assert!(wap.iter().all(|one| Wap.router().route(one).is_ok()));
            assert!([tagged, wap][usize::from(is_wap)].len() >= 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_two_framings_reaches_peers_of_each() {
    let mut all = Framings::new();
    let with_raya = all.saro.client.add(&all.raya.link().await).await.unwrap();
    assert_eq!(all.raya.accept().await, with_raya);
    let with_pax = all.saro.client.add(&all.pax.link().await).await.unwrap();
    assert_eq!(all.pax.accept().await, with_pax);
    all.talk(with_raya, with_pax).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_two_framings_is_reachable_by_peers_of_each() {
    let mut all = Framings::new();
    let with_raya = all.raya.client.add(&all.saro.link().await).await.unwrap();
    assert_eq!(all.saro.accept().await, with_raya);
    let with_pax = all.pax.client.add(&all.saro.link().await).await.unwrap();
    assert_eq!(all.saro.accept().await, with_pax);
    all.talk(with_raya, with_pax).await;
}
