use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use cf_core::{Batch, RecordChange, Scan, Store};
use cf_store::MemoryStore;
use proptest::prelude::*;

/// Every change ever made, in order; answers by reading all of them.
#[derive(Clone, Default)]
pub(crate) struct Model(pub(crate) Vec<(Bytes, RecordChange)>);

impl Model {
    pub(crate) fn get(&self, namespace: &[u8], key: &[u8]) -> Option<Bytes> {
        let last = self
            .0
            .iter()
            .rfind(|(n, change)| n == namespace && change.key() == key)?;
        match &last.1 {
            RecordChange::Put { value, .. } => Some(value.clone()),
            RecordChange::Delete { .. } => None,
        }
    }

    pub(crate) fn scan(&self, namespace: &[u8], scan: &Scan) -> Vec<(Bytes, Bytes)> {
        let mut keys: Vec<Bytes> = self.0.iter().map(|(_, c)| c.key().clone()).collect();
        keys.sort();
        keys.dedup();
        if scan.reverse {
            keys.reverse();
        }
        keys.into_iter()
            .filter(|key| key.starts_with(&scan.prefix))
            .filter(|key| match (&scan.beyond, scan.reverse) {
                (None, _) => true,
                (Some(beyond), false) => key > beyond,
                (Some(beyond), true) => key < beyond,
            })
            .filter_map(|key| Some((key.clone(), self.get(namespace, &key)?)))
            .take(scan.limit)
            .collect()
    }
}

/// Few letters, the highest byte among them, so that keys collide and prefixes
/// without a successor occur.
pub(crate) fn word() -> impl Strategy<Value = Bytes> {
    let letter = prop_oneof![Just(0), Just(1), Just(b'a'), Just(254), Just(255)];
    prop::collection::vec(letter, 0..4).prop_map(Bytes::from)
}

pub(crate) fn namespace() -> impl Strategy<Value = Bytes> {
    prop_oneof![Just(Bytes::new()), Just("n".into()), Just("n\0".into())]
}

fn change() -> impl Strategy<Value = RecordChange> {
    prop_oneof![
        2 => (word(), word()).prop_map(|(key, value)| RecordChange::Put { key, value }),
        1 => word().prop_map(|key| RecordChange::Delete { key }),
    ]
}

pub(crate) fn batches() -> impl Strategy<Value = Vec<Vec<(Bytes, RecordChange)>>> {
    prop::collection::vec(prop::collection::vec((namespace(), change()), 0..12), 0..6)
}

pub(crate) fn scan() -> impl Strategy<Value = Scan> {
    let limit = prop_oneof![0usize..5, Just(usize::MAX)];
    (word(), prop::option::of(word()), any::<bool>(), limit).prop_map(
        |(prefix, beyond, reverse, limit)| Scan {
            prefix,
            beyond,
            reverse,
            limit,
        },
    )
}

proptest! {
    #[test]
    fn behaves_as_the_model(
        batches in batches(),
        scans in prop::collection::vec((namespace(), scan()), 16),
        keys in prop::collection::vec((namespace(), word()), 16),
    ) {
        let store = MemoryStore::new();
        let mut model = Model::default();
        let mut earlier = Vec::new();
        for changes in batches {
            earlier.push((store.snapshot(), model.clone()));
            let mut batch = Batch::default();
            for (namespace, change) in changes {
                batch.push(namespace.clone(), change.clone());
                model.0.push((namespace, change));
            }
            store.commit(&batch).unwrap();
        }
        earlier.push((store.clone(), model));
        for (store, model) in earlier {
            for (namespace, scan) in &scans {
                prop_assert_eq!(store.scan(namespace, scan).unwrap(), model.scan(namespace, scan));
            }
            for (namespace, key) in &keys {
                prop_assert_eq!(store.get(namespace, key).unwrap(), model.get(namespace, key));
            }
        }
    }
}

#[test]
fn a_reader_sees_whole_batches_only() {
    const KEYS: u8 = 16;
    let store = MemoryStore::new();
    let done = AtomicBool::new(false);
    let write = |round: u16| {
        let mut batch = Batch::default();
        for key in 0..KEYS {
            let namespace = if key % 2 == 0 { "even" } else { "odd" };
            batch.put(namespace, vec![key], round.to_be_bytes().to_vec());
        }
        store.commit(&batch).unwrap();
    };
    write(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            (1..2000).for_each(write);
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let seen = store.scan(b"odd", &Scan::prefix("")).unwrap();
            assert_eq!(seen.len(), usize::from(KEYS / 2));
            assert!(seen.iter().all(|(_, round)| *round == seen[0].1));
            let frozen = store.snapshot();
            let odd = frozen.get(b"odd", &[1]).unwrap();
            assert_eq!(odd, frozen.get(b"even", &[0]).unwrap());
        }
    });
}

#[test]
fn clones_share_and_snapshots_do_not() {
    let store = MemoryStore::new();
    let (shared, copy) = (store.clone(), store.snapshot());
    let mut batch = Batch::default();
    batch.put("n", "key", "value");
    store.commit(&batch).unwrap();
    assert!(shared.get(b"n", b"key").unwrap().is_some());
    assert!(copy.get(b"n", b"key").unwrap().is_none());
    copy.commit(&batch).unwrap();
    batch.delete("n", "key");
    store.commit(&batch).unwrap();
    assert!(shared.get(b"n", b"key").unwrap().is_none());
    assert!(copy.get(b"n", b"key").unwrap().is_some());
}

#[test]
fn debug_shows_no_key_and_no_value() {
    let store = MemoryStore::new();
    let mut batch = Batch::default();
    batch.put("n", "key", "value");
    store.commit(&batch).unwrap();
    assert_eq!(format!("{store:?}"), "MemoryStore(1 entries)");
}
