//! What a user connects with is the user's: no link, bundle, invite or frame holds a
//! credential or a local path of the services that a client was connected to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf::core::{
    Batch, BoxFuture, Capabilities, Connector, ContentState, DeliveryService, Locator, Outcome,
    ProtocolId, PublishRequest, RecordChange, Result, Scan, Store, Subscription,
};
use cf::ds::{LocalConnector, MemoryService};
use cf::store::MemoryStore;
use cf::{Client, EventKind, LinkOptions};

/// Every byte that was seen, one piece after the other.
type Seen = Arc<std::sync::Mutex<Vec<Bytes>>>;

/// Which of the needles stands in what was seen.
fn found<'a>(seen: &Seen, needles: &[&'a str]) -> Vec<&'a str> {
    let seen = seen.lock().unwrap();
    let holds = |needle: &&&str| {
        let needle = needle.as_bytes();
        let mut all = seen.iter();
        all.any(|piece| piece.windows(needle.len()).any(|part| part == needle))
    };
    needles.iter().filter(holds).copied().collect()
}

/// A bus that asks for a password, as the user's URL holds it.
struct Bus(MemoryService);

impl Connector for Bus {
    fn schemes(&self) -> &[&str] {
        &["bus"]
    }

    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
        Box::pin(async move {
            let host = url.rsplit_once('@').map_or(url, |(_, host)| host);
            let host = host.split('?').next().unwrap();
            let locator = Locator::parse(&format!("bus://{host}"))?;
            let inner = Arc::new(self.0.clone());
            Ok(Arc::new(Observed::new(inner, locator, &Seen::default())) as _)
        })
    }
}

/// A service whose payloads are written down.
struct Observed {
    inner: Arc<dyn DeliveryService>,
    locator: Locator,
    seen: Seen,
}

impl Observed {
    fn new(inner: Arc<dyn DeliveryService>, locator: Locator, seen: &Seen) -> Self {
        let seen = seen.clone();
        Self {
            inner,
            locator,
            seen,
        }
    }
}

impl DeliveryService for Observed {
    fn id(&self) -> &ProtocolId {
        self.inner.id()
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        let address = Bytes::copy_from_slice(request.address.as_bytes());
        self.seen
            .lock()
            .unwrap()
            .extend([address, request.payload.clone()]);
        self.inner.publish(request)
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        self.inner.subscribe()
    }
}

/// A store that writes down all that it is given: what a client has opened and decoded.
#[derive(Clone)]
struct Opened(MemoryStore, Seen);

impl Store for Opened {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        self.0.get(namespace, key)
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        self.0.scan(namespace, scan)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        for (_, change) in batch.changes() {
            if let RecordChange::Put { key, value } = change {
                self.1.lock().unwrap().extend([key.clone(), value.clone()]);
            }
        }
        self.0.commit(batch)
    }
}

async fn delivered(client: &Client, talk: cf::core::ConversationId, text: &str) {
    let id = cf::content_id(text).unwrap();
    client
        .send(talk, id.clone(), text.to_owned())
        .await
        .unwrap();
    let done = async {
        while client.state(talk, id.clone()).await.unwrap() != Some(ContentState::Delivered) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), done)
        .await
        .expect("it arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_goes_out_holds_a_credential_or_a_local_path() {
    const URL: &str = "bus://raya:hunter2-of-raya@chat.example:4222/town?token=t0ken-of-raya";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder of raya").join("delivery.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let local_url = format!("local:{}", path.display());
    // By its form no locator holds either.
    assert!(Locator::parse(URL).is_err() && Locator::parse(&local_url).is_err());
    let secrets = [
        "raya:hunter2",
        "hunter2-of-raya",
        "t0ken-of-raya",
        "folder of raya",
        "delivery.db",
        folder.path().to_str().unwrap(),
    ];

    let bus = Bus(MemoryService::new("bus").unwrap());
    let files = LocalConnector::new(folder.path().join("default.db"));
    let payloads = Seen::default();
    let mut clients = Vec::new();
    for name in ["Raya", "Saro"] {
        let mut builder = cf::builder(name);
        for service in [
            bus.connect(URL).await.unwrap(),
            files.connect(&local_url).await.unwrap(),
        ] {
            let locator = service.locator().clone();
            builder = builder.service(Observed::new(service, locator, &payloads));
        }
        let opened = Opened(MemoryStore::default(), Seen::default());
        let client = builder.store(Arc::new(opened.clone())).open().unwrap();
        clients.push((client, opened.1));
    }
    let (raya, at_raya) = &clients[0];
    let (saro, at_saro) = &clients[1];

    // Every way to be found, as text and as what the text leads to.
    let texts = Seen::default();
    let mut link = String::new();
    for discovery in [
        cf::discovery::Link::ID,
        cf::discovery::Directory::ID,
        cf::discovery::ShortLink::ID,
    ] {
        let options = LinkOptions {
            discovery: Some(discovery),
            ..LinkOptions::default()
        };
        link = raya.link(options).await.unwrap();
        let bundles = saro.resolve(&link).await.unwrap();
        let bundles = bundles.iter().map(|(_, bundle)| bundle.clone());
        let mut texts = texts.lock().unwrap();
        texts.push(link.clone().into());
        texts.extend(bundles);
    }
    let bundles = found(&texts, &["bus://chat.example:4222/town", "local:"]);
    assert_eq!(bundles.len(), 2, "the bundles say where: {bundles:?}");

    // An invite, its answer, messages both ways, and a move of the conversation.
    let mut events = raya.events().unwrap();
    let talk = saro.add(&link).await.unwrap();
    let at_rayas = loop {
        if let EventKind::Request(request) = events.next().await.unwrap().unwrap().kind {
            break raya.accept(request.id).await.unwrap();
        }
    };
    delivered(saro, talk, "hello").await;
    delivered(raya, at_rayas, "hello too").await;
    let town = vec![Locator::parse("bus://chat.example:4222/town").unwrap()];
    raya.move_to(at_rayas, town).await.unwrap();
    delivered(raya, at_rayas, "from elsewhere").await;
    delivered(saro, talk, "to elsewhere").await;

    // What each has opened of the other's says where the other is.
    for opened in [at_raya, at_saro] {
        let points = found(opened, &["bus://chat.example:4222/town", "local:", "hello"]);
        assert_eq!(points.len(), 3, "{points:?}");
    }
    for (what, seen) in [
        ("links and bundles", &texts),
        ("payloads", &payloads),
        ("what Raya opened", at_raya),
        ("what Saro opened", at_saro),
    ] {
        assert!(!seen.lock().unwrap().is_empty(), "{what}");
        assert_eq!(found(seen, &secrets), [""; 0], "in {what}");
    }
    for (client, _) in clients {
        client.shutdown().await;
    }
}
