//! On a store that fails, and on a real file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cf_core::{Batch, Error, Result, Scan, Store};
use cf_history::Progress;
use cf_store::{KeyFile, MemoryStore, SqliteOptions, SqliteStore, Unlock};

use crate::world::{World, talk};

/// Every third commit fails, as if the process had been killed before it.
struct Failing(MemoryStore, AtomicU64);

impl Store for Failing {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        self.0.get(namespace, key)
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        self.0.scan(namespace, scan)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        match self.1.fetch_add(1, Ordering::Relaxed) % 3 {
            2 => Err(Error::unavailable("killed")),
            _ => self.0.commit(batch),
        }
    }
}

#[test]
fn after_a_crash_it_goes_on_where_it_was() {
    let store = Failing(MemoryStore::default(), AtomicU64::new(0));
    let mut world = World::new(Arc::new(store));
    let at = talk(1);
    let mut failed = 0;
    for round in 0..40 {
        for letter in "abcdefghABCDEFGH".chars() {
            world.said(at, letter, &format!("m round {round} tea"));
            world.said(at, letter, &format!("d{letter}"));
        }
        loop {
            match world.history.catch_up() {
                Ok(Progress::Done(_)) => break,
                Ok(_) => {}
                Err(error) => {
                    assert!(error.is_retryable());
                    failed += 1;
                    world.history = loop {
                        let (store, log) = (world.store.clone(), world.log.clone());
                        let open = move || crate::world::open(&store, &log);
                        if let Ok(history) =
                            std::panic::catch_unwind(std::panic::AssertUnwindSafe(open))
                        {
                            break history;
                        }
                    };
                }
            }
        }
    }
    assert!(failed > 5, "{failed}");
    let before = world.dump(&[at]);
    assert!(!before.is_empty());
    while world.history.rebuild().is_err() {}
    loop {
        let erasures = world.history.erasures(usize::MAX).unwrap();
        let seqs: Vec<_> = erasures.iter().map(|erasure| erasure.seq).collect();
        for seq in &seqs {
            world.log.0.lock().unwrap()[*seq as usize - 1] = None;
        }
        let _ = world.history.erased(&seqs);
        if let Ok(Progress::Done(_)) = world.history.catch_up() {
            break;
        }
    }
    assert_eq!(before, world.dump(&[at]));
}

#[test]
fn the_file_shows_no_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let unlock = Unlock::Key(KeyFile::open(&folder.path().join("key")).unwrap());
    let store = SqliteStore::create(&path, &unlock, SqliteOptions::default()).unwrap();
    let world = World::new(Arc::new(store));
    world.said(talk(1), 'A', "m Elderflower tea");
    world.settle();
    let found = world.history.search("elderflower", None, None, 10).unwrap();
    assert_eq!(found.items.len(), 1);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        assert!(!text.contains("elderflower") && !text.contains("history"));
    }
}
