use std::fmt;
use std::sync::Arc;

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Linkable, Locator, Outcome, ProtocolId,
    PublishRequest, Result, Resume, Subscription,
};

use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::connector::Target;
use crate::publish::publish;
use crate::stream::Directory;
use crate::subscription::NatsSubscription;
use crate::{Error, NatsOptions};

/// Delivers payloads through JetStream, of one NATS server or a cluster.
///
/// What was accepted is in a stream, on as many servers as the stream has
/// replicas. A connection that breaks comes back by itself, and brings what was
/// missed. Clones are the same service, with one connection.
///
/// ```no_run
/// use cf_core::{DeliveryAddress, DeliveryService, PublishRequest, Start, Subscription};
/// # async fn example() -> cf_core::Result<()> {
/// let service = cf_ds_nats::NatsService::connect("nats://chat.example").await?;
///
/// let raya = DeliveryAddress::new("raya")?;
/// let mut subscription = service.subscribe().await?;
/// subscription.add(raya.clone(), Start::Earliest).await?;
/// service.publish(PublishRequest::new(raya, "hello")).await;
/// assert_eq!(subscription.next().await?.payload, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NatsService {
    shared: Arc<Shared>,
}

impl NatsService {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/nats/1");
    /// The schemes of their locators, without the colon.
    pub const SCHEMES: &'static [&'static str] = &["nats", "tls"];

    /// Connects to a server, and makes the streams if they are not there.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub async fn connect(url: &str) -> Result<Self> {
        Self::with_options(url, NatsOptions::default()).await
    }

    /// Connects with bounds of its own, which settings in the URL overrule.
    ///
    /// # Errors
    /// `Malformed` for another URL, `Unsupported` for another scheme or a server
    /// without JetStream, `Unavailable` if it can't be reached now, `Rejected` if it
    /// refuses the credentials, `Misuse` if streams of others are in the way,
    /// `Other` if a file that the URL names can't be used.
    pub async fn with_options(url: &str, options: NatsOptions) -> Result<Self> {
        let target = Target::parse(url, options)?;
        let (connect, servers) = target.connection().await?;
        let patience = target.options.timeout;
        let connection = Connection::open(connect, servers, patience).await?;
        let info = connection.client().server_info();
        if !connection.client().is_server_compatible(2, 9, 0) || !info.jetstream {
            return Err(Error::NoJetStream.into());
        }
        let directory = Directory::new(connection, target.place, target.options.clone());
        let directory = Arc::new(directory);
        let streams = directory.refresh().await?;
        let max = [Some(info.max_payload), streams.max_msg_size()];
        let max = max.into_iter().flatten().min().unwrap_or_default();
        let max = max.saturating_sub(NatsOptions::HEADERS_LEN);
        let capabilities = Capabilities {
            retention: streams.retention(),
            resume: Resume::AnyCursor,
            order: true,
            conditional_publish: true,
            duplicate_suppression: streams.duplicate_window(),
            linkable: Linkable::ALL,
            ..Capabilities::none(max.min(target.options.max_payload_len))
        };
        let mut keeping = JoinSet::new();
        keeping.spawn(directory.clone().keep());
        Ok(Self {
            shared: Arc::new(Shared {
                _keeping: keeping,
                locator: target.locator,
                options: target.options,
                directory,
                capabilities,
            }),
        })
    }

    /// The server's name for what it is, for instance "nats-server 2.9.10".
    pub fn server_version(&self) -> String {
        let info = self.shared.directory.connection.client().server_info();
        format!("nats-server {}", info.version)
    }
}

impl DeliveryService for NatsService {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = NatsService::ID;
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.shared.locator
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let max = self.shared.capabilities.max_payload_len;
            let len = request.payload.len();
            if len > max {
                return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
            }
            publish(&self.shared.directory, request).await
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async { Ok(Box::new(NatsSubscription::new(self.shared.clone())) as _) })
    }
}

impl fmt::Debug for NatsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsService({})", self.shared.locator)
    }
}

/// What the clones of a service and its subscriptions share.
pub(crate) struct Shared {
    locator: Locator,
    pub(crate) options: NatsOptions,
    pub(crate) directory: Arc<Directory>,
    capabilities: Capabilities,
    /// The task that makes lost streams again.
    _keeping: JoinSet<()>,
}
