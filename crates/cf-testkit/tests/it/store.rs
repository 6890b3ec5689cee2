use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::*;
use cf_testkit::store::*;
use parking_lot::Mutex;

use crate::assert_broken;

cf_testkit::store_tests!(a_value, || Toy::new(None));
cf_testkit::store_tests!(boxed, || Box::new(Toy::new(None)) as Box<dyn Store>);
cf_testkit::store_tests!(shared, || Arc::new(Toy::new(None)) as Arc<dyn Store>);
cf_testkit::store_tests!(opened_again, || {
    let toy = Toy::new(None);
    move || toy.open()
});

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[test]
        fn $name() {
            let toy = Toy::new(Some(Fault::$fault));
            assert_broken($check(cf_testkit::suite::given(move || toy.open())), law::$law);
        }
    )+};
}

caught! {
    applying_one_change_after_the_other: AppliesOneAfterTheOther by WHOLE
        in a_batch_is_there_whole_or_not_at_all;
    applying_a_part_of_a_refused_batch: AppliesAPart by REFUSED
        in a_refused_batch_changes_nothing;
    forgetting_deletes_when_opened: ForgetsDeletes by DURABLE
        in what_was_committed_is_there_when_the_store_is_opened_again;
    losing_the_last_commit_when_opened: LosesTheLastCommit by DURABLE
        in what_was_committed_is_there_when_the_store_is_opened_again;
    reading_what_was: ReadsWhatWas by READS in reads_see_all_earlier_commits;
    scanning_out_of_order: ScansOutOfOrder by ORDER in a_scan_goes_in_the_order_of_the_bytes;
    scanning_one_too_many: ScansFromBeyond by SCAN in a_scan_reads_the_part_that_it_names;
    scanning_without_limit: ScansWithoutLimit by SCAN in a_scan_reads_the_part_that_it_names;
    counting_the_first_change: CountsTheFirstChange by LAST in the_last_change_of_a_key_counts;
    mixing_namespaces: MixesNamespaces by NAMESPACES
        in namespaces_are_apart_and_their_keys_opaque;
    taking_any_key: TakesAnyKey by NUMBERED in a_numbered_namespace_takes_numbers_only;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AppliesOneAfterTheOther,
    AppliesAPart,
    ForgetsDeletes,
    LosesTheLastCommit,
    ReadsWhatWas,
    ScansOutOfOrder,
    ScansFromBeyond,
    ScansWithoutLimit,
    CountsTheFirstChange,
    MixesNamespaces,
    TakesAnyKey,
}

type Entries = BTreeMap<(Bytes, Bytes), Bytes>;

/// Entries in memory; what is behind `disk` outlives the store.
#[derive(Default)]
struct Toy {
    fault: Option<Fault>,
    entries: Mutex<Entries>,
    before: Mutex<Entries>,
    disk: Arc<Mutex<Entries>>,
}

impl Toy {
    fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }

    /// The store as the next process finds it.
    fn open(&self) -> Self {
        let disk = self.disk.clone();
        let entries = Mutex::new(disk.lock().clone());
        Self {
            fault: self.fault,
            entries,
            disk,
            ..Self::default()
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn place(&self, namespace: &[u8], key: &[u8]) -> (Bytes, Bytes) {
        let (namespace, key) = (
            Bytes::copy_from_slice(namespace),
            Bytes::copy_from_slice(key),
        );
        match self.is(Fault::MixesNamespaces) {
            true => (Bytes::new(), [namespace, key].concat().into()),
            false => (namespace, key),
        }
    }

    fn apply(&self, entries: &mut Entries, namespace: &[u8], change: &RecordChange) {
        let place = self.place(namespace, change.key());
        match change {
            RecordChange::Put { value, .. } => drop(entries.insert(place, value.clone())),
            RecordChange::Delete { .. } => drop(entries.remove(&place)),
        }
    }
}

impl Store for Toy {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        let entries = match self.is(Fault::ReadsWhatWas) {
            true => self.before.lock(),
            false => self.entries.lock(),
        };
        Ok(entries.get(&self.place(namespace, key)).cloned())
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let (namespace, _) = self.place(namespace, b"");
        let entries = self.entries.lock();
        let all = entries.iter().filter(|((of, _), _)| *of == namespace);
        let mut scan = scan.clone();
        if self.is(Fault::ScansWithoutLimit) {
            scan.limit = usize::MAX;
        }
        let is_edge =
            |key: &Bytes| self.is(Fault::ScansFromBeyond) && scan.beyond.as_ref() == Some(key);
        let mut found: Vec<_> = all
            .filter(|((_, key), _)| {
                scan.covers(key) || (is_edge(key) && key.starts_with(&scan.prefix))
            })
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if self.is(Fault::ScansOutOfOrder) {
            found.sort_by_key(|(key, _)| key.len());
        }
        if scan.reverse {
            found.reverse();
        }
        found.truncate(scan.limit);
        Ok(found)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let checked = batch.check();
        let changes: Vec<_> = match self.is(Fault::CountsTheFirstChange) {
            true => batch.changes().iter().rev().collect(),
            false => batch.changes().iter().collect(),
        };
        if self.is(Fault::AppliesOneAfterTheOther) {
            for (namespace, change) in &changes {
                self.apply(&mut self.entries.lock(), namespace, change);
                std::thread::yield_now();
            }
            return checked;
        }
        let mut entries = self.entries.lock();
        *self.before.lock() = entries.clone();
        for (namespace, change) in changes {
            let is_bad = is_numbered(namespace) && change.key().len() != 8;
            if checked.is_err() && !self.is(Fault::TakesAnyKey) {
                match self.is(Fault::AppliesAPart) && !is_bad {
                    true => {}
                    false => break,
                }
            }
            self.apply(&mut entries, namespace, change);
            let forgets =
                self.is(Fault::ForgetsDeletes) && matches!(change, RecordChange::Delete { .. });
            if !forgets && !self.is(Fault::LosesTheLastCommit) {
                self.apply(&mut self.disk.lock(), namespace, change);
            }
        }
        if self.is(Fault::LosesTheLastCommit) {
            *self.disk.lock() = self.before.lock().clone();
        }
        if self.is(Fault::TakesAnyKey) {
            Ok(())
        } else {
            checked
        }
    }
}
