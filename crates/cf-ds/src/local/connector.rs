use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cf_core::{BoxFuture, Connector, DeliveryService, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::file;
use super::options::LocalOptions;
use super::service::{LocalService, WeakService};
use super::thread::OwnedThread;
use crate::Error;

/// Turns `local:` and `local:PATH` into the service in the default file, or in
/// the one at the path: the same service for as long as somebody keeps it.
///
/// A service's own locator, `local:` and 32 hexadecimal digits, names it while
/// it is open here, or is in the default file; a file of such a name is
/// `local:./NAME`. Clones share their services.
///
/// ```
/// use cf_core::Connector;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let data = directory.path();
/// let connector = cf_ds::LocalConnector::new(data.join("delivery.db"));
/// let service = connector.connect("local:").await?;
/// let again = connector.connect(service.locator().as_str()).await?;
/// assert_eq!(again.locator(), service.locator());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LocalConnector {
    shared: Arc<Shared>,
}

struct Shared {
    default: PathBuf,
    options: LocalOptions,
    services: Mutex<Vec<WeakService>>,
}

impl LocalConnector {
    /// Makes a connector for which `local:` is the file at `default`. It picks no
    /// directory by itself, and touches nothing before it connects.
    pub fn new(default: impl Into<PathBuf>) -> Self {
        Self::with_options(default, LocalOptions::default())
    }

    /// Makes a connector whose services have these bounds.
    pub fn with_options(default: impl Into<PathBuf>, options: LocalOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                default: default.into(),
                options,
                services: Mutex::default(),
            }),
        }
    }

    /// The service in the file at `path`, opened unless it is open.
    ///
    /// This reads and writes the disk: see [`LocalService::open`].
    ///
    /// # Errors
    /// As [`LocalService::open`].
    pub fn service(&self, path: impl AsRef<Path>) -> Result<LocalService> {
        self.shared.service(path.as_ref())
    }
}

impl Shared {
    fn service(&self, path: &Path) -> Result<LocalService> {
        let path = file::absolute(path)?;
        // The lock makes that two who ask at once get the same.
        let mut services = self.services.lock();
        services.retain(|service| service.upgrade().is_some());
        let mut open = services.iter().filter_map(WeakService::upgrade);
        if let Some(service) = open.find(|service| service.path() == path) {
            return Ok(service);
        }
        let service = LocalService::with_options(path, self.options.clone())?;
        services.push(service.downgrade());
        Ok(service)
    }

    /// The service with this locator, if it is known here.
    fn named(&self, locator: &str) -> Result<LocalService> {
        let find = || {
            let services = self.services.lock();
            let mut open = services.iter().filter_map(WeakService::upgrade);
            open.find(|service| service.locator().as_str() == locator)
        };
        if let Some(service) = find() {
            return Ok(service);
        }
        if self.default.exists() {
            let service = self.service(&self.default)?;
            if service.locator().as_str() == locator {
                return Ok(service);
            }
        }
        Err(Error::UnknownFile.into())
    }
}

impl Connector for LocalConnector {
    fn schemes(&self) -> &[&str] {
        &[LocalService::SCHEME]
    }

    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
        Box::pin(async move {
            let (scheme, path) = url.split_once(':').ok_or(Error::Path)?;
            let takes = LocalService::SCHEME;
            if scheme != takes {
                return Err(Error::Scheme { takes }.into());
            }
            let (shared, url, path) = (self.shared.clone(), url.to_owned(), path.to_owned());
            let (answer, opened) = oneshot::channel();
            let _thread = OwnedThread::start("cf-ds-local-open", move || {
                let service = match path.as_str() {
                    "" => shared.service(&shared.default),
                    path if is_id(path) => shared.named(&url),
                    path => shared.service(Path::new(path)),
                };
                let _ = answer.send(service);
            })?;
            Ok(Arc::new(opened.await.map_err(|_| Error::NoThread)??) as _)
        })
    }
}

fn is_id(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.bytes().all(is_digit)
}

impl fmt::Debug for LocalConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path may be nobody else's business.
        let services = self.shared.services.lock();
        write!(f, "LocalConnector({} services)", services.len())
    }
}
