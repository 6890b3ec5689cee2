use std::fmt;
use std::sync::Arc;

use cf_core::{DeliveryService, Error, Locator, Outcome, Result};

use crate::Error as DiscoveryError;

/// The services that a discovery was given: it contacts no other.
pub(crate) struct Services(Vec<Arc<dyn DeliveryService>>);

impl Services {
    pub(crate) fn new(services: Vec<Arc<dyn DeliveryService>>) -> Self {
        Self(services)
    }

    /// The first that keeps what is published for who comes later.
    pub(crate) fn retaining(&self) -> Result<&Arc<dyn DeliveryService>> {
        let retains =
            |service: &&Arc<dyn DeliveryService>| service.capabilities().retention.is_some();
        let found = self.0.iter().find(retains);
        found.ok_or_else(|| DiscoveryError::NoRetention.into())
    }

    /// The one that a query names.
    pub(crate) fn named(&self, locator: &Locator) -> Result<&Arc<dyn DeliveryService>> {
        let unknown = || {
            let locator = locator.clone();
            DiscoveryError::UnknownService { locator }.into()
        };
        self.find(locator.as_str()).ok_or_else(unknown)
    }

    /// The one that an earlier publication is on.
    pub(crate) fn before(&self, locator: &str) -> Result<&Arc<dyn DeliveryService>> {
        self.find(locator).ok_or_else(|| {
            Error::unavailable(format!(
                "this was published on {locator}, which is not connected now"
            ))
        })
    }

    fn find(&self, locator: &str) -> Option<&Arc<dyn DeliveryService>> {
        let mut all = self.0.iter();
        all.find(|service| service.locator().as_str() == locator)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locators = self.0.iter().map(|service| service.locator());
        f.debug_list().entries(locators).finish()
    }
}

/// Only what the service has is found.
pub(crate) fn published(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Accepted { .. } => Ok(()),
        Outcome::Refused(error) | Outcome::Unavailable(error) | Outcome::Unknown(error) => {
            Err(error)
        }
        _ => Err(Error::unavailable(
            "the service has not taken the bundles yet",
        )),
    }
}
