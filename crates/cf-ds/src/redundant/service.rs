use std::fmt;
use std::sync::Arc;

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Linkable, Locator, Outcome, ProtocolId,
    PublishRequest, Result, Resume, Spread, Subscription,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::health::ServiceHealth;
use super::link::Link;
use super::member::{Member, Turn};
use super::options::RedundantOptions;
use super::subscription::RedundantSubscription;
use super::verdict::Verdict;
use super::window::Window;
use crate::Error;
use crate::digest::{Digest, digest, name};

/// The most services in one: a cursor of 256 bytes holds one of 30 bytes for each.
pub(super) const MAX_SERVICES: usize = 8;

/// Publishes to several delivery services and reads all of them, as one.
///
/// A payload is accepted when one of them has accepted it. A subscriber gets it
/// once, whichever brings it first. One service that dies, hangs or is slow costs
/// nothing but its own copies: it has a time limit, and when it fails it is left
/// alone and probed now and then. [`health`](Self::health) shows each of them.
///
/// Its locator, `redundant:` and a hash of the sorted locators, is the same for
/// every client that has the same services.
///
/// It declares neither order nor conditional publish, and of the rest what all
/// services declare.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::{DeliveryAddress, DeliveryService, PublishRequest, Start};
/// use cf_ds::{MemoryService, Redundant};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// let [town, village] = [MemoryService::new("town")?, MemoryService::new("village")?];
/// let service = Redundant::new(vec![Arc::new(town), Arc::new(village)])?;
///
/// let raya = DeliveryAddress::new("raya")?;
/// let mut subscription = service.subscribe().await?;
/// subscription.add(raya.clone(), Start::Earliest).await?;
/// service.publish(PublishRequest::new(raya.clone(), "one")).await;
/// service.publish(PublishRequest::new(raya, "two")).await;
/// assert_eq!(subscription.next().await?.payload, "one");
/// assert_eq!(subscription.next().await?.payload, "two");
/// assert!(service.health().iter().all(|one| one.is_healthy));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Redundant {
    shared: Arc<Shared>,
}

struct Shared {
    locator: Locator,
    options: RedundantOptions,
    /// Names the set of services.
    set: Digest,
    /// By the order of their locators.
    members: Vec<Member>,
    /// The same as they were given: the first is preferred.
    preference: Vec<usize>,
}

impl Redundant {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/redundant/1");
    /// The scheme of their locators, without the colon.
    pub const SCHEME: &'static str = "redundant";
    /// The most services: a cursor of [`cf_core::Cursor::MAX_LEN`] bytes has room
    /// for an inner one of 30 bytes for each of them.
    pub const MAX_SERVICES: usize = MAX_SERVICES;

    /// Publishes to all of the services.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(services: Vec<Arc<dyn DeliveryService>>) -> Result<Self> {
        Self::with_options(services, RedundantOptions::default())
    }

    /// Makes a service of several, the preferred first.
    ///
    /// # Errors
    /// `Misuse` for none, for more than [`Self::MAX_SERVICES`], and for two with
    /// the same locator.
    pub fn with_options(
        services: Vec<Arc<dyn DeliveryService>>,
        options: RedundantOptions,
    ) -> Result<Self> {
        let (count, max) = (services.len(), MAX_SERVICES);
        if count == 0 || count > max {
            return Err(Error::ServiceCount { count, max }.into());
        }
        let given: Vec<_> = services.iter().map(|one| one.locator().clone()).collect();
        let mut sorted = given.clone();
        sorted.sort();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::SameService.into());
        }
        let preference = given
            .iter()
            .filter_map(|one| sorted.binary_search(one).ok());
        let preference = preference.collect();
        let mut services = services;
        services.sort_by(|one, other| one.locator().cmp(other.locator()));
        let names: Vec<_> = sorted.iter().map(|locator| locator.as_str()).collect();
        let set = digest("/cf/ds/redundant/1 locator", &[names.join("\0").as_bytes()]);
        let members = services.into_iter();
        let members = members.map(|service| Member::new(service, &options));
        Ok(Self {
            shared: Arc::new(Shared {
                locator: Locator::parse(&format!("{}:{}", Self::SCHEME, name(&set)))?,
                members: members.collect(),
                options,
                set,
                preference,
            }),
        })
    }

    /// How each of the services does, in the order in which they were given.
    pub fn health(&self) -> Vec<ServiceHealth> {
        let preferred = self.shared.preferred();
        preferred.map(Member::health).collect()
    }
}

impl Shared {
    fn preferred(&self) -> impl Iterator<Item = &Member> {
        self.preference.iter().map(|index| &self.members[*index])
    }

    async fn publish(&self, request: PublishRequest) -> Outcome {
        if request.condition.is_some() {
            return Outcome::Refused(Error::Conditional.into());
        }
        let (len, max) = (request.payload.len(), self.max_payload_len());
        if len > max {
            return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
        }
        match self.options.spread {
            Spread::All => self.publish_to_all(request).await,
            Spread::First => self.publish_to_first(request).await,
        }
    }

    async fn publish_to_all(&self, request: PublishRequest) -> Outcome {
        let now = Instant::now();
        let turns: Vec<_> = self
            .members
            .iter()
            .map(|one| (one, one.turn(now)))
            .collect();
        // If all of them are sick, there is nothing to lose by asking.
        let none_healthy = turns.iter().all(|(_, turn)| *turn != Turn::Healthy);
        let mut waiting: Vec<_> = turns
            .iter()
            .filter(|(_, turn)| none_healthy || *turn != Turn::Rest)
            .map(|(member, _)| *member)
            .collect();
        let asked_all = waiting.len() == self.members.len();
        let timeout = self.options.timeout;
        let mut publishing: FuturesUnordered<_> = waiting
            .iter()
            .map(|member| {
                let (member, request) = (*member, request.clone());
                async move { (member, member.publish(request, timeout).await) }
            })
            .collect();
        let mut verdict = Verdict::default();
        let mut until = None;
        loop {
            let next = match until {
                None => publishing.next().await,
                Some(until) => match timeout_at(until, publishing.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            let Some((member, outcome)) = next else {
                break;
            };
            waiting.retain(|one| !std::ptr::eq(*one, member));
            verdict.add(outcome);
            if verdict.is_accepted() && until.is_none() {
                until = Some(Instant::now() + self.options.grace);
            }
        }
        drop(publishing);
        for member in waiting {
            member.note_silence(self.options.grace);
        }
        verdict.outcome(asked_all)
    }

    async fn publish_to_first(&self, request: PublishRequest) -> Outcome {
        let now = Instant::now();
        let RedundantOptions { timeout, grace, .. } = self.options;
        let turns: Vec<_> = self.preferred().map(|one| (one, one.turn(now))).collect();
        let ready = turns.iter().filter(|(_, turn)| *turn != Turn::Rest);
        let resting = turns.iter().filter(|(_, turn)| *turn == Turn::Rest);
        let mut verdict = Verdict::default();
        for (member, turn) in ready.chain(resting) {
            let limit = match turn {
                Turn::Probe if turns.len() > 1 => grace,
                _ => timeout,
            };
            verdict.add(member.publish(request.clone(), limit).await);
            if verdict.is_accepted() {
                break;
            }
        }
        verdict.outcome(true)
    }

    fn max_payload_len(&self) -> usize {
        let members = self.members.iter();
        let max = members.map(|one| one.service.capabilities().max_payload_len);
        max.min().unwrap_or(0)
    }
}

impl DeliveryService for Redundant {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Redundant::ID;
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.shared.locator
    }

    fn capabilities(&self) -> Capabilities {
        let members = self.shared.members.iter();
        let inner: Vec<_> = members.map(|one| one.service.capabilities()).collect();
        let all = |resume| inner.iter().all(|one| one.resume == resume);
        // It may be on one service alone, and that one may be any.
        let retention: Option<Vec<_>> = inner.iter().map(|one| one.retention).collect();
        Capabilities {
            retention: retention.and_then(|all| all.into_iter().min()),
            resume: match inner.iter().any(|one| one.resume == Resume::No) {
                true => Resume::No,
                false if all(Resume::AnyCursor) => Resume::AnyCursor,
                false => Resume::WhereStopped,
            },
            linkable: match inner.split_first() {
                Some((first, rest)) if rest.iter().all(|one| one.linkable == first.linkable) => {
                    first.linkable
                }
                _ => Linkable::ALL,
            },
            ..Capabilities::none(self.shared.max_payload_len())
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(self.shared.publish(request))
    }

    /// Answers at once: the services are subscribed to when there is an address.
    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            let options = &self.shared.options;
            let members = self.shared.members.iter();
            let links = members.map(|one| Link::new(one.service.clone(), options.timeout));
            let window = Window::new(options.window_per_address, options.window);
            let (set, links) = (self.shared.set, links.collect());
            Ok(Box::new(RedundantSubscription::new(
                set,
                links,
                window,
                options.grace,
            )) as _)
        })
    }
}

impl fmt::Debug for Redundant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locators = self.shared.preferred().map(|one| one.service.locator());
        f.write_str("Redundant")?;
        f.debug_list().entries(locators).finish()
    }
}
