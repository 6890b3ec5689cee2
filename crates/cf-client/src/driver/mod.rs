//! The driver: carries values from one component to the next. Synchronous, and
//! without I/O other than reading the store; [`crate::shell`] moves what it
//! puts out, and a simulator can do the same.
//!
//! `way` shows the way of a message from top to bottom; the other files are
//! what it passes by.

mod blocked;
mod contact;
mod contacts;
mod expiry;
mod few;
mod instances;
mod invites;
mod large;
mod links;
mod outbox;
mod parked;
mod points;
mod refresh;
mod requests;
mod restore;
mod returned;
mod roll;
mod room;
mod sessions;
mod sleep;
mod telling;
mod trust;
mod unsent;
mod way;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    Batch, ContentId, ContentState, Conversation, ConversationId, Cursor, DeliveryAddress,
    DeliveryPoint, Env, Inbox, InstanceId, InviteId, Locator, ParticipantId, ProtocolId,
    PublishRequest, Random, Result, Router, Scan, Signal, Start, Store, Timestamp, Withdrawal,
};

use crate::components::{Components, Counters, Profile};
use crate::event::{Event, EventKind, Request};
use crate::fault::fault;
use crate::link::{LinkId, Publication};
use crate::overlay::{InstanceRecords, Overlay};
use crate::records::{self, EVENTS, META, REQUESTS};

/// What bounds a driver.
pub mod limits {
    pub use super::blocked::MAX_BLOCKED;
    pub use super::contacts::CONTACT_LIFETIME;
    pub use super::expiry::REQUEST_LIFETIME;
    pub use super::invites::INVITE_LIFETIME;
    pub use super::large::{SPOOL_ROW, SPOOL_STEP, UNSENT_FOR};
    pub use super::links::{
        DEFAULT_QUOTA, DEFAULT_RATE, GENERATION_LIFETIME, MAX_GENERATIONS, MAX_LABEL_LEN,
        MAX_LINK_LIFETIME, MAX_LINKS, MAX_QUOTA, ROTATE_LINK_EVERY, UNLINKED_QUOTA,
    };
    pub use super::parked::{
        MAX_PARKED, MAX_PARKED_BYTES, MAX_PARKED_BYTES_IN_ALL, MAX_PARKED_IN_ALL, PARKED_FOR,
        SEARCH_RATE,
    };
    pub use super::points::ROTATE_EVERY;
    pub use super::requests::{MAX_REQUEST_BYTES, MAX_REQUESTS, PEEK_EVERY, PEEKS};
    pub use super::room::{KEPT_IN_ALL, KEPT_IN_ONE};
    pub use super::sessions::{CROSSING, MAX_HELD, MAX_SESSIONS, RENEW_EVERY, SUPERSEDED_FOR};
    pub use super::sleep::{IDLE, MAX_AWAKE};
    pub use super::trust::MAX_OTHER_KEYS;
    pub use super::way::SEARCH_BUDGET;
}

use few::Few;
use large::Spools;
pub use large::read_large;
use outbox::Outbox;
use parked::Parked;
use sleep::Instance;

/// The synchronous core of a client.
///
/// Every method that takes a time is one input. After each, the caller takes
/// the [`Commit`], makes it durable, and only then carries out its effects: the
/// crash rule. Commits may be made durable together, in order.
pub struct Driver {
    components: Arc<Components>,
    profile: Profile,
    random: Box<dyn Random>,
    overlay: Overlay,
    effects: Vec<Effect>,
    counters: Counters,

    routers: HashMap<ProtocolId, Box<dyn Router>>,
    points: BTreeMap<(Locator, DeliveryAddress), Listeners>,
    inboxes: Vec<Reception>,
    conversations: HashMap<InstanceId, Instance>,
    /// Those in memory, by when they were used last.
    used: BTreeSet<(Timestamp, InstanceId)>,
    max_awake: usize,
    /// Where to go on reading those that are asleep; `None` once all are known.
    unread: Option<Bytes>,
    /// Those that are asleep and listen where nothing comes any more.
    strayed: Vec<InstanceId>,
    /// Addresses that nobody known listens at, until all are known.
    left: Vec<(Locator, DeliveryAddress)>,
    by_id: HashMap<ConversationId, Sessions>,
    /// The conversations of two, by who the other one is.
    pairs: roll::Pairs,
    /// Conversations by the ids of their invites, where those are others.
    named: HashMap<ConversationId, ConversationId>,
    /// Invites that crossed an own one, and are held back.
    held: BTreeMap<InviteId, ConversationId>,
    /// When a broken session was renewed last.
    renewed_at: HashMap<ConversationId, Timestamp>,
    contact: Option<contacts::OwnContact>,
    unsent: unsent::Backlog,
    trust: trust::Trust,

    outbox: Outbox,
    parked: Parked,
    spools: Spools,
    wakes: BTreeSet<(Timestamp, Wake)>,
    work: VecDeque<Work>,
    try_all_parked: bool,
    waiting: requests::Waiting,
    links: links::Links,
    blocked: blocked::Blocks,
    returned: returned::Returned,
    next_instance: u64,
    next_event: u64,
}

/// What must become durable, and what may happen only then.
#[derive(Debug)]
pub struct Commit {
    /// Its number, for [`Driver::committed`].
    pub number: u64,
    /// The changes, applied together.
    pub batch: Batch,
    /// What to do afterwards.
    pub effects: Vec<Effect>,
}

/// Something that the world sees.
#[derive(Debug)]
pub enum Effect {
    /// Subscribe to an address.
    Subscribe {
        /// On which service.
        locator: Locator,
        /// Which.
        address: DeliveryAddress,
        /// From where.
        start: Start,
    },
    /// Unsubscribe from an address.
    Unsubscribe {
        /// On which service.
        locator: Locator,
        /// Which.
        address: DeliveryAddress,
    },
    /// Let the service forget.
    Acknowledge {
        /// Which service.
        locator: Locator,
        /// At which address.
        address: DeliveryAddress,
        /// Up to where.
        cursor: Cursor,
    },
    /// Publish, and give the outcome to [`Driver::published`].
    Publish {
        /// Names the entry of the outbox.
        entry: u64,
        /// On which service.
        locator: Locator,
        /// What.
        request: PublishRequest,
    },
    /// The event log has grown up to this number.
    Tell(u64),
    /// Give a link to its discovery, and the outcome to [`Driver::advertised`].
    Advertise(Box<Publication>),
    /// Have a discovery say that a link was revoked, and give the outcome to
    /// [`Driver::withdrawn`].
    Withdraw(LinkId, ProtocolId, Withdrawal),
    /// Tell the application, if it listens now.
    Signal(ConversationId, Signal),
}

/// Who listens at an address, and how payloads there may be framed.
#[derive(Default)]
struct Listeners {
    framings: Few<ProtocolId>,
    instances: Few<InstanceId>,
    inboxes: Few<usize>,
    budget: parked::SearchBudget,
}

/// An initialization protocol's inbox.
struct Reception {
    id: ProtocolId,
    inbox: Box<dyn Inbox>,
    wake: Option<Timestamp>,
}

/// The sessions of a conversation: one sends, the others still receive, or wait
/// for an answer.
struct Sessions {
    current: InstanceId,
    others: Vec<InstanceId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Conversation(InstanceId),
    Inbox(usize),
    Outgoing(u64),
    Invite(InstanceId, cf_core::PeerId),
    Superseded(InstanceId),
    Held(InviteId),
    Link(LinkId),
    Renew(ConversationId),
    Unsent,
    Rest,
    Rotation(InstanceId),
    Expiry,
    Spool,
    Roll,
    Returned,
}

/// What an input left to do within the same commit.
enum Work {
    /// A parked payload whose tag is expected now.
    Parked(u64),
    /// A publish that can never succeed, to be told to its instance.
    Refused(
        InstanceId,
        cf_core::PublishId,
        DeliveryPoint,
        cf_core::Error,
    ),
    /// A conversation whose peer's points are not those that it was told of.
    PeerPoints(InstanceId),
    /// A member that a conversation wants to invite.
    Invite(InstanceId, cf_core::OutgoingInvite),
    /// Content of a superseded session, for the current one.
    Resend(ConversationId, ContentId, cf_core::Content),
    /// A session that is broken.
    Renew(InstanceId),
    /// How a peer is asked into a new session.
    PeerContact(InstanceId, cf_core::BundleSet),
    /// A peer that is to be told how this client is.
    GiveContact(InstanceId),
    /// A part of a large content that a conversation wants.
    Chunk(InstanceId, ContentId, std::ops::Range<u64>),
}

/// A conversation, as an application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationInfo {
    /// Its id.
    pub id: ConversationId,
    /// Its protocol.
    pub protocol: ProtocolId,
    /// The other side; `None` without identity or with more than one.
    pub participant: Option<ParticipantId>,
    /// The name that the other side claims.
    pub name: String,
    /// Whether the user has compared the other side's identity key.
    pub verified: bool,
    /// Whether the other side is blocked.
    pub blocked: bool,
}

impl Driver {
    /// What the last input changed; `None` if it changed nothing.
    pub fn take_commit(&mut self) -> Option<Commit> {
        let (number, batch) = self.overlay.take();
        let effects = std::mem::take(&mut self.effects);
        (!batch.is_empty() || !effects.is_empty()).then_some(Commit {
            number,
            batch,
            effects,
        })
    }

    /// Everything up to this commit is durable.
    pub fn committed(&mut self, number: u64) {
        self.overlay.committed(number);
    }

    /// When [`Driver::handle_time`] is wanted next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_time(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        while self.next_wake().is_some_and(|at| at <= now) {
            due.extend(self.wakes.pop_first().map(|(_, wake)| wake));
        }
        for wake in due {
            self.know_for(wake, now);
            match wake {
                Wake::Conversation(instance) => self.wake_conversation(instance, now),
                Wake::Inbox(index) => self.wake_inbox(index, now),
                Wake::Outgoing(entry) => self.publish_again(entry),
                Wake::Invite(instance, peer) => self.resend_invite(instance, peer, now),
                Wake::Superseded(instance) => self.superseded_long_enough(instance, now),
                Wake::Link(link) => self.wake_link(link, now),
                Wake::Held(invite) => self.held_long_enough(invite, now),
                Wake::Renew(conversation) => self.renew_now(conversation, now),
                Wake::Unsent => self.send_unsent(now),
                Wake::Rest => self.rest_at_its_time(now),
                Wake::Rotation(instance) => self.rotate(instance, now),
                Wake::Expiry => self.expire(now),
                Wake::Spool => self.drop_rows(now),
                Wake::Returned => self.ask_returned(now),
                Wake::Roll => self.read_on(now),
            }
        }
        self.settle(now);
    }

    /// The invites that wait for the user, or for a component.
    ///
    /// # Errors
    /// Those of the store.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let all = self.overlay.scan(REQUESTS, &Scan::prefix(""))?;
        let mut requests = Vec::new();
        for (_, value) in all {
            let request: records::wire::Request = records::read(&value)?;
            if request.held_since == 0 {
                requests.push(request.public()?);
            }
        }
        Ok(requests)
    }

    /// The state of a content that was sent here; `None` if it never was.
    ///
    /// # Errors
    /// Those of the store.
    pub fn state(
        &self,
        conversation: ConversationId,
        id: &ContentId,
    ) -> Result<Option<ContentState>> {
        let namespace = records::states_namespace(conversation);
        match self.overlay.get(&namespace, id.as_bytes())? {
            Some(value) => {
                let state = value.first().copied().unwrap_or_default();
                records::read_state(u32::from(state)).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Confirms all events up to a number: they are not told again after a restart.
    ///
    /// # Errors
    /// `Misuse` for a number that no event has; those of the store.
    pub fn confirm(&mut self, seq: u64) -> Result<()> {
        if seq >= self.next_event {
            return Err(cf_core::Error::misuse(
                "confirm only numbers of events that you were told",
            ));
        }
        if confirmed(&self.overlay)? < seq {
            let seq = seq + u64::from(fault!("confirm-one-too-many"));
            self.overlay
                .put(META, "confirmed", records::number_key(seq));
        }
        Ok(())
    }

    /// Lets go of events, whole: who reads the log from its start does not find them
    /// any more, confirmed or not.
    ///
    /// # Errors
    /// `Misuse` for a number that no event has had.
    pub fn erase(&mut self, seqs: &[u64], now: Timestamp) -> Result<()> {
        if seqs.iter().any(|seq| *seq >= self.next_event) {
            return Err(cf_core::Error::misuse("there is no event of this number"));
        }
        for seq in seqs {
            let key = records::number_key(*seq);
            match seq + 1 == self.next_event {
                // The next number is found by the last event.
                true => {
                    let erased = records::write_event(now, &EventKind::Erased);
                    self.overlay.put(EVENTS, key, erased);
                }
                false => self.overlay.delete(EVENTS, key),
            }
        }
        Ok(())
    }

    /// How often each thing happened since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many payloads wait: to be published (links that are with their discovery
    /// included), and for somebody to expect them.
    pub fn waiting(&self) -> (usize, usize) {
        let outgoing = self.outbox.len() + self.links.publishing();
        (outgoing, self.parked.len())
    }

    fn log(&mut self, kind: &EventKind, now: Timestamp) {
        let seq = self.next_event;
        self.next_event += 1;
        self.overlay.put(
            EVENTS,
            records::number_key(seq),
            records::write_event(now, kind),
        );
        self.effects.push(Effect::Tell(seq));
    }

    /// Calls a conversation with what it needs.
    fn with_conversation<T>(
        &mut self,
        instance: InstanceId,
        now: Timestamp,
        call: impl FnOnce(&mut dyn Conversation, &mut Env<'_>) -> Result<T>,
    ) -> Result<T> {
        self.note_use(instance, now);
        self.awake(instance, now)?;
        let unknown = || cf_core::Error::misuse("there is no such conversation");
        let found = self.conversations.get_mut(&instance);
        let found = found
            .and_then(|found| found.awake.as_deref_mut())
            .ok_or_else(unknown)?;
        let view = InstanceRecords {
            overlay: &self.overlay,
            namespace: &found.namespace,
        };
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &view,
        };
        call(&mut *found.machine, &mut env)
    }

    /// Calls an inbox with what it needs.
    fn with_inbox<T>(
        &mut self,
        index: usize,
        now: Timestamp,
        call: impl FnOnce(&mut dyn Inbox, &mut Env<'_>) -> Result<T>,
    ) -> Result<T> {
        let reception = &mut self.inboxes[index];
        let namespace = records::inbox_namespace(&reception.id);
        let view = InstanceRecords {
            overlay: &self.overlay,
            namespace: &namespace,
        };
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &view,
        };
        call(&mut *reception.inbox, &mut env)
    }
}

/// The events after a number, at most `limit`, from what is durable.
///
/// # Errors
/// Those of the store.
pub fn events_after(store: &dyn Store, seq: u64, limit: usize) -> Result<Vec<Event>> {
    let scan = Scan {
        beyond: Some(records::number_key(seq)),
        limit,
        ..Scan::prefix("")
    };
    let found = store.scan(EVENTS, &scan)?;
    found
        .iter()
        .map(|(key, value)| records::read_event(records::read_number(key)?, value))
        .collect()
}

/// One event, if it is there and durable.
///
/// # Errors
/// Those of the store.
pub fn event(store: &dyn Store, seq: u64) -> Result<Option<Event>> {
    let found = store.get(EVENTS, &records::number_key(seq))?;
    found
        .map(|value| records::read_event(seq, &value))
        .transpose()
}

/// The number up to which the application has confirmed events.
///
/// # Errors
/// Those of the store.
pub fn confirmed_events(store: &dyn Store) -> Result<u64> {
    read_meta(store.get(META, b"confirmed")?)
}

fn confirmed(overlay: &Overlay) -> Result<u64> {
    read_meta(overlay.get(META, b"confirmed")?)
}

fn read_meta(value: Option<Bytes>) -> Result<u64> {
    value.map_or(Ok(0), |value| records::read_number(&value))
}
