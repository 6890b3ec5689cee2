use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    ContentId, Conversation, ConversationEvent, ConversationId, ConversationProtocol, Env,
    ErrorKind, Identity, Input, Output, RecordChange, Records, Result, Scan, Scoped, Secret,
    Timestamp,
};

use crate::reliable::Overlay;
use crate::wire::segments::StoredHead;

use super::frame::{Frame, PartId};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::records::{self, CONFIRMED_WITHIN, INCOMPLETE_FOR};

/// Scopes the wrapper's own records. Those of the wrapped conversation keep
/// their keys, so that it goes on where it stood before it was wrapped.
const OWN: u8 = 2;

/// When what could not be done is tried again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A conversation that cuts what another can't carry in one piece.
///
/// Its methods are in the files beside this one: `restoring`, `sending`,
/// `receiving`, `superseding`.
pub(crate) struct SegmentsConversation {
    pub(super) origin: Origin,
    pub(super) inner: Box<dyn Conversation>,
    pub(super) inner_wake: Timestamp,
    /// What was sent in parts, or is to be, by its number.
    pub(super) outgoing: BTreeMap<u64, Outgoing>,
    pub(super) incoming: BTreeMap<ContentId, Incoming>,
    /// How many bytes of further large contents may come, as was said.
    pub(super) room_for_large: u64,
    pub(super) next_number: u64,
    /// How many bytes of frame and id fit, as far as that is known.
    pub(super) room: Option<usize>,
    /// The part of a large content that was asked for.
    pub(super) asked: Option<Asked>,
    /// When parts are asked for again, after one could not be sent.
    pub(super) ask_due: Timestamp,
    /// Frames of its own that are to be sent with this input.
    pub(super) controls: VecDeque<Frame>,
    pub(super) ended: bool,
    pub(super) superseded: bool,
    /// Whether the wrapped conversation took something within this input.
    touched: bool,
    /// Whether the state could not be taken back.
    broken: bool,
    pub(super) head_changed: bool,
    pub(super) wake: Timestamp,
    pub(super) outputs: VecDeque<Output>,
}

/// A part that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// What a conversation was made from, to make its inner one again.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) protocol: Arc<dyn ConversationProtocol>,
    pub(crate) conversation: ConversationId,
    pub(crate) identity: Arc<dyn Identity>,
}

impl Conversation for SegmentsConversation {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        if self.broken {
            self.take_back(env)?;
        }
        self.touched = false;
        match self.step(input, env) {
            Ok(()) => {
                self.finish(env);
                Ok(())
            }
            Err(error) => {
                if self.touched {
                    self.take_back(env)?;
                }
                Err(error)
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, label: &str) -> Result<Secret> {
        self.inner.export(label)
    }
}

impl SegmentsConversation {
    /// Wraps a conversation that was just made.
    pub(crate) fn new(origin: Origin, inner: Box<dyn Conversation>) -> Self {
        let mut conversation = Self::assemble(origin, inner);
        conversation.head_changed = true;
        conversation.put_head();
        conversation.put_wake();
        conversation
    }

    pub(super) fn assemble(origin: Origin, inner: Box<dyn Conversation>) -> Self {
        let mut conversation = Self {
            origin,
            inner,
            inner_wake: Timestamp::NEVER,
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            room_for_large: u64::MAX,
            next_number: 0,
            room: None,
            asked: None,
            ask_due: Timestamp::NEVER,
            controls: VecDeque::new(),
            ended: false,
            superseded: false,
            touched: false,
            broken: false,
            head_changed: false,
            wake: Timestamp::NEVER,
            outputs: VecDeque::new(),
        };
        while let Some(output) = conversation.inner.poll_output() {
            conversation.forward(output, Timestamp::default());
        }
        conversation
    }

    fn step(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send { id, content } => self.send(id, content, env),
            Input::Chunk {
                content,
                offset,
                bytes,
            } => self.chunk(&content, offset, bytes, env),
            Input::Time => self.handle_time(env),
            Input::Supersede => self.supersede(env),
            Input::Room(bytes) => {
                self.room_for_large = bytes;
                Ok(())
            }
            Input::Frame(incoming) => {
                self.call(Input::Frame(incoming), env)?;
                self.absorb(true, env)
            }
            other => {
                if matches!(other, Input::OwnPoints(_) | Input::PeerPoints { .. }) {
                    // What fits is found out anew.
                    self.head_changed |= self.room.take().is_some();
                }
                self.call(other, env)?;
                self.absorb(false, env)
            }
        }
    }

    /// Makes everything again as it was before this input, which the wrapped
    /// conversation took and this layer refuses: the records know nothing of it
    /// yet. Where they can't be read, the next input tries again and changes
    /// nothing before.
    pub(super) fn take_back(&mut self, env: &mut Env<'_>) -> Result<()> {
        self.broken = true;
        self.outputs.clear();
        let mut restored = Self::restore(self.origin.clone(), env)?;
        // The same as is in force; but a part may have to be asked for again.
        restored.outputs.clear();
        restored.asked = None;
        restored.room_for_large = self.room_for_large;
        // The next input says it, if another time is wanted than was.
        restored.wake = self.wake;
        *self = restored;
        Ok(())
    }

    /// Gives the wrapped conversation an input. What it puts out is taken by the
    /// caller before the next: by [`absorb`](Self::absorb), or
    /// [`pass_on`](Self::pass_on) where no content can be among it.
    pub(super) fn call(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        let mut env = Env {
            now: env.now,
            random: &mut *env.random,
            records: &Overlay {
                records: env.records,
                outputs: &self.outputs,
            },
        };
        self.inner.handle(input, &mut env)?;
        self.touched = true;
        Ok(())
    }

    /// Passes on everything that the wrapped conversation put out; says whether
    /// something is to be published.
    pub(super) fn pass_on(&mut self, now: Timestamp) -> bool {
        let mut publishes = false;
        while let Some(output) = self.inner.poll_output() {
            publishes |= matches!(output, Output::Publish(_));
            self.forward(output, now);
        }
        publishes
    }

    /// Takes in what the wrapped conversation put out. What is bad is refused, if
    /// `strict`, and otherwise skipped and told: the input was not the peer's.
    pub(super) fn absorb(&mut self, strict: bool, env: &mut Env<'_>) -> Result<()> {
        while let Some(output) = self.inner.poll_output() {
            let event = match output {
                Output::Event(event @ ConversationEvent::Content { .. }) => event,
                other => {
                    self.forward(other, env.now);
                    continue;
                }
            };
            let is_bad = |kind| matches!(kind, ErrorKind::Malformed | ErrorKind::Rejected);
            match self.take_in(event, env) {
                Err(error) if !strict && is_bad(error.kind()) => {
                    let kind = "not of the format".to_owned();
                    self.tell(ConversationEvent::Unknown { kind });
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// Passes on what the wrapped conversation puts out, contents aside.
    pub(super) fn forward(&mut self, output: Output, now: Timestamp) {
        match output {
            Output::WakeAt(at) => self.inner_wake = at,
            Output::Publish(mut publish) => {
                publish.content = publish.content.and_then(|id| self.whole_of(id));
                self.outputs.push_back(Output::Publish(publish));
            }
            Output::Event(ConversationEvent::State { id, state }) => match PartId::decode(&id) {
                Some(part) => self.part_changed(part, state, now),
                None => self.tell(ConversationEvent::State { id, state }),
            },
            Output::Event(ConversationEvent::Closed) => self.end(),
            other => self.outputs.push_back(other),
        }
    }

    /// What is done at the end of every input.
    fn finish(&mut self, env: &mut Env<'_>) {
        while let Some(frame) = self.controls.pop_front() {
            let content = cf_core::Content::Bytes(frame.encode());
            // What can't be sent any more is not missed: its reader gives up as well.
            if self.call(Input::Send { id: None, content }, env).is_ok() {
                self.pass_on(env.now);
            }
        }
        self.ask();
        self.put_head();
        self.put_wake();
    }

    fn handle_time(&mut self, env: &mut Env<'_>) -> Result<()> {
        // The driver's timer is spent.
        self.wake = Timestamp::NEVER;
        if self.ask_due <= env.now {
            self.ask_due = Timestamp::NEVER;
        }
        self.expire(env)?;
        if self.inner_wake <= env.now {
            self.inner_wake = Timestamp::NEVER;
            match self.call(Input::Time, env) {
                Ok(()) => self.absorb(false, env)?,
                Err(_) => self.inner_wake = env.now.after(RETRY_AFTER),
            }
        }
        Ok(())
    }

    /// When this layer wants to be woken.
    fn own_wake(&self) -> Timestamp {
        let incoming = self.incoming.values();
        let incoming = incoming.map(|incoming| incoming.touched_at.after(INCOMPLETE_FOR));
        let outgoing = (self.outgoing.values())
            .filter_map(|outgoing| Some(outgoing.settled_at?.after(CONFIRMED_WITHIN)));
        let first = incoming.chain(outgoing).min();
        first.unwrap_or(Timestamp::NEVER).min(self.ask_due)
    }

    pub(super) fn tell(&mut self, event: ConversationEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Reads its own records as the outputs make them.
    fn read<T>(&self, env: &Env<'_>, read: impl FnOnce(&dyn Records) -> Result<T>) -> Result<T> {
        let overlay = Overlay {
            records: env.records,
            outputs: &self.outputs,
        };
        read(&own(&overlay))
    }

    pub(super) fn record(&self, key: &[u8], env: &Env<'_>) -> Result<Option<Bytes>> {
        self.read(env, |records| records.get(key))
    }

    pub(super) fn scan(&self, prefix: Bytes, env: &Env<'_>) -> Result<Vec<(Bytes, Bytes)>> {
        self.read(env, |records| records.scan(&Scan::prefix(prefix)))
    }

    pub(super) fn put_own(&mut self, key: impl Into<Bytes>, value: Bytes) {
        let key = key.into();
        let change = RecordChange::Put { key, value };
        self.outputs.push_back(Output::Record(change.scoped(OWN)));
    }

    pub(super) fn delete_own(&mut self, key: impl Into<Bytes>) {
        let key = key.into();
        let change = RecordChange::Delete { key };
        self.outputs.push_back(Output::Record(change.scoped(OWN)));
    }

    pub(super) fn put_head(&mut self) {
        if std::mem::take(&mut self.head_changed) {
            let head = StoredHead {
                version: 0,
                next_number: self.next_number,
                room: self.room.unwrap_or_default() as u64,
                ended: self.ended,
                superseded: self.superseded,
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

/// The wrapper's own among all records.
pub(super) fn own(records: &dyn Records) -> Scoped<'_> {
    Scoped {
        records,
        prefix: OWN,
    }
}
