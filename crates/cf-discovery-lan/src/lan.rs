use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProperties, DiscoveryProtocol, Error,
    ErrorKind, Locator, ProtocolId, Result, Secret, Timestamp, Withdrawal,
};
use futures_util::future::join_all;

use crate::Error as LanError;
use crate::announcement::{Announcement, checked_name};
use crate::network::Network;
use crate::state::State;

/// Finds clients on the local network by the names that they announce there.
///
/// What is announced is a name and the link of another discovery, by which it is
/// resolved: everybody on the network gets the link. **A name is a claim**, as in a
/// directory: resolving gives everybody who claims it, and fails where one of several
/// can't be looked up, so that none is ever chosen because another was not reached.
///
/// It announces as long as it lives; [`resume`](DiscoveryProtocol::resume) goes on with
/// it in the next process.
pub struct Lan {
    network: Arc<dyn Network>,
    discoveries: Vec<Arc<dyn DiscoveryProtocol>>,
    own: Option<String>,
}

impl Lan {
    /// The protocol of this discovery.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/discovery/lan/1");
    /// What every query starts with; the name follows.
    pub const PREFIX: &'static str = "lan:";
    /// The most announcements that are looked at.
    pub const MAX_HEARD: usize = 256;
    /// The most who may claim one name.
    pub const MAX_CLAIMS: usize = 32;
    /// The most bundle sets that an answer holds.
    pub const MAX_SETS: usize = 256;

    /// Makes a discovery on a network. Links are made by the first of the other
    /// discoveries, and resolved by the first that takes them.
    pub fn new(network: Arc<dyn Network>, discoveries: Vec<Arc<dyn DiscoveryProtocol>>) -> Self {
        Self {
            network,
            discoveries,
            own: None,
        }
    }

    /// Gives the client the name that it announces when it advertises.
    ///
    /// # Errors
    /// `Malformed` for what is no name.
    pub fn named(mut self, name: &str) -> Result<Self> {
        self.own = Some(checked_name(name)?);
        Ok(self)
    }

    async fn make(&self, advertisement: Advertisement) -> Result<Advertised> {
        let (name, discovery, inner) = match &advertisement.state {
            Some(state) => {
                let State {
                    announcement,
                    discovery,
                    inner,
                } = State::decode(state)?;
                let name = announcement.name().to_owned();
                (name, self.discovery(&discovery)?, inner)
            }
            None => {
                let name = self.own.clone().ok_or(LanError::NoName)?;
                let first = self.discoveries.first().ok_or(LanError::NoDiscovery)?;
                (name, first, None)
            }
        };
        let advertised = discovery.advertise(Advertisement {
            state: inner,
            ..advertisement
        });
        let Advertised {
            query: link,
            state: inner,
            refresh_at,
        } = advertised.await?;
        let announcement = Announcement::new(&name, &link)?;
        self.network.announce(&announcement)?;
        let state = State {
            announcement,
            discovery: discovery.id().clone(),
            inner,
        };
        Ok(Advertised {
            query: format!("{}{name}", Self::PREFIX),
            state: Some(state.encode()),
            refresh_at,
        })
    }

    fn discovery(&self, id: &ProtocolId) -> Result<&Arc<dyn DiscoveryProtocol>> {
        let mut all = self.discoveries.iter();
        let missing = || Error::unavailable(format!("this client lacks {id}, which made the link"));
        all.find(|discovery| discovery.id() == id)
            .ok_or_else(missing)
    }

    async fn find(&self, query: &str, now: Timestamp) -> Result<Vec<BundleSet>> {
        let name = query.trim().strip_prefix(Self::PREFIX);
        let name = checked_name(name.ok_or(LanError::NotAQuery)?)?;
        let (mut links, mut newer) = (BTreeSet::new(), None);
        for heard in self.network.browse().await? {
            match Announcement::decode(&heard) {
                Ok(announcement) if announcement.claims(&name) => {
                    links.insert(announcement.link().to_owned());
                }
                Err(error @ LanError::NewerVersion { .. }) => newer = Some(error),
                // Of another name, or of nobody.
                _ => {}
            }
        }
        if links.is_empty() {
            return Err(newer.unwrap_or(LanError::NobodyThere { name }).into());
        }
        if links.len() > Self::MAX_CLAIMS {
            let max = Self::MAX_CLAIMS;
            return Err(LanError::TooMany { name, max }.into());
        }
        let answers = join_all(links.iter().map(|link| self.resolve_link(link, now))).await;
        one_answer(&name, answers)
    }

    async fn resolve_link(&self, link: &str, now: Timestamp) -> Result<Vec<BundleSet>> {
        let mut all = self.discoveries.iter();
        let unknown = || Error::unsupported("no discovery of this client takes what is announced");
        let discovery = all.find(|discovery| discovery.recognizes(link));
        discovery.ok_or_else(unknown)?.resolve(link, now).await
    }
}

/// What all who claim a name come to.
fn one_answer(name: &str, answers: Vec<Result<Vec<BundleSet>>>) -> Result<Vec<BundleSet>> {
    let claims = answers.len();
    let (mut found, mut open, mut dead) = (Vec::new(), Vec::new(), None);
    for answer in answers {
        match answer {
            Ok(sets) => found.extend(sets),
            // Behind it may be who is meant.
            Err(error) if may_be_somebody(&error) => open.push(error),
            // What was made in earnest tells more than rubbish.
            Err(error) if dead.is_none() || error.kind() == ErrorKind::Rejected => {
                dead = Some(error);
            }
            Err(_) => {}
        }
    }
    if let Some(first) = open.first() {
        if claims == 1 {
            return Err(open.remove(0));
        }
        let unknown = open.iter().flat_map(Error::unknown_services);
        let unknown: BTreeSet<&Locator> = unknown.collect();
        let message = format!(
            "{claims} on this network say that they are {name}, and {} could not be looked up: {first}",
            open.len()
        );
        let unknown = unknown.into_iter().cloned().collect();
        return Err(Error::new(first.kind(), message).for_services(unknown));
    }
    found.truncate(Lan::MAX_SETS);
    match (found.is_empty(), dead) {
        (true, Some(error)) => Err(error),
        _ => Ok(found),
    }
}

fn may_be_somebody(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Unsupported
    )
}

impl DiscoveryProtocol for Lan {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Lan::ID;
        &ID
    }

    fn recognizes(&self, query: &str) -> bool {
        query.trim().starts_with(Self::PREFIX)
    }

    /// Announces the client's name, with a link that the first of the other discoveries
    /// makes. With an earlier [`Advertised::state`] the name and the link of then.
    ///
    /// # Errors
    /// `Unsupported` without a name or another discovery, `Rejected` for a link that the
    /// network does not take, `Unavailable` if it can't be used; those of the other
    /// discovery.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(self.make(advertisement))
    }

    /// Announces again what was announced before.
    ///
    /// # Errors
    /// `Unavailable` if the network can't be used.
    fn resume(&self, state: Secret) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let State { announcement, .. } = State::decode(&state)?;
            self.network.announce(&announcement)
        })
    }

    /// Announces it no longer, and ends the link where its discovery can.
    ///
    /// # Errors
    /// Those of the other discovery.
    fn withdraw(&self, withdrawal: Withdrawal) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let State {
                announcement,
                discovery,
                inner,
            } = State::decode(&withdrawal.state)?;
            self.network.withdraw(&announcement.instance())?;
            let Some(state) = inner else {
                return Ok(());
            };
            let withdrawal = Withdrawal {
                state,
                ..withdrawal
            };
            self.discovery(&discovery)?.withdraw(withdrawal).await
        })
    }

    /// Finds the bundles of everybody who announces the name, by their links.
    ///
    /// # Errors
    /// `Malformed` for what is no query, `Unavailable` if nobody announces the name,
    /// `Rejected` beyond [`Lan::MAX_CLAIMS`]. Those of the other discoveries where no
    /// link gives anything, and where one of several can't be looked up: with the
    /// services that would have to be connected first.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(self.find(query, now))
    }

    fn properties(&self) -> DiscoveryProperties {
        let first = self.discoveries.first();
        first.map_or_else(DiscoveryProperties::default, |first| first.properties())
    }
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.discoveries.iter().map(|discovery| discovery.id());
        f.debug_struct("Lan")
            .field("name", &self.own)
            .field("discoveries", &ids.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
