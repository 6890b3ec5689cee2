//! Discovery: how a Sender learns of other clients.

use bytes::Bytes;

use crate::{BoxFuture, Error, ProtocolId, Result, Timestamp};

/// Makes a client's introduction bundles findable, and finds others'.
///
/// # Laws
/// CHAT-FRAMEWORK, "Discovery": it provides all data that the initialization
/// protocol requires, and need not be interactive.
/// - Resolving what [`advertise`](Self::advertise) answered gives the same
///   [`BundleSet`], byte for byte, until it expires.
/// - What it carries is opaque to it, and **no path is trusted**: the
///   initialization protocol verifies.
/// - A query that is not [recognized](Self::recognizes) contacts nobody.
/// - A hostile answer is bounded in bytes and number and gives a typed error.
///
/// ```
/// use cf_core::*;
///
/// /// One client, known beforehand: a static bundle suffices.
/// struct Known(ProtocolId, BundleSet);
/// impl DiscoveryProtocol for Known {
///     fn id(&self) -> &ProtocolId { &self.0 }
///     fn recognizes(&self, query: &str) -> bool { query == "raya" }
///     fn advertise<'a>(&'a self, _: Advertisement) -> BoxFuture<'a, Result<Advertised>> {
///         Box::pin(async { Err(Error::unsupported("the table is fixed")) })
///     }
///     fn resolve<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
///         Box::pin(async { Ok(vec![self.1.clone()]) })
///     }
/// }
/// let set = BundleSet::new(vec![(ProtocolId::parse("/example/init/1")?, "bundle".into())])?;
/// let known = Known(ProtocolId::parse("/example/discovery/1")?, set.clone());
/// assert_eq!(pollster::block_on(known.resolve("raya", Timestamp(0)))?, [set]);
/// # Ok::<(), Error>(())
/// ```
pub trait DiscoveryProtocol: Send + Sync {
    /// The protocol of this discovery.
    fn id(&self) -> &ProtocolId;

    /// Whether a text is a query of this protocol, by its form alone.
    fn recognizes(&self, query: &str) -> bool;

    /// Makes bundles findable and says by which text.
    ///
    /// # Errors
    /// `Unavailable` while a service that it needs can't be reached,
    /// `Unsupported` if it only resolves.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>>;

    /// Goes on with what [`advertise`](Self::advertise) began, in a client that has
    /// started again: for a protocol that is found only while it runs. By default there is
    /// nothing to do.
    ///
    /// `state` is what [`Advertised::state`] said. A client calls it once, at its start,
    /// for each query that has not ended.
    ///
    /// # Errors
    /// `Unavailable` while what it needs can't be reached.
    fn resume(&self, state: crate::Secret) -> BoxFuture<'_, Result<()>> {
        drop(state);
        Box::pin(async { Ok(()) })
    }

    /// Ends a query that can be refreshed, so that who resolves it learns that its
    /// owner has revoked it, for as long as the service shows them that.
    ///
    /// # Errors
    /// `Unsupported` unless the protocol can; `Unavailable` while a service that it
    /// needs can't be reached.
    fn withdraw(&self, withdrawal: Withdrawal) -> BoxFuture<'_, Result<()>> {
        drop(withdrawal);
        Box::pin(async {
            Err(Error::unsupported(
                "this discovery can't take back what it gave",
            ))
        })
    }

    /// Finds the bundles for a query: one set for each client that claims it.
    ///
    /// # Errors
    /// `Malformed` for the query, `Rejected` for an answer that is not what the
    /// query names or has expired, `Unavailable` for now.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>>;

    /// What the discovery needs and gives; nothing is declared by default.
    fn properties(&self) -> DiscoveryProperties {
        DiscoveryProperties::default()
    }
}

/// What a discovery protocol needs and gives, as data. Everything not declared is
/// not promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiscoveryProperties {
    /// Publishes bundles, and needs a delivery service with
    /// [`Capabilities::retention`](crate::Capabilities::retention) for them.
    pub needs_retention: bool,
    /// What it adds to the bundles that it publishes, in bytes, at least.
    pub publish_overhead: usize,
    /// One query can give newer bundles later.
    pub refreshes: bool,
}

/// The introduction bundles of one client, one for each initialization protocol
/// and version that it listens with, so that one query serves old and new clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSet(Vec<(ProtocolId, Bytes)>);

impl BundleSet {
    /// The most bundles in a set.
    pub const MAX_BUNDLES: usize = 16;
    /// The longest bundle, in bytes.
    pub const MAX_BUNDLE_LEN: usize = 64 * 1024;

    /// Takes bundles in the owner's order of preference.
    ///
    /// # Errors
    /// `Malformed` without a bundle, over the limits, or with two for one id.
    pub fn new(bundles: Vec<(ProtocolId, Bytes)>) -> Result<Self> {
        if bundles.is_empty() || bundles.len() > Self::MAX_BUNDLES {
            return Err(Error::malformed("a set takes 1 to 16 bundles"));
        }
        for (index, (id, bundle)) in bundles.iter().enumerate() {
            if bundle.is_empty() || bundle.len() > Self::MAX_BUNDLE_LEN {
                return Err(Error::malformed("a bundle takes 1 to 65536 bytes"));
            }
            if bundles[..index].iter().any(|(other, _)| other == id) {
                return Err(Error::malformed("a set takes one bundle for each protocol"));
            }
        }
        Ok(Self(bundles))
    }

    /// The bundles, in the owner's order of preference.
    pub fn iter(&self) -> impl Iterator<Item = (&ProtocolId, &Bytes)> {
        self.0.iter().map(|(id, bundle)| (id, bundle))
    }

    /// The bundle for an initialization protocol.
    pub fn bundle(&self, id: &ProtocolId) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|(other, _)| other == id)
            .map(|(_, bundle)| bundle)
    }
}

/// What a client wants to be found by.
#[derive(Clone, Debug)]
pub struct Advertisement {
    /// The bundles.
    pub bundles: BundleSet,
    /// When the bundles expire.
    pub expires_at: Timestamp,
    /// The number of this publication under one query; it only grows.
    pub generation: u64,
    /// What [`Advertised::state`] said the time before, to refresh the same
    /// query; `None` for a new one.
    pub state: Option<crate::Secret>,
    /// The time.
    pub now: Timestamp,
    /// Fresh random bytes for this call alone.
    pub seed: [u8; 32],
}

/// How a client is found.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The text that [`DiscoveryProtocol::resolve`] takes.
    pub query: String,
    /// What to give back at the next refresh, stored by the client.
    pub state: Option<crate::Secret>,
    /// When to advertise again; `None` if the query can't be refreshed.
    pub refresh_at: Option<Timestamp>,
}

/// Which query is to end.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// What [`Advertised::state`] said.
    pub state: crate::Secret,
    /// The number of this publication under the query; higher than any before.
    pub generation: u64,
    /// The time.
    pub now: Timestamp,
    /// Fresh random bytes for this call alone.
    pub seed: [u8; 32],
}
