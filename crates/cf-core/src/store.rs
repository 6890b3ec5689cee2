//! Where a client keeps its state.

use std::fmt;

use bytes::Bytes;

use crate::{Error, Result};

/// Opaque keys to opaque bytes, in namespaces. Knows no protocol's fields.
///
/// Calls block, at most for a disk's time; the client makes them where that
/// harms nobody.
///
/// # Laws
/// - A [`commit`](Self::commit) takes effect whole or not at all, also if the
///   process is killed within it; after it answered `Ok` it is durable, to the
///   degree that the store declares.
/// - Reads see all earlier commits and nothing of a later one.
/// - [`scan`](Self::scan) goes in the order of the keys' bytes.
/// - Within a batch, the last change of a key counts.
/// - A namespace whose name starts with `#` is [*numbered*](is_numbered): its keys
///   are numbers in eight bytes, the highest first; any other is `Misuse`.
///
/// A store that encrypts hides every namespace, key and value, except that the
/// keys of a numbered namespace may be read from it. In return it scans those in
/// their order, however many there are; a scan of any other namespace may cost
/// it the whole namespace.
///
/// ```
/// use cf_core::*;
/// fn remember(store: &dyn Store) -> Result<()> {
///     let mut batch = Batch::default();
///     batch.put("contacts", "raya", "likes tea");
///     batch.delete("contacts", "oscar");
///     store.commit(&batch)?;
///     assert_eq!(store.get(b"contacts", b"raya")?.unwrap(), "likes tea");
///     Ok(())
/// }
/// ```
pub trait Store: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// `Other` if the store is damaged, `Unavailable` if it is out of reach.
    fn get(&self, namespace: &[u8], key: &[u8]) -> Result<Option<Bytes>>;

    /// Keys and values of a namespace, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn scan(&self, namespace: &[u8], scan: &Scan) -> Result<Vec<(Bytes, Bytes)>>;

    /// Applies all changes of a batch, or none.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `Misuse` for a key that a numbered namespace
    /// can't have; after an error nothing has changed.
    fn commit(&self, batch: &Batch) -> Result<()>;
}

/// Whether the keys of a namespace are numbers in eight bytes: its name starts
/// with `#`. For what is many and read in order: a log, a queue.
///
/// ```
/// assert!(cf_core::is_numbered(b"#events"));
/// assert!(!cf_core::is_numbered(b"contacts"));
/// ```
pub fn is_numbered(namespace: &[u8]) -> bool {
    namespace.starts_with(b"#")
}

/// Which part of a namespace to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that start with this.
    pub prefix: Bytes,
    /// Only keys beyond this one, in the direction of the scan.
    pub beyond: Option<Bytes>,
    /// From the last key to the first.
    pub reverse: bool,
    /// At most so many.
    pub limit: usize,
}

impl Scan {
    /// All keys with a prefix, in ascending order.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self {
            prefix: prefix.into(),
            limit: usize::MAX,
            ..Self::default()
        }
    }

    /// Whether a key is within the scan's bounds; its limit aside.
    pub fn covers(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix)
            && match &self.beyond {
                Some(beyond) if self.reverse => key < &beyond[..],
                Some(beyond) => key > &beyond[..],
                None => true,
            }
    }
}

/// Changes that take effect together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<(Bytes, RecordChange)>,
}

impl Batch {
    /// Sets a key.
    pub fn put(
        &mut self,
        namespace: impl Into<Bytes>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) {
        let change = RecordChange::Put {
            key: key.into(),
            value: value.into(),
        };
        self.push(namespace, change);
    }

    /// Deletes a key, if it is there.
    pub fn delete(&mut self, namespace: impl Into<Bytes>, key: impl Into<Bytes>) {
        self.push(namespace, RecordChange::Delete { key: key.into() });
    }

    /// Adds a change.
    pub fn push(&mut self, namespace: impl Into<Bytes>, change: RecordChange) {
        self.changes.push((namespace.into(), change));
    }

    /// Checks the keys of numbered namespaces.
    ///
    /// # Errors
    /// `Misuse` for a key in a numbered namespace that has not eight bytes.
    pub fn check(&self) -> Result<()> {
        let is_wrong = |(namespace, change): &(Bytes, RecordChange)| {
            is_numbered(namespace) && change.key().len() != 8
        };
        match self.changes.iter().any(is_wrong) {
            true => Err(Error::misuse(
                "a namespace whose name starts with # has keys of eight bytes; use another name",
            )),
            false => Ok(()),
        }
    }

    /// Adds all changes of a later batch.
    pub fn append(&mut self, mut later: Self) {
        self.changes.append(&mut later.changes);
    }

    /// The changes, in order, each with its namespace.
    pub fn changes(&self) -> &[(Bytes, RecordChange)] {
        &self.changes
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A record put or deleted.
#[derive(Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// Set a key.
    Put {
        /// The key.
        key: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// Delete a key, if it is there.
    Delete {
        /// The key.
        key: Bytes,
    },
}

impl RecordChange {
    /// The key.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The same change under `prefix ‖ key`; what [`Scoped`] undoes.
    #[must_use]
    pub fn scoped(self, prefix: u8) -> Self {
        let scope = |key: Bytes| -> Bytes { [&[prefix], &key[..]].concat().into() };
        match self {
            Self::Put { key, value } => Self::Put {
                key: scope(key),
                value,
            },
            Self::Delete { key } => Self::Delete { key: scope(key) },
        }
    }
}

impl fmt::Debug for RecordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { value, .. } => write!(f, "Put({} bytes)", value.len()),
            Self::Delete { .. } => write!(f, "Delete"),
        }
    }
}

/// The records of one instance, read when needed.
///
/// # Laws
/// - They are what the instance's outputs made them, committed or not.
///
/// ```
/// use cf_core::{EmptyRecords, Records};
/// assert!(EmptyRecords.get(b"head").unwrap().is_none());
/// ```
pub trait Records {
    /// The value of a key.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Keys and values, in order.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn scan(&self, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>>;
}

/// No records: for what has none yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyRecords;

impl Records for EmptyRecords {
    fn get(&self, _: &[u8]) -> Result<Option<Bytes>> {
        Ok(None)
    }

    fn scan(&self, _: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        Ok(Vec::new())
    }
}

/// The records under a one-byte prefix: how a wrapper keeps its own and those
/// of the conversation within apart.
pub struct Scoped<'a> {
    /// All records.
    pub records: &'a dyn Records,
    /// The prefix.
    pub prefix: u8,
}

impl Records for Scoped<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.records.get(&[&[self.prefix], key].concat())
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        let scope = |key: &Bytes| -> Bytes { [&[self.prefix], &key[..]].concat().into() };
        let scan = Scan {
            prefix: scope(&scan.prefix),
            beyond: scan.beyond.as_ref().map(scope),
            ..*scan
        };
        let found = self.records.scan(&scan)?;
        Ok(found
            .into_iter()
            .map(|(key, value)| (key.slice(1..), value))
            .collect())
    }
}
