use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BoxFuture, Capabilities, DeliveryAddress, DeliveryService, Error as CoreError, Linkable,
    Locator, Outcome, PayloadId, ProtocolId, PublishRequest, Result, Resume, Subscription,
};
use futures_util::StreamExt;
use futures_util::stream;

use super::counts::{Counts, SegmentedCounts};
use super::options::SegmentedOptions;
use super::piece::{Piece, Pieces};
use super::subscription::SegmentedSubscription;
use crate::Error;
use crate::digest::{Digest, digest, head, name};

/// How many pieces of a payload are published at once.
const AT_ONCE: usize = 8;
/// How often a piece is tried of which the inner service may not have been told.
const TRIES: u32 = 5;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// Carries payloads larger than another delivery service takes, in pieces.
///
/// A payload that fits costs one byte more. Others are cut; each piece names the
/// root of a hash tree over all of them and proves that it is of it, so that
/// pieces may be lost, repeated, reordered, mixed and forged, and only a payload
/// that was published comes out. What is held of incomplete payloads is bounded
/// by [`SegmentedOptions`].
///
/// Its locator, `segmented:` and a hash of the inner one and of the longest
/// payload, is another than the inner service's: a peer without segments does not
/// take pieces for payloads. Both ends need the same.
///
/// It declares neither order nor conditional publish, and resume and retention
/// only over a service that keeps an order.
///
/// ```
/// use std::sync::Arc;
/// use cf_core::{DeliveryAddress, DeliveryService, PublishRequest, Start};
/// use cf_ds::{MemoryOptions, MemoryService, Segmented};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// let options = MemoryOptions { max_payload_len: 4096, ..MemoryOptions::default() };
/// let small = MemoryService::with_options("town", options)?;
/// let service = Segmented::new(Arc::new(small))?;
///
/// let raya = DeliveryAddress::new("raya")?;
/// let mut subscription = service.subscribe().await?;
/// subscription.add(raya.clone(), Start::Earliest).await?;
/// service.publish(PublishRequest::new(raya, vec![7; 100_000])).await;
/// assert_eq!(subscription.next().await?.payload, vec![7; 100_000]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Segmented {
    inner: Arc<dyn DeliveryService>,
    locator: Locator,
    options: SegmentedOptions,
    counts: Arc<Counts>,
}

impl Segmented {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/segmented/1");
    /// The scheme of their locators, without the colon.
    pub const SCHEME: &'static str = "segmented";

    /// Takes payloads of up to 1 MiB.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn new(inner: Arc<dyn DeliveryService>) -> Result<Self> {
        Self::with_options(inner, SegmentedOptions::default())
    }

    /// Makes a service with bounds of its own.
    ///
    /// # Errors
    /// `Misuse` if the longest payload takes more pieces of the inner service's
    /// limit than [`SegmentedOptions::max_span`], or than 65,535.
    pub fn with_options(
        inner: Arc<dyn DeliveryService>,
        options: SegmentedOptions,
    ) -> Result<Self> {
        let (max, piece) = (
            options.max_payload_len,
            inner.capabilities().max_payload_len,
        );
        let pieces = usize::try_from(options.max_span).unwrap_or(usize::MAX);
        let pieces = pieces.clamp(1, Piece::MAX_COUNT);
        match Piece::count(max, piece) {
            Some(count) if count <= pieces => {}
            _ => return Err(Error::TooManyPieces { max, pieces, piece }.into()),
        }
        let named = digest(
            "/cf/ds/segmented/1 locator",
            &[
                &(max as u64).to_be_bytes(),
                inner.locator().as_str().as_bytes(),
            ],
        );
        Ok(Self {
            locator: Locator::parse(&format!("{}:{}", Self::SCHEME, name(&named)))?,
            inner,
            options,
            counts: Arc::default(),
        })
    }

    /// What its subscriptions dropped until now.
    pub fn counts(&self) -> SegmentedCounts {
        self.counts.read()
    }

    async fn publish_pieces(&self, request: PublishRequest) -> Outcome {
        if request.condition.is_some() {
            return Outcome::Refused(Error::Conditional.into());
        }
        let (len, max) = (request.payload.len(), self.options.max_payload_len);
        let piece = self.inner.capabilities().max_payload_len;
        let cut = (len <= max).then(|| Piece::cut(&request.payload, piece));
        let Some(Pieces { root, mut pieces }) = cut.flatten() else {
            return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
        };
        let Some(root) = root else {
            let payload = pieces.pop().unwrap_or_default();
            let whole = PublishRequest { payload, ..request };
            return without_cursor(self.inner.publish(whole).await);
        };
        let (address, id) = (&request.address, request.id);
        let mut publishing = stream::iter((0u16..).zip(pieces))
            .map(|(index, piece)| {
                let id = id.map(|id| piece_id(id, &root, index));
                self.publish_piece(address, piece, id)
            })
            .buffer_unordered(AT_ONCE);
        let mut is_queued = false;
        while let Some(outcome) = publishing.next().await {
            match outcome {
                Outcome::Accepted { .. } => {}
                Outcome::Queued => is_queued = true,
                // Without this piece it is not published, whatever becomes of the rest.
                other => return without_cursor(other),
            }
        }
        match is_queued {
            true => Outcome::Queued,
            false => Outcome::Accepted { cursor: None },
        }
    }

    /// Publishes a piece, several times if need be: among hundreds of them one
    /// lost answer would else make all of the payload unknown, time and again.
    async fn publish_piece(
        &self,
        address: &DeliveryAddress,
        piece: Bytes,
        id: Option<PayloadId>,
    ) -> Outcome {
        let mut doubt = None;
        let mut pause = PAUSE;
        for attempt in 1.. {
            let mut request = PublishRequest::new(address.clone(), piece.clone());
            request.id = id;
            let outcome = self.inner.publish(request).await;
            let is_last = attempt == TRIES;
            match outcome {
                Outcome::Accepted { .. } => return outcome,
                Outcome::Unknown(error) => doubt = Some(error),
                Outcome::Queued | Outcome::Unavailable(_) if !is_last => {}
                other => return doubt.map_or(other, Outcome::Unknown),
            }
            if is_last {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Outcome::Unknown(doubt.unwrap_or_else(|| CoreError::unavailable("there was no answer")))
    }
}

impl DeliveryService for Segmented {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Segmented::ID;
        &ID
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        // Without an order, "before the first piece" is no place to go on from.
        let (retention, resume) = match inner.order {
            true => (inner.retention, inner.resume),
            false => (None, Resume::No),
        };
        let shows = |what| inner.linkable.contains(&what);
        Capabilities {
            retention: retention.map(|retention| retention.min(self.options.max_age)),
            resume,
            duplicate_suppression: inner.duplicate_suppression,
            // The number of pieces tells the size, and their address and time that
            // they are of one payload.
            linkable: match [Linkable::Address, Linkable::Time, Linkable::Size].map(shows) {
                [true, true, true] => inner.linkable,
                _ => Linkable::ALL,
            },
            ..Capabilities::none(self.options.max_payload_len)
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(self.publish_pieces(request))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async {
            let inner = self.inner.subscribe().await?;
            let (options, counts) = (self.options.clone(), self.counts.clone());
            Ok(Box::new(SegmentedSubscription::new(inner, options, counts)) as _)
        })
    }
}

impl fmt::Debug for Segmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segmented({})", self.inner.locator())
    }
}

/// An inner cursor is the place of a piece: to go on there would lose payloads of
/// others that were incomplete then.
fn without_cursor(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Accepted { .. } => Outcome::Accepted { cursor: None },
        other => other,
    }
}

fn piece_id(id: PayloadId, root: &Digest, index: u16) -> PayloadId {
    let parts: [&[u8]; 3] = [id.as_bytes(), root, &index.to_be_bytes()];
    PayloadId(head(&digest("/cf/ds/segmented/1 id", &parts)))
}
