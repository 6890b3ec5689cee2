use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use cf_core::{Output, RecordChange, Records, Result, Scan};

/// Records as the outputs that wait to be drained will make them: within one
/// input, the wrapped conversation may be called several times.
pub(crate) struct Overlay<'a> {
    pub(crate) records: &'a dyn Records,
    pub(crate) outputs: &'a VecDeque<Output>,
}

impl Overlay<'_> {
    fn changes(&self) -> impl DoubleEndedIterator<Item = &RecordChange> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Record(change) => Some(change),
            _ => None,
        })
    }
}

impl Records for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self.changes().rev().find(|change| change.key() == key) {
            Some(RecordChange::Put { value, .. }) => Ok(Some(value.clone())),
            Some(RecordChange::Delete { .. }) => Ok(None),
            None => self.records.get(key),
        }
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        if !self.changes().any(|change| scan.covers(change.key())) {
            return self.records.scan(scan);
        }
        let everything = Scan {
            limit: usize::MAX,
            ..scan.clone()
        };
        let mut found: BTreeMap<_, _> = self.records.scan(&everything)?.into_iter().collect();
        for change in self.changes().filter(|change| scan.covers(change.key())) {
            match change {
                RecordChange::Put { key, value } => found.insert(key.clone(), value.clone()),
                RecordChange::Delete { key } => found.remove(key),
            };
        }
        Ok(match scan.reverse {
            true => found.into_iter().rev().take(scan.limit).collect(),
            false => found.into_iter().take(scan.limit).collect(),
        })
    }
}
