//! `/cf/discovery/link/1`; its specification is `docs/spec/discovery-link-1.md`.

pub(crate) mod content;
mod text;

use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProtocol, ProtocolId, Result,
    Timestamp,
};

use self::content::Content;
use crate::Error;

/// Puts a client's bundles into a text that a person can paste, or a picture or
/// file can hold.
///
/// Nobody is asked and nothing is kept: the link *is* the bundles. So it can't be
/// refreshed, its keys live as long as the link, and whoever has it can read it.
///
/// ```
/// use cf_core::*;
/// let bundles = BundleSet::new(vec![(ProtocolId::parse("/example/init/1")?, "bundle".into())])?;
/// let advertisement = Advertisement {
///     bundles: bundles.clone(),
///     expires_at: Timestamp(2_000),
///     generation: 1,
///     state: None,
///     now: Timestamp(1_000),
///     seed: [0; 32],
/// };
/// let link = pollster::block_on(cf_discovery::Link.advertise(advertisement))?.query;
/// assert!(link.starts_with("cfintro_1_"));
/// let resolve = |now| pollster::block_on(cf_discovery::Link.resolve(&link, now));
/// assert_eq!(resolve(Timestamp(1_999))?, [bundles]);
/// assert_eq!(resolve(Timestamp(2_000)).unwrap_err().kind(), ErrorKind::Rejected);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Link;

impl Link {
    /// The protocol of this discovery.
    pub const ID: ProtocolId = ProtocolId::from_static("/cf/discovery/link/1");
    /// What every link starts with.
    pub const PREFIX: &'static str = "cfintro_1_";
    /// The longest link, in characters; white space around it does not count.
    pub const MAX_LEN: usize = 128 * 1024;

    fn make(advertisement: Advertisement) -> Result<String, Error> {
        let Advertisement {
            bundles,
            expires_at,
            now,
            ..
        } = advertisement;
        if expires_at <= now {
            return Err(Error::AlreadyExpired);
        }
        text::encode(&content::encode(&Content {
            bundles,
            expires_at,
        }))
    }

    fn read(query: &str, now: Timestamp) -> Result<BundleSet, Error> {
        let content = content::decode(text::decode(query)?)?;
        if content.expires_at <= now {
            return Err(Error::Expired);
        }
        Ok(content.bundles)
    }
}

impl DiscoveryProtocol for Link {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = Link::ID;
        &ID
    }

    fn recognizes(&self, query: &str) -> bool {
        query.trim().starts_with(Self::PREFIX)
    }

    /// Makes a link. It can't be refreshed: advertising again makes another.
    ///
    /// # Errors
    /// `Rejected` for bundles that take more than [`Link::MAX_LEN`] characters,
    /// `Misuse` if they have expired.
    fn advertise(&self, advertisement: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async {
            Ok(Advertised {
                query: Self::make(advertisement)?,
                state: None,
                refresh_at: None,
            })
        })
    }

    /// Reads a link, white space around it aside.
    ///
    /// # Errors
    /// `Malformed` for what is not a whole link, `Unsupported` for one of a later
    /// version, `Rejected` for one that has expired.
    fn resolve<'a>(
        &'a self,
        query: &'a str,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move { Ok(vec![Self::read(query, now)?]) })
    }
}
