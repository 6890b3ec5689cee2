//! Requests: invites that opened and wait for the user, and what bounds them.
//!
//! A bound refuses an invite before it is opened: that costs no asymmetric
//! operation, nothing is stored of it, and since its sender sends it again it is
//! opened once there is room. Only who has a conversation already is let through;
//! to find out, a few of those that are refused are opened on the side.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cf_core::{
    DeliveryAddress, Env, InviteId, Locator, Opened, Recognized, Result, RoutingTag, Timestamp,
};

use super::Driver;
use super::sessions::{Renewal, Sender};
use crate::link::LinkId;
use crate::overlay::InstanceRecords;
use crate::records::{self, REQUESTS, wire};

/// The most requests that wait for the user.
pub const MAX_REQUESTS: usize = 1024;
/// The most bytes of invites that wait for the user.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;
/// How many refused invites are opened on the side at once, through each link.
pub const PEEKS: u32 = 8;
/// How soon another one may be.
pub const PEEK_EVERY: Duration = Duration::from_secs(10);
/// The window of a link's rate.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What is in memory of the requests that wait.
#[derive(Default)]
pub(super) struct Waiting {
    all: HashMap<InviteId, Note>,
    /// How many there are through each link.
    of: HashMap<LinkId, u32>,
    tags: HashSet<RoutingTag>,
    bytes: usize,
}

struct Note {
    link: LinkId,
    place: (Locator, DeliveryAddress),
    len: usize,
    tag: Option<RoutingTag>,
}

impl Waiting {
    /// How many wait through a link.
    pub(super) fn of(&self, link: LinkId) -> u32 {
        self.of.get(&link).copied().unwrap_or_default()
    }

    /// Whether a request's conversation may get payloads at an address.
    pub(super) fn waits_at(&self, place: &(Locator, DeliveryAddress)) -> bool {
        self.all.values().any(|note| note.place == *place)
    }

    fn insert(&mut self, id: InviteId, note: Note) {
        *self.of.entry(note.link).or_default() += 1;
        self.bytes += note.len;
        self.tags.extend(note.tag);
        self.all.insert(id, note);
    }

    fn remove(&mut self, id: InviteId) -> Option<Note> {
        let note = self.all.remove(&id)?;
        self.bytes -= note.len;
        if let Some(tag) = note.tag {
            self.tags.remove(&tag);
        }
        if let Some(of) = self.of.get_mut(&note.link) {
            *of -= 1;
        }
        self.of.retain(|_, of| *of > 0);
        Some(note)
    }
}

/// How many invites may still be opened on the side.
#[derive(Default)]
pub(super) struct Peeks {
    spent: u32,
    since: Timestamp,
}

impl Peeks {
    fn take(&mut self, now: Timestamp) -> bool {
        let back = now.since(self.since).as_secs() / PEEK_EVERY.as_secs();
        if back > 0 || self.spent == 0 {
            let back = u32::try_from(back).unwrap_or(u32::MAX);
            self.spent = self.spent.saturating_sub(back);
            self.since = now;
        }
        let left = self.spent < PEEKS;
        self.spent += u32::from(left);
        left
    }
}

impl Driver {
    /// Opens an invite and keeps it until the user decides. Nothing is told to
    /// the sender.
    pub(super) fn open_invite(
        &mut self,
        index: usize,
        recognized: Recognized,
        tag: RoutingTag,
        now: Timestamp,
    ) {
        if self.waiting.tags.contains(&tag) {
            return self.counters.add("repeated.invite");
        }
        self.know_all(now);
        let (link, bundle) = (self.links.of(recognized.bundle), recognized.bundle);
        let len = recognized.state.len();
        if let Some(bound) = self.bound_of(link, len, now)
            && !self.is_of_peer(index, link, &recognized, now)
        {
            self.counters.add(bound);
            let record = &mut self.links.entry(link).record;
            record.refused = record.refused.saturating_add(1);
            record.refused_at = now.0;
            return self.put_link(link);
        }
        let opened = self.with_inbox(index, now, |inbox, env| inbox.open(recognized, env));
        self.drain_inbox(index, now);
        let invitation = match opened {
            Ok(Opened::New(invitation)) => invitation,
            Ok(Opened::Repeated) => return self.counters.add("repeated.invite"),
            Err(error) => {
                if link != LinkId::NONE {
                    let record = &mut self.links.entry(link).record;
                    record.rejected = record.rejected.saturating_add(1);
                    self.count_in_hour(link);
                }
                return self.rejected("rejected.invite", &error);
            }
        };
        self.note_opened(link);
        if link != LinkId::NONE && self.links.entry(link).record.one_time {
            self.use_up_link(link, bundle, now);
        }
        if let Some(from) = &invitation.from
            && self.note_blocked(from)
        {
            self.count_in_hour(link);
            return self.counters.add("blocked.invite");
        }
        let id = invitation.invite.id;
        let known = self.overlay.get(REQUESTS, id.as_bytes());
        if known.is_ok_and(|known| known.is_some()) {
            return self.counters.add("repeated.invite");
        }
        let initialization = self.inboxes[index].id.clone();
        let protocol = &invitation.invite.conversation_protocol;
        let supported = self.components.conversation(protocol).is_some();
        let mut request = records::request(&initialization, &invitation, supported);
        if link != LinkId::NONE {
            request.link = records::write_link(Some(link));
            request.label = self.links.label(link);
        }
        request.len = len as u64;
        match self.sender_of(&invitation) {
            Sender::Impostor(claimed) => {
                self.count_in_hour(link);
                self.counters.add("rejected.conversation");
                let (from, name) = (invitation.from.as_ref(), &invitation.invite.display_name);
                return self.other_key(claimed, from, name, now);
            }
            Sender::Peer(conversation) if supported => {
                match self.renewal(conversation, &invitation, now) {
                    Ok(Renewal::Done) => return,
                    Ok(Renewal::Held) => request.held_since = now.0,
                    Err(error) => return self.rejected("rejected.renewal", &error),
                }
            }
            sender => {
                self.count_in_hour(link);
                if let Sender::Stranger = sender {
                    let (from, name) = (invitation.from.as_ref(), &invitation.invite.display_name);
                    self.check_name(from, name, now);
                }
            }
        }
        if let Err(error) = self.note_waiting(&request, Some(tag)) {
            self.rejected("failed.request", &error);
        }
        self.put_request(&request, now);
    }

    /// The bound that an invite meets, if it does.
    fn bound_of(&mut self, link: LinkId, len: usize, now: Timestamp) -> Option<&'static str> {
        let pending = self.waiting.of(link);
        let record = &mut self.links.entry(link).record;
        if Timestamp(record.hour).after(HOUR) <= now {
            (record.hour, record.in_hour) = (now.0, 0);
        }
        let bounds = [
            (pending >= record.quota, "bounded.quota"),
            (record.in_hour >= record.rate, "bounded.rate"),
            (self.waiting.all.len() >= MAX_REQUESTS, "bounded.request"),
            (
                self.waiting.bytes + len > MAX_REQUEST_BYTES,
                "bounded.request",
            ),
        ];
        let met = bounds.iter().find(|(met, _)| *met);
        met.map(|(_, name)| *name)
    }

    /// Whether an invite is of somebody who has a conversation already: found out by
    /// opening it in an inbox that is made for this and thrown away.
    fn is_of_peer(
        &mut self,
        index: usize,
        link: LinkId,
        recognized: &Recognized,
        now: Timestamp,
    ) -> bool {
        if self.pairs.is_empty() || !self.links.entry(link).peeks.take(now) {
            return false;
        }
        self.counters.add("peeked.invite");
        match self.peek(index, recognized.clone(), now) {
            Ok(Opened::New(invitation)) => {
                let protocol = &invitation.invite.conversation_protocol;
                let supported = self.components.conversation(protocol).is_some();
                let from = invitation.from.as_ref();
                supported
                    && !from.is_some_and(|from| self.is_blocked(from))
                    && matches!(self.sender_of(&invitation), Sender::Peer(_))
            }
            // What it has seen is cheap, and no refusal.
            Ok(Opened::Repeated) => true,
            Err(_) => false,
        }
    }

    fn peek(&mut self, index: usize, recognized: Recognized, now: Timestamp) -> Result<Opened> {
        let component = self.components.initializations[index].clone();
        let namespace = records::inbox_namespace(&self.inboxes[index].id);
        let view = InstanceRecords {
            overlay: &self.overlay,
            namespace: &namespace,
        };
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &view,
        };
        let mut aside = component.inbox(self.profile.identity.clone(), &mut env)?;
        aside.open(recognized, &mut env)
    }

    fn note_opened(&mut self, link: LinkId) {
        let record = &mut self.links.entry(link).record;
        record.opened = record.opened.saturating_add(1);
        if link != LinkId::NONE {
            self.put_link(link);
        }
    }

    /// A stranger's invite cost what opening one does.
    fn count_in_hour(&mut self, link: LinkId) {
        if link == LinkId::NONE {
            return;
        }
        let record = &mut self.links.entry(link).record;
        record.in_hour = record.in_hour.saturating_add(1);
        self.put_link(link);
    }

    /// Takes note of a request that waits, and listens where it came.
    pub(super) fn note_waiting(
        &mut self,
        request: &wire::Request,
        tag: Option<RoutingTag>,
    ) -> Result<()> {
        let point = records::point(&request.point)?;
        let place = (point.locator.clone(), point.address.clone());
        let len = match request.len {
            // Records of earlier versions don't say it.
            0 => request.parameters.len(),
            len => usize::try_from(len).unwrap_or(usize::MAX),
        };
        let note = Note {
            link: records::read_link(&request.link)?.unwrap_or(LinkId::NONE),
            place: place.clone(),
            len: len.min(MAX_REQUEST_BYTES),
            tag,
        };
        self.waiting
            .insert(InviteId::from_slice(&request.id)?, note);
        if !self.points.contains_key(&place) {
            self.listen(&point, |_| {});
        }
        Ok(())
    }

    /// Takes note that a request no longer waits.
    pub(super) fn forget_request(&mut self, id: InviteId) {
        self.overlay.delete(REQUESTS, id.as_bytes().to_vec());
        self.held.remove(&id);
        if let Some(note) = self.waiting.remove(id) {
            self.leave(&note.place);
        }
    }
}
