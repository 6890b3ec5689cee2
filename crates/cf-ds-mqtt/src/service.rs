use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    BoxFuture, Capabilities, DeliveryAddress, DeliveryService, Linkable, Locator, Outcome,
    ProtocolId, PublishRequest, Result, Resume, Subscription,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use parking_lot::Mutex;
use rumqttc::{PubAckReason, PublishNoticeError, PublishOptions, PublishResult, QoS};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connector::{Access, Target};
use crate::link::{Link, News};
use crate::subscription::MqttSubscription;
use crate::{Error, MqttOptions};

/// Delivers payloads through an MQTT 5 broker.
///
/// Each subscription is a connection with a session of its own. With a name for the
/// client the sessions outlive the service, and a subscription resumes where one
/// stopped. Clones are the same service.
#[derive(Clone)]
pub struct MqttService {
    shared: Arc<Shared>,
}

impl MqttService {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/mqtt/1");
    /// The schemes of their locators, without the colon.
    pub const SCHEMES: &'static [&'static str] = &["mqtt", "mqtts"];

    /// Connects to a broker.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub async fn connect(url: &str) -> Result<Self> {
        Self::with_options(url, MqttOptions::default()).await
    }

    /// Connects with bounds of its own, which settings in the URL overrule.
    ///
    /// # Errors
    /// `Malformed` for another URL, `Unsupported` for another scheme, `Unavailable` if
    /// the broker can't be reached now, `Rejected` if it refuses the client, `Other` if a
    /// file that the URL names can't be used.
    pub async fn with_options(url: &str, options: MqttOptions) -> Result<Self> {
        let target = Target::parse(url, options)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Error::NoRandom)?;
        let random = HEXLOWER.encode(&random);
        let access = target.access().await?;
        let link = Link::open(&target, &access, format!("cf-{random}"), false, |_| {}).await?;
        let most = link
            .max_packet_size()
            .and_then(|max| usize::try_from(max).ok());
        let most = most.map(|max| max.saturating_sub(MqttOptions::PACKET_OVERHEAD));
        let max = most
            .unwrap_or(usize::MAX)
            .min(target.options.max_payload_len);
        let client = target.options.client.as_ref();
        let (prefix, is_named) = match client {
            Some(client) => (format!("cf-{client}"), true),
            None => (format!("cf-{random}"), false),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                link,
                max_payload_len: max,
                prefix,
                is_named,
                slots: Arc::default(),
                access,
                target,
            }),
        })
    }

    /// What the broker says it is, for instance "mosquitto version 2.0.11"; `None` if it
    /// does not say.
    pub async fn server_version(&self) -> Option<String> {
        let shared = &self.shared;
        let (sender, mut told) = watch::channel(None);
        let tell = move |news| {
            if let News::Came(publish) = news {
                let text = String::from_utf8_lossy(&publish.payload);
                let text = text.chars().take(MAX_VERSION_LEN).collect::<String>();
                sender.send_replace(Some(text));
            }
        };
        let name = format!("{}-version", shared.prefix);
        let link = Link::open(&shared.target, &shared.access, name, false, tell)
            .await
            .ok()?;
        let subscribing = link.client.subscribe(VERSION, QoS::AtMostOnce).await;
        subscribing.ok()?;
        let told = told.wait_for(Option::is_some);
        let told = timeout(VERSION_PATIENCE, told).await.ok()?.ok()?;
        told.clone()
    }
}

/// The topic where a broker says what it is.
const VERSION: &str = "$SYS/broker/version";
const VERSION_PATIENCE: Duration = Duration::from_secs(1);
/// How many characters of it are shown.
const MAX_VERSION_LEN: usize = 64;

impl DeliveryService for MqttService {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = MqttService::ID;
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.shared.target.locator
    }

    fn capabilities(&self) -> Capabilities {
        let shared = &self.shared;
        let (retention, resume) = match shared.is_named {
            true => (
                Some(shared.target.options.session_expiry),
                Resume::WhereStopped,
            ),
            false => (None, Resume::No),
        };
        Capabilities {
            retention,
            resume,
            linkable: Linkable::ALL,
            ..Capabilities::none(shared.max_payload_len)
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(self.shared.publish(request))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            let subscription = MqttSubscription::open(self.shared.clone()).await?;
            Ok(Box::new(subscription) as _)
        })
    }
}

impl fmt::Debug for MqttService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MqttService({})", self.shared.target.locator)
    }
}

/// What the clones of a service and its subscriptions share.
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) access: Access,
    link: Link,
    max_payload_len: usize,
    /// What the sessions' names begin with.
    prefix: String,
    is_named: bool,
    slots: Arc<Mutex<BTreeSet<u32>>>,
}

/// A session's name, which one subscription has at a time.
pub(crate) struct Slot {
    pub(crate) client_id: String,
    number: u32,
    slots: Arc<Mutex<BTreeSet<u32>>>,
}

impl Shared {
    /// The first name that no subscription has, so that the next one resumes what the
    /// last one left.
    pub(crate) fn slot(&self) -> Result<Slot, Error> {
        let mut taken = self.slots.lock();
        let number = (0..)
            .find(|number| !taken.contains(number))
            .ok_or(Error::NoTask)?;
        taken.insert(number);
        Ok(Slot {
            client_id: format!("{}-{number}", self.prefix),
            number,
            slots: self.slots.clone(),
        })
    }

    pub(crate) fn topic(&self, address: &DeliveryAddress) -> String {
        let mut hash = Sha256::new();
        hash.update("/cf/ds/mqtt/1 address");
        hash.update([0]);
        hash.update(address.as_bytes());
        let token = BASE64URL_NOPAD.encode(&hash.finalize()[..24]);
        format!("cf/{}/{token}", self.target.name)
    }

    async fn publish(&self, request: PublishRequest) -> Outcome {
        let (len, max) = (request.payload.len(), self.max_payload_len);
        if request.condition.is_some() {
            return Outcome::Refused(Error::Conditional.into());
        }
        if len > max {
            return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
        }
        if !self.link.is_up() {
            return Outcome::Unavailable(Error::Away.into());
        }
        let topic = self.topic(&request.address);
        let publishing = async {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            let sending = self
                .link
                .client
                .publish_tracked(topic, request.payload, options);
            let notice = sending.await.map_err(|_| PublishNoticeError::Recv)?;
            notice.wait_async().await
        };
        match self
            .link
            .answer(self.target.options.timeout, publishing)
            .await
        {
            Ok(Ok(PublishResult::Qos1(_))) => Outcome::Accepted { cursor: None },
            Ok(Err(PublishNoticeError::V5PubAck(reason))) => match reason {
                PubAckReason::NoMatchingSubscribers | PubAckReason::Success => {
                    Outcome::Accepted { cursor: None }
                }
                PubAckReason::QuotaExceeded
                | PubAckReason::UnspecifiedError
                | PubAckReason::ImplementationSpecificError
                | PubAckReason::PacketIdentifierInUse => {
                    Outcome::Unavailable(Error::Busy(format!("{reason:?}")).into())
                }
                reason => Outcome::Refused(Error::Refused(format!("{reason:?}")).into()),
            },
            Ok(_) | Err(_) => Outcome::Unknown(Error::NoAnswer.into()),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().remove(&self.number);
    }
}
