use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cf_core::{Connector, DeliveryService, Error, Locator, Result};
use cf_ds::{LocalConnector, MemoryConnector, Redundant, Segmented};

/// Turns what a user names, one URL or several, into a delivery service. The only
/// place that knows which schemes there are.
///
/// | scheme | service | feature |
/// |---|---|---|
/// | `local:`, `local:PATH` | one file that the processes of a machine share | |
/// | `memory:NAME` | within this process | |
/// | `nats://HOST`, `tls://HOST` | NATS JetStream: a server or a cluster | `nats` |
/// | `mqtt://HOST`, `mqtts://HOST` | any MQTT 5 broker | `mqtt` |
///
/// Several URLs, with spaces in between, are several services at once: each payload
/// goes to all of them and comes once ([`Redundant`]). A service that takes only short
/// payloads gets longer ones in pieces ([`Segmented`]).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf::core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let connectors = cf::Connectors::new(folder.path().join("local.db"));
/// let service = connectors.connect("local: memory:town").await?;
/// assert_eq!(service.id().as_str(), "/cf/ds/redundant/1");
/// assert!(connectors.connect("pigeon://loft").await.is_err());
/// assert_eq!(cf::Connectors::shown("nats://saro:secret@host/?ca=x"), "nats://host/");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Connectors {
    local: LocalConnector,
    memory: MemoryConnector,
    /// What the client is called at services that keep a session for it.
    client: Option<String>,
    more: Vec<Arc<dyn Connector>>,
}

/// A service, and what runs it.
pub struct Connected {
    /// The service.
    pub service: Arc<dyn DeliveryService>,
    /// The server's program and version, where there is a server.
    pub server: Option<String>,
}

impl Connectors {
    /// What a service takes at least in one piece, in bytes: the longest payloads of
    /// the stock components that are not contents.
    pub const SHORT: usize = 64 * 1024;

    /// All that this build has; `local:` is the file at `default`.
    pub fn new(default: impl Into<PathBuf>) -> Self {
        Self {
            local: LocalConnector::new(default),
            memory: MemoryConnector::default(),
            client: None,
            more: Vec::new(),
        }
    }

    /// Gives the client a name at services that keep a session for it, one that no
    /// other client has: 1 to 16 letters, digits, `_` and `-`.
    #[must_use]
    pub fn client(mut self, name: impl Into<String>) -> Self {
        self.client = Some(name.into());
        self
    }

    /// Adds one of another crate. Its schemes come after those that are there.
    #[must_use]
    pub fn with(mut self, connector: Arc<dyn Connector>) -> Self {
        self.more.push(connector);
        self
    }

    /// The schemes that it takes, without the colon.
    pub fn schemes(&self) -> Vec<&str> {
        let mut schemes = [self.local.schemes(), self.memory.schemes()].concat();
        #[cfg(feature = "nats")]
        schemes.extend(cf_ds_nats::NatsService::SCHEMES);
        #[cfg(feature = "mqtt")]
        schemes.extend(cf_ds_mqtt::MqttService::SCHEMES);
        schemes.extend(self.more.iter().flat_map(|more| more.schemes()));
        schemes
    }

    /// The URLs in a text. A space within one, as a path may have, is no end of it
    /// unless a scheme follows.
    pub fn split(text: &str) -> Vec<String> {
        let mut urls: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match urls.last_mut() {
                Some(url) if scheme(word).is_none() => {
                    url.push(' ');
                    url.push_str(word);
                }
                _ => urls.push(word.to_owned()),
            }
        }
        for url in &mut urls {
            *url = url.trim().to_owned();
        }
        urls.retain(|url| !url.is_empty());
        urls
    }

    /// URLs without what may be a credential: to be shown.
    pub fn shown(text: &str) -> String {
        let urls = Self::split(text);
        let shown: Vec<_> = urls.iter().map(|url| shown(url)).collect();
        shown.join(" ")
    }

    /// Connects to the service that a text names, or to several at once.
    ///
    /// # Errors
    /// `Unsupported` for a scheme that it does not have, `Misuse` for no URL or too
    /// many; those of the connectors.
    pub async fn connect(&self, text: &str) -> Result<Arc<dyn DeliveryService>> {
        let mut services = Vec::new();
        for url in Self::split(text) {
            services.push(self.dial(&url, false).await?.service);
        }
        match services.len() {
            1 => services
                .pop()
                .ok_or_else(|| Error::misuse("no service is named")),
            0 => Err(Error::misuse("no service is named: for instance local:")),
            _ => Ok(Arc::new(Redundant::new(services)?)),
        }
    }

    /// Connects to one service, and tells what runs it.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_one(&self, url: &str) -> Result<Connected> {
        self.dial(url, true).await
    }

    /// Connects, and asks what runs the service where that takes a question.
    #[cfg_attr(not(feature = "mqtt"), expect(unused_variables))]
    async fn dial(&self, url: &str, asks: bool) -> Result<Connected> {
        let name = scheme(url).unwrap_or_default();
        let takes = |connector: &dyn Connector| connector.schemes().contains(&name);
        let connected = |service| Connected {
            service,
            server: None,
        };
        if takes(&self.local) {
            return self.local.connect(url).await.map(connected);
        }
        if takes(&self.memory) {
            return self.memory.connect(url).await.map(connected);
        }
        #[cfg(feature = "nats")]
        if cf_ds_nats::NatsService::SCHEMES.contains(&name) {
            let service = cf_ds_nats::NatsService::connect(url).await?;
            let server = Some(service.server_version());
            return Ok(Connected {
                service: in_pieces(Arc::new(service))?,
                server,
            });
        }
        #[cfg(feature = "mqtt")]
        if cf_ds_mqtt::MqttService::SCHEMES.contains(&name) {
            let options = cf_ds_mqtt::MqttOptions {
                client: self.client.clone(),
                ..cf_ds_mqtt::MqttOptions::default()
            };
            let service = cf_ds_mqtt::MqttService::with_options(url, options).await?;
            let server = match asks {
                true => service.server_version().await,
                false => None,
            };
            return Ok(Connected {
                service: in_pieces(Arc::new(service))?,
                server,
            });
        }
        for connector in &self.more {
            if takes(&**connector) {
                let service = connector.connect(url).await?;
                return Ok(connected(in_pieces(service)?));
            }
        }
        // What is no scheme may be anything, for instance a secret.
        let named = match name {
            "" => "a delivery service is named by a URL".to_owned(),
            name => format!("there is no delivery service for {name}:"),
        };
        Err(Error::unsupported(format!(
            "{named}; there is {}",
            self.schemes()
                .iter()
                .map(|scheme| format!("{scheme}:"))
                .collect::<Vec<_>>()
                .join(", ")
        )))
    }
}

fn in_pieces(service: Arc<dyn DeliveryService>) -> Result<Arc<dyn DeliveryService>> {
    match service.capabilities().max_payload_len < Connectors::SHORT {
        true => Ok(Arc::new(Segmented::new(service)?)),
        false => Ok(service),
    }
}

/// The scheme of a URL, if it has one.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    // A locator's rule, for which any name will do.
    Locator::parse(&format!("{scheme}:")).ok().map(|_| scheme)
}

fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    // A password that was not encoded may itself have a slash.
    match path.contains('@') {
        true => format!("{scheme}://"),
        false => format!("{scheme}://{host}{path}"),
    }
}

impl fmt::Debug for Connectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connectors({})", self.schemes().join(", "))
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("locator", self.service.locator())
            .field("server", &self.server)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_urls_are_told_apart_and_none_shows_a_secret() {
        let text = "local:/a b/c.db  nats://saro:pw@host:1/city?ca=/x memory:town";
        let urls = Connectors::split(text);
        assert_eq!(
            urls,
            [
                "local:/a b/c.db",
                "nats://saro:pw@host:1/city?ca=/x",
                "memory:town"
            ]
        );
        assert_eq!(
            Connectors::shown(text),
            "local:/a b/c.db nats://host:1/city memory:town"
        );
        for secret in [
            "nats://pw@host",
            "nats://a:pw@host#pw",
            "nats://a:p/pw@host",
            "nats://a:pw@b:pw@host/?pw=pw",
        ] {
            let shown = Connectors::shown(secret);
            assert!(!shown.contains("pw"), "{secret} is shown as {shown}");
        }
        assert!(Connectors::split(" ").is_empty());
    }
}
