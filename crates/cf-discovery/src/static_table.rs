//! `/cf/discovery/static/1`; its specification is `docs/spec/discovery-static-1.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProtocol, ProtocolId, Result, Secret,
    Timestamp,
};
use parking_lot::RwLock;

use crate::Error;

/// Finds clients in a table of names that was filled beforehand: what suffices
/// where everybody is known, and for tests.
///
/// Nobody is asked and nothing is published; clones share one table, and clients
/// of one process may advertise in it, each under a name of its own.
///
/// ```
/// use cf_core::*;
/// use cf_discovery::StaticTable;
/// let bundles = BundleSet::new(vec![(ProtocolId::parse("/example/init/1")?, "bundle".into())])?;
/// let table = StaticTable::new();
/// table.insert("raya", bundles.clone(), Timestamp(2_000))?;
/// let resolve = |now| pollster::block_on(table.resolve("static:raya", now));
/// assert_eq!(resolve(Timestamp(1_999))?, [bundles]);
/// assert_eq!(resolve(Timestamp(2_000)).unwrap_err().kind(), ErrorKind::Rejected);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticTable {
    entries: Arc<RwLock<BTreeMap<String, Entry>>>,
    own: Option<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    bundles: BundleSet,
    expires_at: Timestamp,
}

impl StaticTable {
    /// The protocol of this discovery.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/discovery/static/1");
    /// What every query starts with.
    pub const PREFIX: &'static str = "static:";
    /// The longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 64;
    /// The most names in a table.
    pub const MAX_NAMES: usize = 65_536;

    /// Makes an empty table. It only resolves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same table, for a client that advertises itself in it under a name.
    ///
    /// # Errors
    /// `Malformed` for what is no name.
    pub fn named(&self, name: &str) -> Result<Self> {
        Ok(Self {
            entries: self.entries.clone(),
            own: Some(checked(name)?.to_owned()),
        })
    }

    /// Puts a client into the table, in place of what its name stood for.
    ///
    /// # Errors
    /// `Malformed` for what is no name, `Rejected` beyond [`Self::MAX_NAMES`].
    pub fn insert(&self, name: &str, bundles: BundleSet, expires_at: Timestamp) -> Result<()> {
        let name = checked(name)?;
        let mut entries = self.entries.write();
        let max = Self::MAX_NAMES;
        if entries.len() >= max && !entries.contains_key(name) {
            return Err(Error::TooManyNames { max }.into());
        }
        let entry = Entry {
            bundles,
            expires_at,
        };
        entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Takes a client out of the table, if it is there.
    pub fn remove(&self, name: &str) {
        self.entries.write().remove(name);
    }

    fn make(&self, advertisement: Advertisement) -> Result<Advertised> {
        let Advertisement {
            bundles,
            expires_at,
            now,
            ..
        } = advertisement;
        let name = self.own.as_deref().ok_or(Error::NoName)?;
        if expires_at <= now {
            return Err(Error::AlreadyExpired.into());
        }
        self.insert(name, bundles, expires_at)?;
        Ok(Advertised {
            query: format!("{}{name}", Self::PREFIX),
            state: Some(Secret::from(name.as_bytes())),
            refresh_at: Some(expires_at),
        })
    }

    fn read(&self, query: &str, now: Timestamp) -> Result<Vec<BundleSet>, Error> {
        let name = query.strip_prefix(Self::PREFIX).ok_or(Error::NotAName)?;
        match self.entries.read().get(checked(name)?) {
            Some(entry) if entry.expires_at <= now => Err(Error::Expired),
            Some(entry) => Ok(vec![entry.bundles.clone()]),
            None => Ok(Vec::new()),
        }
    }
}

impl DiscoveryProtocol for StaticTable {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = StaticTable::ID;
        &ID
    }

    fn recognizes(&self, query: &str) -> bool {
        let name = query.strip_prefix(Self::PREFIX);
        name.is_some_and(|name| checked(name).is_ok())
    }

    /// Puts the bundles into the table under the client's name.
    ///
    /// # Errors
    /// `Unsupported` for a table that only resolves, `Misuse` if the bundles have
    /// expired, `Rejected` beyond [`StaticTable::MAX_NAMES`].
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async { self.make(advertisement) })
    }

    /// Looks a name up; nothing is found for one that nobody has.
    ///
    /// # Errors
    /// `Malformed` for what is no name, `Rejected` if its bundles have expired.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move { Ok(self.read(query, now)?) })
    }
}

/// A name, if it is one: letters, digits and `.`, `_`, `-`.
fn checked(name: &str) -> Result<&str, Error> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = (1..=StaticTable::MAX_NAME_LEN).contains(&name.len());
    match is_name && name.bytes().all(of_name) {
        true => Ok(name),
        false => Err(Error::NotAName),
    }
}
