use cf_core::{Batch, Scan};

use super::StoreUnderTest;
use super::law::{LAST, ORDER, READS, SCAN};
use super::model::{Model, batch, namespace, scan, word};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// After each of many random commits every key reads as the last change made it.
///
/// # Errors
/// The violation, if there is one.
pub fn reads_see_all_earlier_commits(at: StoreUnderTest) -> Verdict {
    let law = &READS;
    let store = at.open();
    let mut model = Model::default();
    let random = &mut SeededRandom::new(1);
    for round in 0..150 {
        let batch = batch(random);
        law.needs("a commit", store.commit(&batch))?;
        model.commit(&batch);
        let changed = batch
            .changes()
            .iter()
            .map(|(n, c)| (n.clone(), c.key().clone()));
        let others = (0..10).map(|_| (namespace(random), word(random)));
        for (namespace, key) in changed.chain(others) {
            let found = law.needs("reading a key", store.get(&namespace, &key))?;
            let due = model.get(&namespace, &key);
            ensure!(
                law,
                found == due,
                "round {round}: key {key:?} is {found:?}, not {due:?}"
            );
        }
    }
    Ok(())
}

/// Keys come in ascending order, and in reverse in descending, however they were
/// put.
///
/// # Errors
/// The violation, if there is one.
pub fn a_scan_goes_in_the_order_of_the_bytes(at: StoreUnderTest) -> Verdict {
    let law = &ORDER;
    let store = at.open();
    let mut keys: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0, 0],
        vec![0, 255],
        vec![1],
        b"B".into(),
        b"a".into(),
        b"aa".into(),
        b"b".into(),
        vec![127],
        vec![128],
        vec![255],
        vec![255, 0],
    ];
    for key in keys
        .iter()
        .rev()
        .step_by(2)
        .chain(keys.iter().rev().skip(1).step_by(2))
    {
        let mut batch = Batch::default();
        batch.put("order", key.clone(), "value");
        law.needs("a commit", store.commit(&batch))?;
    }
    keys.sort();
    for reverse in [false, true] {
        let scan = Scan {
            reverse,
            ..Scan::prefix("")
        };
        let found = law.needs("a scan", store.scan(b"order", &scan))?;
        let found: Vec<_> = found.into_iter().map(|(key, _)| key.to_vec()).collect();
        ensure!(
            law,
            found == keys,
            "reverse {reverse}: {found:?}, not {keys:?}"
        );
        keys.reverse();
    }
    Ok(())
}

/// Scans of every kind read what a model says: prefix, beyond, direction, limit.
///
/// # Errors
/// The violation, if there is one.
pub fn a_scan_reads_the_part_that_it_names(at: StoreUnderTest) -> Verdict {
    let law = &SCAN;
    let store = at.open();
    let mut model = Model::default();
    let random = &mut SeededRandom::new(2);
    for _ in 0..40 {
        let batch = batch(random);
        law.needs("a commit", store.commit(&batch))?;
        model.commit(&batch);
        for _ in 0..25 {
            let (namespace, scan) = (namespace(random), scan(random));
            let found = law.needs("a scan", store.scan(&namespace, &scan))?;
            let due = model.scan(&namespace, &scan);
            ensure!(law, found == due, "{scan:?} gave {found:?}, not {due:?}");
        }
    }
    Ok(())
}

/// A key that one batch puts and deletes several times ends as the last change
/// says.
///
/// # Errors
/// The violation, if there is one.
pub fn the_last_change_of_a_key_counts(at: StoreUnderTest) -> Verdict {
    let law = &LAST;
    let store = at.open();
    let mut batch = Batch::default();
    batch.put("last", "put twice", "first");
    batch.put("last", "put twice", "last");
    batch.put("last", "put and deleted", "first");
    batch.delete("last", "put and deleted");
    batch.delete("last", "deleted and put");
    batch.put("last", "deleted and put", "last");
    batch.delete("last", "never there");
    for _ in 0..2 {
        law.needs("a commit", store.commit(&batch))?;
        for (key, due) in [
            ("put twice", Some("last")),
            ("put and deleted", None),
            ("deleted and put", Some("last")),
            ("never there", None),
        ] {
            let found = law.needs("reading a key", store.get(b"last", key.as_bytes()))?;
            ensure!(
                law,
                found.as_deref() == due.map(str::as_bytes),
                "{key:?} is {found:?}"
            );
        }
    }
    Ok(())
}
