//! What is decided and not yet durable, over what the store has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Batch, RecordChange, Records, Result, Scan, Store};

/// The store as the driver sees it: commits on their way included.
pub(crate) struct Overlay {
    store: Arc<dyn Store>,
    changes: BTreeMap<(Bytes, Bytes), (u64, Option<Bytes>)>,
    commits: VecDeque<(u64, Vec<(Bytes, Bytes)>)>,
    batch: Batch,
    number: u64,
}

impl Overlay {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            changes: BTreeMap::new(),
            commits: VecDeque::new(),
            batch: Batch::default(),
            number: 1,
        }
    }

    pub(crate) fn put(
        &mut self,
        namespace: impl Into<Bytes>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) {
        self.apply(
            namespace,
            RecordChange::Put {
                key: key.into(),
                value: value.into(),
            },
        );
    }

    pub(crate) fn delete(&mut self, namespace: impl Into<Bytes>, key: impl Into<Bytes>) {
        self.apply(namespace, RecordChange::Delete { key: key.into() });
    }

    pub(crate) fn apply(&mut self, namespace: impl Into<Bytes>, change: RecordChange) {
        let namespace = namespace.into();
        let value = match &change {
            RecordChange::Put { value, .. } => Some(value.clone()),
            RecordChange::Delete { .. } => None,
        };
        let place = (namespace.clone(), change.key().clone());
        self.changes.insert(place, (self.number, value));
        self.batch.push(namespace, change);
    }

    /// What was changed since the last call, with its number.
    pub(crate) fn take(&mut self) -> (u64, Batch) {
        let batch = std::mem::take(&mut self.batch);
        let place = |(ns, change): &(Bytes, RecordChange)| (ns.clone(), change.key().clone());
        self.commits
            .push_back((self.number, batch.changes().iter().map(place).collect()));
        self.number += 1;
        (self.number - 1, batch)
    }

    /// Everything up to this number is in the store.
    pub(crate) fn committed(&mut self, number: u64) {
        while self
            .commits
            .front()
            .is_some_and(|(first, _)| *first <= number)
        {
            let Some((first, places)) = self.commits.pop_front() else {
                return;
            };
            for place in places {
                if self
                    .changes
                    .get(&place)
                    .is_some_and(|(last, _)| *last == first)
                {
                    self.changes.remove(&place);
                }
            }
        }
    }

    pub(crate) fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        if !self.changes.is_empty() {
            let place = (
                Bytes::copy_from_slice(namespace),
                Bytes::copy_from_slice(key),
            );
            if let Some((_, value)) = self.changes.get(&place) {
                return Ok(value.clone());
            }
        }
        self.store.get(namespace, key)
    }

    pub(crate) fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let namespace = Bytes::copy_from_slice(namespace);
        let from = (namespace.clone(), scan.prefix.clone());
        let changed: Vec<_> = self
            .changes
            .range(from..)
            .take_while(|((ns, key), _)| *ns == namespace && key.starts_with(&scan.prefix))
            .filter(|((_, key), _)| scan.covers(key))
            .collect();
        if changed.is_empty() {
            return self.store.scan(&namespace, scan);
        }
        let limit = scan.limit.saturating_add(changed.len());
        let stored = self.store.scan(
            &namespace,
            &Scan {
                limit,
                ..scan.clone()
            },
        )?;
        let mut merged: BTreeMap<Bytes, Bytes> = stored.into_iter().collect();
        for ((_, key), (_, value)) in changed {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        let ordered: Box<dyn Iterator<Item = _>> = match scan.reverse {
            true => Box::new(merged.into_iter().rev()),
            false => Box::new(merged.into_iter()),
        };
        Ok(ordered.take(scan.limit).collect())
    }
}

/// The records of one instance: one namespace.
pub(crate) struct InstanceRecords<'a> {
    pub(crate) overlay: &'a Overlay,
    pub(crate) namespace: &'a [u8],
}

impl Records for InstanceRecords<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.overlay.get(self.namespace, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        self.overlay.scan(self.namespace, scan)
    }
}
