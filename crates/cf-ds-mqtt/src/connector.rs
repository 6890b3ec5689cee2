use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{BoxFuture, Connector, DeliveryService, Locator, Result};
use rumqttc::{TlsConfiguration, Transport};
use url::Url;

use crate::{Error, MqttOptions, MqttService};

/// Turns `mqtt://[USER:PASSWORD@]HOST[:PORT][/NAME][?SETTINGS]` into the service of that
/// name on a broker; `mqtts://…` likewise, over TLS.
///
/// The settings: `client`, `session_days`; `credentials` (a file whose first line is
/// `USER:PASSWORD`); over TLS `ca`, `cert` and `key` (files with certificates and a key).
/// None of them is in the service's locator.
#[derive(Clone, Debug, Default)]
pub struct MqttConnector {
    options: MqttOptions,
}

impl MqttConnector {
    /// Makes a connector whose services have these bounds.
    pub fn new(options: MqttOptions) -> Self {
        Self { options }
    }
}

impl Connector for MqttConnector {
    fn schemes(&self) -> &[&str] {
        MqttService::SCHEMES
    }

    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
        Box::pin(async move {
            let service = MqttService::with_options(url, self.options.clone()).await?;
            Ok(Arc::new(service) as _)
        })
    }
}

/// What a URL says.
pub(crate) struct Target {
    pub(crate) locator: Locator,
    pub(crate) name: String,
    pub(crate) options: MqttOptions,
    pub(crate) host: String,
    pub(crate) port: u16,
    is_tls: bool,
    credentials: Option<(String, String)>,
    credentials_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// How a client shows who it is, and knows who the broker is.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) transport: Transport,
}

/// What a service is called that nobody named.
const DEFAULT_NAME: &str = "cf";

impl Target {
    pub(crate) fn parse(text: &str, options: MqttOptions) -> Result<Self> {
        let scheme = text.split(':').next().unwrap_or_default();
        let mut schemes = MqttService::SCHEMES.iter();
        let scheme = *schemes
            .find(|known| **known == scheme)
            .ok_or(Error::Scheme)?;
        let (is_tls, usual) = match scheme {
            "mqtts" => (true, 8883),
            _ => (false, 1883),
        };
        let url = Url::parse(text).map_err(|_| Error::Url)?;
        let host = url.host_str().ok_or(Error::Url)?.to_ascii_lowercase();
        if url.fragment().is_some() {
            return Err(Error::Url.into());
        }
        let port = url.port().unwrap_or(usual);
        let name = match url.path().strip_prefix('/') {
            None | Some("") => DEFAULT_NAME,
            Some(name) if is_word(name, 32) => name,
            Some(_) => return Err(Error::Url.into()),
        };
        let mut locator = format!("{scheme}://{host}");
        if port != usual {
            locator.push_str(&format!(":{port}"));
        }
        if name != DEFAULT_NAME {
            locator.push_str(&format!("/{name}"));
        }
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decode(user)?, decode(password.unwrap_or_default())?)),
        };
        let mut target = Self {
            locator: Locator::parse(&locator).map_err(|_| Error::Url)?,
            name: name.to_owned(),
            options,
            host,
            port,
            is_tls,
            credentials,
            credentials_file: None,
            ca: None,
            cert: None,
            key: None,
        };
        for (name, value) in url.query_pairs() {
            target.set(&name, &value)?;
        }
        Ok(target)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let wrong = || Error::Setting(name.chars().take(32).collect());
        let path = || Some(PathBuf::from(value));
        match name {
            "credentials" => self.credentials_file = path(),
            "ca" if self.is_tls => self.ca = path(),
            "cert" if self.is_tls => self.cert = path(),
            "key" if self.is_tls => self.key = path(),
            "client" if is_word(value, 16) => self.options.client = Some(value.to_owned()),
            "session_days" => {
                let days: u64 = value.parse().map_err(|_| wrong())?;
                let seconds = days.checked_mul(24 * 60 * 60).filter(|days| *days > 0);
                self.options.session_expiry = Duration::from_secs(seconds.ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// How to connect, with what the files say.
    pub(crate) async fn access(&self) -> Result<Access, Error> {
        let credentials = match &self.credentials_file {
            Some(path) => Some(read_credentials(path).await?),
            None => self.credentials.clone(),
        };
        let client = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((read(cert).await?, read(key).await?)),
            (None, None) => None,
            _ => {
                return Err(Error::Setting(
                    "cert without key, or key without cert".into(),
                ));
            }
        };
        let transport = match (self.is_tls, &self.ca) {
            (false, _) => Transport::tcp(),
            (true, Some(ca)) => Transport::tls_with_config(TlsConfiguration::Simple {
                ca: read(ca).await?,
                alpn: None,
                client_auth: client,
            }),
            (true, None) if client.is_some() => {
                return Err(Error::Setting("cert without ca".into()));
            }
            (true, None) => Transport::try_tls_with_default_config().map_err(|_| Error::NoRoots)?,
        };
        Ok(Access {
            credentials,
            transport,
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.locator)
    }
}

async fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    let wrong = |_| Error::File(path.display().to_string());
    tokio::fs::read(path).await.map_err(wrong)
}

async fn read_credentials(path: &PathBuf) -> Result<(String, String), Error> {
    let wrong = || Error::File(path.display().to_string());
    let text = String::from_utf8(read(path).await?).map_err(|_| wrong())?;
    let line = text.lines().next().unwrap_or_default().trim();
    let (user, password) = line.split_once(':').ok_or_else(wrong)?;
    Ok((user.to_owned(), password.to_owned()))
}

fn is_word(text: &str, max: usize) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=max).contains(&text.len()) && text.bytes().all(is_good)
}

/// Reads what a URL writes as `%2F`.
fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(Error::Url)?;
        let digits = std::str::from_utf8(digits).map_err(|_| Error::Url)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| Error::Url)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| Error::Url)
}
