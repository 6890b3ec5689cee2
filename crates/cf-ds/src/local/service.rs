use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};

use cf_core::{
    BoxFuture, Capabilities, DeliveryService, Linkable, Locator, Outcome, ProtocolId,
    PublishRequest, Result, Resume, Subscription,
};
use parking_lot::Mutex;

use super::alarm::Alarm;
use super::file::LocalFile;
use super::lookup::Lookup;
use super::options::LocalOptions;
use super::reader::Reader;
use super::state::State;
use super::subscription::LocalSubscription;
use super::tail::Tail;
use super::writer::Writer;
use crate::Error;

/// Delivers payloads between the processes of one machine, through one SQLite
/// file that they share.
///
/// What was accepted is in the file, whichever process is killed when; see
/// [`Durability`](crate::Durability) for power cuts. It keeps one log for each
/// address, and every subscription reads the logs at its own pace: a subscriber
/// that is slow or away costs others nothing. Clones are the same service; the
/// bounds are [`LocalOptions`].
///
/// Each opened service has two threads, one that writes and one that reads; they
/// end with its last clone and subscription, which waits for them: milliseconds.
/// Nothing is read while no subscription waits.
///
/// ```
/// use cf_core::{DeliveryAddress, DeliveryService, PublishRequest, Start, Subscription};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("town.db");
/// let service = cf_ds::LocalService::open(&path)?;
/// // What another process would do:
/// let elsewhere = cf_ds::LocalService::open(&path)?;
///
/// let raya = DeliveryAddress::new("raya")?;
/// let mut subscription = elsewhere.subscribe().await?;
/// subscription.add(raya.clone(), Start::Earliest).await?;
/// service.publish(PublishRequest::new(raya, "hello")).await;
/// assert_eq!(subscription.next().await?.payload, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LocalService {
    shared: Arc<Shared>,
}

impl LocalService {
    /// The protocol of these services.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/ds/local/1");
    /// The scheme of their locators, without the colon.
    pub const SCHEME: &'static str = "local";

    /// Opens the file at `path`, or makes it, and the directory that it is in,
    /// for its owner alone.
    ///
    /// This reads and writes the disk, and waits while another process has the
    /// file locked: at most for [`LocalOptions::busy_timeout`].
    ///
    /// # Errors
    /// `Malformed` for a path without a name, or a damaged file; `Misuse` for a
    /// file that is not of this service; `Unsupported` for one of a later build;
    /// `Unavailable` while it is locked; `Other` where there is no room, no
    /// directory, or no permission. No file is changed then.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::with_options(path, LocalOptions::default())
    }

    /// Opens a file with bounds of its own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_options(path: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        let file = LocalFile::new(path.as_ref(), &options)?;
        let to_write = file.open()?;
        let to_read = file.open()?;
        let lookup = Lookup::new(file.open()?, &file)?;
        let id: String = to_write
            .id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let locator = Locator::parse(&format!("{}:{id}", Self::SCHEME))?;
        // From before anybody subscribes: whatever comes later is shown.
        let seen = Tail::prepare(&to_read.connection)?.accepted()?;
        let state = State::new(to_read.incarnation, seen, options.max_addresses);
        let state = Arc::new(Mutex::new(state));
        let alarm = Arc::new(Alarm::new());
        let reader = Reader::start(to_read, &file, &options, &alarm, &state)?;
        let writer = Writer::start(to_write, &file, &options, alarm.clone(), state.clone())?;
        Ok(Self {
            shared: Arc::new(Shared {
                locator,
                options,
                file,
                state,
                alarm,
                lookup,
                writer,
                _reader: reader,
            }),
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.shared.file.path()
    }

    pub(super) fn downgrade(&self) -> WeakService {
        WeakService(Arc::downgrade(&self.shared))
    }
}

impl DeliveryService for LocalService {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = LocalService::ID;
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
            duplicate_suppression: self.shared.options.duplicate_suppression,
            // There is no network, and the file does not say who wrote or read.
            linkable: &[Linkable::Address, Linkable::Time, Linkable::Size],
            ..Capabilities::none(self.shared.options.longest_payload())
        }
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (len, max) = (request.payload.len(), self.shared.options.longest_payload());
            if len > max {
                return Outcome::Refused(Error::PayloadTooLong { len, max }.into());
            }
            self.shared.writer.publish(request).await
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        Box::pin(async { Ok(Box::new(LocalSubscription::new(self.shared.clone())) as _) })
    }
}

impl fmt::Debug for LocalService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalService({})", self.shared.locator)
    }
}

/// What the clones of a service and its subscriptions share.
pub(super) struct Shared {
    locator: Locator,
    options: LocalOptions,
    file: LocalFile,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) alarm: Arc<Alarm>,
    pub(super) lookup: Lookup,
    writer: Writer,
    _reader: Reader,
}

/// A service for as long as somebody else keeps it.
pub(super) struct WeakService(Weak<Shared>);

impl WeakService {
    pub(super) fn upgrade(&self) -> Option<LocalService> {
        let shared = self.0.upgrade()?;
        Some(LocalService { shared })
    }
}
