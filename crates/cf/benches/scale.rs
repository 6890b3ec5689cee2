//! What many conversations cost a client: memory while it has nothing to do, the time
//! until the first message goes out after a start, and until one comes.
//!
//! `cargo bench -p cf --bench scale -- 10 1000` measures homes of so many conversations.
//! Large ones take a while to make (about 5 ms for each conversation): `-- make FOLDER
//! 100000` makes one, `-- open FOLDER` measures it, again and again. A fresh process
//! opens a home, so that nothing of the making is measured.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cf::client::{Components, Driver, Effect, LinkOptions, Profile, limits};
use cf::core::{
    BundleSet, Content, ContentId, ContentState, ConversationId, Delivery, DeliveryAddress,
    Locator, Outcome, Random, Store, Timestamp,
};
use cf::ds::LocalService;
use cf::identity::SoftwareIdentity;
use cf::store::{MemoryStore, SqliteOptions, SqliteStore, Unlock};
use cf::{Client, EventKind};
use cf_testkit::SeededRandom;

/// How long ago the conversations began: everything is settled, nothing has expired.
const AGO: Duration = Duration::from_secs(16 * 24 * 3600);
/// How long the last of it is ago.
const QUIET_FOR: Duration = Duration::from_secs(24 * 3600);
/// How many messages are received one after the other.
const RECEIVED: u64 = 40;

fn main() {
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", folder, count] => make(Path::new(folder), count.parse().expect("a number")),
        ["open", folder] => runtime().block_on(open(&Home(folder.into()))),
        _ => {
            let counts = arguments.iter().filter_map(|count| count.parse().ok());
            let counts: Vec<usize> = counts.collect();
            let counts = if counts.is_empty() {
                vec![10, 1_000]
            } else {
                counts
            };
            counts.into_iter().for_each(measure);
        }
    }
}

fn measure(count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path(), count);
    let child = Command::new(std::env::current_exe().expect("this program"))
        .arg("open")
        .arg(folder.path())
        .status();
    assert!(child.expect("it runs").success());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("it starts")
}

/// Where the two clients of a measurement are kept.
struct Home(PathBuf);

impl Home {
    fn service(&self) -> Arc<LocalService> {
        let service = LocalService::open(self.0.join("service.db"));
        Arc::new(service.expect("it opens"))
    }

    fn store(&self, name: &str) -> SqliteStore {
        let unlock = Unlock::Key(cf::core::Secret::from(&[7; 32][..]));
        let path = self.0.join(name);
        SqliteStore::open_or_create(&path, &unlock, SqliteOptions::default()).expect("it opens")
    }

    fn client(&self, name: &str, seed: u64) -> Client {
        let store = Arc::new(self.store(name));
        let seed_of_now = move || {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("after 1970");
            SeededRandom::new(now.as_nanos() as u64 ^ seed)
        };
        let random = move || -> Box<dyn Random> { Box::new(seed_of_now()) };
        let components = components(self.service());
        Client::open(components, profile(seed), store, random).expect("it opens")
    }
}

/// Opens a home and says what that costs.
async fn open(home: &Home) {
    let notes = std::fs::read_to_string(home.0.join("notes")).expect("it was made");
    let mut notes = notes.split_whitespace();
    let mut note = || notes.next().expect("it was noted");
    let mut number = |base| u128::from_str_radix(note(), base).expect("a number");
    let (count, seed) = (number(10) as u64, number(10) as u64);
    let mut talk = || ConversationId(number(16).to_be_bytes());
    let (own_talk, peer_talk) = (talk(), talk());

    let before = memory();
    let started = Instant::now();
    let own = home.client("own.db", 0);
    let mut events = own.events().expect("it is the only one");
    let run = started.elapsed().as_nanos();
    let id = ContentId::new(format!("first {run}")).expect("short");
    own.send(own_talk, id.clone(), "the first")
        .await
        .expect("it takes it");
    while own.state(own_talk, id.clone()).await.expect("it knows") == Some(ContentState::Queued) {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let first = started.elapsed();
    let settled = quiet().await - started;
    let idle = memory().saturating_sub(before);
    let (len, _) = (
        std::fs::metadata(home.0.join("own.db")).map_or(0, |f| f.len()),
        0,
    );

    let peer = home.client("peer.db", seed);
    events.next_all().await.expect("it reads");
    quiet().await;
    let mut took = Vec::new();
    for number in 0..RECEIVED {
        let started = Instant::now();
        let id = ContentId::new(format!("{run} {number}")).expect("short");
        peer.send(peer_talk, id.clone(), "something to read")
            .await
            .expect("it takes it");
        let is_it =
            |kind: &EventKind| matches!(kind, EventKind::Message { id: got, .. } if *got == id);
        while !events
            .next_all()
            .await
            .expect("it reads")
            .iter()
            .any(|e| is_it(&e.kind))
        {}
        took.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    println!(
        "{count:>7} conversations: file {} KiB, first message out {first:.1?} after the start, \
         all subscribed after {settled:.1?}, idle {} KiB ({} bytes each), \
         a message comes in {:.2?} (p50)",
        len / 1024,
        idle / 1024,
        idle / count,
        took[took.len() / 2]
    );
    own.shutdown().await;
    peer.shutdown().await;
}

/// Waits until this process has nothing to do; gives since when.
async fn quiet() -> Instant {
    loop {
        let (at, used) = (Instant::now(), processor_time());
        tokio::time::sleep(Duration::from_millis(400)).await;
        if processor_time() <= used + 1 {
            return at;
        }
    }
}

/// The processor time of this process, in hundredths of a second.
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Makes a home that was asked by so many peers, accepted them all, and had a word
/// with each; one of them is kept as well.
fn make(folder: &Path, count: usize) {
    std::fs::create_dir_all(folder).expect("a folder");
    let home = Home(folder.into());
    let service = home.service();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    let now = Timestamp::default().after(now);
    let start = Timestamp(now.0 - AGO.as_millis() as u64);
    let mut own = Node::new(Arc::new(home.store("own.db")), service.clone(), 0, start);
    own.run();
    // The peers are gone afterwards: nobody would answer a conversation that moves.
    own.driver
        .rotate_points_every(None, start)
        .expect("it is a setting");
    let kept = count / 2 + 1;
    let mut notes = None;
    let mut bundles = own.bundles();
    for number in 1..=count {
        // A link takes a bounded number of invites.
        if number % 256 == 0 {
            bundles = own.bundles();
        }
        let store: Arc<dyn Store> = match number == kept {
            true => Arc::new(home.store("peer.db")),
            false => Arc::new(MemoryStore::default()),
        };
        let mut peer = Node::new(store, service.clone(), number as u64, own.now);
        let talk = peer
            .driver
            .connect(&bundles, None, peer.now)
            .expect("it is good");
        peer.run();
        pass(&mut peer, &mut own);
        let request = own.driver.requests().expect("readable")[0].id;
        let here = own.driver.accept(request, own.now).expect("it is good");
        for _ in 0..5 {
            pass(&mut own, &mut peer);
            pass(&mut peer, &mut own);
        }
        for (node, talk) in [(&mut peer, talk), (&mut own, here)] {
            let id = ContentId::new("hello").expect("short");
            let content = Content::Bytes("hello".into());
            node.driver
                .send(talk, id, content, node.now)
                .expect("it takes it");
        }
        for _ in 0..10 {
            pass(&mut peer, &mut own);
            pass(&mut own, &mut peer);
        }
        if number == kept {
            peer.driver
                .rotate_points_every(None, peer.now)
                .expect("it is a setting");
            peer.run();
            let hex = |id: ConversationId| format!("{:032x}", u128::from_be_bytes(id.0));
            notes = Some(format!("{count} {number} {} {}", hex(here), hex(talk)));
        }
    }
    own.now = Timestamp(now.0 - QUIET_FOR.as_millis() as u64);
    for _ in 0..10 {
        own.run();
        own.now = own.now.after(limits::IDLE * 2);
    }
    std::fs::write(folder.join("notes"), notes.expect("one is kept")).expect("it writes");
}

/// A client whose payloads are carried by hand.
struct Node {
    store: Arc<dyn Store>,
    driver: Driver,
    sent: HashMap<(Locator, DeliveryAddress), Vec<bytes::Bytes>>,
    now: Timestamp,
}

impl Node {
    fn new(store: Arc<dyn Store>, service: Arc<LocalService>, seed: u64, now: Timestamp) -> Self {
        let random: Box<dyn Random> = Box::new(SeededRandom::new(seed));
        let components = Arc::new(components(service));
        let driver = Driver::restore(components, profile(seed), store.clone(), random, now);
        Self {
            store,
            driver: driver.expect("it opens"),
            sent: HashMap::new(),
            now,
        }
    }

    fn bundles(&mut self) -> BundleSet {
        let options = LinkOptions::default();
        self.driver
            .make_bundles(&options, self.now)
            .expect("it makes them")
            .0
    }

    /// Commits, and accepts every publish.
    fn run(&mut self) {
        self.now = self.now.after(Duration::from_millis(60));
        self.driver.handle_time(self.now);
        while let Some(commit) = self.driver.take_commit() {
            self.store.commit(&commit.batch).expect("it commits");
            self.driver.committed(commit.number);
            for effect in commit.effects {
                if let Effect::Publish {
                    entry,
                    locator,
                    request,
                } = effect
                {
                    let at = self.sent.entry((locator, request.address)).or_default();
                    at.push(request.payload);
                    let outcome = Outcome::Accepted { cursor: None };
                    self.driver.published(entry, outcome, self.now);
                }
            }
        }
    }
}

/// Carries what one has sent to the other.
fn pass(from: &mut Node, to: &mut Node) {
    from.run();
    for ((locator, address), payloads) in from.sent.drain() {
        for payload in payloads {
            let address = address.clone();
            let delivery = Delivery {
                address,
                payload,
                cursor: None,
            };
            to.driver.deliver(&locator, delivery, to.now);
        }
    }
    to.run();
}

fn components(service: Arc<LocalService>) -> Components {
    Components {
        services: vec![service],
        framings: vec![Arc::new(cf::framing::Tagged)],
        discoveries: vec![Arc::new(cf::discovery::Link)],
        initializations: vec![Arc::new(cf::init::InboxProtocol::default())],
        conversations: vec![cf::conversation::private()],
    }
}

fn profile(seed: u64) -> Profile {
    let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed + 1_000_000));
    Profile {
        identity: Arc::new(identity.expect("a seed")),
        display_name: format!("number {seed}"),
    }
}

/// The resident memory of this process, in bytes.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1);
    resident.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}
