//! Who is behind a query: the discoveries are asked, and nobody is chosen silently.

use std::fmt::Write;

use cf_core::{BundleInfo, BundleSet, Error, ErrorKind, Locator, ProtocolId, Result, Timestamp};

use crate::Client;

/// The most clients that an error names which claim one thing.
const MAX_LISTED: usize = 32;

/// What a discovery has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The discovery that has answered.
    pub discovery: ProtocolId,
    /// The bundles of each client that claims to be what was asked for; at least one.
    pub bundles: Vec<BundleSet>,
}

impl Client {
    /// Whether a discovery of this client takes a query, by its form alone.
    pub fn recognizes(&self, query: &str) -> bool {
        let (query, _) = split(query);
        let mut all = self.inner.components.discoveries.iter();
        all.any(|discovery| discovery.recognizes(query))
    }

    /// Asks the discoveries that recognize a query, one after the other, until one has
    /// found somebody.
    ///
    /// # Errors
    /// `Unsupported` if no discovery takes the query; else what each of them said, with
    /// the kind that the first one gave.
    pub async fn search(&self, query: &str) -> Result<Found> {
        let (query, _) = split(query);
        let now = self.call(|_, now| Ok(now)).await?;
        let mut refusals = Vec::new();
        let all = &self.inner.components.discoveries;
        for discovery in all.iter().filter(|it| it.recognizes(query)) {
            let error = match discovery.resolve(query, now).await {
                Ok(bundles) if !bundles.is_empty() => {
                    return Ok(Found {
                        discovery: discovery.id().clone(),
                        bundles,
                    });
                }
                Ok(_) => Error::unavailable("nobody was found by this"),
                Err(error) => error,
            };
            refusals.push((discovery.id(), error));
        }
        Err(match refusals.len() {
            0 => self.unrecognized(query, now).await,
            1 => refusals.remove(0).1,
            _ => {
                let said = refusals.iter().map(|(id, error)| format!("{id}: {error}"));
                let said: Vec<_> = said.collect();
                let (_, first) = &refusals[0];
                let mut unknown: Vec<Locator> = Vec::new();
                for locator in refusals.iter().flat_map(|(_, it)| it.unknown_services()) {
                    if !unknown.contains(locator) {
                        unknown.push(locator.clone());
                    }
                }
                Error::new(first.kind(), said.join("; ")).for_services(unknown)
            }
        })
    }

    /// Finds the bundles behind a query. Where several clients claim it, `#` and the
    /// start of a fingerprint after the query say which is meant: the hexadecimal
    /// digits of the participant id. A fingerprint that is given has to be the owner's
    /// also where only one is found.
    ///
    /// # Errors
    /// As [`Client::add`]; `Rejected` names the fingerprints where it is not clear who
    /// is meant.
    pub async fn resolve(&self, query: &str) -> Result<BundleSet> {
        let (_, start) = split(query);
        if start.is_some_and(|start| start.len() < MIN_START) {
            return Err(Error::misuse(
                "give at least 16 digits of the fingerprint after the #",
            ));
        }
        let mut bundles = self.search(query).await?.bundles;
        if start.is_none() && bundles.len() == 1 {
            return Ok(bundles.remove(0));
        }
        let (mut meant, mut others) = (Vec::new(), Vec::new());
        for bundles in bundles {
            let reading = bundles.clone();
            let read = move |driver: &mut crate::Driver, now| driver.read_bundles(&reading, now);
            // What does not hold is nobody's claim.
            let Ok(info) = self.call(read).await else {
                continue;
            };
            // One client that is found in two ways is no second one.
            let same = |(_, other): &(BundleSet, BundleInfo)| {
                info.owner.is_some() && other.owner == info.owner
            };
            if meant.iter().any(same) {
                continue;
            }
            let is_meant = start.is_none_or(|start| {
                let start = start.to_ascii_lowercase();
                fingerprint(&info).starts_with(&start)
            });
            match is_meant {
                true => meant.push((bundles, info)),
                false => others.push(info),
            }
        }
        match meant.len() {
            1 => Ok(meant.remove(0).0),
            0 if others.is_empty() => Err(Error::rejected(
                "what was found here was made by nobody whom this client can ask",
            )),
            0 => Err(Error::rejected(format!(
                "none of those found has this fingerprint; there are:{}",
                list(others.iter())
            ))),
            several => Err(Error::rejected(format!(
                "{several} clients claim this; add # and the start of the right fingerprint, \
                 compared by another way:{}",
                list(meant.iter().map(|(_, info)| info))
            ))),
        }
    }

    /// Why no discovery takes a query: one may know more, for instance that it
    /// is of a newer version. What is not recognized contacts nobody.
    async fn unrecognized(&self, query: &str, now: Timestamp) -> Error {
        for discovery in &self.inner.components.discoveries {
            if let Err(error) = discovery.resolve(query, now).await
                && error.kind() == ErrorKind::Unsupported
            {
                return error;
            }
        }
        Error::unsupported("no discovery of this client takes this; is it whole?")
    }
}

/// How much of a fingerprint has to be given, in digits: so much that nobody makes keys
/// until one begins alike.
const MIN_START: usize = 16;

/// A query, and the start of a fingerprint behind it: nothing that a discovery takes
/// holds this sign.
fn split(query: &str) -> (&str, Option<&str>) {
    match query.trim().rsplit_once('#') {
        Some((query, start)) => (query, Some(start)),
        None => (query.trim(), None),
    }
}

fn fingerprint(info: &BundleInfo) -> String {
    let mut digits = String::new();
    for byte in info.owner.iter().flat_map(|owner| owner.as_bytes()) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// One to a line, with the names that they claim, which may be anything.
fn list<'a>(all: impl ExactSizeIterator<Item = &'a BundleInfo>) -> String {
    let (len, mut lines) = (all.len(), String::new());
    for info in all.take(MAX_LISTED) {
        let name = info.spec.display_name.escape_debug();
        let _ = write!(lines, "\n  {}  {name}", fingerprint(info));
    }
    if len > MAX_LISTED {
        let _ = write!(lines, "\n  and {} more", len - MAX_LISTED);
    }
    lines
}
