use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use cf_core::{BoxFuture, Connector, DeliveryService, Locator, Result};
use url::Url;

use crate::place::{PREFIXES, Place};
use crate::{Error, NatsOptions, NatsService};

/// Turns `nats://[USER:PASSWORD@]HOST[:PORT][/NAME][?SETTINGS]` into the service of
/// that name on a NATS server; `tls://…` likewise, over TLS only.
///
/// The settings, for whoever makes the streams first: `shards`, `replicas`,
/// `retention` (like `30d` or `12h`), `max_bytes`. For a connection:
/// `servers=HOST:PORT,…` (further ones of the cluster), `ca`, `cert` and `key` (files
/// with certificates and a key), `credentials` (a file that holds `USER:PASSWORD`, a
/// token, the seed of a user's key, or what `nsc` writes as `.creds`), `create=no`. None of them is in the service's locator.
#[derive(Clone, Debug, Default)]
pub struct NatsConnector {
    options: NatsOptions,
}

impl NatsConnector {
    /// Makes a connector whose services have these bounds.
    pub fn new(options: NatsOptions) -> Self {
        Self { options }
    }
}

impl Connector for NatsConnector {
    fn schemes(&self) -> &[&str] {
        NatsService::SCHEMES
    }

    fn connect<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Arc<dyn DeliveryService>>> {
        Box::pin(async move {
            let service = NatsService::with_options(url, self.options.clone()).await?;
            Ok(Arc::new(service) as _)
        })
    }
}

/// What a URL says.
pub(crate) struct Target {
    pub(crate) locator: Locator,
    pub(crate) place: Place,
    pub(crate) options: NatsOptions,
    scheme: &'static str,
    servers: Vec<String>,
    credentials: Option<Credentials>,
    credentials_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

enum Credentials {
    User(String, String),
    Token(String),
    /// The seed of a user's key.
    Key(String),
    /// A user's statement and key, as `nsc` writes them.
    Statement(String),
}

impl Target {
    pub(crate) fn parse(text: &str, options: NatsOptions) -> Result<Self> {
        let scheme = text.split(':').next().unwrap_or_default();
        let mut schemes = NatsService::SCHEMES.iter();
        let scheme = schemes
            .find(|known| **known == scheme)
            .ok_or(Error::Scheme)?;
        let url = Url::parse(text).map_err(|_| Error::Url)?;
        let host = url.host_str().ok_or(Error::Url)?.to_ascii_lowercase();
        if url.fragment().is_some() {
            return Err(Error::Url.into());
        }
        let host = match url.port() {
            None | Some(4222) => host,
            Some(port) => format!("{host}:{port}"),
        };
        let name = match url.path().strip_prefix('/') {
            None | Some("") => Place::DEFAULT,
            Some(name) => name,
        };
        let place = Place::new(name).ok_or(Error::Url)?;
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (token, None) => Some(Credentials::Token(decode(token)?)),
            (user, Some(password)) => Some(Credentials::User(decode(user)?, decode(password)?)),
        };
        let locator = place.locator(scheme, &host).map_err(|_| Error::Url)?;
        let mut target = Self {
            locator,
            place,
            options,
            scheme,
            servers: vec![host],
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
        let options = &mut self.options;
        match name {
            "servers" => self.servers.extend(value.split(',').map(str::to_owned)),
            "ca" => self.ca = path(),
            "cert" => self.cert = path(),
            "key" => self.key = path(),
            "credentials" => self.credentials_file = path(),
            "create" if value == "no" => options.create = false,
            "shards" => options.shards = value.parse().map_err(|_| wrong())?,
            "replicas" => options.replicas = value.parse().map_err(|_| wrong())?,
            "max_bytes" => options.max_bytes = value.parse().map_err(|_| wrong())?,
            "retention" => options.retention = duration(value).ok_or_else(wrong)?,
            _ => return Err(wrong()),
        }
        let shards = usize::from(options.shards);
        let is_valid = (1..=PREFIXES).contains(&shards) && shards.is_power_of_two();
        match is_valid && [1, 3, 5].contains(&options.replicas) {
            true => Ok(()),
            false => Err(wrong()),
        }
    }

    /// How to connect, with what the files say.
    pub(crate) async fn connection(&self) -> Result<(ConnectOptions, Vec<ServerAddr>), Error> {
        let mut options = ConnectOptions::new();
        let from_file = match &self.credentials_file {
            Some(path) => Some(read_credentials(path).await?),
            None => None,
        };
        match from_file.as_ref().or(self.credentials.as_ref()) {
            Some(Credentials::User(user, password)) => {
                options = options.user_and_password(user.clone(), password.clone());
            }
            Some(Credentials::Token(token)) => options = options.token(token.clone()),
            Some(Credentials::Key(seed)) => options = options.nkey(seed.clone()),
            Some(Credentials::Statement(text)) => {
                let read = options.credentials(text);
                options = read.map_err(|_| Error::File("credentials".to_owned()))?;
            }
            None => {}
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        options = options.require_tls(self.scheme == "tls");
        let mut servers = Vec::new();
        for server in &self.servers {
            let url = format!("{}://{server}", self.scheme);
            servers.push(ServerAddr::from_str(&url).map_err(|_| Error::Url)?);
        }
        Ok((options, servers))
    }
}

/// What the first line of a file with a statement has.
const STATEMENT: &str = "BEGIN NATS USER JWT";
/// How many characters the seed of a key has.
const SEED_LEN: usize = 58;

async fn read_credentials(path: &PathBuf) -> Result<Credentials, Error> {
    let wrong = || Error::File(path.display().to_string());
    let text = tokio::fs::read_to_string(path).await.map_err(|_| wrong())?;
    let line = text.lines().next().map(str::trim).unwrap_or_default();
    let is_seed = line.len() == SEED_LEN && line.starts_with("SU");
    match line.split_once(':') {
        _ if line.is_empty() => Err(wrong()),
        _ if line.contains(STATEMENT) => Ok(Credentials::Statement(text)),
        None if is_seed => Ok(Credentials::Key(line.to_owned())),
        Some((user, password)) => Ok(Credentials::User(user.to_owned(), password.to_owned())),
        None => Ok(Credentials::Token(line.to_owned())),
    }
}

/// Reads `90s`, `15m`, `12h` or `30d`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
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

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.locator)
    }
}
