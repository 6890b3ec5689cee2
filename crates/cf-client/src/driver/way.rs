//! The way of a message, from top to bottom.
//!
//! ```text
//! out: send → conversation → apply → framing → outbox → commit → publish
//! in:  deliver → router → conversation → apply → log → commit → tell
//!                  └ miss → inbox → request
//!                         → conversation looks further ahead → router
//!                         → parked, and tried again when a tag is expected
//! ```

use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ContentState, ConversationId, Delivery, DeliveryAddress, DeliveryPoint,
    Error, ErrorKind, Incoming, Input, InstanceId, Locator, Output, ParticipantId, Result, Routed,
    Start, Tag, Timestamp,
};

use super::large::Part;
use super::{Driver, Effect, Wake, Work};
use crate::fault::fault;
use crate::records::{self, CURSORS};

/// The most further tags that conversations may derive for one payload.
pub const SEARCH_BUDGET: u32 = 16_384;

// ---- out -------------------------------------------------------------------

impl Driver {
    /// Sends content. The same id again sends nothing and answers with its state.
    ///
    /// # Errors
    /// `Misuse` for an unknown conversation or content that it never takes,
    /// `Unavailable` if it can't take any now.
    pub fn send(
        &mut self,
        conversation: ConversationId,
        id: ContentId,
        content: Content,
        now: Timestamp,
    ) -> Result<ContentState> {
        let instance = self.instance(conversation, now)?;
        self.check_audible(conversation)?;
        if let Some(state) = self.state(conversation, &id)? {
            return Ok(state);
        }
        if self.unsent.has(conversation) {
            return Err(Error::unavailable(
                "content of the session before is still on its way to the new one",
            ));
        }
        self.input(
            instance,
            Input::Send {
                id: Some(id.clone()),
                content: content.clone(),
            },
            now,
        )?;
        self.note_queued(conversation, &id)?;
        if fault!("state-told-too-early") {
            self.put_state(conversation, &id, ContentState::Accepted);
        }
        self.log_sent(conversation, &id, content, now)?;
        self.settle(now);
        Ok(self
            .state(conversation, &id)?
            .unwrap_or(ContentState::Queued))
    }

    /// The application has shown a content that came: its author is told, where the
    /// protocol can.
    ///
    /// # Errors
    /// `Misuse` for an unknown conversation; those of the conversation.
    pub fn read(
        &mut self,
        conversation: ConversationId,
        from: Option<ParticipantId>,
        content: ContentId,
        now: Timestamp,
    ) -> Result<()> {
        self.input_if_supported(conversation, Input::Read { from, content }, now)
    }

    /// The user has begun to write, or has stopped: the others are told, where the
    /// protocol can. While the user writes, say so again now and then: it holds for
    /// [`TYPING_FOR`](cf_core::TYPING_FOR).
    ///
    /// # Errors
    /// `Misuse` for an unknown conversation; those of the conversation.
    pub fn typing(
        &mut self,
        conversation: ConversationId,
        typing: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.input_if_supported(conversation, Input::Typing(typing), now)
    }

    fn input_if_supported(
        &mut self,
        conversation: ConversationId,
        input: Input,
        now: Timestamp,
    ) -> Result<()> {
        let instance = self.instance(conversation, now)?;
        if self.is_muted(conversation) {
            return Ok(());
        }
        match self.input(instance, input, now) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.counters.add("unsupported.input");
            }
            result => result?,
        }
        self.settle(now);
        Ok(())
    }

    /// Gives an input to a conversation and applies what it puts out.
    pub(super) fn input(
        &mut self,
        instance: InstanceId,
        input: Input,
        now: Timestamp,
    ) -> Result<()> {
        self.with_conversation(instance, now, |machine, env| machine.handle(input, env))?;
        self.drain(instance, now);
        Ok(())
    }

    /// Applies all outputs of a conversation.
    pub(super) fn drain(&mut self, instance: InstanceId, now: Timestamp) {
        let mut outputs = Vec::new();
        let found = self.conversations.get_mut(&instance);
        if let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) {
            outputs.extend(std::iter::from_fn(|| awake.machine.poll_output()));
        }
        for output in outputs {
            self.apply(instance, output, now);
        }
    }

    fn apply(&mut self, instance: InstanceId, output: Output, now: Timestamp) {
        match output {
            Output::Publish(publish) => self.enqueue(instance, publish),
            Output::Withdraw(publish) => self.withdraw(instance, publish),
            Output::Listen(point) => {
                self.note_place(instance, &point, true);
                self.listen(&point, |l| {
                    l.instances.insert(instance);
                });
            }
            Output::Unlisten(point) => {
                self.note_place(instance, &point, false);
                self.unlisten(&point, |l| {
                    l.instances.remove(&instance);
                });
            }
            Output::Expect(tag) => self.expect(instance, tag),
            Output::Forget(tag) => {
                self.note_tag(instance, tag, false);
                self.routers
                    .values_mut()
                    .for_each(|router| router.forget(tag, instance));
            }
            Output::Invite(invite) => self.work.push_back(Work::Invite(instance, invite)),
            Output::Answered(peer) => self.invite_answered(instance, peer, now),
            Output::Event(event) => self.told(instance, event, now),
            Output::Signal(signal) => {
                if let Some(found) = self.conversations.get(&instance) {
                    self.effects.push(Effect::Signal(found.id, signal));
                }
            }
            Output::Record(change) => {
                let found = self.conversations.get(&instance);
                if let Some(awake) = found.and_then(|found| found.awake.as_deref()) {
                    self.overlay.apply(awake.namespace.clone(), change);
                }
            }
            Output::WakeAt(at) => {
                // A wish that is not in the future must not keep the client busy.
                let at = at.max(now.after(Duration::from_millis(1)));
                let Some(found) = self.conversations.get_mut(&instance) else {
                    return;
                };
                let before = found.wake.replace(at);
                self.set_wake(before, at, Wake::Conversation(instance));
            }
            Output::Unsent { id, content } => {
                if let Some(found) = self.conversations.get(&instance) {
                    self.work.push_back(Work::Resend(found.id, id, content));
                }
            }
            Output::Renew => self.work.push_back(Work::Renew(instance)),
            Output::Contact { bundles, .. } => {
                self.work.push_back(Work::PeerContact(instance, bundles));
            }
            Output::WantChunk {
                content,
                offset,
                len,
            } => self.want_chunk(instance, content, offset, len),
            Output::Chunk {
                from,
                content,
                len,
                offset,
                bytes,
            } => {
                let part = Part { len, offset, bytes };
                self.keep_chunk(instance, from.as_ref(), &content, part, now);
            }
            Output::DropChunks { from, content } => {
                self.drop_chunks(instance, from.as_ref(), &content, now);
            }
            _ => self.counters.add("unsupported.output"),
        }
    }

    fn expect(&mut self, instance: InstanceId, tag: Tag) {
        self.note_tag(instance, tag, true);
        if !fault!("forget-a-tag") || tag.tag().0[0] > 63 {
            self.route_tag(instance, tag);
        }
    }

    /// Routes a tag to an instance, and what was parked under it.
    pub(super) fn route_tag(&mut self, instance: InstanceId, tag: Tag) {
        for router in self.routers.values_mut() {
            if router.expect(tag, instance).is_err() {
                self.counters.add("rejected.tag");
            }
        }
        match tag {
            Tag::SingleUse(tag) => {
                let waiting = self.parked.waiting_for(&tag);
                self.work.extend(waiting.into_iter().map(Work::Parked));
            }
            // A framing may blind it, so everything is tried, once for an input.
            Tag::Standing(_) => self.try_all_parked = true,
        }
    }
}

// ---- in --------------------------------------------------------------------

impl Driver {
    /// Takes a delivery; its cursor is committed with whatever it causes.
    pub fn deliver(&mut self, locator: &Locator, delivery: Delivery, now: Timestamp) {
        let Delivery {
            address,
            payload,
            cursor,
        } = delivery;
        if !self
            .points
            .contains_key(&(locator.clone(), address.clone()))
        {
            self.know_all(now);
        }
        if self.only_muted_listen(locator, &address) {
            self.counters.add("blocked.frame");
        } else if let Some(listeners) = self.points.get(&(locator.clone(), address.clone())) {
            let framings: Vec<_> = listeners.framings.iter().cloned().collect();
            let instances = listeners.instances.iter().copied().collect();
            self.wake_listeners(instances, now);
            let readable = framings.into_iter().any(|framing| {
                let point = DeliveryPoint {
                    locator: locator.clone(),
                    address: address.clone(),
                    framing,
                };
                self.route(&point, &payload, cursor.clone(), now)
            });
            if !readable {
                self.counters.add("malformed.payload");
            }
        } else {
            self.counters.add("unwanted.payload");
        }
        if let Some(cursor) = cursor {
            let key = records::cursor_key(locator, &address);
            self.overlay
                .put(CURSORS, key, Bytes::copy_from_slice(cursor.as_bytes()));
            self.effects.push(Effect::Acknowledge {
                locator: locator.clone(),
                address,
                cursor,
            });
        }
        self.settle(now);
    }

    fn only_muted_listen(&self, locator: &Locator, address: &DeliveryAddress) -> bool {
        if !self.mutes_any() {
            return false;
        }
        let listeners = self.points.get(&(locator.clone(), address.clone()));
        listeners.is_some_and(|listeners| {
            let mut instances = listeners.instances.iter();
            listeners.inboxes.is_empty()
                && !listeners.instances.is_empty()
                && instances.all(|instance| self.is_muted_instance(*instance))
        })
    }

    /// Finds the state machine for a payload; `false` if it is not of the framing.
    fn route(
        &mut self,
        point: &DeliveryPoint,
        payload: &Bytes,
        cursor: Option<cf_core::Cursor>,
        now: Timestamp,
    ) -> bool {
        let Some(router) = self.routers.get(&point.framing) else {
            return false;
        };
        let Ok(routed) = router.route(payload) else {
            return false;
        };
        match routed.instance {
            Some(instance) => {
                let tag = routed.tag;
                if !self.frame(instance, point, routed, cursor.clone(), now) {
                    self.park(point, payload, tag, cursor, now);
                }
            }
            None => self.miss(point, payload, routed, cursor, now),
        }
        true
    }

    /// Gives a frame to its conversation; `false` if that can't judge it yet.
    fn frame(
        &mut self,
        instance: InstanceId,
        point: &DeliveryPoint,
        Routed { tag, body, .. }: Routed,
        cursor: Option<cf_core::Cursor>,
        now: Timestamp,
    ) -> bool {
        if self.is_muted_instance(instance) {
            self.counters.add("blocked.frame");
            return true;
        }
        let incoming = Incoming {
            point: point.clone(),
            cursor,
            tag,
            body,
        };
        self.say_room(instance, now);
        match self.input(instance, Input::Frame(incoming), now) {
            Ok(()) => {
                self.counters.add("routed.frame");
                self.heard(instance, now);
            }
            Err(error) if error.is_retryable() => return false,
            Err(error) => self.rejected("rejected.frame", &error),
        }
        true
    }

    /// Offers a payload that routed nowhere to the inboxes, then to the
    /// conversations that listen there, and parks it if nobody wants it.
    fn miss(
        &mut self,
        point: &DeliveryPoint,
        payload: &Bytes,
        routed: Routed,
        cursor: Option<cf_core::Cursor>,
        now: Timestamp,
    ) {
        let Some(listeners) = self
            .points
            .get_mut(&(point.locator.clone(), point.address.clone()))
        else {
            return;
        };
        let inboxes: Vec<_> = listeners.inboxes.iter().copied().collect();
        let instances: Vec<_> = listeners.instances.iter().copied().collect();
        for index in inboxes {
            let inbox = &self.inboxes[index].inbox;
            if let Some(recognized) = inbox.recognize(point, routed.tag, &routed.body) {
                return self.open_invite(index, recognized, routed.tag, now);
            }
        }
        let is_awake = |instance: &InstanceId| {
            let found = self.conversations.get(instance);
            found.is_some_and(|found| found.awake.is_some() && !self.is_muted(found.id))
        };
        let awake: Vec<_> = instances.into_iter().filter(is_awake).collect();
        for instance in awake {
            let budget = self.search_budget(point, now);
            if budget == 0 {
                self.counters.add("bounded.search");
                break;
            }
            let input = Input::Miss {
                point: point.clone(),
                cursor: cursor.clone(),
                tag: routed.tag,
                budget,
            };
            if self.input(instance, input, now).is_err() {
                continue;
            }
            let found = self
                .routers
                .get(&point.framing)
                .and_then(|r| r.route(payload).ok());
            if let Some(
                routed @ Routed {
                    instance: Some(instance),
                    ..
                },
            ) = found
            {
                let tag = routed.tag;
                if !self.frame(instance, point, routed, cursor.clone(), now) {
                    self.park(point, payload, tag, cursor, now);
                }
                return;
            }
        }
        self.park(point, payload, routed.tag, cursor, now);
    }

    /// Tries a parked payload again.
    fn parked_again(&mut self, key: u64, now: Timestamp) {
        let Some((point, payload, cursor)) = self.parked.read(key, &self.overlay) else {
            return;
        };
        let Some(router) = self.routers.get(&point.framing) else {
            return;
        };
        let Ok(routed) = router.route(&payload) else {
            return;
        };
        if let Some(instance) = routed.instance
            && self.frame(instance, &point, routed, cursor, now)
        {
            self.unpark(key);
        }
    }
}

// ---- both ------------------------------------------------------------------

impl Driver {
    /// Does what an input left to do, within the same commit.
    pub(super) fn settle(&mut self, now: Timestamp) {
        loop {
            if std::mem::take(&mut self.try_all_parked) {
                self.work.extend(self.parked.keys().map(Work::Parked));
            }
            let Some(work) = self.work.pop_front() else {
                return self.rest(now);
            };
            match work {
                Work::Parked(key) => self.parked_again(key, now),
                Work::Refused(instance, publish, point, error) => {
                    let outcome = cf_core::Outcome::Refused(error);
                    self.outcome(instance, publish, point, outcome, now);
                }
                Work::PeerPoints(instance) => self.tell_peer_points(instance, now),
                Work::Invite(instance, invite) => self.invite_member(instance, invite, now),
                Work::Resend(conversation, id, content) => {
                    self.resend(conversation, id, content, now);
                }
                Work::Renew(instance) => self.renew(instance, now),
                Work::PeerContact(instance, bundles) => {
                    self.peer_contact_came(instance, bundles, now);
                }
                Work::GiveContact(instance) => self.give_contact(instance, now),
                Work::Chunk(instance, content, range) => {
                    self.give_chunk(instance, content, range, now);
                }
            }
        }
    }

    pub(super) fn instance(
        &mut self,
        conversation: ConversationId,
        now: Timestamp,
    ) -> Result<InstanceId> {
        self.know(conversation, now);
        let unknown = || Error::misuse("there is no conversation with this id");
        let sessions = self.by_id.get(&conversation).ok_or_else(unknown)?;
        let instance = sessions.current;
        match self.conversations.contains_key(&instance) {
            true => Ok(instance),
            false => Err(Error::unsupported(
                "this client does not have the conversation's protocol",
            )),
        }
    }

    pub(super) fn listen(
        &mut self,
        point: &DeliveryPoint,
        add: impl FnOnce(&mut super::Listeners),
    ) {
        // The components' own names take no memory for each point.
        let service = self.components.service(&point.locator);
        let framing = self.components.framing(&point.framing);
        if service.is_none() || framing.is_none() {
            self.counters.add("unsupported.point");
        }
        let locator = service.map_or(&point.locator, |service| service.locator());
        let framing = framing.map_or(&point.framing, |framing| framing.id());
        let place = (locator.clone(), point.address.clone());
        let fresh = !self.points.contains_key(&place);
        let listeners = self.points.entry(place).or_default();
        listeners.framings.insert(framing.clone());
        add(listeners);
        if fresh {
            let key = records::cursor_key(&point.locator, &point.address);
            let start = match self.overlay.get(CURSORS, &key).ok().flatten() {
                Some(_) if fault!("wrong-cursor") => Start::Latest,
                Some(cursor) => cf_core::Cursor::new(cursor).map_or(Start::Earliest, Start::After),
                None => Start::Earliest,
            };
            let (locator, address) = (point.locator.clone(), point.address.clone());
            self.effects.push(Effect::Subscribe {
                locator,
                address,
                start,
            });
        }
    }

    pub(super) fn unlisten(
        &mut self,
        point: &DeliveryPoint,
        remove: impl FnOnce(&mut super::Listeners),
    ) {
        let place = (point.locator.clone(), point.address.clone());
        if let Some(listeners) = self.points.get_mut(&place) {
            remove(listeners);
            self.leave(&place);
        }
    }

    /// Leaves an address where nobody listens, unless a request waits that came there:
    /// what its sender sends may come before the user has accepted.
    pub(super) fn leave(&mut self, place: &(Locator, DeliveryAddress)) {
        let listeners = self.points.get(place);
        let nobody = listeners.is_some_and(|l| l.instances.is_empty() && l.inboxes.is_empty());
        if nobody && self.unread.is_some() {
            // Somebody may listen there who is not known yet.
            self.left.push(place.clone());
            return;
        }
        if nobody && !self.waiting.waits_at(place) {
            self.points.remove(place);
            self.unpark_all(place);
            self.overlay
                .delete(CURSORS, records::cursor_key(&place.0, &place.1));
            self.effects.push(Effect::Unsubscribe {
                locator: place.0.clone(),
                address: place.1.clone(),
            });
        }
    }

    pub(super) fn set_wake(&mut self, before: Option<Timestamp>, at: Timestamp, wake: Wake) {
        if let Some(before) = before {
            self.wakes.remove(&(before, wake));
        }
        if at < Timestamp::NEVER {
            self.wakes.insert((at, wake));
        }
    }

    pub(super) fn wake_conversation(&mut self, instance: InstanceId, now: Timestamp) {
        if let Some(found) = self.conversations.get_mut(&instance) {
            found.wake = None;
        }
        if let Err(error) = self.input(instance, Input::Time, now) {
            self.rejected("failed.wake", &error);
            let again = now.after(Duration::from_secs(1));
            if let Some(found) = self.conversations.get_mut(&instance)
                && found.wake.is_none()
            {
                found.wake = Some(again);
                self.set_wake(None, again, Wake::Conversation(instance));
            }
        }
    }

    pub(super) fn rejected(&mut self, what: &'static str, error: &Error) {
        tracing::debug!(what, kind = ?error.kind(), "an input was refused");
        self.counters.add(what);
    }
}
