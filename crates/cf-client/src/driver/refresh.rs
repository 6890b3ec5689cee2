//! What time does to links: they are published again, get new keys, end.

use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSet, DeliveryPoint, Error, ProtocolId, Result, Scan, Secret, Timestamp,
    Withdrawal,
};

use super::contact::Generation;
use super::links::{Entry, GENERATION_LIFETIME, generation};
use super::{Driver, Effect, Wake, contacts};
use crate::event::EventKind;
use crate::link::{LinkId, Publication};
use crate::records::{self, LINK_BUNDLES, LINKS, wire};

/// How long after its end it is known whose a bundle was: longer than any
/// initialization keeps it.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// How long a link may be in the making.
const MAKING_FOR: Duration = Duration::from_secs(60 * 60);
/// The pause after a refresh has failed; doubles up to six hours.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

impl Driver {
    /// Asks to be woken for a link.
    pub(super) fn plan(&mut self, id: LinkId) {
        let entry = self.links.entry(id);
        let at = entry.due_at();
        let before = entry.wake.replace(at);
        self.set_wake(before, at, Wake::Link(id));
    }

    pub(super) fn wake_link(&mut self, id: LinkId, now: Timestamp) {
        let Some(entry) = self.links.entries.get_mut(&id) else {
            return;
        };
        entry.wake = None;
        if entry.record.revoked {
            return self.drop_link(id, now);
        }
        let over = Timestamp(entry.record.expires_at) <= now;
        if over && !entry.record.expired {
            entry.record.expired = true;
            let (label, used) = (entry.record.label.clone(), entry.record.used_at > 0);
            self.delete_link_bundles(id);
            self.put_link(id);
            if !used {
                self.log(&EventKind::LinkExpired { link: id, label }, now);
            }
        } else if entry.refreshes_at() <= now
            && let Err(error) = self.refresh_link(id, now)
        {
            self.refresh_failed(id, &error, now);
        }
        self.plan(id);
    }

    /// Publishes a link again, with new keys if it is time for them.
    fn refresh_link(&mut self, id: LinkId, now: Timestamp) -> Result<()> {
        let key = Bytes::copy_from_slice(id.as_bytes());
        let entry = self.links.entry(id);
        let discovery = ProtocolId::parse(&entry.record.discovery)?;
        let bundles = match entry.rotates_at() <= now {
            true => self.rotate_link(id, now)?,
            false => {
                let stored = self.overlay.get(LINK_BUNDLES, &key)?;
                let stored = stored.ok_or_else(records::damaged)?;
                contacts::read(&records::read(&stored)?)?
            }
        };
        let entry = self.links.entry(id);
        entry.publishing = true;
        let record = &mut entry.record;
        record.publications += 1;
        let publication = record.publications;
        let state = record.state.as_ref().map(|state| Secret::from(&state[..]));
        let expires_at = record.generations.last().map_or(0, |g| g.expires_at);
        self.put_link(id);
        let expires_at = Timestamp(expires_at);
        let advertisement = self.advertisement(bundles, expires_at, publication, state, now);
        self.effects.push(Effect::Advertise(Box::new(Publication {
            link: id,
            discovery,
            advertisement,
        })));
        self.counters.add("refreshed.link");
        Ok(())
    }

    /// Which queries discoveries are to go on with, in a client that has started again:
    /// those of the links that can be used.
    pub fn resumptions(&self) -> Vec<(ProtocolId, Secret)> {
        let live = self.links.known().filter(|(_, entry)| entry.is_live());
        let resumption = |(_, entry): (&LinkId, &Entry)| {
            let state = Secret::from(&entry.record.state.as_ref()?[..]);
            Some((ProtocolId::parse(&entry.record.discovery).ok()?, state))
        };
        live.filter_map(resumption).collect()
    }

    /// Has the discovery say that a link was revoked.
    pub(super) fn withdraw_link(&mut self, id: LinkId, now: Timestamp) {
        let mut seed = [0; 32];
        self.random.fill(&mut seed);
        let entry = self.links.entry(id);
        let record = &mut entry.record;
        let state = record.state.as_ref().map(|state| Secret::from(&state[..]));
        let (Some(state), Ok(discovery)) = (state, ProtocolId::parse(&record.discovery)) else {
            return;
        };
        record.publications += 1;
        let generation = record.publications;
        entry.publishing = true;
        self.put_link(id);
        let withdrawal = Withdrawal {
            state,
            generation,
            now,
            seed,
        };
        self.effects
            .push(Effect::Withdraw(id, discovery, withdrawal));
    }

    /// A discovery has said that a link was revoked, or could not: that is tried
    /// again until the link would have expired, unless the discovery never can.
    pub fn withdrawn(&mut self, link: LinkId, withdrawn: Result<()>, now: Timestamp) {
        let entry = self.links.entries.get_mut(&link);
        let Some(entry) = entry.filter(|entry| entry.record.revoked) else {
            return;
        };
        entry.publishing = false;
        match withdrawn {
            Err(error) if error.is_retryable() => self.refresh_failed(link, &error, now),
            _ => {
                entry.record.state = None;
                self.forget_link(link);
            }
        }
    }

    /// Makes the next generation of a link, at the same addresses.
    fn rotate_link(&mut self, id: LinkId, now: Timestamp) -> Result<BundleSet> {
        let record = &self.links.entry(id).record;
        let points: Result<Vec<_>> = record.points.iter().map(wire::Point::to_core).collect();
        let number = record.generations.last().map_or(0, |g| g.number) + 1;
        let expires_at = Timestamp(record.expires_at).min(now.after(GENERATION_LIFETIME));
        let wanted = Generation {
            points: self.link_points_like(&points?),
            expires_at,
            one_time: false,
            number,
        };
        let (bundles, ids) = self.make_generation(&wanted, now)?;
        for (_, bundle) in &ids {
            self.links.by_bundle.insert(*bundle, id);
        }
        let describes = self.describe();
        let entry = self.links.entry(id);
        entry.is_stale = false;
        let record = &mut entry.record;
        record.describes = describes;
        record.rotated_at = now.0;
        record.points = wanted.points.iter().map(Into::into).collect();
        record.generations.push(generation(number, expires_at, ids));
        self.put_link(id);
        self.put_link_bundles(id, &bundles);
        self.counters.add("rotated.link");
        Ok(bundles)
    }

    /// A link's points: those that it has where they can be reached, and fresh ones
    /// for services and framings that are new.
    fn link_points_like(&mut self, own: &[DeliveryPoint]) -> Vec<DeliveryPoint> {
        let fresh = self.components.link_points(&mut *self.random);
        let same = |fresh: DeliveryPoint| {
            let mut all = own.iter();
            let same = all
                .find(|own| own.locator == fresh.locator && own.framing == fresh.framing)
                .cloned();
            same.unwrap_or(fresh)
        };
        fresh.into_iter().map(same).collect()
    }

    pub(super) fn refresh_failed(&mut self, id: LinkId, error: &Error, now: Timestamp) {
        self.rejected("failed.link", error);
        let entry = self.links.entry(id);
        let pause = FIRST_PAUSE.saturating_mul(1 << entry.failures.min(16));
        entry.failures = entry.failures.saturating_add(1);
        entry.retry_at = now.after(pause.min(LONGEST_PAUSE));
        entry.problem = Some(error.to_string());
        self.plan(id);
    }

    /// An invite was opened through a link that takes one: its other bundles end.
    pub(super) fn use_up_link(&mut self, id: LinkId, bundle: BundleId, now: Timestamp) {
        let record = &mut self.links.entry(id).record;
        record.used_at = now.0;
        let generations = record.generations.clone();
        // The bundle itself stays: by it the invite is known when it comes again.
        let mut left = self.revoke_those(&generations, |other| other != bundle, now);
        left.retain(|generation| !generation.bundles.is_empty());
        self.links.entry(id).record.generations = left;
        self.delete_link_bundles(id);
        self.put_link(id);
        self.plan(id);
    }

    /// Forgets what has ended: generations, links without any, and those that were
    /// never told.
    pub(super) fn expire_links(&mut self, now: Timestamp) {
        let all: Vec<_> = self.links.known().map(|(id, _)| *id).collect();
        for id in all {
            let record = &mut self.links.entry(id).record;
            if record.query.is_empty() && Timestamp(record.created_at).after(MAKING_FOR) <= now {
                self.drop_link(id, now);
                continue;
            }
            let over = |g: &wire::link::Generation| Timestamp(g.expires_at).after(KNOWN_FOR) <= now;
            let (gone, left): (Vec<_>, Vec<_>) = record.generations.drain(..).partition(over);
            record.generations = left;
            let dead = record.expired && record.generations.is_empty();
            if dead {
                self.drop_link(id, now);
            } else if !gone.is_empty() {
                for bundle in gone.iter().flat_map(|g| &g.bundles) {
                    if let Ok(bundle) = BundleId::from_slice(&bundle.id) {
                        self.links.by_bundle.remove(&bundle);
                    }
                }
                self.put_link(id);
                self.plan(id);
            }
        }
    }

    /// Reads back the links, and ends those that were in the making.
    pub(super) fn restore_links(&mut self, now: Timestamp) -> Result<()> {
        let describes = self.describe();
        for (key, value) in self.overlay.scan(LINKS, &Scan::prefix(""))? {
            let (id, record) = (
                LinkId::from_slice(&key)?,
                records::read::<wire::Link>(&value)?,
            );
            let is_stale = record.describes != describes;
            let entry = Entry {
                record,
                is_stale,
                ..Entry::default()
            };
            self.links.insert(id, entry);
        }
        let all: Vec<_> = self.links.entries.keys().copied().collect();
        for id in all.into_iter().filter(|id| *id != LinkId::NONE) {
            let record = &self.links.entry(id).record;
            match record.revoked || record.query.is_empty() {
                true => self.drop_link(id, now),
                false => self.plan(id),
            }
        }
        Ok(())
    }
}
