//! The changes of one commit, over what the store has.

use std::collections::BTreeMap;

use bytes::Bytes;
use cf_core::{Batch, Scan, Store};

use crate::HistoryError;

pub(crate) struct Changes<'a> {
    store: &'a dyn Store,
    changed: BTreeMap<(Bytes, Bytes), Option<Bytes>>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            changed: BTreeMap::new(),
        }
    }

    pub(crate) fn put(&mut self, namespace: impl Into<Bytes>, key: impl Into<Bytes>, value: Bytes) {
        self.changed
            .insert((namespace.into(), key.into()), Some(value));
    }

    pub(crate) fn delete(&mut self, namespace: impl Into<Bytes>, key: impl Into<Bytes>) {
        self.changed.insert((namespace.into(), key.into()), None);
    }

    pub(crate) fn get(
        &self,
        namespace: impl Into<Bytes>,
        key: impl Into<Bytes>,
    ) -> Result<Option<Bytes>, HistoryError> {
        let place = (namespace.into(), key.into());
        match self.changed.get(&place) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.store.get(&place.0, &place.1)?),
        }
    }

    /// As [`Store::scan`], with the changes applied.
    pub(crate) fn scan(
        &self,
        namespace: impl Into<Bytes>,
        scan: &Scan,
    ) -> Result<Vec<(Bytes, Bytes)>, HistoryError> {
        let namespace = namespace.into();
        let from = (namespace.clone(), Bytes::new());
        let changed: Vec<_> = self
            .changed
            .range(from..)
            .take_while(|((ns, _), _)| *ns == namespace)
            .filter(|((_, key), _)| scan.covers(key))
            .collect();
        let wider = Scan {
            limit: scan.limit.saturating_add(changed.len()),
            ..scan.clone()
        };
        let stored = self.store.scan(&namespace, &wider)?;
        let mut merged: BTreeMap<_, _> = stored.into_iter().collect();
        for ((_, key), value) in changed {
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

    pub(crate) fn commit(self) -> Result<(), HistoryError> {
        let mut batch = Batch::default();
        for ((namespace, key), value) in self.changed {
            match value {
                Some(value) => batch.put(namespace, key, value),
                None => batch.delete(namespace, key),
            }
        }
        match batch.is_empty() {
            true => Ok(()),
            false => Ok(self.store.commit(&batch)?),
        }
    }
}
