//! Links: who has one can ask. Each has its own addresses, keys and bounds, makes
//! its keys anew every week, and ends without ending a conversation.
//!
//! A link is a record before it is given to its discovery, and its query is told
//! only after that is noted: so a crash in between leaves bundles that nobody has,
//! and they are revoked at the next start. A refresh is noted before it is
//! published as well; after a crash the same bundles are published under a higher
//! number.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Advertised, Advertisement, BundleId, BundleSet, Error, ProtocolId, Result, Secret, Timestamp,
    Withdrawal,
};

use super::contact::{BundleIds, Generation};
use super::requests::Peeks;
use super::{Driver, Wake, contacts};
use crate::link::{Begun, LinkId, LinkInfo, LinkOptions, LinkState, Publication};
use crate::records::{self, LINK_BUNDLES, LINKS, wire};

/// The most links. Beyond, the oldest that was used or has expired makes room.
pub const MAX_LINKS: usize = 64;
/// The longest label, in bytes.
pub const MAX_LABEL_LEN: usize = 128;
/// How long a link may live: 366 days.
pub const MAX_LINK_LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How many requests wait through a link, unless it is set otherwise.
pub const DEFAULT_QUOTA: u32 = 64;
/// The highest quota.
pub const MAX_QUOTA: u32 = 512;
/// How many invites of strangers are opened through a link in an hour, unless it is
/// set otherwise.
pub const DEFAULT_RATE: u32 = 60;
/// How many requests wait through bundles of no link, all together. They have no
/// rate.
pub const UNLINKED_QUOTA: u32 = 512;
/// How long the bundles of a generation may be used at most; also while the client
/// is away.
pub const GENERATION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often a link that refreshes itself gets new keys.
pub const ROTATE_LINK_EVERY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most generations of a link of which invites are opened; with so many, no
/// further one is made until one has ended.
pub const MAX_GENERATIONS: usize = 16;

/// How soon a link says that the client has changed.
const CHANGED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon a discovery may ask for the next refresh.
const REFRESH_AFTER: Duration = Duration::from_secs(1);

/// The links, by id, and whose each bundle is.
#[derive(Default)]
pub(super) struct Links {
    pub(super) entries: BTreeMap<LinkId, Entry>,
    pub(super) by_bundle: HashMap<BundleId, LinkId>,
}

/// A link in memory.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) record: wire::Link,
    pub(super) peeks: Peeks,
    /// Whether it is with its discovery now.
    pub(super) publishing: bool,
    pub(super) failures: u32,
    pub(super) problem: Option<String>,
    pub(super) retry_at: Timestamp,
    /// Whether its bundles say what is no longer so.
    pub(super) is_stale: bool,
    pub(super) wake: Option<Timestamp>,
}

impl Entry {
    fn state(&self) -> LinkState {
        match (self.record.used_at, self.record.expired) {
            (0, false) => LinkState::Live,
            (0, true) => LinkState::Expired,
            _ => LinkState::Used,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.state() == LinkState::Live
    }

    /// When it gets new keys.
    pub(super) fn rotates_at(&self) -> Timestamp {
        let full = self.record.generations.len() >= MAX_GENERATIONS;
        let rotated_at = Timestamp(self.record.rotated_at);
        match self.is_stale {
            _ if full || self.record.one_time => Timestamp::NEVER,
            true => rotated_at.after(CHANGED_AFTER),
            false => rotated_at.after(ROTATE_LINK_EVERY),
        }
    }

    /// When it is published again.
    pub(super) fn refreshes_at(&self) -> Timestamp {
        if !self.is_live() || self.record.refresh_at == 0 || self.publishing {
            return Timestamp::NEVER;
        }
        let at = Timestamp(self.record.refresh_at).min(self.rotates_at());
        at.max(self.retry_at)
    }

    /// When something is to be done.
    pub(super) fn due_at(&self) -> Timestamp {
        let nothing = self.record.expired || self.record.query.is_empty();
        match nothing || self.publishing && self.record.revoked {
            true => Timestamp::NEVER,
            false if self.record.revoked => self.retry_at,
            false => self.refreshes_at().min(Timestamp(self.record.expires_at)),
        }
    }
}

impl Links {
    /// The link of a bundle.
    pub(super) fn of(&self, bundle: BundleId) -> LinkId {
        self.by_bundle.get(&bundle).copied().unwrap_or(LinkId::NONE)
    }

    /// A link, or the stand-in for none.
    pub(super) fn entry(&mut self, id: LinkId) -> &mut Entry {
        self.entries.entry(id).or_insert_with(|| Entry {
            record: wire::Link {
                quota: UNLINKED_QUOTA,
                rate: u32::MAX,
                ..wire::Link::default()
            },
            ..Entry::default()
        })
    }

    /// What the user calls a link.
    pub(super) fn label(&self, id: LinkId) -> String {
        let entry = self.entries.get(&id);
        entry.map_or_else(String::new, |entry| entry.record.label.clone())
    }

    /// How many wait for their discovery.
    pub(super) fn publishing(&self) -> usize {
        self.entries.values().filter(|e| e.publishing).count()
    }

    pub(super) fn insert(&mut self, id: LinkId, entry: Entry) {
        for bundle in ids(&entry.record) {
            self.by_bundle.insert(bundle, id);
        }
        self.entries.insert(id, entry);
    }

    pub(super) fn known(&self) -> impl Iterator<Item = (&LinkId, &Entry)> {
        let known = |(id, entry): &(&LinkId, &Entry)| **id != LinkId::NONE && !entry.record.revoked;
        self.entries.iter().filter(known)
    }
}

/// The ids of all bundles of a link.
fn ids(record: &wire::Link) -> impl Iterator<Item = BundleId> {
    let all = record.generations.iter().flat_map(|g| &g.bundles);
    all.filter_map(|bundle| BundleId::from_slice(&bundle.id).ok())
}

pub(super) fn generation(
    number: u64,
    expires_at: Timestamp,
    ids: BundleIds,
) -> wire::link::Generation {
    let bundle = |(initialization, id): (ProtocolId, BundleId)| wire::link::Bundle {
        initialization: initialization.as_str().to_owned(),
        id: Bytes::copy_from_slice(id.as_bytes()),
    };
    wire::link::Generation {
        number,
        expires_at: expires_at.0,
        bundles: ids.into_iter().map(bundle).collect(),
    }
}

impl Driver {
    /// Begins a link: what it gives is to be published by its discovery, and the
    /// outcome given to [`advertised`](Self::advertised).
    ///
    /// # Errors
    /// `Misuse` without the discovery protocol, for options out of their bounds or
    /// with [`MAX_LINKS`] live ones; those of the components.
    pub fn begin_link(&mut self, options: &LinkOptions, now: Timestamp) -> Result<Begun> {
        if let Some(known) = options.id.and_then(|id| self.link_info(id)) {
            return Ok(Begun::Before(known));
        }
        self.check_options(options)?;
        let wanted = options.discovery.as_ref();
        let mut all = self.components.discoveries.iter();
        let discovery = all.find(|discovery| wanted.is_none_or(|id| id == discovery.id()));
        let discovery = discovery.map(|discovery| discovery.id().clone());
        let discovery = discovery.ok_or_else(|| {
            let which = wanted.map_or("a discovery protocol", ProtocolId::as_str);
            Error::misuse(format!("give the client {which}"))
        })?;
        let oldest = self.link_to_drop()?;
        let expires_at = now.after(options.lifetime);
        let wanted = Generation {
            points: self.components.link_points(&mut *self.random),
            expires_at: expires_at.min(now.after(GENERATION_LIFETIME)),
            one_time: options.one_time,
            number: 1,
        };
        let (bundles, ids) = self.make_generation(&wanted, now)?;
        if let Some(oldest) = oldest {
            self.drop_link(oldest, now);
        }
        let id = match options.id {
            Some(id) => id,
            None => LinkId::random(&mut *self.random),
        };
        let record = wire::Link {
            label: options.label.clone(),
            discovery: discovery.as_str().to_owned(),
            created_at: now.0,
            expires_at: expires_at.0,
            one_time: options.one_time,
            quota: options.quota,
            rate: options.rate,
            points: wanted.points.iter().map(Into::into).collect(),
            generations: vec![generation(1, wanted.expires_at, ids)],
            rotated_at: now.0,
            describes: self.describe(),
            publications: 1,
            ..wire::Link::default()
        };
        let entry = Entry {
            record,
            publishing: true,
            ..Entry::default()
        };
        self.links.insert(id, entry);
        self.put_link(id);
        self.put_link_bundles(id, &bundles);
        let advertisement = self.advertisement(bundles, wanted.expires_at, 1, None, now);
        self.settle(now);
        Ok(Begun::Now(Box::new(Publication {
            link: id,
            discovery,
            advertisement,
        })))
    }

    fn check_options(&self, options: &LinkOptions) -> Result<()> {
        if options.label.len() > MAX_LABEL_LEN {
            return Err(Error::misuse("a link's label takes up to 128 bytes"));
        }
        if options.quota == 0 || options.quota > MAX_QUOTA {
            return Err(Error::misuse("a link's quota is 1 to 512 requests"));
        }
        if options.rate == 0 {
            return Err(Error::misuse(
                "a link's rate is at least one invite an hour",
            ));
        }
        if options.lifetime > MAX_LINK_LIFETIME {
            return Err(Error::misuse("a link lives for 366 days at most"));
        }
        let taken = options.id.filter(|id| self.links.entries.contains_key(id));
        if taken.is_some() || options.id == Some(LinkId::NONE) {
            return Err(Error::unavailable("a link with this id is in the making"));
        }
        Ok(())
    }

    /// What has to make room for another link.
    fn link_to_drop(&self) -> Result<Option<LinkId>> {
        if self.links.known().count() < MAX_LINKS {
            return Ok(None);
        }
        let over = |(_, entry): &(&LinkId, &Entry)| entry.state() != LinkState::Live;
        let over = self.links.known().filter(over);
        let oldest = over.min_by_key(|(_, entry)| entry.record.created_at);
        let full = || Error::misuse("there are 64 links: revoke one");
        oldest.map(|(id, _)| Some(*id)).ok_or_else(full)
    }

    pub(super) fn advertisement(
        &mut self,
        bundles: BundleSet,
        expires_at: Timestamp,
        publication: u64,
        state: Option<Secret>,
        now: Timestamp,
    ) -> Advertisement {
        let mut seed = [0; 32];
        self.random.fill(&mut seed);
        Advertisement {
            bundles,
            expires_at,
            generation: publication,
            state,
            now,
            seed,
        }
    }

    /// A discovery has published a link, or could not. What fails the first time is
    /// no link; later it is tried again.
    ///
    /// # Errors
    /// `Unavailable` if there is no such link any more, else that of the discovery.
    pub fn advertised(
        &mut self,
        link: LinkId,
        advertised: Result<Advertised>,
        now: Timestamp,
    ) -> Result<LinkInfo> {
        let entry = self.links.entries.get_mut(&link);
        let Some(entry) = entry.filter(|entry| !entry.record.revoked) else {
            return Err(Error::unavailable(
                "the client forgot this link while it was made: ask for another",
            ));
        };
        entry.publishing = false;
        let record = &mut entry.record;
        match advertised {
            Err(error) if record.query.is_empty() => {
                self.drop_link(link, now);
                self.settle(now);
                return Err(error);
            }
            Err(error) => {
                self.refresh_failed(link, &error, now);
                self.settle(now);
                return Err(error);
            }
            Ok(Advertised {
                query,
                state,
                refresh_at,
            }) => {
                record.query = query;
                record.state = state.map(|state| Bytes::copy_from_slice(state.expose()));
                let at = refresh_at.map(|at| at.max(now.after(REFRESH_AFTER)).0);
                record.refresh_at = at.unwrap_or_default();
                if at.is_none() || record.one_time {
                    // It will have no other keys.
                    let last = record.generations.last().map_or(0, |g| g.expires_at);
                    record.expires_at = record.expires_at.min(last);
                }
                (entry.failures, entry.problem) = (0, None);
                entry.retry_at = Timestamp::default();
                if at.is_none() {
                    self.delete_link_bundles(link);
                }
            }
        }
        self.put_link(link);
        self.plan(link);
        self.settle(now);
        let gone = || Error::unavailable("the link was revoked while it was made");
        self.link_info(link).ok_or_else(gone)
    }

    /// The links, those that were used or have expired included, in the order in
    /// which they were made.
    pub fn links(&self) -> Vec<LinkInfo> {
        let ids = self.links.known().map(|(id, _)| *id);
        let mut all: Vec<_> = ids.filter_map(|id| self.link_info(id)).collect();
        all.sort_by_key(|link| (link.created_at, link.id));
        all
    }

    fn link_info(&self, id: LinkId) -> Option<LinkInfo> {
        let entry = self.links.entries.get(&id)?;
        let record = &entry.record;
        if record.revoked || record.query.is_empty() {
            return None;
        }
        Some(LinkInfo {
            id,
            label: record.label.clone(),
            query: record.query.clone(),
            discovery: ProtocolId::parse(&record.discovery).ok()?,
            one_time: record.one_time,
            state: entry.state(),
            created_at: Timestamp(record.created_at),
            expires_at: Timestamp(record.expires_at),
            refresh_at: (entry.is_live() && record.refresh_at > 0)
                .then(|| Timestamp(record.refresh_at).max(entry.retry_at)),
            problem: entry.problem.clone(),
            generation: record.generations.last().map_or(0, |g| g.number),
            quota: record.quota,
            pending: self.waiting.of(id),
            rate: record.rate,
            opened: record.opened,
            refused: record.refused,
            rejected: record.rejected,
            refused_at: (record.refused_at > 0).then_some(Timestamp(record.refused_at)),
        })
    }

    /// How often invites were refused at a bound, through all links and through
    /// none, since the client's store began.
    pub fn refused_invites(&self) -> u64 {
        let refused = self.links.entries.values().map(|e| e.record.refused);
        refused.fold(0, u64::saturating_add)
    }

    /// Ends a link: its keys are gone, and no further invite is opened that comes
    /// through it. Requests stay, and so do conversations: what is on its way to
    /// either still arrives.
    ///
    /// # Errors
    /// `Misuse` if there is no such link.
    pub fn revoke(&mut self, link: LinkId, now: Timestamp) -> Result<()> {
        if self.link_info(link).is_none() {
            return Err(Error::misuse("there is no link with this id"));
        }
        self.drop_link(link, now);
        self.settle(now);
        Ok(())
    }

    /// By which discovery, and how, a link is withdrawn so that who resolves it learns
    /// that it was revoked; `None` where there is nothing to withdraw.
    pub fn withdrawal(&mut self, link: LinkId, now: Timestamp) -> Option<(ProtocolId, Withdrawal)> {
        let record = &self.links.entries.get(&link)?.record;
        let discovery = ProtocolId::parse(&record.discovery).ok()?;
        let state = Secret::from(&record.state.as_ref()?[..]);
        let mut seed = [0; 32];
        self.random.fill(&mut seed);
        let withdrawal = Withdrawal {
            state,
            // Nothing comes after it, also no refresh that is under way.
            generation: u64::MAX,
            now,
            seed,
        };
        Some((discovery, withdrawal))
    }

    /// Ends a link and forgets it.
    pub(super) fn drop_link(&mut self, id: LinkId, now: Timestamp) {
        let Some(entry) = self.links.entries.get_mut(&id) else {
            return;
        };
        if let Some(at) = entry.wake.take() {
            self.wakes.remove(&(at, Wake::Link(id)));
        }
        entry.record.revoked = true;
        let generations = entry.record.generations.clone();
        let left = self.revoke_those(&generations, |_| true, now);
        self.delete_link_bundles(id);
        let revoked = self.links.entries.values().filter(|e| e.record.revoked);
        let full = revoked.count() > MAX_LINKS;
        let record = &mut self.links.entry(id).record;
        record.generations = left;
        if full || Timestamp(record.expires_at) <= now {
            // Nobody who would resolve it could use what is there.
            record.state = None;
        }
        match record.state.is_some() {
            true => self.withdraw_link(id, now),
            false => self.forget_link(id),
        }
    }

    /// Forgets a link that was revoked, but for bundles whose initialization is
    /// missing: they end when that comes back.
    pub(super) fn forget_link(&mut self, id: LinkId) {
        if !self.links.entry(id).record.generations.is_empty() {
            return self.put_link(id);
        }
        self.links.entries.remove(&id);
        self.overlay
            .delete(LINKS, Bytes::copy_from_slice(id.as_bytes()));
    }

    /// Revokes bundles of a link; gives those that are left.
    pub(super) fn revoke_those(
        &mut self,
        generations: &[wire::link::Generation],
        which: impl Fn(BundleId) -> bool,
        now: Timestamp,
    ) -> Vec<wire::link::Generation> {
        let mut left = Vec::new();
        for generation in generations {
            let mut generation = generation.clone();
            generation.bundles.retain(|bundle| {
                let Ok(id) = BundleId::from_slice(&bundle.id) else {
                    return false;
                };
                if !which(id) {
                    return true;
                }
                self.links.by_bundle.remove(&id);
                let mut all = self.inboxes.iter();
                let index = all.position(|inbox| inbox.id.as_str() == bundle.initialization);
                if let Some(index) = index {
                    self.revoke_bundles(&[(index, id)], now);
                }
                index.is_none()
            });
            if !generation.bundles.is_empty() {
                left.push(generation);
            }
        }
        left
    }

    pub(super) fn put_link(&mut self, id: LinkId) {
        let record = records::write(&self.links.entry(id).record);
        let key = Bytes::copy_from_slice(id.as_bytes());
        self.overlay.put(LINKS, key, record);
    }

    pub(super) fn put_link_bundles(&mut self, id: LinkId, bundles: &BundleSet) {
        let record = records::write(&contacts::write(bundles));
        let key = Bytes::copy_from_slice(id.as_bytes());
        self.overlay.put(LINK_BUNDLES, key, record);
    }

    pub(super) fn delete_link_bundles(&mut self, id: LinkId) {
        let key = Bytes::copy_from_slice(id.as_bytes());
        self.overlay.delete(LINK_BUNDLES, key);
    }
}
