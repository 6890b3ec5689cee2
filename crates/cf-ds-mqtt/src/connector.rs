use std::sync::Arc;
use std::time::Duration;

use cf_core::{BoxFuture, Connector, DeliveryService, Locator, Result};
use url::Url;

use crate::{Error, MqttOptions, MqttService};

/// Turns `mqtt://[USER:PASSWORD@]HOST[:PORT][/NAME][?client=CLIENT]` into the service of
/// that name on a broker; `mqtts://…` likewise, over TLS.
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
    pub(crate) is_tls: bool,
    pub(crate) credentials: Option<(String, String)>,
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
        };
        for (name, value) in url.query_pairs() {
            target.set(&name, &value)?;
        }
        Ok(target)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let wrong = || Error::Setting(name.chars().take(32).collect());
        match name {
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
