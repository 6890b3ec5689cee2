//! A command's way to its home, whoever owns it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cf::Home;
use cf::core::{Error, Locator, Result, Secret};
use cf::discovery_lan::{Mdns, Network};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::call::{Call, Hello, Reply, SERVICE, VERSION};
use super::owner::Owner;
use super::server::Server;
use super::socket::Lines;
use crate::passphrase;
use crate::place::Place;

/// How long a home may be open elsewhere without answering.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a greeting may take, and an answer.
const GREETING: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(30);
/// The pause before it is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often one call may lose its owner before it is the call's fault.
const MAX_LOSSES: u32 = 5;

/// The home, as owner or through the owner. When the owner is gone, it becomes
/// the owner, or goes on through the next.
pub(crate) struct Session {
    place: Place,
    access: Access,
    /// How often it went on after an owner was gone.
    renewals: u64,
    /// The service of the owner before, which goes on being used.
    inherited: Option<String>,
    passphrase: Option<Secret>,
}

enum Access {
    Owner(Arc<Owner>, Server),
    Guest(Lines),
    Lost,
}

impl Session {
    pub(crate) async fn open(place: Place) -> Result<Self> {
        let mut session = Self {
            place,
            access: Access::Lost,
            renewals: 0,
            inherited: None,
            passphrase: None,
        };
        session.connect().await?;
        Ok(session)
    }

    /// The URL of the service that is used.
    pub(crate) fn service(&self) -> String {
        match &self.access {
            Access::Owner(owner, _) => owner.service().to_owned(),
            _ => self.place.service_url(self.inherited.as_deref()),
        }
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Asks once, or again where an answer was lost with its owner.
    pub(crate) async fn call(&mut self, call: Call) -> Result<Vec<Value>> {
        let mut losses = 0;
        loop {
            match &mut self.access {
                Access::Owner(owner, _) => return owner.answer(call).await,
                Access::Guest(lines) => match exchange(lines, &call, ANSWER).await {
                    Ok(reply) => return reply.into(),
                    Err(_) if losses >= MAX_LOSSES => {
                        return Err(Error::unavailable(
                            "the process that has this home open does not answer this",
                        ));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the home's owner is gone");
                        self.access = Access::Lost;
                        losses += 1;
                    }
                },
                Access::Lost => {
                    self.connect().await?;
                    self.renewals += 1;
                }
            }
        }
    }

    /// Waits until an owner that has just begun has taken in what waited for it.
    pub(crate) async fn settle(&self) -> Result<()> {
        match &self.access {
            Access::Owner(owner, _) => owner.settle().await,
            _ => Ok(()),
        }
    }

    /// Connects to a further service, now and from now on. The user has agreed to it.
    pub(crate) async fn add_service(&mut self, locator: &Locator) -> Result<()> {
        let Access::Owner(owner, _) = &self.access else {
            return Err(Error::misuse(format!(
                "another process has this home open: end it, then do this again to connect to {locator}"
            )));
        };
        drop(self.place.connect(locator.as_str()).await?);
        owner.add_service(locator)?;
        if let Access::Owner(owner, server) = std::mem::replace(&mut self.access, Access::Lost) {
            server.stop().await;
            owner.stop().await;
        }
        self.connect().await
    }

    /// Lets go of the home; an owner publishes first what can be, and serves others
    /// until then.
    pub(crate) async fn close(self, patience: Duration) {
        if let Access::Owner(owner, server) = self.access {
            owner.publish(patience).await;
            server.stop().await;
            owner.stop().await;
        }
    }

    async fn connect(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let unanswered = match self.visit().await {
                Ok(guest) => {
                    self.access = Access::Guest(guest);
                    return Ok(());
                }
                Err(Visit::Refused(error)) if !error.is_retryable() => return Err(error),
                Err(Visit::Refused(error)) => Some(error),
                Err(Visit::Nobody) => None,
            };
            match self.take_over().await {
                Ok(access) => {
                    self.access = access;
                    return Ok(());
                }
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) if Instant::now() >= deadline => return Err(unanswered.unwrap_or(error)),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Goes through the owner, if there is one that answers.
    async fn visit(&mut self) -> std::result::Result<Lines, Visit> {
        let connecting = Lines::connect(&self.place.home).await;
        let mut lines = connecting.map_err(|_| Visit::Nobody)?;
        let hello = Hello {
            version: VERSION,
            service: self.place.service.clone(),
        };
        match exchange(&mut lines, &hello, GREETING).await {
            Ok(reply) => {
                let welcome = Result::from(reply).map_err(Visit::Refused)?;
                let service = welcome.first().and_then(|line| line[SERVICE].as_str());
                self.inherited = service.map(str::to_owned).or(self.inherited.take());
                Ok(lines)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let owner = lines.peer().map_or(String::new(), |pid| format!(" {pid}"));
                Err(Visit::Refused(Error::unavailable(format!(
                    "the process{owner} that has this home open does not answer: end it, or let it go on"
                ))))
            }
            Err(_) => Err(Visit::Nobody),
        }
    }

    async fn take_over(&mut self) -> Result<Access> {
        let folder = &self.place.home;
        if self.passphrase.is_none() && Home::needs_passphrase(folder) {
            self.passphrase = Some(passphrase::ask("Passphrase")?);
        }
        let mut home = Home::open(folder, self.passphrase.clone())?;
        let named = self.place.service.clone().or(self.inherited.clone());
        let url = self.place.service_url(named.as_deref().or(home.service()));
        let service = self.place.connect(&url).await?;
        if home.service().is_none() {
            // What it was first used with stays what it is used with.
            home.set_service(&url)?;
        }
        let locator = service.locator().to_string();
        let network: Arc<dyn Network> = Arc::new(Mdns::new(self.place.lan()?)?);
        let mut builder = home.builder().shared_service(service);
        builder = builder.lan(network.clone());
        for further in home.further_services()? {
            match self.place.connect(further.as_str()).await {
                Ok(service) => builder = builder.shared_service(service),
                Err(error) => tracing::warn!(%further, %error, "a service is not there"),
            }
        }
        let client = (self.place.compose)(builder).open()?;
        let shown = folder.display().to_string();
        let chats = home.chats(&client)?;
        let owner = Arc::new(Owner::new(
            home, client, chats, &shown, &url, &locator, network,
        ));
        let server = Server::start(folder, &owner)?;
        Ok(Access::Owner(owner, server))
    }
}

/// Why nobody was met at the socket.
enum Visit {
    Nobody,
    Refused(Error),
}

async fn exchange(
    lines: &mut Lines,
    message: &impl serde::Serialize,
    patience: Duration,
) -> io::Result<Reply> {
    let exchanging = async {
        lines.write(message).await?;
        let reply = lines.read().await?;
        reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    timeout(patience, exchanging).await.unwrap_or_else(late)
}
