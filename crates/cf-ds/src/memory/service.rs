use std::fmt;
use std::sync::Arc;

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Linkable, Locator, Outcome, ProtocolId,
    PublishRequest, Result, Resume, Subscription, Timestamp,
};
use parking_lot::Mutex;

use super::options::MemoryOptions;
use super::state::State;
use super::subscription::MemorySubscription;
use super::tap::Tap;
use crate::Error;

/// Delivers payloads between the clients of one process.
///
/// It keeps one log for each address, and every subscription reads the logs at
/// its own pace: a subscriber that is slow or away costs others nothing. Clones
/// are the same service. What it retains ends with the last clone; the bounds
/// are [`MemoryOptions`].
///
/// A payload is shared, not copied: one that is a part of a larger buffer keeps
/// the whole buffer in memory.
///
/// ```
/// use cf_core::{DeliveryAddress, DeliveryService, PublishRequest, Start, Subscription};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// let service = cf_ds::MemoryService::new("town")?;
/// assert_eq!(service.locator().as_str(), "memory:town");
///
/// let raya = DeliveryAddress::new("raya")?;
/// let mut subscription = service.subscribe().await?;
/// subscription.add(raya.clone(), Start::Earliest).await?;
/// service.publish(PublishRequest::new(raya, "hello")).await;
/// assert_eq!(subscription.next().await?.payload, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct MemoryService {
    shared: Arc<Shared>,
}

impl MemoryService {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/memory/1");
    /// The scheme of their locators, without the colon.
    pub const SCHEME: &'static str = "memory";

    /// Makes a service with the locator `memory:NAME`.
    ///
    /// # Errors
    /// `Malformed` for a name that a [`Locator`] can't have.
    pub fn new(name: &str) -> Result<Self> {
        Self::with_options(name, MemoryOptions::default())
    }

    /// Makes a service with bounds of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(name: &str, options: MemoryOptions) -> Result<Self> {
        if name.contains('/') {
            return Err(Error::Name.into());
        }
        let locator =
            Locator::parse(&format!("{}:{name}", Self::SCHEME)).map_err(|_| Error::Name)?;
        let state = Mutex::new(State::new(&options));
        Ok(Self {
            shared: Arc::new(Shared {
                locator,
                options,
                state,
            }),
        })
    }

    /// Shows every payload that the service accepts from now on, as whoever
    /// runs the service would see it.
    ///
    /// The tap holds at most `capacity` payloads that were not
    /// [taken](Tap::take); the oldest go first, and are counted.
    pub fn observe(&self, capacity: usize) -> Tap {
        let tap = Tap::new(capacity);
        self.shared.state.lock().observe(&tap);
        tap
    }
}

impl DeliveryService for MemoryService {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = MemoryService::ID;
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.shared.locator
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            retention: Some(self.shared.options.retention),
            resume: Resume::AnyCursor,
            order: true,
            conditional_publish: true,
            duplicate_suppression: None,
            // There is no network, but one subscription holds all addresses of
            // a client.
            linkable: &[
                Linkable::Address,
                Linkable::Subscriber,
                Linkable::Time,
                Linkable::Size,
            ],
            ..Capabilities::none(self.shared.max_payload_len())
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (len, max) = (request.payload.len(), self.shared.max_payload_len());
            if len > max {
                return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
            }
            let now = self.shared.now();
            let (outcome, waiting) = self.shared.state.lock().publish(request, now);
            for subscriber in waiting {
                subscriber.notify_one();
            }
            outcome
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async { Ok(Box::new(MemorySubscription::new(self.shared.clone())) as _) })
    }
}

impl fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryService({})", self.shared.locator)
    }
}

/// What the clones of a service and its subscriptions share.
pub(super) struct Shared {
    locator: Locator,
    options: MemoryOptions,
    pub(super) state: Mutex<State>,
}

impl Shared {
    /// The time, where there is a clock.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.options.clock.as_ref().map(|clock| clock())
    }

    fn max_payload_len(&self) -> usize {
        let most = self.options.max_bytes;
        let most = most.saturating_sub(MemoryOptions::PAYLOAD_OVERHEAD);
        self.options.max_payload_len.min(most)
    }
}
