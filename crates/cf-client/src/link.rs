//! Links by which others find this client, and who may not.

use std::fmt;
use std::time::Duration;

use cf_core::{
    Advertisement, BundleSet, Error, ParticipantId, ProtocolId, Random, Result, Timestamp,
};

use crate::client::Client;
use crate::limits::{DEFAULT_QUOTA, DEFAULT_RATE};

/// Names a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub [u8; 16]);

impl LinkId {
    /// Stands for all bundles that belong to no link.
    pub(crate) const NONE: Self = Self([0; 16]);

    /// Draws one.
    pub fn random(random: &mut dyn Random) -> Self {
        let mut id = [0; 16];
        random.fill(&mut id);
        Self(id)
    }

    /// Takes 16 bytes.
    ///
    /// # Errors
    /// `Malformed` for another length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let id = bytes.try_into().map(Self);
        id.map_err(|_| Error::malformed("a link's id takes 16 bytes"))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a link is to be.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Its id, drawn by the application so that it can ask again; drawn here
    /// unless said otherwise.
    pub id: Option<LinkId>,
    /// What the user calls it; nobody else learns it.
    pub label: String,
    /// How long it may be used: 30 days by default. One that does not refresh
    /// itself, or takes one invite, lives for
    /// [`GENERATION_LIFETIME`](crate::limits::GENERATION_LIFETIME) at most.
    pub lifetime: Duration,
    /// Whether one invite uses it up.
    pub one_time: bool,
    /// By which discovery it is found; the client's first, unless said otherwise.
    pub discovery: Option<ProtocolId>,
    /// The most requests through it that wait for the user.
    pub quota: u32,
    /// The most invites of strangers that are opened through it in an hour.
    pub rate: u32,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            id: None,
            label: String::new(),
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            one_time: false,
            discovery: None,
            quota: DEFAULT_QUOTA,
            rate: DEFAULT_RATE,
        }
    }
}

/// Whether a link can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Whoever has it can ask.
    Live,
    /// An invite used it up.
    Used,
    /// Its time is over.
    Expired,
}

/// A link, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its id.
    pub id: LinkId,
    /// What the user calls it.
    pub label: String,
    /// The text to give away.
    pub query: String,
    /// By which discovery it is found.
    pub discovery: ProtocolId,
    /// Whether one invite uses it up.
    pub one_time: bool,
    /// Whether it can be used.
    pub state: LinkState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// When it is given to the discovery again; `None` if it does not refresh itself.
    pub refresh_at: Option<Timestamp>,
    /// Why it could not be refreshed the last time.
    pub problem: Option<String>,
    /// The number of its newest keys.
    pub generation: u64,
    /// The most requests through it that wait for the user.
    pub quota: u32,
    /// How many requests through it wait for the user.
    pub pending: u32,
    /// The most invites of strangers that are opened through it in an hour.
    pub rate: u32,
    /// How many invites were opened.
    pub opened: u64,
    /// How often an invite was refused at a bound, unopened; its sender sends it again.
    pub refused: u64,
    /// How many invites could not be opened: their keys were gone, or they were not
    /// authentic.
    pub rejected: u64,
    /// When an invite was refused last.
    pub refused_at: Option<Timestamp>,
}

/// Somebody who is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Who.
    pub participant: ParticipantId,
    /// The name that they claimed.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
    /// How many invites of theirs were dropped.
    pub invites: u64,
}

/// A publication that a discovery is to make.
#[derive(Debug)]
pub struct Publication {
    /// Of which link.
    pub link: LinkId,
    /// The discovery.
    pub discovery: ProtocolId,
    /// What it is given. Its outcome goes to [`Driver::advertised`](crate::Driver::advertised).
    pub advertisement: Advertisement,
}

impl Client {
    /// Makes a link by which others find this client: the text to give away.
    ///
    /// # Errors
    /// As [`Client::make_link`].
    pub async fn link(&self, options: LinkOptions) -> Result<String> {
        Ok(self.make_link(options).await?.query)
    }

    /// Makes a link by which others find this client.
    ///
    /// # Errors
    /// `Misuse` without the discovery protocol, for options out of their bounds or
    /// with [`MAX_LINKS`](crate::limits::MAX_LINKS); those of the components.
    pub async fn make_link(&self, options: LinkOptions) -> Result<LinkInfo> {
        let begin = self.call(move |driver, now| driver.begin_link(&options, now));
        let publication = match begin.await? {
            Begun::Before(info) => return Ok(info),
            Begun::Now(publication) => publication,
        };
        let Publication {
            link,
            discovery,
            advertisement,
        } = *publication;
        let advertised = self.advertise(&discovery, advertisement).await;
        self.call(move |driver, now| driver.advertised(link, advertised, now))
            .await
    }

    /// The links, those that were used or have expired included, in the order in
    /// which they were made.
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn links(&self) -> Result<Vec<LinkInfo>> {
        self.call(|driver, _| Ok(driver.links())).await
    }

    /// Ends a link: no further invite is opened that comes through it. Requests
    /// stay, and so do conversations. Who resolves it later is told so, if its service
    /// takes that now and shows it to them.
    ///
    /// # Errors
    /// As [`Driver::revoke`](crate::Driver::revoke).
    pub async fn revoke(&self, link: LinkId) -> Result<()> {
        let revoke = move |driver: &mut crate::Driver, now| {
            let withdrawal = driver.withdrawal(link, now);
            driver.revoke(link, now)?;
            Ok(withdrawal)
        };
        let Some((discovery, withdrawal)) = self.call(revoke).await? else {
            return Ok(());
        };
        let mut all = self.inner.components.discoveries.iter();
        if let Some(discovery) = all.find(|other| *other.id() == discovery)
            && let Err(error) = discovery.withdraw(withdrawal).await
        {
            tracing::debug!(%error, "the link ended, and nobody can be told");
        }
        Ok(())
    }

    /// How often invites were refused at a bound, since the store began: see
    /// [`LinkInfo::refused`].
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn refused_invites(&self) -> Result<u64> {
        self.call(|driver, _| Ok(driver.refused_invites())).await
    }

    /// Makes bundles for a discovery of the application's own. They belong to no link:
    /// they can't be revoked, do not refresh themselves, and have no rate. As many
    /// requests as [`UNLINKED_QUOTA`](crate::limits::UNLINKED_QUOTA) says wait through all
    /// of them together, so that a flood of one crowds out the others: an application that
    /// gives them to strangers should be a discovery, and make links.
    ///
    /// # Errors
    /// Those of the components.
    pub async fn make_bundles(&self, options: LinkOptions) -> Result<BundleSet> {
        let made = self.call(move |driver, now| driver.make_bundles(&options, now));
        Ok(made.await?.0)
    }

    /// Blocks somebody: see [`Driver::block`](crate::Driver::block).
    ///
    /// # Errors
    /// As [`Driver::block`](crate::Driver::block).
    pub async fn block(&self, participant: ParticipantId) -> Result<()> {
        self.call(move |driver, now| driver.block(&participant, now))
            .await
    }

    /// Blocks somebody no longer.
    ///
    /// # Errors
    /// As [`Driver::unblock`](crate::Driver::unblock).
    pub async fn unblock(&self, participant: ParticipantId) -> Result<()> {
        self.call(move |driver, _| driver.unblock(&participant))
            .await
    }

    /// Who is blocked.
    ///
    /// # Errors
    /// `Misuse` after [`Client::shutdown`].
    pub async fn blocked(&self) -> Result<Vec<Blocked>> {
        self.call(|driver, _| Ok(driver.blocked())).await
    }
}

/// What became of a wish for a link.
pub enum Begun {
    /// It was made before, under the same id.
    Before(LinkInfo),
    /// It is made once this is published.
    Now(Box<Publication>),
}
