use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cf_core::{BoxFuture, Connector, DeliveryService, Locator, Result};
use parking_lot::Mutex;

use super::options::MemoryOptions;
use super::service::MemoryService;
use crate::Error;

/// Turns `memory:NAME` into the service of that name: the same service each
/// time, for as long as the connector or a clone of it lives.
///
/// Clones share their services; two connectors made apart do not.
///
/// ```
/// use cf_core::Connector;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf_core::Result<()> {
/// let connector = cf_ds::MemoryConnector::default();
/// let service = connector.connect("memory:town").await?;
/// assert_eq!(service.locator(), connector.service("town")?.locator());
/// # use cf_core::DeliveryService;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryConnector {
    options: MemoryOptions,
    services: Arc<Mutex<HashMap<Locator, MemoryService>>>,
}

impl MemoryConnector {
    /// The most services that a connector makes.
    pub const MAX_SERVICES: usize = 1024;

    /// Makes a connector whose services have these bounds.
    pub fn new(options: MemoryOptions) -> Self {
        Self {
            options,
            services: Arc::default(),
        }
    }

    /// The service of a name, made when it is first asked for.
    ///
    /// # Errors
    /// `Malformed` for a name that a [`Locator`] can't have; `Rejected` beyond
    /// [`Self::MAX_SERVICES`].
    pub fn service(&self, name: &str) -> Result<MemoryService> {
        let made = MemoryService::with_options(name, self.options.clone())?;
        let mut services = self.services.lock();
        if let Some(service) = services.get(made.locator()) {
            return Ok(service.clone());
        }
        if services.len() >= Self::MAX_SERVICES {
            let max = Self::MAX_SERVICES;
            return Err(Error::TooManyServices { max }.into());
        }
        services.insert(made.locator().clone(), made.clone());
        Ok(made)
    }
}

impl Connector for MemoryConnector {
    fn schemes(&self) -> &[&str] {
        &[MemoryService::SCHEME]
    }

    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
        Box::pin(async move {
            let (scheme, name) = url.split_once(':').ok_or(Error::Name)?;
            if scheme != MemoryService::SCHEME {
                let takes = MemoryService::SCHEME;
                return Err(Error::Scheme { takes }.into());
            }
            Ok(Arc::new(self.service(name)?) as _)
        })
    }
}

impl fmt::Debug for MemoryConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MemoryConnector({} services)",
            self.services.lock().len()
        )
    }
}
