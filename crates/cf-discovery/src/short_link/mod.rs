//! `/cf/discovery/short-link/1`; its specification is
//! `docs/spec/discovery-short-link-1.md`.

mod publication;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DeliveryAddress, DeliveryService,
    DiscoveryProperties, DiscoveryProtocol, Error, Identity, ParticipantId, ProtocolId,
    PublishRequest, Result, Secret, Timestamp, Withdrawal,
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use self::publication::Publication;
use self::text::Text;
use crate::Error as LinkError;
use crate::link::content::Content;
use crate::reading;
use crate::seal::PlaceSecret;
use crate::services::{self, Services};

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
    services: Services,
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
    pub const MAX_PAYLOADS: usize = reading::MAX_PAYLOADS;
    /// The most bytes of retained payloads that resolving looks at.
    pub const MAX_BYTES: usize = reading::MAX_BYTES;
    /// How many places' generations are remembered.
    pub const MAX_SEEN: usize = 4096;
    /// How long a link is not refreshed at most.
    pub const REFRESH: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Makes a discovery over these services; links are made on the first that
    /// retains payloads.
    pub fn new(identity: Arc<dyn Identity>, services: Vec<Arc<dyn DeliveryService>>) -> Self {
        Self {
            identity,
            services: Services::new(services),
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
        let is_refresh = state.is_some();
        let (secret, service) = match state {
            Some(state) => self.known(&state)?,
            None => (
                PlaceSecret::derive(Self::ID, &seed),
                self.services.retaining()?,
            ),
        };
        let content = Content {
            bundles,
            expires_at,
        };
        self.publish(&secret, service, generation, Some(content), &seed)
            .await?;
        if is_refresh {
            self.check_found(&secret, &**service, generation, now)
                .await?;
        }
        let text = Text {
            secret: secret.clone(),
            owner: owner_hash(self.identity.id()),
            locator: service.locator().clone(),
        };
        let half = service.capabilities().retention.unwrap_or_default() / 2;
        Ok(Advertised {
            query: text.encode(),
            state: Some(self.state(&secret, &**service)),
            refresh_at: Some(now.after(half.min(Self::REFRESH))),
        })
    }

    async fn publish(
        &self,
        secret: &PlaceSecret,
        service: &Arc<dyn DeliveryService>,
        generation: u64,
        content: Option<Content>,
        seed: &[u8; 32],
    ) -> Result<()> {
        let publication = Publication {
            owner: self.identity.id().clone(),
            generation,
            content,
        };
        let signed = publication.sign(&*self.identity)?;
        let max_payload_len = service.capabilities().max_payload_len;
        let payload = secret.seal(seed, &signed, max_payload_len)?;
        let request = PublishRequest::new(secret.address(), payload);
        services::published(service.publish(request).await)
    }

    /// Reads what was published as who resolves the link does: others who have it may
    /// have filled its place.
    async fn check_found(
        &self,
        secret: &PlaceSecret,
        service: &dyn DeliveryService,
        generation: u64,
        now: Timestamp,
    ) -> Result<()> {
        let address = secret.address();
        let payloads = reading::retained(service, &address, self.patience).await?;
        let owner = owner_hash(self.identity.id());
        let (best, _) = self.best(secret, &owner, &payloads, now);
        let is_there = best.is_some_and(|best| best.generation >= generation);
        match is_there || !reading::is_bounded(&payloads) {
            true => Ok(()),
            false => Err(LinkError::CrowdedOut.into()),
        }
    }

    /// The newest publication of an owner that has not expired, and whether one has.
    fn best(
        &self,
        secret: &PlaceSecret,
        owner: &[u8; 16],
        payloads: &[Bytes],
        now: Timestamp,
    ) -> (Option<Publication>, bool) {
        let mut best: Option<Publication> = None;
        let mut expired = false;
        for payload in payloads {
            let Some(signed) = secret.open(payload) else {
                continue;
            };
            let Ok(found) = Publication::verify(&signed, &*self.identity) else {
                continue;
            };
            if owner_hash(&found.owner) != *owner {
                continue;
            }
            let has_expired = |content: &Content| content.expires_at <= now;
            if found.content.as_ref().is_some_and(has_expired) {
                expired = true;
            } else if best
                .as_ref()
                .is_none_or(|best| found.generation > best.generation)
            {
                best = Some(found);
            }
        }
        (best, expired)
    }

    async fn find(&self, query: &str, now: Timestamp) -> Result<BundleSet> {
        let text = Text::decode(query)?;
        let service = self.services.named(&text.locator)?;
        let address = text.secret.address();
        let payloads = reading::retained(&**service, &address, self.patience).await?;
        let (best, expired) = self.best(&text.secret, &text.owner, &payloads, now);
        match best {
            Some(found) if self.is_newest(&address, found.generation) => match found.content {
                Some(content) => Ok(content.bundles),
                None => Err(LinkError::Revoked.into()),
            },
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

    fn state(&self, secret: &PlaceSecret, service: &dyn DeliveryService) -> Secret {
        Secret::new([secret.expose(), service.locator().as_str().as_bytes()].concat())
    }

    /// What [`state`](Self::state) wrote.
    fn known(&self, state: &Secret) -> Result<(PlaceSecret, &Arc<dyn DeliveryService>)> {
        let foreign = || Error::misuse("give back the state that this discovery gave");
        let (secret, locator) = state.expose().split_first_chunk().ok_or_else(foreign)?;
        let locator = std::str::from_utf8(locator).map_err(|_| foreign())?;
        let service = self.services.before(locator)?;
        Ok((PlaceSecret::new(Self::ID, *secret), service))
    }
}

/// The start of the hash by which a link names its owner.
fn owner_hash(owner: &ParticipantId) -> [u8; 16] {
    let hash = Sha256::digest(owner.as_bytes());
    std::array::from_fn(|index| hash[index])
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
    /// the same, and what was published is read again as others read it.
    ///
    /// # Errors
    /// `Unavailable` while others who have the link crowd it out, `Unsupported` without a service that retains payloads, `Rejected` if the
    /// bundles are too long for it, `Unavailable` while it can't be reached,
    /// `Misuse` for bundles that have expired.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(self.make(advertisement))
    }

    /// Puts a revocation in the place of the bundles.
    ///
    /// # Errors
    /// `Unavailable` while the service can't be reached.
    fn withdraw(&self, withdrawal: Withdrawal) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let Withdrawal {
                state,
                generation,
                seed,
                ..
            } = withdrawal;
            let (secret, service) = self.known(&state)?;
            self.publish(&secret, service, generation, None, &seed)
                .await
        })
    }

    /// Finds the newest bundles of the link's owner.
    ///
    /// # Errors
    /// `Malformed` for what is not a whole link, `Unsupported` for one of a later
    /// version or on a service that is not configured, `Rejected` if the bundles
    /// have expired, the owner has revoked the link or older ones than before are shown, `Unavailable` if nothing
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
            publish_overhead: crate::seal::OVERHEAD + publication::MIN_OVERHEAD,
            refreshes: true,
        }
    }
}

impl fmt::Debug for ShortLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.services.fmt(f)
    }
}
