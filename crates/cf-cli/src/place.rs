//! Where the home and the delivery service are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cf::Connectors;
use cf::core::{DeliveryService, Error, Result};
use cf::discovery_lan::MdnsOptions;
use etcetera::{BaseStrategy, choose_base_strategy};

use sha2::{Digest, Sha256};

use crate::Compose;
use crate::arguments::Global;

/// What the service is called where nobody names one.
const DEFAULT_SERVICE: &str = "local:";

const LAN_LOOPBACK: &str = "CF_LAN_LOOPBACK";

/// A home and the service that was asked for, as absolute paths.
pub(crate) struct Place {
    pub(crate) home: PathBuf,
    /// One URL or several. `None`: the home's own, or else the default.
    pub(crate) service: Option<String>,
    data: PathBuf,
    /// What the home's client is composed of.
    pub(crate) compose: Compose,
}

impl Place {
    pub(crate) fn new(global: &Global, compose: Compose) -> Result<Self> {
        let data = choose_base_strategy()
            .map_err(|_| Error::misuse("your home directory is unknown: set HOME"))?
            .data_dir()
            .join("chat-framework");
        let home = match &global.home {
            Some(home) => absolute(home)?,
            None => data.join("home"),
        };
        let mut services = Vec::new();
        for url in global.ds.iter().flat_map(|urls| Connectors::split(urls)) {
            services.push(absolute_url(&url)?);
        }
        Ok(Self {
            home,
            service: (!services.is_empty()).then(|| services.join(" ")),
            data,
            compose,
        })
    }

    /// The URL to use where this one is known.
    pub(crate) fn service_url(&self, known: Option<&str>) -> String {
        known.unwrap_or(DEFAULT_SERVICE).to_owned()
    }

    /// How the local network is used. With a port in `CF_LAN_LOOPBACK` nothing leaves this
    /// machine: for tests.
    pub(crate) fn lan(&self) -> Result<MdnsOptions> {
        let Some(port) = std::env::var_os(LAN_LOOPBACK) else {
            return Ok(MdnsOptions::default());
        };
        let port = port.to_str().and_then(|port| port.parse().ok());
        let no_port = || Error::misuse(format!("{LAN_LOOPBACK} takes a port"));
        Ok(MdnsOptions {
            port: port.ok_or_else(no_port)?,
            loopback_only: true,
            ..MdnsOptions::default()
        })
    }

    /// What can be connected to.
    pub(crate) fn connectors(&self) -> Connectors {
        Connectors::new(self.data.join("local.db"))
    }

    /// What this home is called at a service that keeps a session for it: the same each
    /// time, and nobody else's.
    fn client_name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update("cf client");
        hash.update(std::fs::read("/etc/machine-id").unwrap_or_default());
        hash.update([0]);
        hash.update(self.home.as_os_str().as_encoded_bytes());
        let digest = hash.finalize();
        let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        digits.collect()
    }

    pub(crate) async fn connect(&self, url: &str) -> Result<Arc<dyn DeliveryService>> {
        let named = self.connectors().client(self.client_name());
        named.connect(url).await
    }
}

/// A process that serves this home later may be in another folder.
fn absolute_url(url: &str) -> Result<String> {
    match url.strip_prefix(DEFAULT_SERVICE) {
        Some(path) if !path.is_empty() => {
            let path = absolute(Path::new(path))?;
            Ok(format!("{DEFAULT_SERVICE}{}", path.display()))
        }
        _ => Ok(url.to_owned()),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::misuse(format!("{} is no path: {error}", path.display())))
}
