//! `/cf/discovery/short-link/1`; its specification is
//! `docs/spec/discovery-short-link-1.md`.

mod publication;
mod reading;
mod seal;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DeliveryAddress, DeliveryService,
    DiscoveryProperties, DiscoveryProtocol, Error, Identity, Outcome, ProtocolId, PublishRequest,
    Result, Secret, Timestamp,
};
use parking_lot::Mutex;

use self::publication::Publication;
use self::seal::LinkSecret;
use self::text::Text;
use crate::Error as LinkError;

/// Puts a client's bundles onto a delivery service that retains them, sealed, and
/// gives a text of less than 100 characters by which others find them there.
///
/// The text holds the service's locator, a secret that names the place and opens
/// what lies there, and the start of the owner's hash. So neither the service nor
/// whoever finds the place can read or forge it; they can withhold it or crowd it
/// out, and the owner publishes it again before half of the retention is over.
///
/// It contacts only the services that it was given: a link of a stranger names a
/// host that the stranger chose.
pub struct ShortLink {
    identity: Arc<dyn Identity>,
    services: Vec<Arc<dyn DeliveryService>>,
    patience: Duration,
    /// The highest generation seen at each place.
    seen: Mutex<HashMap<DeliveryAddress, u64>>,
}

impl ShortLink {
    /// The protocol of this discovery.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/discovery/short-link/1");
    /// What every short link starts with.
    pub const PREFIX: &'static str = "cfshort_1_";
    /// The longest short link, in characters: with the longest locator.
    pub const MAX_LEN: usize = text::HEAD_LEN + 1 + cf_core::Locator::MAX_LEN;
    /// The most retained payloads that resolving looks at.
    pub const MAX_PAYLOADS: usize = 1024;
    /// The most bytes of retained payloads that resolving looks at.
    pub const MAX_BYTES: usize = 16 << 20;
    /// How many places' generations are remembered.
    pub const MAX_SEEN: usize = 4096;
    /// How long a link is not refreshed at most.
    pub const REFRESH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Makes a discovery over these services; links are made on the first that
    /// retains payloads.
    pub fn new(identity: Arc<dyn Identity>, services: Vec<Arc<dyn DeliveryService>>) -> Self {
        Self {
            identity,
            services,
            patience: Duration::from_secs(5),
            seen: Mutex::default(),
        }
    }

    /// Sets how long resolving waits for a publication that does not come: five
    /// seconds by default.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
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
            return Err(LinkError::AlreadyExpired.into());
        }
        let (secret, service) = match state {
            Some(state) => self.known(&state)?,
            None => (LinkSecret::draw(&seed), self.retaining()?),
        };
        let capabilities = service.capabilities();
        let publication = Publication {
            owner: self.identity.id().clone(),
            generation,
            bundles,
            expires_at,
        };
        let address = secret.address();
        let signed = publication.sign(&*self.identity)?;
        let payload = secret.seal(&seed, &signed, capabilities.max_payload_len)?;
        let request = PublishRequest::new(address, payload);
        published(service.publish(request).await)?;
        let text = Text {
            secret: secret.clone(),
            owner: seal::owner_hash(self.identity.id()),
            locator: service.locator().clone(),
        };
        let half = capabilities.retention.unwrap_or_default() / 2;
        Ok(Advertised {
            query: text.encode(),
            state: Some(self.state(&secret, &**service)),
            refresh_at: Some(now.after(half.min(Self::REFRESH))),
        })
    }

    async fn find(&self, query: &str, now: Timestamp) -> Result<BundleSet> {
        let text = Text::decode(query)?;
        let service = self.service(text.locator.as_str());
        let service = service.ok_or(LinkError::UnknownService {
            locator: text.locator.clone(),
        })?;
        let address = text.secret.address();
        let mut best: Option<Publication> = None;
        let mut expired = false;
        for payload in reading::retained(&**service, &address, self.patience).await? {
            let Some(signed) = text.secret.open(&payload) else {
                continue;
            };
            let Ok(found) = Publication::verify(&signed, &*self.identity) else {
                continue;
            };
            if seal::owner_hash(&found.owner) != text.owner {
                continue;
            }
            if found.expires_at <= now {
                expired = true;
            } else if best
                .as_ref()
                .is_none_or(|best| found.generation > best.generation)
            {
                best = Some(found);
            }
        }
        match best {
            Some(found) if self.is_newest(&address, found.generation) => Ok(found.bundles),
            Some(_) => Err(LinkError::Outdated.into()),
            None if expired => Err(LinkError::Expired.into()),
            None => Err(LinkError::NothingThere.into()),
        }
    }

    /// Whether nothing newer was seen there before.
    fn is_newest(&self, address: &DeliveryAddress, generation: u64) -> bool {
        let mut seen = self.seen.lock();
        if seen.get(address).is_some_and(|last| *last > generation) {
            return false;
        }
        if seen.len() >= Self::MAX_SEEN && !seen.contains_key(address) {
            seen.clear();
        }
        seen.insert(address.clone(), generation);
        true
    }

    fn retaining(&self) -> Result<&Arc<dyn DeliveryService>> {
        let retains =
            |service: &&Arc<dyn DeliveryService>| service.capabilities().retention.is_some();
        let found = self.services.iter().find(retains);
        found.ok_or_else(|| LinkError::NoRetention.into())
    }

    fn service(&self, locator: &str) -> Option<&Arc<dyn DeliveryService>> {
        self.services
            .iter()
            .find(|service| service.locator().as_str() == locator)
    }

    fn state(&self, secret: &LinkSecret, service: &dyn DeliveryService) -> Secret {
        Secret::new([secret.expose(), service.locator().as_str().as_bytes()].concat())
    }

    /// What [`state`](Self::state) wrote.
    fn known(&self, state: &Secret) -> Result<(LinkSecret, &Arc<dyn DeliveryService>)> {
        let foreign = || Error::misuse("give back the state that this discovery gave");
        let (secret, locator) = state.expose().split_first_chunk().ok_or_else(foreign)?;
        let locator = std::str::from_utf8(locator).map_err(|_| foreign())?;
        let service = self.service(locator).ok_or_else(|| {
            Error::unavailable(format!(
                "the link is on {locator}, which is not connected now"
            ))
        })?;
        Ok((LinkSecret::new(*secret), service))
    }
}

/// Only what the service has is found.
fn published(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Accepted { .. } => Ok(()),
        Outcome::Refused(error) | Outcome::Unavailable(error) | Outcome::Unknown(error) => {
            Err(error)
        }
        _ => Err(Error::unavailable(
            "the service has not taken the bundles yet",
        )),
    }
}

impl DiscoveryProtocol for ShortLink {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = ShortLink::ID;
        &ID
    }

    fn recognizes(&self, query: &str) -> bool {
        query.trim().starts_with(Self::PREFIX)
    }

    /// Publishes the bundles. With an earlier [`Advertised::state`] the text stays
    /// the same.
    ///
    /// # Errors
    /// `Unsupported` without a service that retains payloads, `Rejected` if the
    /// bundles are too long for it, `Unavailable` while it can't be reached,
    /// `Misuse` for bundles that have expired.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(self.make(advertisement))
    }

    /// Finds the newest bundles of the link's owner.
    ///
    /// # Errors
    /// `Malformed` for what is not a whole link, `Unsupported` for one of a later
    /// version or on a service that is not configured, `Rejected` if the bundles
    /// have expired or older ones than before are shown, `Unavailable` if nothing
    /// of the owner's is there.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move { Ok(vec![self.find(query, now).await?]) })
    }

    fn properties(&self) -> DiscoveryProperties {
        DiscoveryProperties {
            needs_retention: true,
            publish_overhead: seal::OVERHEAD + publication::MIN_OVERHEAD,
            refreshes: true,
        }
    }
}

impl fmt::Debug for ShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locators = self.services.iter().map(|service| service.locator());
        f.debug_list().entries(locators).finish()
    }
}
