use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Batch, RecordChange, Result, Scan, Store};
use parking_lot::Mutex;

type Namespaces = BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>;

/// What a client has durably: a store that can be looked through. With another store
/// beneath it, everything is read from that one, and must be the same.
#[derive(Default)]
pub struct Disk {
    all: Mutex<Namespaces>,
    beneath: Mutex<Option<Arc<dyn Store>>>,
}

impl Disk {
    /// Puts a store beneath, or takes it away.
    pub fn put_beneath(&self, store: Option<Arc<dyn Store>>) {
        *self.beneath.lock() = store;
    }

    /// Whether a value somewhere has these bytes in it.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let all = self.all.lock();
        let mut values = all.values().flat_map(BTreeMap::values);
        values.any(|value| value.windows(bytes.len()).any(|window| window == bytes))
    }

    /// The first namespace in which the store beneath has something else.
    ///
    /// # Errors
    /// Those of the store beneath.
    pub fn difference(&self) -> Result<Option<Bytes>> {
        let Some(beneath) = self.beneath.lock().clone() else {
            return Ok(None);
        };
        for (namespace, records) in &*self.all.lock() {
            let records = records.iter().map(|(k, v)| (k.clone(), v.clone()));
            if beneath.scan(namespace, &Scan::prefix(""))? != records.collect::<Vec<_>>() {
                return Ok(Some(namespace.clone()));
            }
        }
        Ok(None)
    }
}

impl Store for Disk {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(beneath) = &*self.beneath.lock() {
            return beneath.get(namespace, key);
        }
        let all = self.all.lock();
        Ok(all
            .get(namespace)
            .and_then(|records| records.get(key).cloned()))
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        if let Some(beneath) = &*self.beneath.lock() {
            return beneath.scan(namespace, scan);
        }
        let all = self.all.lock();
        let Some(records) = all.get(namespace) else {
            return Ok(Vec::new());
        };
        let owned = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let from = match &scan.beyond {
            Some(beyond) if !scan.reverse => scan.prefix.clone().max(beyond.clone()),
            _ => scan.prefix.clone(),
        };
        let within = records.range(from..);
        Ok(match scan.reverse {
            false => within
                .take_while(|(key, _)| key.starts_with(&scan.prefix))
                .filter(|(key, _)| scan.covers(key))
                .take(scan.limit)
                .map(owned)
                .collect(),
            true => within
                .rev()
                .filter(|(key, _)| scan.covers(key))
                .take(scan.limit)
                .map(owned)
                .collect(),
        })
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        batch.check()?;
        if let Some(beneath) = &*self.beneath.lock() {
            beneath.commit(batch)?;
        }
        let mut all = self.all.lock();
        for (namespace, change) in batch.changes() {
            let records = all.entry(namespace.clone()).or_default();
            match change {
                RecordChange::Put { key, value } => records.insert(key.clone(), value.clone()),
                RecordChange::Delete { key } => records.remove(key),
            };
        }
        Ok(())
    }
}
