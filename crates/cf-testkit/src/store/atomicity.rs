use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use cf_core::{Batch, ErrorKind, Scan, Store};

use super::StoreUnderTest;
use super::law::{DURABLE, REFUSED, WHOLE};
use super::model::{Model, batch};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// How many keys each batch sets.
const KEYS: u8 = 32;

/// While one thread commits batches that set all keys to one value, others never
/// see two values at once, and none that is older than one seen before.
///
/// # Errors
/// The violation, if there is one.
pub fn a_batch_is_there_whole_or_not_at_all(at: StoreUnderTest) -> Verdict {
    const ROUNDS: u32 = 400;
    let law = &WHOLE;
    let store = at.open();
    law.needs("a commit", store.commit(&round(0)))?;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| watch(&*store, &is_done)))
            .collect();
        let written = (1..ROUNDS).try_for_each(|number| store.commit(&round(number)));
        is_done.store(true, Ordering::Release);
        for reader in readers {
            reader
                .join()
                .map_err(|_| law.broken("a reader panicked"))??;
        }
        law.needs("a commit", written)
    })
}

fn round(number: u32) -> Batch {
    let mut batch = Batch::default();
    for key in 0..KEYS {
        let namespace = if key % 2 == 0 { "even" } else { "odd" };
        batch.put(namespace, vec![key], number.to_be_bytes().to_vec());
    }
    batch
}

fn watch(store: &dyn Store, is_done: &AtomicBool) -> Verdict {
    let law = &WHOLE;
    let mut newest = Bytes::new();
    while !is_done.load(Ordering::Acquire) {
        for namespace in [b"even", &b"odd"[..]] {
            let found = law.needs("a scan", store.scan(namespace, &Scan::prefix("")))?;
            let due = usize::from(KEYS / 2);
            ensure!(
                law,
                found.len() == due,
                "{} of {due} keys are there",
                found.len()
            );
            let first = &found[0].1;
            let is_one = found.iter().all(|(_, value)| value == first);
            ensure!(law, is_one, "a scan saw a part of a batch: {found:?}");
            ensure!(law, *first >= newest, "{first:?} was read after {newest:?}");
            newest.clone_from(first);
        }
        let one = law.needs("reading a key", store.get(b"odd", &[KEYS - 1]))?;
        let one = one.unwrap_or_default();
        ensure!(law, one >= newest, "{one:?} was read after {newest:?}");
        newest = one;
    }
    Ok(())
}

/// A batch with one change that can't be is refused, and after a restart none of
/// the others is there.
///
/// # Errors
/// The violation, if there is one.
pub fn a_refused_batch_changes_nothing(at: StoreUnderTest) -> Verdict {
    let law = &REFUSED;
    let store = at.open();
    let mut before = Batch::default();
    before.put("a", "changed", "before");
    before.put("a", "deleted", "before");
    law.needs("a commit", store.commit(&before))?;
    let mut bad = Batch::default();
    bad.put("a", "changed", "after");
    bad.delete("a", "deleted");
    bad.put("a", "added", "after");
    bad.put("#numbers", "not a number", "value");
    bad.put("b", "added", "after");
    let kind = store.commit(&bad).err().map(|error| error.kind());
    ensure!(
        law,
        kind == Some(ErrorKind::Misuse),
        "a key of 12 bytes in `#numbers` gave {kind:?}"
    );
    drop(store);
    let store = at.open();
    for (namespace, key, due) in [
        ("a", "changed", Some("before")),
        ("a", "deleted", Some("before")),
        ("a", "added", None),
        ("b", "added", None),
        ("#numbers", "not a number", None),
    ] {
        let found = store.get(namespace.as_bytes(), key.as_bytes());
        let found = law.needs("reading a key", found)?;
        let is_right = found.as_deref() == due.map(str::as_bytes);
        ensure!(
            law,
            is_right,
            "{key:?} in {namespace:?} is {found:?} after the refusal"
        );
    }
    Ok(())
}

/// Over many restarts everything reads as committed, deletes among it.
///
/// # Errors
/// The violation, if there is one.
pub fn what_was_committed_is_there_when_the_store_is_opened_again(at: StoreUnderTest) -> Verdict {
    let law = &DURABLE;
    let random = &mut SeededRandom::new(3);
    let mut model = Model::default();
    for restart in 0..12 {
        let store = at.open();
        for namespace in [&b""[..], b"n", b"n\0", b"large"] {
            let found = law.needs("a scan", store.scan(namespace, &Scan::prefix("")))?;
            let due = model.scan(namespace, &Scan::prefix(""));
            let (have, want) = (found.len(), due.len());
            ensure!(
                law,
                found == due,
                "restart {restart}: {have} keys, not the {want} committed"
            );
        }
        for _ in 0..random.below(6) {
            let batch = batch(random);
            law.needs("a commit", store.commit(&batch))?;
            model.commit(&batch);
        }
        let mut large = Batch::default();
        large.put("large", vec![restart as u8], vec![restart as u8; 300_000]);
        large.delete("large", vec![(restart as u8).wrapping_sub(2)]);
        law.needs("a commit", store.commit(&large))?;
        model.commit(&large);
    }
    Ok(())
}
