use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use cf_core::{Batch, ErrorKind, RecordChange, Scan, Store};
use cf_testkit::SeededRandom;
use proptest::prelude::*;

use super::{create, open};
use crate::laws::{Model, batches, namespace, scan, word};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn behaves_as_the_model_also_after_a_restart(
        batches in batches(),
        scans in prop::collection::vec((namespace(), scan()), 16),
        keys in prop::collection::vec((namespace(), word()), 16),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut store = create(&path);
        let mut model = Model::default();
        for (index, changes) in batches.into_iter().enumerate() {
            let mut batch = Batch::default();
            for (namespace, change) in changes {
                batch.push(namespace.clone(), change.clone());
                model.0.push((namespace, change));
            }
            store.commit(&batch).unwrap();
            if index % 2 == 1 {
                drop(store);
                store = open(&path).unwrap();
            }
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
fn a_numbered_namespace_is_scanned_in_order_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(&folder.path().join("store.db"));
    let random = &mut SeededRandom::new(1);
    let mut model = Model::default();
    let number = |random: &mut SeededRandom| -> Bytes {
        let edges = [0, 1, 255, 256, u64::MAX - 1, u64::MAX];
        let number = match random.below(2) {
            0 => edges[random.below(6) as usize],
            _ => random.below(300),
        };
        Bytes::copy_from_slice(&number.to_be_bytes())
    };
    for round in 0..200 {
        let mut batch = Batch::default();
        for _ in 0..random.below(8) {
            let key = number(random);
            let change = match random.below(3) {
                0 => RecordChange::Delete { key },
                _ => RecordChange::Put {
                    key,
                    value: format!("{round}").into(),
                },
            };
            batch.push("#log", change.clone());
            model.0.push(("#log".into(), change));
        }
        store.commit(&batch).unwrap();
        let scan = Scan {
            prefix: number(random).slice(..random.below(3) as usize * 4),
            beyond: (random.below(2) == 0).then(|| number(random)),
            reverse: random.below(2) == 0,
            limit: if random.below(2) == 0 {
                usize::MAX
            } else {
                random.below(5) as usize
            },
        };
        assert_eq!(
            store.scan(b"#log", &scan).unwrap(),
            model.scan(b"#log", &scan),
            "{scan:?}"
        );
    }
    let mut batch = Batch::default();
    batch.put("other", "good", "value");
    batch.put("#log", "not a number", "value");
    assert_eq!(store.commit(&batch).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(store.get(b"other", b"good").unwrap(), None);
}

#[test]
fn a_reader_sees_whole_batches_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(&folder.path().join("store.db"));
    let done = AtomicBool::new(false);
    let write = |round: u16| {
        let mut batch = Batch::default();
        for key in 0..8_u8 {
            batch.put("even", vec![key], round.to_be_bytes().to_vec());
        }
        store.commit(&batch).unwrap();
    };
    write(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            (1..500).for_each(write);
            done.store(true, Ordering::Release);
        });
        for _ in 0..2 {
            let (store, done) = (store.clone(), &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let seen = store.scan(b"even", &Scan::prefix("")).unwrap();
                    assert_eq!(seen.len(), 8);
                    assert!(seen.iter().all(|(_, round)| *round == seen[0].1));
                }
            });
        }
    });
}
