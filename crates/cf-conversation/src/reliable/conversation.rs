use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    ContentId, Conversation, ConversationEvent, ConversationId, ConversationProtocol,
    DeliveryPoint, Env, Identity, Input, Output, ParticipantId, PointInfo, PublishId, RecordChange,
    Records, Result, Scoped, Secret, Timestamp,
};
use foldhash::HashSet;

use crate::point::Encoder;
use crate::wire::reliable::StoredHead;

use super::ReliableSettings;
use super::acknowledging::Acknowledging;
use super::anew::{self, Anew};
use super::contact::Contact;
use super::flight::Flights;
use super::frame::Body;
use super::order::Order;
use super::overlay::Overlay;
use super::queue::Queue;
use super::receipts::Reads;
use super::records;
use super::superseding::Superseded;
use super::typing::Typing;

/// Scopes the wrapper's own records.
pub(super) const OWN: u8 = 0;

/// Scopes the records of the wrapped conversation.
pub(super) const INNER: u8 = 1;

/// When a frame of its own that could not be sent is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A conversation that resends and puts in order what another encrypts.
///
/// Its methods are in the files beside this one: `restoring`, `sending`, `anew`,
/// `receiving`, `receipts`, `typing`, `contact`, `superseding`, `timing`.
pub(crate) struct ReliableConversation {
    pub(super) origin: Origin,
    pub(super) inner: Box<dyn Conversation>,
    pub(super) inner_wake: Timestamp,
    pub(super) flights: Flights,
    pub(super) queue: Queue,
    /// The ids of what is in flight or queued.
    pub(super) pending: HashSet<ContentId>,
    pub(super) order: Order,
    pub(super) acknowledging: Acknowledging,
    /// The last acknowledgement that went alone, until its outcome is known.
    pub(super) alone: Option<PublishId>,
    /// When payloads were sent again last.
    pub(super) resent_at: Timestamp,
    /// When the peer is told of numbers that never come.
    pub(super) skip_due: Timestamp,
    /// When a frame without content asks the peer for an acknowledgement.
    pub(super) probe_due: Timestamp,
    /// When the queue is looked at again.
    pub(super) flush_due: Timestamp,
    pub(super) anew: Anew,
    /// The own points, as they were given last; unknown before that.
    pub(super) own_points: Option<Vec<DeliveryPoint>>,
    pub(super) contact: Option<Contact>,
    /// The number of the peer's contact that was told last.
    pub(super) contact_of_peer: u64,
    pub(super) reads: Reads,
    pub(super) typing: Typing,
    pub(super) superseded: Option<Superseded>,
    /// Whether the peer acknowledged what this state never sent.
    pub(super) behind: bool,
    /// Whether a new session was asked for over it.
    pub(super) asked_for_renewal: bool,
    /// Whether a superseded instance has ended.
    pub(super) over: bool,
    pub(super) ended: bool,
    /// Whether the wrapped conversation could not be taken back.
    pub(super) broken: bool,
    pub(super) head_changed: bool,
    pub(super) missing_changed: bool,
    pub(super) wake: Timestamp,
    pub(super) outputs: VecDeque<Output>,
    /// Room for what the wrapped conversation puts out, used again and again.
    pub(super) came: Vec<Output>,
    pub(super) points: Encoder,
}

/// What a conversation was made from, to make its inner one again.
pub(crate) struct Origin {
    pub(crate) protocol: Arc<dyn ConversationProtocol>,
    pub(crate) conversation: ConversationId,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) settings: ReliableSettings,
}

impl Conversation for ReliableConversation {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        if self.broken {
            self.take_back(env)?;
        }
        match input {
            Input::Send { id, content } => self.send(id, content, env)?,
            Input::Frame(incoming) => self.receive(incoming, env)?,
            Input::Outcome {
                publish,
                point,
                outcome,
            } => self.handle_outcome(publish, point, outcome, env)?,
            Input::Time => self.handle_time(env),
            Input::Close => self.close(env),
            Input::Read { content, .. } => self.read(content, env),
            Input::Typing(typing) => self.type_on(typing, env),
            Input::Contact(bundles) => self.take_contact(bundles, env)?,
            Input::Supersede => self.supersede(env)?,
            Input::OwnPoints(points) => self.move_to(points, env)?,
            Input::PeerPoints { peer, points } => self.peer_moved(peer, points, env)?,
            other => {
                self.call(other, env)?;
                self.absorb(env)?;
            }
        }
        self.finish(env);
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, label: &str) -> Result<Secret> {
        self.inner.export(label)
    }
}

impl ReliableConversation {
    /// Tells the initiator that this side joined, and where it is reached.
    pub(crate) fn say_joined(&mut self, env: &mut Env<'_>) -> Result<()> {
        self.transmit(Body::None, None, env)?;
        self.finish(env);
        Ok(())
    }

    /// Gives the wrapped conversation an input. What it puts out is taken by the
    /// caller before the next: by [`absorb`](Self::absorb), or
    /// [`pass_on`](Self::pass_on) where no content can be among it.
    pub(super) fn call(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        let overlay = Overlay {
            records: env.records,
            outputs: &self.outputs,
        };
        let mut env = Env {
            now: env.now,
            random: &mut *env.random,
            records: &Scoped {
                records: &overlay,
                prefix: INNER,
            },
        };
        self.inner.handle(input, &mut env)
    }

    /// Passes on everything that the wrapped conversation put out.
    pub(super) fn pass_on(&mut self, now: Timestamp) {
        while let Some(output) = self.inner.poll_output() {
            self.forward(output, now);
        }
    }

    /// Changes the own points. Where nothing else is to be sent, a frame without
    /// content carries the news.
    fn move_to(&mut self, points: Vec<PointInfo>, env: &mut Env<'_>) -> Result<()> {
        let places: Vec<_> = points.iter().map(|info| info.point.clone()).collect();
        self.call(Input::OwnPoints(points), env)?;
        self.absorb(env)?;
        let before = self.own_points.as_deref();
        if !before.is_some_and(|before| anew::are_same(before, &places)) {
            self.put_own(records::OWN_POINTS, records::encode_points(&places));
            self.own_points = Some(places);
            self.probe_due = env.now;
        }
        self.try_contact(true, env.now);
        Ok(())
    }

    fn peer_moved(
        &mut self,
        peer: Option<ParticipantId>,
        points: Vec<PointInfo>,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let places: Vec<_> = points.iter().map(|info| info.point.clone()).collect();
        self.call(Input::PeerPoints { peer, points }, env)?;
        self.absorb(env)?;
        self.note_points(&places, env.now);
        self.try_contact(true, env.now);
        Ok(())
    }

    /// Passes on what the wrapped conversation puts out, contents aside.
    pub(super) fn forward(&mut self, output: Output, now: Timestamp) {
        match output {
            Output::Publish(publish) => {
                self.note_points(&publish.points, now);
                self.outputs.push_back(Output::Publish(publish));
            }
            Output::Renew if self.superseded.is_some() => {}
            Output::Event(_) if self.over => {}
            // Gaps of frames are not gaps of contents: those show in the sequence.
            Output::Event(ConversationEvent::Gap { .. }) => {
                self.anew.gone = self.anew.gone.saturating_add(1);
                self.head_changed = true;
            }
            Output::Record(change) => self.put(change.scoped(INNER)),
            Output::WakeAt(at) => self.inner_wake = at,
            Output::Event(ConversationEvent::Duplicate) => self.acknowledging.repeated(now),
            Output::Event(ConversationEvent::GapClosed) => {}
            other => self.outputs.push_back(other),
        }
    }

    /// What is done at the end of every input.
    pub(super) fn finish(&mut self, env: &mut Env<'_>) {
        self.say_what_is_due(env);
        if std::mem::take(&mut self.missing_changed) {
            let missing = records::encode_missing(self.order.missing());
            self.put_own(records::MISSING, missing);
        }
        self.put_head();
        self.put_wake();
    }

    pub(super) fn tell(&mut self, event: ConversationEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The record of its own with this key, as the outputs make it.
    pub(super) fn record(&self, key: &[u8], env: &Env<'_>) -> Result<Option<Bytes>> {
        let overlay = Overlay {
            records: env.records,
            outputs: &self.outputs,
        };
        Scoped {
            records: &overlay,
            prefix: OWN,
        }
        .get(key)
    }

    pub(super) fn put_own(&mut self, key: impl Into<Bytes>, value: Bytes) {
        let key = key.into();
        self.put(RecordChange::Put { key, value }.scoped(OWN));
    }

    pub(super) fn delete_own(&mut self, key: impl Into<Bytes>) {
        let key = key.into();
        self.put(RecordChange::Delete { key }.scoped(OWN));
    }

    fn put(&mut self, change: RecordChange) {
        self.outputs.push_back(Output::Record(change));
    }

    pub(super) fn put_head(&mut self) {
        if std::mem::take(&mut self.head_changed) {
            let head = StoredHead {
                version: 0,
                next_sequence: self.flights.next(),
                acknowledged: self.flights.acknowledged(),
                closed: self.flights.closed().iter().copied().collect(),
                next_delivery: self.order.next(),
                owes_acknowledgement: self.acknowledging.is_owed(),
                ended: self.ended,
                next_queued: self.queue.next,
                gone: self.anew.gone,
                gone_of_peer: self.anew.gone_of_peer,
                anew_below: self.anew.below,
                superseded_at: self.superseded.as_ref().map(|superseded| superseded.at.0),
                behind: self.behind,
                contact_of_peer: self.contact_of_peer,
                resent_at: self.resent_at.0,
            };
            self.put_own(records::HEAD, records::encode_head(head));
        }
    }

    /// Asks to be woken, if that has changed.
    pub(super) fn put_wake(&mut self) {
        let wake = self.inner_wake.min(self.own_wake());
        if wake != self.wake {
            self.wake = wake;
            self.outputs.push_back(Output::WakeAt(wake));
        }
    }
}
