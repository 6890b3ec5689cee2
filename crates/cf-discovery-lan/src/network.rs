use cf_core::{BoxFuture, Result};

use crate::Announcement;

/// The local network, as far as [`Lan`](crate::Lan) needs it.
///
/// Whoever is on the network can announce anything, as often as they like: what is
/// heard is bounded here and judged by [`Announcement::decode`].
pub trait Network: Send + Sync {
    /// Announces under the announcement's [instance](Announcement::instance), as long as
    /// this value lives.
    ///
    /// # Errors
    /// `Unavailable` if the network can't be used.
    fn announce(&self, announcement: &Announcement) -> Result<()>;

    /// Announces an instance no longer; nothing happens if it was not announced.
    ///
    /// # Errors
    /// `Unavailable` if the network can't be used.
    fn withdraw(&self, instance: &str) -> Result<()>;

    /// Asks who is there, and gives what was announced, at most
    /// [`Lan::MAX_HEARD`](crate::Lan::MAX_HEARD).
    ///
    /// # Errors
    /// `Unavailable` if the network can't be used.
    fn browse(&self) -> BoxFuture<'_, Result<Vec<Heard>>>;
}

/// One record, as it was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its strings: keys, of which each counts once, and values.
    pub strings: Vec<(String, Vec<u8>)>,
}

/// The names of those who are there, sorted, each with how many claim it. What
/// breaks the format does not count.
///
/// # Errors
/// Those of [`Network::browse`].
pub async fn names(network: &dyn Network) -> Result<Vec<(String, usize)>> {
    let heard = network.browse().await?;
    let mut found: Vec<_> = heard
        .iter()
        .filter_map(|heard| Announcement::decode(heard).ok())
        .collect();
    found.sort_by_cached_key(|it| (it.name().to_lowercase(), it.link().to_owned()));
    found.dedup_by(|next, last| last.claims(next.name()) && last.link() == next.link());
    let mut names: Vec<(String, usize)> = Vec::new();
    for announcement in found {
        match names.last_mut() {
            Some((name, count)) if announcement.claims(name) => *count += 1,
            _ => names.push((announcement.name().to_owned(), 1)),
        }
    }
    Ok(names)
}
