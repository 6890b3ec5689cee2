use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Batch, RecordChange, Result, Scan, Store};
use parking_lot::RwLock;

/// Keeps a client's state in this process, and forgets it with the process.
///
/// Clones share one state, so that a client can be dropped and opened again on
/// the same store. Nothing bounds its size but memory: what a client keeps is
/// bounded by the client.
///
/// ```
/// use cf_core::{Batch, Store};
/// let store = cf_store::MemoryStore::new();
/// let mut batch = Batch::default();
/// batch.put("contacts", "raya", "likes tea");
/// store.commit(&batch)?;
/// assert_eq!(store.clone().get(b"contacts", b"raya")?.unwrap(), "likes tea");
/// # Ok::<(), cf_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    namespaces: Arc<RwLock<Namespaces>>,
}

type Namespaces = BTreeMap<Bytes, Entries>;
type Entries = BTreeMap<Bytes, Bytes>;

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies the state as the last commit left it into a store of its own:
    /// what a process that is killed now would find when it starts again.
    pub fn snapshot(&self) -> Self {
        Self {
            namespaces: Arc::new(RwLock::new(self.namespaces.read().clone())),
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>> {
        let namespaces = self.namespaces.read();
        Ok(namespaces.get(namespace).and_then(|n| n.get(key)).cloned())
    }

    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let namespaces = self.namespaces.read();
        let Some(entries) = namespaces.get(namespace) else {
            return Ok(Vec::new());
        };
        Ok(if scan.reverse {
            collect(descending(entries, scan), scan)
        } else {
            collect(ascending(entries, scan), scan)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        batch.check()?;
        let mut namespaces = self.namespaces.write();
        for (namespace, change) in batch.changes() {
            match change {
                RecordChange::Put { key, value } => {
                    let entries = namespaces.entry(namespace.clone()).or_default();
                    entries.insert(key.clone(), value.clone());
                }
                RecordChange::Delete { key } => {
                    let Some(entries) = namespaces.get_mut(namespace) else {
                        continue;
                    };
                    entries.remove(key);
                    if entries.is_empty() {
                        namespaces.remove(namespace);
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespaces = self.namespaces.read();
        let entries: usize = namespaces.values().map(BTreeMap::len).sum();
        write!(f, "MemoryStore({entries} entries)")
    }
}

/// The entries from the scan's lower bound up: what it covers stands first.
fn ascending<'a>(
    entries: &'a Entries,
    scan: &'a Scan,
) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
    let lower = match &scan.beyond {
        Some(beyond) if *beyond >= scan.prefix => Bound::Excluded(&beyond[..]),
        _ => Bound::Included(&scan.prefix[..]),
    };
    entries.range::<[u8], _>((lower, Bound::Unbounded))
}

/// The entries from the scan's upper bound down: what it covers stands first.
fn descending<'a>(
    entries: &'a Entries,
    scan: &'a Scan,
) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
    let end = end_of_prefix(&scan.prefix);
    let upper = match (&scan.beyond, &end) {
        (Some(beyond), Some(end)) => Bound::Excluded(end.as_slice().min(&beyond[..])),
        (Some(beyond), None) => Bound::Excluded(&beyond[..]),
        (None, Some(end)) => Bound::Excluded(end.as_slice()),
        (None, None) => Bound::Unbounded,
    };
    entries.range::<[u8], _>((Bound::Unbounded, upper)).rev()
}

fn collect<'a>(
    entries: impl Iterator<Item = (&'a Bytes, &'a Bytes)>,
    scan: &Scan,
) -> Vec<(Bytes, Bytes)> {
    entries
        .take_while(|(key, _)| scan.covers(key))
        .take(scan.limit)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The first key after all that start with `prefix`, if there is one.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}
