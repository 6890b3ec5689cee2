//! What a large content takes of memory does not depend on its length: counted in
//! bytes that this program has allocated, so in a process of its own. SQLite has an
//! allocator of its own, and a cache with a bound.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf::core::{
    Content, ContentId, ContentState, ConversationId, Delivery, DeliveryAddress, Identity, Locator,
    Outcome, Result, Store, Timestamp,
};
use cf::store::{KeyFile, SqliteStore, Unlock};
use cf_client::limits::SPOOL_STEP;
use cf_client::{
    Commit, Components, Driver, Effect, EventKind, LinkOptions, Profile, events_after, read_large,
};
use cf_ds::{MemoryOptions, MemoryService};
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const MIB: usize = 1024 * 1024;

/// What two contents may differ by that take the same, in bytes.
const SLACK: usize = MIB / 4;

struct Node {
    driver: Driver,
    store: Arc<SqliteStore>,
    identity: Arc<dyn Identity>,
    published: Vec<(Locator, DeliveryAddress, Bytes)>,
    now: Timestamp,
}

impl Node {
    fn new(folder: &Path, name: &str, seed: u64) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let unlock = Unlock::Key(KeyFile::open(&folder.join("key")).unwrap());
        let store = SqliteStore::create(&folder.join("store.db"), &unlock, Default::default());
        let store = Arc::new(store.unwrap());
        let options = MemoryOptions {
            max_payload_len: 68 * 1024,
            ..MemoryOptions::default()
        };
        // Says what a payload may be; this test carries them itself.
        let service = MemoryService::with_options("memory", options).unwrap();
        let components = Components {
            services: vec![Arc::new(service)],
            framings: vec![Arc::new(cf_framing::Tagged)],
            discoveries: vec![Arc::new(cf_discovery::Link)],
            initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
            conversations: vec![cf_conversation::private_2()],
        };
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap();
        let identity: Arc<dyn Identity> = Arc::new(identity);
        let profile = Profile {
            identity: identity.clone(),
            display_name: name.to_owned(),
        };
        let now = Timestamp(1_800_000_000_000);
        let random = Box::new(SeededRandom::new(seed + 100));
        let driver = Driver::restore(Arc::new(components), profile, store.clone(), random, now);
        let mut node = Self {
            driver: driver.unwrap(),
            store,
            identity,
            published: Vec::new(),
            now,
        };
        node.commit();
        node
    }

    fn input<T>(&mut self, input: impl FnOnce(&mut Driver, Timestamp) -> Result<T>) -> T {
        let result = input(&mut self.driver, self.now);
        self.commit();
        result.unwrap()
    }

    fn commit(&mut self) {
        while let Some(commit) = self.driver.take_commit() {
            let Commit {
                number,
                batch,
                effects,
            } = commit;
            self.store.commit(&batch).unwrap();
            drop(batch);
            self.driver.committed(number);
            for effect in effects {
                if let Effect::Publish {
                    entry,
                    locator,
                    request,
                } = effect
                {
                    self.published
                        .push((locator, request.address, request.payload));
                    let accepted = Outcome::Accepted { cursor: None };
                    self.driver.published(entry, accepted, self.now);
                }
            }
        }
    }
}

/// What each published goes to the other; then a little time passes.
fn exchange(nodes: &mut [Node; 2]) {
    for from in [0, 1] {
        for (locator, address, payload) in std::mem::take(&mut nodes[from].published) {
            let delivery = Delivery {
                address,
                payload,
                cursor: None,
            };
            nodes[1 - from].input(|driver, now| {
                driver.deliver(&locator, delivery, now);
                Ok(())
            });
        }
    }
    for node in nodes {
        node.now = node.now.after(Duration::from_millis(20));
        node.input(|driver, now| {
            driver.handle_time(now);
            Ok(())
        });
    }
}

/// The bytes of a content from an offset on.
fn piece(offset: usize, len: usize) -> Vec<u8> {
    vec![(offset / SPOOL_STEP) as u8; len]
}

/// Sends a content from Saro to Raya, who reads it and lets go of it; gives how many
/// bytes were allocated meanwhile, at most, beyond those before.
fn peak(nodes: &mut [Node; 2], talks: [ConversationId; 2], len: usize) -> usize {
    let id = ContentId::new(format!("{len} bytes")).unwrap();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    nodes[0].input(|driver, now| driver.spooled(talks[0], &id, len as u64, now));
    for at in (0..len).step_by(SPOOL_STEP) {
        let piece = piece(at, SPOOL_STEP).into();
        nodes[0].input(|driver, _| driver.spool(talks[0], &id, at as u64, piece));
    }
    nodes[0].input(|driver, now| driver.send_large(talks[0], id.clone(), now));
    let mut rounds = 0;
    while nodes[0].driver.state(talks[0], &id).unwrap() != Some(ContentState::Delivered) {
        exchange(nodes);
        rounds += 1;
        assert!(rounds < 100_000, "it takes for ever");
    }
    let saro = nodes[0].identity.id().clone();
    let mut at = 0;
    while at < len {
        let (store, step) = (&*nodes[1].store, SPOOL_STEP);
        let from = at - at % step;
        let most = step - (at - from);
        let read = read_large(store, talks[1], Some(&saro), &id, at as u64, most).unwrap();
        assert_eq!(read, piece(from, step)[at - from..][..read.len()]);
        at += read.len();
    }
    nodes[1].input(|driver, now| driver.forget_large(talks[1], Some(&saro), &id, now));
    for _ in 0..2 * len / MIB {
        exchange(nodes);
    }
    HEAP.peak_usage().saturating_sub(before)
}

fn talk(nodes: &mut [Node; 2]) -> [ConversationId; 2] {
    let made = nodes[1]
        .driver
        .make_bundles(&LinkOptions::default(), nodes[1].now);
    let (bundles, _) = made.unwrap();
    nodes[1].commit();
    let at_saro = nodes[0].input(|driver, now| driver.connect(&bundles, None, now));
    exchange(nodes);
    let request = nodes[1].driver.requests().unwrap()[0].id;
    let at_raya = nodes[1].input(|driver, now| driver.accept(request, now));
    for _ in 0..10 {
        exchange(nodes);
    }
    [at_saro, at_raya]
}

/// Twice as long or sixteen times, it takes the same.
#[test]
fn memory_does_not_depend_on_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut nodes = [
        Node::new(folder.path(), "saro", 1),
        Node::new(folder.path(), "raya", 2),
    ];
    let talks = talk(&mut nodes);
    let mib = std::env::var("CF_LARGE_MIB").ok();
    let mib = mib.map_or(8, |mib| mib.parse().unwrap());
    // What grows once, whatever comes.
    peak(&mut nodes, talks, 3 * MIB);
    let short = peak(&mut nodes, talks, 4 * MIB);
    let long = peak(&mut nodes, talks, mib * MIB);
    println!("{short} bytes for 4 MiB, {long} for {mib} MiB");
    assert!(long <= short + SLACK, "{long} bytes, and {short} before");
    let came = events_after(&*nodes[1].store, 0, usize::MAX).unwrap();
    let large = came.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::Message {
                content: Content::Large { .. },
                ..
            }
        )
    });
    assert_eq!(large.count(), 3);
}
