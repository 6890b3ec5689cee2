use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use cf_client::{Commit, Driver, Effect, Event, EventKind, confirmed_events, events_after, limits};
use cf_core::{
    Content, ContentId, ContentState, ConversationId, Cursor, ParticipantId, Router, RoutingTag,
    Timestamp,
};

use crate::client::Client;
use crate::network::Place;
use crate::trace::text;

/// The most inputs that wait for a disk, as the tokio shell has it.
const MAX_WAITING: usize = 4096;
/// The most payloads of one client that wait for a service in these lives: each content
/// once for each session, and what a protocol says about them.
const MAX_OUTGOING: usize = 2048;

/// What is known of everything that happened, and the first thing that must not be.
pub(crate) struct Checks {
    violation: Option<String>,
    identities: HashMap<ParticipantId, usize>,
    pub(crate) contents: HashMap<ContentId, Facts>,
    /// How many contents each has sent to each.
    pub(crate) numbers: BTreeMap<(usize, usize), u64>,
    /// Conversations in which something was delivered in the present session: both
    /// know each other's points.
    pub(crate) settled: HashSet<(usize, ConversationId)>,
    logs: Vec<Log>,
    routers: Vec<Box<dyn Router>>,
    /// Every frame that was published, by its tag.
    tags: HashMap<RoutingTag, Bytes>,
    has_single_use_tags: bool,
    pub(crate) is_reliable: bool,
    /// The payloads that each client's services have.
    accepted: Vec<HashSet<Bytes>>,
}

/// What is known of a content.
pub(crate) struct Facts {
    pub(crate) conversation: ConversationId,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
    /// The payloads that the input put out that sent it.
    pub(crate) payloads: Vec<Bytes>,
    /// Until when only these can carry it: a protocol may encrypt it anew later.
    pub(crate) only_until: Timestamp,
    /// How many payloads of its author the services had when it was sent.
    pub(crate) accepted_before: usize,
    pub(crate) is_told: bool,
    pub(crate) is_read: bool,
    pub(crate) state: Option<ContentState>,
}

/// What a client has logged.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    gaps: BTreeSet<ConversationId>,
    /// The numbers of the contents that were told, by who sent them.
    told: BTreeMap<usize, BTreeSet<u64>>,
}

impl Checks {
    pub(crate) fn new(clients: &[Client]) -> Self {
        let mut routers = BTreeMap::new();
        let (mut has_single_use_tags, mut is_reliable) = (true, true);
        for components in clients.iter().map(|client| &client.components) {
            for framing in &components.framings {
                routers
                    .entry(framing.id().clone())
                    .or_insert_with(|| framing.router());
            }
            for conversation in &components.conversations {
                let properties = conversation.properties();
                has_single_use_tags &= properties.single_use_tags;
                is_reliable &= properties.reliable;
            }
        }
        let identity =
            |(who, client): (usize, &Client)| (client.profile.identity.id().clone(), who);
        Self {
            violation: None,
            identities: clients.iter().enumerate().map(identity).collect(),
            contents: HashMap::new(),
            numbers: BTreeMap::new(),
            settled: HashSet::new(),
            logs: clients.iter().map(|_| Log::default()).collect(),
            routers: routers.into_values().collect(),
            tags: HashMap::new(),
            has_single_use_tags,
            is_reliable,
            accepted: clients.iter().map(|_| HashSet::new()).collect(),
        }
    }

    /// How many payloads of a client the services have.
    pub(crate) fn accepted_of(&self, who: usize) -> usize {
        self.accepted[who].len()
    }

    /// Takes note of what must not be; the first counts.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| what.into());
    }

    pub(crate) fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    /// Who has an identity.
    pub(crate) fn who(&self, participant: &ParticipantId) -> Option<usize> {
        self.identities.get(participant).copied()
    }

    pub(crate) fn bounds(&mut self, name: &str, driver: &Driver, waiting: usize) {
        let (outgoing, parked) = driver.waiting();
        if outgoing > MAX_OUTGOING || parked > limits::MAX_PARKED_IN_ALL || waiting > MAX_WAITING {
            self.fail(format!(
                "{name} is beyond its bounds: {outgoing} outgoing, {parked} parked, {waiting} waiting"
            ));
        }
    }

    /// A payload is with a service: no key and nonce may have been used before for other
    /// bytes, and a single-use tag comes from the same secret as they do.
    pub(crate) fn accepted(&mut self, who: usize, clients: &[Client], payload: &Bytes) {
        self.accepted[who].insert(payload.clone());
        if !self.has_single_use_tags {
            return;
        }
        let routed = self
            .routers
            .iter()
            .find_map(|router| router.route(payload).ok());
        let Some(routed) = routed else {
            return self.fail(format!(
                "{} publishes what nobody can read",
                clients[who].name
            ));
        };
        let before = self
            .tags
            .entry(routed.tag)
            .or_insert_with(|| routed.body.clone());
        if *before != routed.body {
            self.fail(format!("{} uses one tag for two frames", clients[who].name));
        }
    }

    /// An acknowledgement is let go: what it covers is durable.
    pub(crate) fn acknowledged(&mut self, client: &Client, place: &Place, cursor: &Cursor) {
        let durable = client.stopped.get(place);
        // Later ones of the same commit may cover it as well.
        if durable.is_none() && client.subscriptions.contains_key(place) {
            self.fail(format!("{} acknowledges {cursor:?} early", client.name));
        }
    }

    /// An event is told: it is durable.
    pub(crate) fn told(&mut self, who: usize, client: &Client, seq: u64) {
        if (self.logs[who].events.len() as u64) < seq {
            self.fail(format!(
                "{} tells event {seq} before it is durable",
                client.name
            ));
        }
    }

    /// A client has started: it has what it had, and goes on where it durably stopped.
    /// Gives the number of its last event.
    pub(crate) fn started(&mut self, who: usize, client: &Client, commit: Option<&Commit>) -> u64 {
        let name = client.name;
        match client.disk.difference() {
            Ok(None) => {}
            Ok(Some(namespace)) => {
                self.fail(format!("the disk of {name} changed in {namespace:?}"))
            }
            Err(error) => self.fail(format!("the disk of {name} can't be read: {error}")),
        }
        match events_after(&*client.disk, 0, usize::MAX) {
            Ok(events) if events == self.logs[who].events => {}
            Ok(_) => self.fail(format!("the log of {name} is not what it was")),
            Err(error) => self.fail(format!("the log of {name} can't be read: {error}")),
        }
        let confirmed = confirmed_events(&*client.disk).unwrap_or(u64::MAX);
        if confirmed > client.application.confirmed {
            self.fail(format!("{name} takes event {confirmed} for confirmed"));
        }
        for effect in commit.iter().flat_map(|commit| &commit.effects) {
            if let Effect::Subscribe {
                locator,
                address,
                start,
            } = effect
            {
                let place = (locator.clone(), address.clone());
                let expected = client.goes_on(&place);
                if *start != expected {
                    self.fail(format!(
                        "{name} goes on at {start:?} and stopped at {expected:?}"
                    ));
                }
            }
        }
        self.logs[who].events.len() as u64
    }

    /// A commit is durable; gives the events that came with it.
    pub(crate) fn written(&mut self, who: usize, clients: &[Client]) -> Vec<Event> {
        let known = self.logs[who].events.len() as u64;
        let from = known.saturating_sub(1);
        let mut events = match events_after(&*clients[who].disk, from, usize::MAX) {
            Ok(events) => events,
            Err(error) => {
                self.fail(format!("the log can't be read: {error}"));
                return Vec::new();
            }
        };
        if known > 0 && events.first() != self.logs[who].events.last() {
            self.fail(format!("an event of {} changed", clients[who].name));
        }
        if known > 0 && !events.is_empty() {
            events.remove(0);
        }
        for event in &events {
            let log = &mut self.logs[who];
            log.events.push(event.clone());
            if event.seq != log.events.len() as u64 {
                self.fail(format!(
                    "the events of {} have a gap at {}",
                    clients[who].name, event.seq
                ));
            }
            self.logged(who, clients, event);
        }
        events
    }

    fn logged(&mut self, who: usize, clients: &[Client], event: &Event) {
        match &event.kind {
            EventKind::Message {
                conversation,
                from,
                id,
                content,
                ..
            } => {
                let from = from.as_ref().and_then(|from| self.who(from));
                self.message(who, *conversation, from, id, content);
            }
            EventKind::State { id, state, .. } => self.state(who, clients, event.at, id, *state),
            EventKind::Gap { conversation, .. } => {
                self.logs[who].gaps.insert(*conversation);
            }
            EventKind::GapClosed { conversation } => {
                self.logs[who].gaps.remove(conversation);
            }
            EventKind::Renewed { conversation, .. } => {
                self.settled.remove(&(who, *conversation));
                // What is not there yet goes out by the new session, as other payloads.
                let all = self.contents.values_mut();
                all.filter(|facts| facts.from == who && facts.conversation == *conversation)
                    .for_each(|facts| facts.only_until = Timestamp::default());
            }
            EventKind::Broken { .. } | EventKind::InviteExpired { .. } | EventKind::Unreadable => {
                self.fail(format!("{} is told {:?}", clients[who].name, event.kind));
            }
            _ => {}
        }
    }

    fn message(
        &mut self,
        who: usize,
        conversation: ConversationId,
        from: Option<usize>,
        id: &ContentId,
        content: &Content,
    ) {
        let Some(facts) = self.contents.get_mut(id) else {
            return self.fail(format!("{} was never sent", text(id)));
        };
        let is_whole = matches!(content, Content::Bytes(bytes) if *bytes == facts.bytes);
        let is_right = facts.to == who && from.is_none_or(|from| from == facts.from);
        let was_told = std::mem::replace(&mut facts.is_told, true);
        let (number, from) = (facts.number, facts.from);
        if !is_whole || !is_right {
            self.fail(format!("{} came to the wrong one, or changed", text(id)));
        }
        if was_told {
            self.fail(format!("{} is told twice", text(id)));
        }
        let log = &mut self.logs[who];
        let told = log.told.entry(from).or_default();
        told.insert(number);
        let is_early = told.range(..number).count() as u64 != number;
        if is_early && self.is_reliable && !log.gaps.contains(&conversation) {
            self.fail(format!(
                "{} is told before one that was sent earlier",
                text(id)
            ));
        }
    }

    fn state(
        &mut self,
        who: usize,
        clients: &[Client],
        at: Timestamp,
        id: &ContentId,
        state: ContentState,
    ) {
        let Some(facts) = self.contents.get_mut(id) else {
            return self.fail(format!("{} was never sent", text(id)));
        };
        let before = facts.state.replace(state);
        if state == ContentState::Delivered {
            self.settled.insert((who, facts.conversation));
        }
        let is_accepted = |payload| self.accepted[who].contains(payload);
        let is_true = match state {
            ContentState::Queued => true,
            ContentState::Accepted if at < facts.only_until && !facts.payloads.is_empty() => {
                facts.payloads.iter().any(is_accepted)
            }
            ContentState::Accepted => self.accepted[who].len() > facts.accepted_before,
            ContentState::Delivered => facts.is_told || clients[facts.to].disk.holds(id.as_bytes()),
            ContentState::Read => facts.is_read,
            _ => false,
        };
        if facts.from != who || !is_true {
            self.fail(format!(
                "{} is said to be {state:?}, which it is not",
                text(id)
            ));
        }
        if before.is_some_and(|before| rank(before) >= rank(state)) {
            self.fail(format!("{} is {state:?} after {before:?}", text(id)));
        }
    }

    /// What is missing in the end: nothing, once everything has come.
    pub(crate) fn missing(&self) -> Option<String> {
        let is_final = |facts: &Facts| {
            let state = facts
                .state
                .is_some_and(|state| rank(state) >= rank(ContentState::Delivered));
            facts.is_told && (state || !self.is_reliable)
        };
        let mut open = self.contents.iter().filter(|(_, facts)| !is_final(facts));
        if let Some((id, facts)) = open.next() {
            let (told, state) = (facts.is_told, facts.state);
            return Some(format!("{} is told: {told}, is {state:?}", text(id)));
        }
        let gap = self.logs.iter().find(|log| !log.gaps.is_empty());
        gap.map(|_| "a gap is open".to_owned())
    }
}

fn rank(state: ContentState) -> u8 {
    match state {
        ContentState::Queued => 0,
        ContentState::Accepted => 1,
        ContentState::Delivered => 2,
        ContentState::Read => 3,
        _ => 4,
    }
}
