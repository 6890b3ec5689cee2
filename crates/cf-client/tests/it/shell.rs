//! The tokio shell: back-pressure, a store that fails, a tidy end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cf_client::{Client, Components, EventKind, LinkOptions, Profile};
use cf_core::{
    Batch, ContentId, DeliveryService, Error, ErrorKind, Frame, FramingStrategy, PublishRequest,
    RecordChange, Result, RoutingTag, Scan, Store,
};
use cf_ds::MemoryService;
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

use crate::links::Board;

/// A store that fails now and then.
#[derive(Clone)]
struct Moody {
    store: MemoryStore,
    commits: Arc<AtomicU64>,
    every: u64,
}

impl Store for Moody {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        self.store.get(namespace, key)
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        self.store.scan(namespace, scan)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(self.every) {
            return Err(Error::new(ErrorKind::Other, "the disk is full"));
        }
        self.store.commit(batch)
    }
}

fn open(name: &str, seed: u64, service: &MemoryService, store: Arc<dyn Store>) -> Client {
    open_with(name, seed, service, store, |_| {})
}

fn open_with(
    name: &str,
    seed: u64,
    service: &MemoryService,
    store: Arc<dyn Store>,
    change: impl FnOnce(&mut Components),
) -> Client {
    let mut components = Components {
        services: vec![Arc::new(service.clone())],
        framings: vec![Arc::new(cf_framing::Tagged)],
        discoveries: vec![Arc::new(cf_discovery::Link)],
        initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
        conversations: vec![cf_conversation::private()],
    };
    change(&mut components);
    let identity =
        cf_identity::SoftwareIdentity::generate(&mut SeededRandom::new(seed)).expect("a seed");
    let profile = Profile {
        identity: Arc::new(identity),
        display_name: name.to_owned(),
    };
    let next = AtomicU64::new(seed << 32);
    let random = move || Box::new(SeededRandom::new(next.fetch_add(1, Ordering::Relaxed))) as _;
    Client::open(components, profile, store, random).expect("the components are complete")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_costs_no_content() {
    let service = MemoryService::new("moody").expect("a valid name");
    let moody = Moody {
        store: MemoryStore::default(),
        commits: Arc::default(),
        every: 7,
    };
    let saro = open("Saro", 1, &service, Arc::new(moody.clone()));
    let raya = open("Raya", 2, &service, Arc::new(MemoryStore::default()));
    let link = raya.link(LinkOptions::default()).await.expect("a link");
    let talk = loop {
        match saro.add(&link).await {
            Ok(talk) => break talk,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    };
    let mut events = raya.events().expect("readable");
    let mut sent = Vec::new();
    for number in 0..5 {
        let text = format!("message {number}");
        let id = ContentId::new(text.clone()).expect("short");
        while let Err(error) = saro.send(talk, id.clone(), text.clone()).await {
            assert!(error.is_retryable(), "{error}");
        }
        sent.push(text);
    }
    let mut got = Vec::new();
    let reading = async {
        while let Some(event) = events.next().await.expect("readable") {
            match event.kind {
                EventKind::Request(request) => drop(raya.accept(request.id).await.expect("free")),
                EventKind::Message {
                    content: cf_core::Content::Bytes(content),
                    ..
                } => {
                    got.push(String::from_utf8_lossy(&content).into_owned());
                    if got.len() == sent.len() {
                        break;
                    }
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading)
        .await
        .expect("all of it arrives");
    assert_eq!(got, sent);
    assert!(
        moody.commits.load(Ordering::Relaxed) >= 7,
        "the store never failed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_refreshed_by_itself_also_after_a_restart() {
    let service = MemoryService::new("refreshed").expect("a valid name");
    let store = Arc::new(MemoryStore::default());
    let board = Board::default();
    board.set(false, Duration::from_millis(1));
    let open = || {
        let store = store.clone();
        open_with("Raya", 8, &service, store, |components| {
            components.discoveries.insert(0, Arc::new(board.clone()));
        })
    };
    let raya = open();
    let query = raya.link(LinkOptions::default()).await.expect("a link");
    let until = async |times| {
        while board.times(&query) < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let patience = Duration::from_secs(30);
    let refreshed = tokio::time::timeout(patience, until(2)).await;
    refreshed.expect("it is refreshed");
    board.set(true, Duration::from_millis(1));
    while raya.links().await.expect("open")[0].problem.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    raya.shutdown().await;
    board.set(false, Duration::from_millis(1));
    let times = board.times(&query);
    let raya = open();
    let refreshed = tokio::time::timeout(patience, until(times + 2)).await;
    refreshed.expect("it is refreshed after the restart");
    let links = raya.links().await.expect("open");
    assert_eq!((links.len(), &links[0].query), (1, &query));
    assert_eq!(links[0].problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn unconfirmed_events_come_again_under_the_same_number() {
    let service = MemoryService::new("again").expect("a valid name");
    let store = Arc::new(MemoryStore::default());
    let saro = open("Saro", 3, &service, Arc::new(MemoryStore::default()));
    let raya = open("Raya", 4, &service, store.clone());
    let link = raya.link(LinkOptions::default()).await.expect("a link");
    saro.add(&link).await.expect("free");
    let mut events = raya.events().expect("readable");
    let first = events.next().await.expect("readable").expect("a request");
    raya.shutdown().await;

    let raya = open("Raya", 4, &service, store.clone());
    let mut events = raya.events().expect("readable");
    let again = events
        .next()
        .await
        .expect("readable")
        .expect("the request again");
    assert_eq!(first, again);
    raya.confirm(again.seq).await.expect("it was told");
    assert_eq!(
        raya.confirm(again.seq + 9).await.unwrap_err().kind(),
        ErrorKind::Misuse
    );
    raya.shutdown().await;

    let raya = open("Raya", 4, &service, store);
    let mut events = raya.events().expect("readable");
    raya.shutdown().await;
    assert_eq!(
        events.next().await.expect("readable"),
        None,
        "what was confirmed is not told"
    );
}

/// A store that fails slowly, and watches that no cursor passes a payload whose
/// own commit failed.
struct Watchful {
    store: MemoryStore,
    commits: Arc<AtomicU64>,
    fail_at: u64,
    passed: Arc<parking_lot::Mutex<Vec<(u64, u64)>>>,
}

impl Store for Watchful {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        self.store.get(namespace, key)
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        self.store.scan(namespace, scan)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        // Long enough for more deliveries to reach the shell meanwhile.
        std::thread::sleep(Duration::from_millis(20));
        if number == self.fail_at {
            return Err(Error::new(ErrorKind::Other, "the disk is full"));
        }
        let mut at = std::collections::HashMap::new();
        for (namespace, change) in batch.changes() {
            let RecordChange::Put { key, value } = change else {
                continue;
            };
            if namespace == "cursors" {
                let before = match at.get(key) {
                    Some(before) => *before,
                    None => self
                        .store
                        .get(namespace, key)?
                        .map_or(0, |value| place(&value)),
                };
                if place(value) > before + 1 {
                    self.passed.lock().push((before, place(value)));
                }
                at.insert(key.clone(), place(value));
            }
        }
        self.store.commit(batch)
    }
}

fn place(cursor: &[u8]) -> u64 {
    u64::from_be_bytes(cursor.try_into().expect("the memory service counts"))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_no_cursor_passes_what_it_covered() {
    let service = MemoryService::new("watchful").expect("a valid name");
    let (commits, passed) = (Arc::default(), Arc::default());
    let store = Watchful {
        store: MemoryStore::default(),
        commits: Arc::clone(&commits),
        fail_at: 4,
        passed: Arc::clone(&passed),
    };
    let raya = open("Raya", 5, &service, Arc::new(store));
    let saro = open("Saro", 6, &service, Arc::new(MemoryStore::default()));
    let link = raya.link(LinkOptions::default()).await.expect("a link");
    let tap = service.observe(10);
    saro.add(&link).await.expect("free");
    let mut seen = Vec::new();
    while seen.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        seen = tap.take();
    }
    let address = seen[0].address.clone();
    for number in 0..400_u64 {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&number.to_be_bytes());
        let frame = Frame::new(RoutingTag(tag), "nobody expects this");
        let payload = cf_framing::Tagged.encode(&frame, 1024).expect("short");
        service
            .publish(PublishRequest::new(address.clone(), payload))
            .await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let all = async {
        while raya.waiting().await.map_or(0, |(_, parked)| parked) < 400 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("every payload is kept");
    assert!(
        commits.load(Ordering::Relaxed) > 4,
        "the store never failed"
    );
    assert_eq!(*passed.lock(), [], "cursors that passed others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stops_though_its_store_fails_for_good() {
    let service = MemoryService::new("stopped").expect("a valid name");
    let moody = Moody {
        store: MemoryStore::default(),
        commits: Arc::default(),
        every: 1,
    };
    let saro = open("Saro", 7, &service, Arc::new(moody));
    let link = saro.link(LinkOptions::default()).await;
    assert!(link.expect_err("nothing can be stored").is_retryable());
    let stopped = tokio::time::timeout(Duration::from_secs(20), saro.shutdown()).await;
    stopped.expect("it gives up");
}
