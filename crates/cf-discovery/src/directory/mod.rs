//! `/cf/discovery/directory/1`; its specification is
//! `docs/spec/discovery-directory-1.md`.

mod claim;
mod query;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DeliveryAddress, DeliveryService,
    DiscoveryProperties, DiscoveryProtocol, Error, Identity, Locator, ParticipantId, ProtocolId,
    PublishRequest, Result, Secret, Timestamp, Withdrawal,
};
use parking_lot::Mutex;

use self::claim::Claim;
use self::query::Query;
use crate::Error as DirectoryError;
use crate::link::content::Content;
use crate::reading;
use crate::seal::PlaceSecret;
use crate::services::{self, Services};

/// Finds clients by a name, among the claims to it that lie on a delivery service
/// which retains them.
///
/// **A name is a claim.** Whoever knows the service can claim any name, and
/// resolving gives every claim, one for each client that makes it: who asks shows
/// each one's fingerprint to the user and lets them choose. The claims are signed,
/// expire and are refreshed.
///
/// It contacts only the services that it was given.
pub struct Directory {
    identity: Arc<dyn Identity>,
    services: Services,
    own: Option<String>,
    patience: Duration,
    /// The latest claim seen of each owner at each place.
    seen: Mutex<HashMap<(DeliveryAddress, ParticipantId), Order>>,
}

type Order = (Timestamp, u64);

impl Directory {
    /// The protocol of this discovery.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/discovery/directory/1");
    /// What every query starts with.
    pub const PREFIX: &'static str = "cfdir_1_";
    /// The longest name, in bytes.
    pub const MAX_NAME_LEN: usize = 64;
    /// The longest query, in characters: with the longest locator.
    pub const MAX_LEN: usize = Self::PREFIX.len() + Self::MAX_NAME_LEN + 1 + Locator::MAX_LEN;
    /// The most claims that an answer holds: those that come first. Who gets so many
    /// knows that there may be more.
    pub const MAX_CLAIMS: usize = 256;
    /// The most retained payloads that resolving looks at.
    pub const MAX_PAYLOADS: usize = reading::MAX_PAYLOADS;
    /// The most bytes of retained payloads that resolving looks at.
    pub const MAX_BYTES: usize = reading::MAX_BYTES;
    /// How many owners' latest claims are remembered.
    pub const MAX_SEEN: usize = 4096;
    /// How long a claim is not refreshed at most.
    pub const REFRESH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Makes a discovery over these services; claims are made on the first that
    /// retains payloads, once the client has a [name](Self::named).
    pub fn new(identity: Arc<dyn Identity>, services: Vec<Arc<dyn DeliveryService>>) -> Self {
        Self {
            identity,
            services: Services::new(services),
            own: None,
            patience: Duration::from_secs(5),
            seen: Mutex::default(),
        }
    }

    /// Gives the client the name that it claims when it advertises.
    ///
    /// # Errors
    /// `Malformed` for what is no name.
    pub fn named(mut self, name: &str) -> Result<Self> {
        self.own = Some(query::checked_name(name)?);
        Ok(self)
    }

    /// Sets how long resolving waits for a claim that does not come: five seconds by
    /// default.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The query for a name in the directory of a service.
    ///
    /// # Errors
    /// `Malformed` for what is no name.
    pub fn query(name: &str, locator: &Locator) -> Result<String> {
        let (name, locator) = (query::checked_name(name)?, locator.clone());
        Ok(Query { name, locator }.to_string())
    }

    async fn make(&self, advertisement: Advertisement) -> Result<Advertised> {
        let Advertisement {
            bundles,
            expires_at,
            generation,
            state,
            now,
            seed,
        } = advertisement;
        if expires_at <= now {
            return Err(DirectoryError::AlreadyExpired.into());
        }
        let (query, service) = match state {
            Some(state) => self.known(&state)?,
            None => {
                let name = self.own.clone().ok_or(DirectoryError::NoName)?;
                let service = self.services.retaining()?;
                let locator = service.locator().clone();
                (Query { name, locator }, service)
            }
        };
        let claim = Claim {
            owner: self.identity.id().clone(),
            name: query.name.clone(),
            published_at: now,
            generation,
            content: Some(Content {
                bundles,
                expires_at,
            }),
        };
        self.publish(claim, service, &seed).await?;
        let half = service.capabilities().retention.unwrap_or_default() / 2;
        let query = query.to_string();
        Ok(Advertised {
            state: Some(Secret::from(query.as_bytes())),
            refresh_at: Some(now.after(half.min(Self::REFRESH))),
            query,
        })
    }

    async fn publish(
        &self,
        claim: Claim,
        service: &Arc<dyn DeliveryService>,
        seed: &[u8; 32],
    ) -> Result<()> {
        let place = place(&claim.name);
        let signed = claim.sign(&*self.identity)?;
        let payload = place.seal(seed, &signed, service.capabilities().max_payload_len)?;
        let request = PublishRequest::new(place.address(), payload);
        services::published(service.publish(request).await)
    }

    /// The query and service of what was published before: the state is the query.
    fn known(&self, state: &Secret) -> Result<(Query, &Arc<dyn DeliveryService>)> {
        let query = std::str::from_utf8(state.expose()).ok();
        let query = query.and_then(|query| Query::decode(query).ok());
        let query =
            query.ok_or_else(|| Error::misuse("give back the state that this discovery gave"))?;
        let service = self.services.before(query.locator.as_str())?;
        Ok((query, service))
    }

    async fn find(&self, query: &str, now: Timestamp) -> Result<Vec<BundleSet>> {
        let query = Query::decode(query)?;
        let service = self.services.named(&query.locator)?;
        let place = place(&query.name);
        let address = place.address();
        let mut claims: Vec<Claim> = Vec::new();
        for payload in reading::retained(&**service, &address, self.patience).await? {
            let Some(signed) = place.open(&payload) else {
                continue;
            };
            let Ok(found) = Claim::verify(&signed, &*self.identity) else {
                continue;
            };
            if found.name != query.name {
                continue;
            }
            match claims.iter().position(|claim| claim.owner == found.owner) {
                Some(at) if found.order() >= claims[at].order() => claims[at] = found,
                Some(_) => {}
                None if claims.len() < Self::MAX_CLAIMS => claims.push(found),
                None => {}
            }
        }
        self.choose(&address, claims, query.name, now)
    }

    /// The claims that hold; says why if none does.
    fn choose(
        &self,
        address: &DeliveryAddress,
        claims: Vec<Claim>,
        name: String,
        now: Timestamp,
    ) -> Result<Vec<BundleSet>> {
        let mut why = DirectoryError::NobodyThere { name };
        let mut found = Vec::new();
        for claim in claims {
            let is_newest = self.is_newest(address, &claim);
            match claim.content {
                _ if !is_newest => why = DirectoryError::Outdated,
                None => why = DirectoryError::Revoked,
                Some(content) if content.expires_at <= now => why = DirectoryError::Expired,
                Some(content) => found.push(content.bundles),
            }
        }
        match found.is_empty() {
            true => Err(why.into()),
            false => Ok(found),
        }
    }

    /// Whether nothing later was seen of its owner there before.
    fn is_newest(&self, address: &DeliveryAddress, claim: &Claim) -> bool {
        let key = (address.clone(), claim.owner.clone());
        let mut seen = self.seen.lock();
        if seen.get(&key).is_some_and(|last| *last > claim.order()) {
            return false;
        }
        if seen.len() >= Self::MAX_SEEN && !seen.contains_key(&key) {
            seen.clear();
        }
        seen.insert(key, claim.order());
        true
    }
}

/// Where the claims to a name lie, and what opens them.
fn place(name: &str) -> PlaceSecret {
    PlaceSecret::derive(Directory::ID, name.as_bytes())
}

impl DiscoveryProtocol for Directory {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Directory::ID;
        &ID
    }

    fn recognizes(&self, query: &str) -> bool {
        query.trim().starts_with(Self::PREFIX)
    }

    /// Claims the client's name. With an earlier [`Advertised::state`] the name of
    /// then, on the service of then.
    ///
    /// # Errors
    /// `Unsupported` without a name or a service that retains payloads, `Rejected` if
    /// the bundles are too long for it, `Unavailable` while it can't be reached,
    /// `Misuse` for bundles that have expired.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(self.make(advertisement))
    }

    /// Says that the name is no longer claimed.
    ///
    /// # Errors
    /// `Unavailable` while the service can't be reached.
    fn withdraw(&self, withdrawal: Withdrawal) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let (query, service) = self.known(&withdrawal.state)?;
            let claim = Claim {
                owner: self.identity.id().clone(),
                name: query.name,
                published_at: withdrawal.now,
                generation: withdrawal.generation,
                content: None,
            };
            self.publish(claim, service, &withdrawal.seed).await
        })
    }

    /// Finds the bundles of everybody who claims the name, at most
    /// [`Directory::MAX_CLAIMS`].
    ///
    /// # Errors
    /// `Malformed` for what is not a whole query, `Unsupported` for one of a later
    /// version or on a service that is not configured, `Rejected` if all claims have
    /// expired, were revoked or are older than before, `Unavailable` if there is none.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(self.find(query, now))
    }

    fn properties(&self) -> DiscoveryProperties {
        DiscoveryProperties {
            needs_retention: true,
            publish_overhead: crate::seal::OVERHEAD + claim::MIN_OVERHEAD,
            refreshes: true,
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.services.fmt(f)
    }
}
