mod healing;
mod skipping;

use std::collections::VecDeque;

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, largest_class};
use cf_core::{
    Content, ContentId, Conversation, ConversationEvent, DeliveryPoint, Env, Incoming, Input,
    Output, Publish, PublishId, RecordChange, Result, RoutingTag, Scan, Secret, Spread, Tag,
    Timestamp,
};
use prost::Message;

use crate::Error;
use crate::crypto::Extracted;
use crate::fault::fault;
use crate::label::Labels;

use super::body::Body;
use super::ending::Misses;
use super::head;
use super::header::{HeaderKey, MAX_CHAIN};
use super::healing::{Healing, HealingSettings};
use super::plaintext::{self, Plaintext};
use super::session::{Session, Step};
use super::setup::{self, Settled};
use super::skipped::{self, Skipped};
use super::window::{MAX_AHEAD, NumberedChain, Routes, SEEN_UNCONFIRMED, Slot, Window};
use healing::restore_healing;

/// The key of the record with the tags that were seen in earlier chains.
const SEEN_KEY: &[u8] = b"o";

/// How many tags of each chain are derived for one frame with an unknown tag:
/// with a framing that knows only the standing tag, such frames are routed here.
const SEARCH_PER_FRAME: u32 = 2_048;

/// How much what is known to be received may advance before it is stored.
const KNOWN_STORED_EVERY: u32 = 1_024;

/// A conversation under the double ratchet.
///
/// How it ends is in the file `ending`.
pub(crate) struct RatchetConversation {
    pub(super) settled: Settled,
    session: Session,
    /// Of private/2.
    healing: Option<Healing>,
    pub(super) window: Window,
    pub(super) skipped: Skipped,
    /// What the additional data of every body ends with.
    context: Vec<u8>,
    next_publish: u64,
    known_stored: u32,
    pub(super) misses: Misses,
    /// Whether it was superseded, and that is over too.
    pub(super) ended: bool,
    wake: Timestamp,
    pub(super) outputs: VecDeque<Output>,
}

impl Conversation for RatchetConversation {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send { id, content } => self.send(id, content, env),
            Input::Frame(incoming) => self.receive(&incoming, env),
            Input::Miss {
                point, tag, budget, ..
            } => {
                self.miss(&point, &tag, budget, env.now);
                Ok(())
            }
            Input::Received(publish) => {
                self.received(publish, env.now);
                Ok(())
            }
            Input::OwnPoints(points) => {
                let next = self.next_publish;
                self.change_points(|settled| settled.points.replace_own(&points, next))
            }
            Input::PeerPoints { points, .. } => {
                self.change_points(|settled| settled.points.replace_peers(&points))
            }
            Input::Time => {
                self.expire(env.now);
                Ok(())
            }
            Input::Close => {
                self.close();
                Ok(())
            }
            Input::Supersede => {
                self.supersede(env.now);
                Ok(())
            }
            Input::Outcome { .. } => Ok(()),
            _ => Err(Error::Unsupported("a conversation of two does not take this").into()),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, label: &str) -> Result<Secret> {
        let extracted = Extracted::new(&[], self.settled.exporter.expose());
        let mut secret = vec![0; 32];
        extracted.expand(
            &[self.session.root.1.export, &[0], label.as_bytes()],
            &mut secret,
        );
        Ok(Secret::new(secret))
    }
}

impl RatchetConversation {
    pub(crate) fn new(settled: Settled, session: Session, healing: Option<Healing>) -> Self {
        let mut conversation = Self::assemble(settled, session, healing, 0);
        conversation.announce(Routes::default());
        conversation.put(setup::KEY, conversation.settled.encode());
        conversation.put_head();
        conversation.put_healing();
        conversation
    }

    pub(crate) fn restore(
        labels: &'static Labels,
        healing: Option<HealingSettings>,
        env: &mut Env<'_>,
    ) -> Result<Self> {
        let missing = || Error::Records("a record is missing");
        let settled = env.records.get(setup::KEY)?.ok_or_else(missing)?;
        let head = env.records.get(head::KEY)?.ok_or_else(missing)?;
        let (session, next_publish) = head::decode(&head, labels)?;
        let settled = Settled::decode(settled)?;
        let healing = healing.map(|settings| restore_healing(settings, &settled, env));
        let healing = healing.transpose()?;
        let mut conversation = Self::assemble(settled, session, healing, next_publish);
        if conversation.settled.ends_at() <= env.now {
            conversation.ended = true;
            return Ok(conversation);
        }
        let mut routes = Routes::default();
        for (key, value) in env.records.scan(&Scan::prefix(vec![skipped::PREFIX]))? {
            let (place, tag) = conversation.skipped.restore(&key, value, labels)?;
            let slot = Slot::Skipped(place);
            conversation.window.restore(tag, slot, &mut routes);
        }
        let seen = env.records.get(SEEN_KEY)?.unwrap_or_default();
        for tag in seen.chunks_exact(16) {
            let tag = RoutingTag::from_slice(tag)?;
            conversation.window.restore(tag, Slot::Seen, &mut routes);
        }
        if let Some(receive) = &conversation.session.receive {
            let first = receive.next.saturating_sub(SEEN_UNCONFIRMED as u32);
            for number in first..receive.next {
                let tag = receive.header.tag(number);
                conversation.window.restore(tag, Slot::Seen, &mut routes);
            }
        }
        conversation.announce(routes);
        Ok(conversation)
    }

    fn assemble(
        settled: Settled,
        session: Session,
        healing: Option<Healing>,
        next_publish: u64,
    ) -> Self {
        let mut window = Window::default();
        if let Some(receive) = &session.receive {
            window.start_current(receive.next);
        }
        Self {
            context: settled.context(),
            settled,
            known_stored: session.send.known,
            misses: Misses::default(),
            ended: false,
            session,
            healing,
            window,
            skipped: Skipped::default(),
            next_publish,
            wake: Timestamp::NEVER,
            outputs: VecDeque::new(),
        }
    }

    /// Puts out what is in force.
    fn announce(&mut self, mut routes: Routes) {
        for point in self.settled.points.listening() {
            self.outputs.push_back(Output::Listen(point.clone()));
        }
        let standing = Tag::Standing(self.settled.standing_tag);
        self.outputs.push_back(Output::Expect(standing));
        self.fill(&mut routes);
        self.put_routes(routes);
        self.put_wake();
    }

    fn send(&mut self, id: Option<ContentId>, content: Content, env: &mut Env<'_>) -> Result<()> {
        if self.settled.closed {
            return Err(Error::Misuse("the conversation is closed").into());
        }
        if self.settled.superseded_at.is_some() && id.is_some() {
            return Err(Error::Misuse("another instance of the conversation sends").into());
        }
        let Content::Bytes(content) = content else {
            return Err(Error::Misuse("a frame carries content in one piece").into());
        };
        let content_len = content.len();
        let points = self.settled.points.announced();
        let mut text = plaintext::encode(id.as_ref(), env.now, points, content);
        let most = self.max_plaintext_len();
        // The points must not make content too long; a later frame says them.
        let says_points = text.encoded_len() <= most;
        if !says_points {
            text.points.clear();
        }
        let len = text.encoded_len();
        if len > most {
            let max = most.saturating_sub(len - content_len);
            let len = content_len;
            return Err(Error::TooLong { len, max }.into());
        }
        // What nobody waits for leaves room for what somebody does.
        let ahead = if id.is_some() {
            MAX_AHEAD
        } else {
            MAX_AHEAD / 2
        };
        let send = &self.session.send;
        if send.unconfirmed() >= ahead || send.number >= MAX_CHAIN - 1 {
            return Err(Error::Unavailable("the peer must show what it received first").into());
        }
        self.say_healing(&mut text, most, env);
        let len = text.encoded_len();
        let salt = env.draw();
        let standing = self.settled.standing_tag;
        let frame = self
            .session
            .seal(salt, standing, &self.context, len, |body| {
                text.encode_raw(body);
            });
        let publish = PublishId(self.next_publish);
        self.next_publish += 1;
        if !says_points && self.settled.points.not_said_before(self.next_publish) {
            self.put(setup::KEY, self.settled.encode());
        }
        self.outputs.push_back(Output::Publish(Publish {
            id: publish,
            points: self.settled.points.peers(),
            spread: Spread::All,
            condition: None,
            frame,
            content: id,
        }));
        if !fault!("reuse-a-record") {
            self.put_head();
        }
        Ok(())
    }

    /// The longest plaintext before padding, in bytes.
    fn max_plaintext_len(&self) -> usize {
        let body = self.settled.points.max_body_len();
        let padded = largest_class(body.saturating_sub(BODY_OVERHEAD));
        padded.map_or(0, |padded| padded - 1)
    }

    fn receive(&mut self, incoming: &Incoming, env: &mut Env<'_>) -> Result<()> {
        let tag = &incoming.tag;
        let body = Body::split(&incoming.body)?;
        let slot = self
            .find(tag)
            .ok_or(Error::Rejected("no such tag is expected"))?;
        let (text, step) = match slot {
            Slot::Seen => {
                self.tell(ConversationEvent::Duplicate);
                return Ok(());
            }
            Slot::Skipped(place) => {
                let skipped = self.skipped.key(place);
                let key = skipped.ok_or(Error::Rejected("the key was dropped"))?;
                (body.open(&key.key, tag, &self.context)?, None)
            }
            Slot::Ahead(chain, number) => {
                let shared = self.answered();
                let (text, step) =
                    (self.session).open(chain, number, tag, &body, &self.context, shared)?;
                (text, Some(step))
            }
        };
        let text = Plaintext::decode(text)?;
        let newest = step.is_some();
        let mixed = matches!(&step, Some(Step::Next(step)) if step.began.mixed);
        // The last that may be refused.
        self.hear_healing(&text, mixed, env)?;
        match (slot, step) {
            (Slot::Skipped(place), _) => self.commit_skipped(place, *tag),
            (_, Some(step)) => self.commit(step, env)?,
            _ => {}
        }
        self.learn(&incoming.point, newest, &text, env.now);
        self.deliver(*tag, text);
        self.put_wake();
        Ok(())
    }

    /// Finds what a tag stands for, deriving further ones if need be. Derived
    /// tags are no state: they follow from it.
    fn find(&mut self, tag: &RoutingTag) -> Option<Slot> {
        if self.window.slot(tag).is_none() {
            self.derive(tag, SEARCH_PER_FRAME, SEARCH_PER_FRAME);
        }
        self.window.slot(tag)
    }

    pub(super) fn search(&mut self, tag: &RoutingTag, budget: u32) {
        if self.window.slot(tag).is_none() {
            let half = budget.div_ceil(2);
            self.derive(tag, half, budget - half);
        }
        let mut routes = Routes::default();
        self.window.expect_derived(&mut routes);
        self.put_routes(routes);
    }

    /// Derives tags of the current and the next chain until `tag` is among them.
    fn derive(&mut self, tag: &RoutingTag, current: u32, next: u32) {
        if self.ended {
            return;
        }
        let mut left = current;
        if let Some(key) = self.session.header_key(NumberedChain::Current) {
            left -= self
                .window
                .search(NumberedChain::Current, key, tag, current);
        }
        if self.window.slot(tag).is_none() {
            let key = &self.session.next_receive;
            self.window
                .search(NumberedChain::Next, key, tag, next.saturating_add(left));
        }
    }

    fn commit_skipped(&mut self, place: u64, tag: RoutingTag) {
        let mut changes = Vec::new();
        let mut routes = Routes::default();
        self.skipped.remove(place, &mut changes);
        self.window.see(tag, &mut routes);
        self.put_changes(changes);
        self.put_routes(routes);
        self.put_seen();
    }

    fn commit(&mut self, step: Step, env: &mut Env<'_>) -> Result<()> {
        let mut routes = Routes::default();
        let mut changes = Vec::new();
        let turned = matches!(step, Step::Next(_));
        let (next, passed) = match step {
            Step::Current { receive, passed } => {
                let next = receive.next;
                self.session.receive = Some(receive);
                (next, passed)
            }
            Step::Next(step) => {
                let old = self.session.header_key(NumberedChain::Current).cloned();
                let len = step.began.previous;
                let shared = self.turn_healing(len, env.now);
                let (random, publish) = (&mut *env.random, self.next_publish);
                (self.session).commit_next(&step, random, publish, shared.as_ref())?;
                self.known_stored = 0;
                let dropped = step.before.dropped;
                let tags = self.window.turn(len, dropped, old.as_ref(), &mut routes);
                self.keep(step.before, &tags, env.now, &mut changes, &mut routes);
                (
                    self.session
                        .receive
                        .as_ref()
                        .map_or(0, |receive| receive.next),
                    step.passed,
                )
            }
        };
        let tags = self.window.advance(next - 1, &mut routes);
        if let Some((tag, before)) = tags.split_last() {
            self.keep(passed, before, env.now, &mut changes, &mut routes);
            self.window.see(*tag, &mut routes);
        }
        self.drop_skipped(env.now, &mut changes, &mut routes);
        self.fill(&mut routes);
        self.put_changes(changes);
        self.put_routes(routes);
        if turned {
            self.put_seen();
        }
        self.put_head();
        Ok(())
    }

    /// Learns what an authenticated frame shows, beside its content. Only the
    /// newest frame's points count: an older one may name points of the past.
    fn learn(&mut self, at: &DeliveryPoint, newest: bool, text: &Plaintext, now: Timestamp) {
        self.misses = Misses::default();
        let points = &mut self.settled.points;
        let reached = points.arrived(at, now);
        let learned = newest && points.learn(&text.points);
        let answered = !self.settled.answered;
        if answered {
            self.settled.answered = true;
            self.outputs.push_back(Output::Answered(self.settled.peer));
        }
        if reached || learned || answered {
            self.put(setup::KEY, self.settled.encode());
        }
    }

    fn deliver(&mut self, tag: RoutingTag, text: Plaintext) {
        if let Some(content) = text.content {
            // A frame without an id is told under its tag.
            let id = text
                .content_id
                .or_else(|| ContentId::new(tag.0.to_vec()).ok());
            if let Some(id) = id {
                self.tell(ConversationEvent::Content {
                    id,
                    from: self.settled.participant.clone(),
                    content: Content::Bytes(content),
                    sent_at: Some(text.sent_at),
                });
            }
        }
        if let Some(number) = text.unknown {
            let kind = number.to_string();
            self.tell(ConversationEvent::Unknown { kind });
        }
    }

    fn received(&mut self, publish: PublishId, now: Timestamp) {
        let send = &mut self.session.send;
        if send.received(publish.0) && send.known - self.known_stored >= KNOWN_STORED_EVERY {
            self.put_head();
        }
        if self.settled.points.received(publish.0, now) {
            self.put(setup::KEY, self.settled.encode());
            self.put_wake();
        }
    }

    fn change_points(
        &mut self,
        change: impl FnOnce(&mut Settled) -> Result<(), Error>,
    ) -> Result<()> {
        if self.ended {
            return Err(Error::Misuse("another instance of the conversation goes on").into());
        }
        let listening = |settled: &Settled| -> Vec<DeliveryPoint> {
            settled.points.listening().cloned().collect()
        };
        let before = listening(&self.settled);
        change(&mut self.settled)?;
        let after = listening(&self.settled);
        for point in after.iter().filter(|point| !before.contains(point)) {
            self.outputs.push_back(Output::Listen(point.clone()));
        }
        for point in before.iter().filter(|point| !after.contains(point)) {
            self.outputs.push_back(Output::Unlisten(point.clone()));
        }
        self.put(setup::KEY, self.settled.encode());
        self.put_wake();
        Ok(())
    }

    fn expire(&mut self, now: Timestamp) {
        // The driver's timer is spent.
        self.wake = Timestamp::NEVER;
        if self.ended {
            return;
        }
        if self.settled.ends_at() <= now {
            return self.end();
        }
        let mut changes = Vec::new();
        let mut routes = Routes::default();
        self.drop_skipped(now, &mut changes, &mut routes);
        self.put_changes(changes);
        self.put_routes(routes);
        if self.settled.points.expires_at() <= now {
            // Cannot fail: nothing about the limits changes.
            let _ = self.change_points(|settled| {
                settled.points.expire(now);
                Ok(())
            });
        }
        self.put_wake();
    }

    fn fill(&mut self, routes: &mut Routes) {
        let key = |chain| -> Option<&HeaderKey> { self.session.header_key(chain) };
        for chain in [NumberedChain::Current, NumberedChain::Next] {
            if let Some(key) = key(chain) {
                self.window.fill(chain, key, routes);
            }
        }
    }

    pub(super) fn tell(&mut self, event: ConversationEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn put(&mut self, key: &'static [u8], value: Bytes) {
        let key = Bytes::from_static(key);
        let change = RecordChange::Put { key, value };
        self.outputs.push_back(Output::Record(change));
    }

    fn put_head(&mut self) {
        self.known_stored = self.session.send.known;
        self.put(head::KEY, head::encode(&self.session, self.next_publish));
    }

    fn put_seen(&mut self) {
        let tags: Vec<u8> = self.window.last_seen().flat_map(|tag| tag.0).collect();
        self.put(SEEN_KEY, tags.into());
    }

    pub(super) fn put_changes(&mut self, changes: Vec<RecordChange>) {
        self.outputs.extend(changes.into_iter().map(Output::Record));
    }

    pub(super) fn put_routes(&mut self, routes: Routes) {
        let output = |(expect, tag)| {
            if expect {
                Output::Expect(tag)
            } else {
                Output::Forget(tag)
            }
        };
        self.outputs.extend(routes.0.into_iter().map(output));
    }

    /// Asks to be woken, if that has changed.
    pub(super) fn put_wake(&mut self) {
        let wakes = [
            self.skipped.expires_at(),
            self.settled.points.expires_at(),
            self.settled.ends_at(),
        ];
        let wake = match self.ended {
            true => Timestamp::NEVER,
            false => wakes.into_iter().min().unwrap_or(Timestamp::NEVER),
        };
        if wake != self.wake {
            self.wake = wake;
            self.outputs.push_back(Output::WakeAt(wake));
        }
    }
}
