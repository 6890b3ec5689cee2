//! Discovery by a table of names, filled beforehand or through a handle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProtocol, Error, ProtocolId, Result,
    Secret, Timestamp,
};

const ID: ProtocolId = ProtocolId::from_static("/probe/discovery/static/1");
const SCHEME: &str = "static:";

/// A table of names that several clients may hold a handle of.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<BTreeMap<String, (BundleSet, Timestamp)>>>);

impl Table {
    /// Makes a client findable by a name, in place of what was there.
    pub(crate) fn set(&self, name: &str, bundles: BundleSet, expires_at: Timestamp) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(name.to_owned(), (bundles, expires_at));
    }

    fn bundles(&self, name: &str) -> Option<(BundleSet, Timestamp)> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(name).cloned()
    }
}

/// A static bundle suffices: looks names up, and advertises under its own.
pub(crate) struct StaticDiscovery {
    id: ProtocolId,
    table: Table,
    own: Option<String>,
}

impl StaticDiscovery {
    /// Looks up in `table` and advertises as `own`; only looks up without one.
    pub(crate) fn new(table: Table, own: Option<&str>) -> Self {
        Self {
            id: ID,
            table,
            own: own.map(str::to_owned),
        }
    }
}

impl DiscoveryProtocol for StaticDiscovery {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn recognizes(&self, query: &str) -> bool {
        query
            .strip_prefix(SCHEME)
            .is_some_and(|name| !name.is_empty())
    }

    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async move {
            let fixed = || Error::unsupported("the table is fixed for this client");
            let name = self.own.as_ref().ok_or_else(fixed)?;
            self.table
                .set(name, advertisement.bundles, advertisement.expires_at);
            Ok(Advertised {
                query: format!("{SCHEME}{name}"),
                state: Some(Secret::from(name.as_bytes())),
                refresh_at: Some(advertisement.expires_at),
            })
        })
    }

    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move {
            let name = query.strip_prefix(SCHEME).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| Error::malformed("a query is static:<name>"))?;
            match self.table.bundles(name) {
                Some((_, expires_at)) if expires_at < now => {
                    Err(Error::rejected("what this name stands for has expired"))
                }
                found => Ok(found.into_iter().map(|(bundles, _)| bundles).collect()),
            }
        })
    }
}
