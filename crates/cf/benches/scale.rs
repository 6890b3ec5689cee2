//! What many conversations cost a client that has nothing to do: memory for each,
//! and the time to open.
//!
//! `cargo bench -p cf --bench scale -- 20000`. One process makes the home, fresh
//! ones open it, so that nothing of the making is measured.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cf::client::{Components, Driver, Effect, LinkOptions, Profile, limits};
use cf::core::{
    BundleSet, Content, ContentId, Delivery, DeliveryAddress, Locator, Outcome, Random, Store,
    Timestamp,
};
use cf::identity::SoftwareIdentity;
use cf::store::{MemoryStore, SqliteOptions, SqliteStore, Unlock};
use cf_testkit::SeededRandom;

const START: Timestamp = Timestamp(1_800_000_000_000);
/// Long after everything of the making is settled, before anything expires.
const LATER: Duration = Duration::from_secs(15 * 24 * 3600);

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("open"), Some(path)) => open(Path::new(&path)),
        (count, _) => measure(count.and_then(|count| count.parse().ok()).unwrap_or(1_000)),
    }
}

fn measure(count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut before = None;
    for count in [0, count] {
        let path = folder.path().join(format!("{count}.db"));
        let started = Instant::now();
        make(&path, count);
        let made = started.elapsed();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["open", path.to_str().expect("a name")])
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&child.stdout).into_owned();
        let mut words = told.split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(bytes), Some(micros)) = (number(), number()) else {
            panic!("{told} {}", String::from_utf8_lossy(&child.stderr));
        };
        let len = std::fs::metadata(&path).map_or(0, |file| file.len());
        println!(
            "{count} conversations: made in {made:.1?}, file {} KiB, opened in {:.1} ms, {} KiB of memory",
            len / 1024,
            micros as f64 / 1000.0,
            bytes / 1024
        );
        if let Some(before) = before.replace(bytes)
            && count > 0
        {
            println!("each {} bytes", (bytes - before) / count as u64);
        }
    }
}

/// Opens a home and says how much memory that took, and how many microseconds.
fn open(path: &Path) {
    let store = Arc::new(file(path));
    let components = Arc::new(components());
    let before = memory();
    let started = Instant::now();
    let now = START.after(LATER).after(Duration::from_secs(3600));
    let random = Box::new(SeededRandom::new(3));
    let driver = Driver::restore(components, profile(0), store, random, now).expect("it opens");
    let opened = started.elapsed();
    println!("{} {}", memory().saturating_sub(before), opened.as_micros());
    drop(driver);
}

/// Makes a home that was asked by so many peers, accepted them all, and had a word
/// with each.
fn make(path: &Path, count: usize) {
    let mut own = Node::new(Arc::new(file(path)), 0);
    own.run();
    // The peers are gone afterwards: nobody would answer a conversation that moves.
    own.driver
        .rotate_points_every(None, own.now)
        .expect("it is a setting");
    let mut bundles = own.bundles();
    for peer in 1..=count {
        // A link takes a bounded number of invites.
        if peer % 256 == 0 {
            bundles = own.bundles();
        }
        let mut peer = Node::new(Arc::new(MemoryStore::default()), peer as u64);
        let talk = peer
            .driver
            .connect(&bundles, None, peer.now)
            .expect("it is good");
        peer.run();
        pass(&mut peer, &mut own);
        let request = own.driver.requests().expect("readable")[0].id;
        let here = own.driver.accept(request, own.now).expect("it is good");
        for _ in 0..10 {
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
    }
    own.now = START.after(LATER);
    for _ in 0..10 {
        own.run();
        own.now = own.now.after(limits::IDLE * 2);
    }
}

/// A client whose payloads are carried by hand.
struct Node {
    store: Arc<dyn Store>,
    driver: Driver,
    sent: HashMap<(Locator, DeliveryAddress), Vec<bytes::Bytes>>,
    now: Timestamp,
}

impl Node {
    fn new(store: Arc<dyn Store>, seed: u64) -> Self {
        let random: Box<dyn Random> = Box::new(SeededRandom::new(seed));
        let components = Arc::new(components());
        let driver = Driver::restore(components, profile(seed), store.clone(), random, START);
        Self {
            store,
            driver: driver.expect("it opens"),
            sent: HashMap::new(),
            now: START,
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

fn components() -> Components {
    let service = cf::ds::MemoryService::new("scale").expect("a valid name");
    Components {
        services: vec![Arc::new(service)],
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

fn file(path: &Path) -> SqliteStore {
    let unlock = Unlock::Key(cf::core::Secret::from(&[7; 32][..]));
    SqliteStore::open_or_create(path, &unlock, SqliteOptions::default()).expect("it opens")
}

/// The resident memory of this process, in bytes.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1);
    resident.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}
