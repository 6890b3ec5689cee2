//! A command's way to its home, whoever owns it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cf::Home;
use cf::core::Result;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::call::{Call, Hello, Reply, VERSION};
use super::owner::Owner;
use super::server::Server;
use super::socket::Lines;
use crate::passphrase;
use crate::place::Place;

/// How long a home may be open elsewhere without answering.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause before it is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The home, as owner or through the owner. When the owner is gone, it becomes
/// the owner, or goes on through the next.
pub(crate) struct Session {
    place: Place,
    access: Access,
    /// How often it went on after an owner was gone.
    renewals: u64,
}

enum Access {
    Owner(Arc<Owner>, Server),
    Guest(Lines),
    Lost,
}

impl Session {
    pub(crate) async fn open(place: Place) -> Result<Self> {
        let access = Access::Lost;
        let mut session = Self {
            place,
            access,
            renewals: 0,
        };
        session.connect().await?;
        Ok(session)
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Asks once, or again where an answer was lost with its owner.
    pub(crate) async fn call(&mut self, call: Call) -> Result<Vec<Value>> {
        loop {
            match &mut self.access {
                Access::Owner(owner, _) => return owner.answer(call).await,
                Access::Guest(lines) => match exchange(lines, &call).await {
                    Ok(reply) => return reply.into(),
                    Err(error) => {
                        tracing::debug!(%error, "the home's owner is gone");
                        self.access = Access::Lost;
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

    /// Lets go of the home; an owner publishes first what can be.
    pub(crate) async fn close(self) -> Result<()> {
        let Access::Owner(owner, server) = self.access else {
            return Ok(());
        };
        server.stop().await;
        owner.finish().await
    }

    async fn connect(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(guest) = self.visit().await? {
                self.access = Access::Guest(guest);
                return Ok(());
            }
            match self.take_over().await {
                Ok(access) => {
                    self.access = access;
                    return Ok(());
                }
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes through the owner, if there is one that answers.
    async fn visit(&self) -> Result<Option<Lines>> {
        let Ok(mut lines) = Lines::connect(&self.place.home).await else {
            return Ok(None);
        };
        let hello = Hello {
            version: VERSION,
            service: self.place.service.clone(),
        };
        match exchange(&mut lines, &hello).await {
            Ok(reply) => Result::from(reply).map(|_| Some(lines)),
            Err(_) => Ok(None),
        }
    }

    async fn take_over(&self) -> Result<Access> {
        let folder = &self.place.home;
        let passphrase = match Home::needs_passphrase(folder) {
            true => Some(passphrase::ask("Passphrase")?),
            false => None,
        };
        let home = Home::open(folder, passphrase)?;
        let url = self.place.service_url(home.service());
        let service = self.place.connect(&url).await?;
        let locator = service.locator().to_string();
        let client = home.builder().shared_service(service).open()?;
        let shown = folder.display().to_string();
        let owner = Arc::new(Owner::new(&home, client, &shown, &url, &locator));
        let server = Server::start(folder, &owner)?;
        Ok(Access::Owner(owner, server))
    }
}

async fn exchange(lines: &mut Lines, message: &impl serde::Serialize) -> io::Result<Reply> {
    lines.write(message).await?;
    let reply = lines.read().await?;
    reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
