use std::collections::BTreeMap;

use bytes::Bytes;
use cf_core::{RecordChange, Records, Result, Scan};

/// The records of one instance, in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordMap(pub BTreeMap<Bytes, Bytes>);

impl RecordMap {
    /// Applies a change that an instance put out.
    pub fn apply(&mut self, change: RecordChange) {
        match change {
            RecordChange::Put { key, value } => self.0.insert(key, value),
            RecordChange::Delete { key } => self.0.remove(&key),
        };
    }
}

impl Records for RecordMap {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let covered = |(key, _): &(&Bytes, &Bytes)| scan.covers(key);
        let pair = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        Ok(if scan.reverse {
            self.0
                .iter()
                .rev()
                .filter(covered)
                .take(scan.limit)
                .map(pair)
                .collect()
        } else {
            self.0
                .iter()
                .filter(covered)
                .take(scan.limit)
                .map(pair)
                .collect()
        })
    }
}
