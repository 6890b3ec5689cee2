//! Delivery services: how payloads are routed and delivered to a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::id::Short;
use crate::{BoxFuture, DeliveryAddress, Error, Locator, PayloadId, ProtocolId, Result};

/// Routes payloads to whoever subscribes to an address.
///
/// # Laws
/// CHAT-FRAMEWORK, "Delivery Service":
/// - A payload published to an address is delivered, byte for byte, to every
///   subscriber of that address, the publisher's own subscriptions among them,
///   and to no other.
/// - Loss, repetition, delay and reordering are allowed, except where
///   [`Capabilities`] says otherwise. **What is declared is kept.**
/// - A payload of [`Capabilities::max_payload_len`] bytes is taken; one byte
///   more is [`Outcome::Refused`].
/// - An [`Outcome`] is never better than the truth.
/// - How addresses map to the service's own concepts is its own business.
///
/// # For callers
/// Nothing above a delivery service may assume that a payload arrives, arrives
/// once, or arrives in order.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::*;
///
/// /// A service that takes payloads and delivers none: loss is allowed.
/// struct Void { id: ProtocolId, locator: Locator }
/// struct Silence;
///
/// impl DeliveryService for Void {
///     fn id(&self) -> &ProtocolId { &self.id }
///     fn locator(&self) -> &Locator { &self.locator }
///     fn capabilities(&self) -> Capabilities { Capabilities::none(1024) }
///     fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
///         Box::pin(async move {
///             match request.payload.len() {
///                 0..=1024 => Outcome::Accepted { cursor: None },
///                 _ => Outcome::Refused(Error::rejected("payloads take at most 1024 bytes")),
///             }
///         })
///     }
///     fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
///         Box::pin(async { Ok(Box::new(Silence) as _) })
///     }
/// }
/// impl Subscription for Silence {
///     fn add(&mut self, _: DeliveryAddress, _: Start) -> BoxFuture<'_, Result<()>> {
///         Box::pin(async { Ok(()) })
///     }
///     fn remove(&mut self, _: &DeliveryAddress) {}
///     fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> { Box::pin(std::future::pending()) }
///     fn acknowledge(&mut self, _: &DeliveryAddress, _: &Cursor) {}
/// }
///
/// # pollster::block_on(async {
/// let service: Arc<dyn DeliveryService> = Arc::new(Void {
///     id: ProtocolId::parse("/example/ds/void/1")?,
///     locator: Locator::parse("void:")?,
/// });
/// let address = DeliveryAddress::new("here")?;
/// let outcome = service.publish(PublishRequest::new(address, "hello")).await;
/// assert!(matches!(outcome, Outcome::Accepted { cursor: None }));
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
pub trait DeliveryService: Send + Sync {
    /// The protocol of this service.
    fn id(&self) -> &ProtocolId;

    /// How other clients name this service.
    fn locator(&self) -> &Locator;

    /// What this service promises. Constant while it lives.
    fn capabilities(&self) -> Capabilities;

    /// Publishes a payload and says truthfully what became of it.
    ///
    /// Dropping the future leaves the outcome unknown.
    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome>;

    /// Opens a subscription without addresses.
    ///
    /// One subscription serves all addresses of a client: a client may have
    /// 100,000 of them.
    ///
    /// # Errors
    /// `Unavailable` while the service can't be reached.
    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>>;
}

/// A client's interest in addresses; dropping it ends it.
///
/// # Laws
/// - After [`add`](Self::add) has answered, every payload accepted for the
///   address is delivered where [`Capabilities::resume`] and
///   [`Capabilities::retention`] say so, from `start` on.
/// - [`next`](Self::next) is cancel-safe: a future dropped before it is ready
///   loses nothing.
/// - A subscriber that does not call `next` is bounded and harms no other.
/// - After [`remove`](Self::remove) or drop nothing more of the address comes.
/// - Subscribing again from a delivery's cursor brings what came after it.
///
/// See [`DeliveryService`] for an example.
pub trait Subscription: Send {
    /// Subscribes to an address, too; adding it again moves it to `start`.
    ///
    /// # Errors
    /// `Unavailable` while the service can't be reached; `Misuse` for a cursor
    /// that is not of this service.
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>>;

    /// Unsubscribes from an address.
    fn remove(&mut self, address: &DeliveryAddress);

    /// Waits for the next payload of any of the addresses.
    ///
    /// # Errors
    /// `Unavailable` while the connection is lost: call again, it resumes by
    /// itself. Any other kind ends the subscription.
    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>>;

    /// Tells the service that it may forget, for this subscriber, the payloads
    /// of `address` up to `cursor`. Only a hint: the cursor that the client
    /// stored is authoritative.
    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor);
}

/// A payload to publish.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Where to.
    pub address: DeliveryAddress,
    /// The bytes to deliver.
    pub payload: Bytes,
    /// Publish only if this holds. Refused with `Unsupported` where
    /// [`Capabilities::conditional_publish`] is not declared.
    pub condition: Option<Condition>,
    /// Names this publish, the same when it is repeated.
    pub id: Option<PayloadId>,
}

impl PublishRequest {
    /// Publishes `payload` to `address` whatever is there.
    pub fn new(address: DeliveryAddress, payload: impl Into<Bytes>) -> Self {
        Self {
            address,
            payload: payload.into(),
            condition: None,
            id: None,
        }
    }
}

/// What must hold at an address for a conditional publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was ever published there.
    Empty,
    /// The last payload published there has this cursor.
    LastIs(Cursor),
}

/// What became of a publish.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The service acknowledged it.
    Accepted {
        /// The payload's place at its address, where the service has cursors.
        cursor: Option<Cursor>,
    },
    /// This process has it and the service does not yet. Publish it again.
    Queued,
    /// It never will be published. `Rejected` or `Unsupported`.
    Refused(Error),
    /// The condition did not hold.
    Conflict {
        /// The cursor of the last payload at the address, `None` if there is none.
        current: Option<Cursor>,
    },
    /// The service could not be reached, and does not have it.
    Unavailable(Error),
    /// It was sent and the answer was lost. Repeating is safe where duplicates
    /// are suppressed, and within the contract everywhere.
    Unknown(Error),
}

/// A payload that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where.
    pub address: DeliveryAddress,
    /// The bytes that were published.
    pub payload: Bytes,
    /// Its place at its address, where the service has cursors.
    pub cursor: Option<Cursor>,
}

/// A place in the sequence of payloads at one address: at most
/// [`Cursor::MAX_LEN`] bytes that only the service understands.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Bytes);

impl Cursor {
    /// The longest cursor, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Takes a cursor of a service.
    ///
    /// # Errors
    /// `Malformed` over [`Self::MAX_LEN`] bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::malformed("a cursor takes at most 256 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({})", Short(&self.0))
    }
}

/// Where a subscription starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest payload that the service still has.
    Earliest,
    /// After the payload with this cursor.
    After(Cursor),
    /// With the next payload to be published.
    Latest,
}

/// What a delivery service promises, as data. Everything not declared is not
/// promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The longest payload, in bytes.
    pub max_payload_len: usize,
    /// How long a payload waits for subscribers that are away. `None`: it does
    /// not wait.
    pub retention: Option<Duration>,
    /// Where a subscription can start.
    pub resume: Resume,
    /// Whether every subscriber gets an address's payloads in one same order.
    pub order: bool,
    /// Whether [`PublishRequest::condition`] is kept, linearizably per address.
    pub conditional_publish: bool,
    /// For how long a repeated [`PublishRequest::id`] is dropped.
    pub duplicate_suppression: Option<Duration>,
    /// What the service can link with each other, or see.
    pub linkable: &'static [Linkable],
}

impl Capabilities {
    /// Promises nothing but to take payloads of `max_payload_len` bytes, and
    /// admits that everything can be linked.
    pub const fn none(max_payload_len: usize) -> Self {
        Self {
            max_payload_len,
            retention: None,
            resume: Resume::No,
            order: false,
            conditional_publish: false,
            duplicate_suppression: None,
            linkable: Linkable::ALL,
        }
    }
}

/// Where a subscription can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Only with what is published from now on.
    No,
    /// Where this subscriber last acknowledged.
    WhereStopped,
    /// After any cursor that is retained, or with the earliest.
    AnyCursor,
}

/// What whoever runs a delivery service can see or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Linkable {
    /// Payloads to one address with each other.
    Address,
    /// A publisher's network address with what it publishes.
    Publisher,
    /// A subscriber's network address with its addresses.
    Subscriber,
    /// When a payload was published and fetched.
    Time,
    /// How long a payload is.
    Size,
}

impl Linkable {
    /// Everything: the honest default.
    pub const ALL: &'static [Self] = &[
        Self::Address,
        Self::Publisher,
        Self::Subscriber,
        Self::Time,
        Self::Size,
    ];
}

/// Turns a URL into a delivery service.
///
/// # Laws
/// - A scheme that is not among [`schemes`](Self::schemes) is refused with
///   `Unsupported`, without contacting anybody.
/// - The service's own [`Locator`] holds nothing of the URL that is a
///   credential or a local path.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::*;
/// struct Nowhere;
/// impl Connector for Nowhere {
///     fn schemes(&self) -> &[&str] { &["nowhere"] }
///     fn connect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
///         Box::pin(async { Err(Error::unavailable("nowhere is out of reach")) })
///     }
/// }
/// let error = pollster::block_on(Nowhere.connect("nowhere:")).err().unwrap();
/// assert!(error.is_retryable());
/// ```
pub trait Connector: Send + Sync {
    /// The schemes that it takes, without the colon.
    fn schemes(&self) -> &[&str];

    /// Connects to the service at `url`, which comes from the user (then it may
    /// hold a credential or a path) or from a [`Locator`] that the user agreed to.
    ///
    /// # Errors
    /// `Malformed` or `Unsupported` for the URL, `Unavailable` if it can't be
    /// reached now.
    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>>;
}
