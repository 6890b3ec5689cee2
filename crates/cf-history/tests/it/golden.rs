//! A history of the first version: every later one must read it, or make it again.

use std::path::Path;
use std::sync::Arc;

use cf_core::{Batch, Scan, Store};
use cf_history::{EntryKind, Page};
use cf_store::MemoryStore;

use crate::world::{World, open, talk};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/history-1.txt");

fn world(store: Arc<dyn Store>) -> World {
    let world = World::new(store);
    let at = talk(1);
    world.log(EntryKind::Began { conversation: at });
    world.said(at, 'a', "m golden tea");
    world.said(at, 'A', "mathank you");
    world.said(at, 'B', "+a:)");
    world.said(at, 'b', "eagolden cake");
    world.said(at, 'C', "m taken back");
    world.said(at, 'D', "dC");
    world.said(at, 'E', "+zlate");
    world.log(EntryKind::Notice { conversation: at });
    world
}

const NAMESPACES: [&str; 6] = [
    "history",
    "history/heads",
    "history/marks",
    "#history/recent",
    "#history/names",
    "#history/words",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// `CF_GOLDEN=make` makes the file if it is missing; one that is there is never made
/// again.
#[test]
fn every_later_version_reads_a_history_of_version_1() {
    let path = Path::new(FILE);
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !path.exists() {
        let made = world(Arc::new(MemoryStore::default()));
        made.settle();
        made.history.mark_read(talk(1), 3).unwrap();
        let mut namespaces: Vec<Vec<u8>> =
            NAMESPACES.iter().map(|n| n.as_bytes().to_vec()).collect();
        for kind in ["#history/talk/", "#history/also/"] {
            namespaces.push([kind.as_bytes(), talk(1).as_bytes()].concat());
        }
        let mut text = String::new();
        for namespace in namespaces {
            for (key, value) in made.store.scan(&namespace, &Scan::prefix("")).unwrap() {
                text += &format!("{} {} {}\n", hex(&namespace), hex(&key), hex(&value));
            }
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut batch = Batch::default();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let mut parts = line.split(' ').map(unhex);
        let mut part = || parts.next().unwrap();
        batch.put(part(), part(), part());
    }
    store.commit(&batch).unwrap();
    let mut kept = world(store);
    // What was taken back is erased.
    kept.log.0.lock().unwrap()[5] = None;
    kept.history = open(&kept.store, &kept.log);
    kept.settle();
    let history = &kept.history;
    let items = history.page(talk(1), Page::Newest, 10).unwrap();
    assert_eq!(
        items.iter().map(|item| item.seq).collect::<Vec<_>>(),
        [2, 3, 7, 9]
    );
    let found = history.search("cake", None, None, 10).unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(history.read_up_to(talk(1)).unwrap(), 3);
    let before = kept.dump(&[talk(1)]);
    history.rebuild().unwrap();
    kept.settle();
    assert_eq!(kept.dump(&[talk(1)]), before);
}
