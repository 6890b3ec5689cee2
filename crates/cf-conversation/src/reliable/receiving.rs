use std::collections::BTreeSet;

use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, Env, Incoming, Input, Output,
    ParticipantId, Result, Timestamp,
};

use smallvec::SmallVec;

use crate::Error;
use crate::fault::fault;

use super::conversation::{RETRY_AFTER, ReliableConversation};
use super::frame::{Acknowledgement, Body, Frame};
use super::order::Follows;
use super::records;

impl ReliableConversation {
    pub(super) fn receive(&mut self, incoming: Incoming, env: &mut Env<'_>) -> Result<()> {
        self.call(Input::Frame(incoming), env)?;
        let is_new = match self.absorb(env) {
            Ok(is_new) => is_new,
            Err(error) => {
                self.take_back(env)?;
                return Err(error);
            }
        };
        if self.flush(env).is_err() {
            self.flush_due = env.now.after(RETRY_AFTER);
        }
        if is_new {
            self.try_contact(false, env.now);
            self.try_reads(env.now);
        }
        Ok(())
    }

    /// Takes in what the wrapped conversation put out; says whether it was no
    /// repetition. After an error nothing here has changed.
    pub(super) fn absorb(&mut self, env: &mut Env<'_>) -> Result<bool> {
        let mut came = std::mem::take(&mut self.came);
        while let Some(output) = self.inner.poll_output() {
            came.push(output);
        }
        let result = self.frames(&came).map(|frames| {
            let mut frames = frames.into_iter();
            let is_new = !is_duplicate(&came);
            for output in came.drain(..) {
                match output {
                    Output::Event(event @ ConversationEvent::Content { .. }) => {
                        if let Some(frame) = frames.next().filter(|_| !self.over) {
                            self.take_in(frame, event, env);
                        }
                    }
                    other => self.forward(other, env.now),
                }
            }
            is_new
        });
        came.clear();
        self.came = came;
        result
    }

    /// The frames of this layer among what came, each checked.
    fn frames(&self, came: &[Output]) -> Result<SmallVec<[Frame; 1]>> {
        let mut frames = SmallVec::new();
        for output in came {
            if let Output::Event(ConversationEvent::Content {
                content: Content::Bytes(bytes),
                ..
            }) = output
            {
                frames.push(self.check(Frame::decode(bytes.clone())?)?);
            }
        }
        Ok(frames)
    }

    /// Makes the wrapped conversation again as it was before the frame that it
    /// took and that is not of this format: the records know nothing of it yet.
    /// Where they can't be read, the next input tries again and changes nothing
    /// before.
    pub(super) fn take_back(&mut self, env: &mut Env<'_>) -> Result<()> {
        self.broken = true;
        let mut inner = self.origin.restore_inner(env)?;
        // The same as is in force.
        while inner.poll_output().is_some() {}
        self.inner = inner;
        self.broken = false;
        Ok(())
    }

    fn check(&self, frame: Frame) -> Result<Frame, Error> {
        self.order.check(frame.sequence)?;
        (frame.skipped.iter()).try_for_each(|number| self.order.check(*number))?;
        match frame.skipped.contains(&0) {
            true => Err(Error::Malformed("sequence numbers start with 1")),
            false => Ok(frame),
        }
    }

    fn take_in(&mut self, frame: Frame, event: ConversationEvent, env: &mut Env<'_>) {
        let ConversationEvent::Content {
            id, from, sent_at, ..
        } = event
        else {
            return;
        };
        if !self.is_behind(&frame.acknowledgement) {
            self.acknowledged(&frame.acknowledgement, env);
            self.peer_is_back(env.now);
        }
        self.peer_dropped(frame.gone);
        if let Some(number) = frame.unknown {
            let kind = number.to_string();
            self.tell(ConversationEvent::Unknown { kind });
        }
        let number = frame.sequence;
        let is_repeated = number != 0 && self.order.has(number);
        if is_repeated && !fault!("deliver-what-came-before") {
            self.acknowledging.repeated(env.now);
        } else {
            let event = match frame.body {
                Body::Content(content) => Some(ConversationEvent::Content {
                    id,
                    from,
                    content: Content::Bytes(content),
                    sent_at,
                }),
                body => {
                    self.take_in_body(body, number, from, sent_at, env.now);
                    None
                }
            };
            match number {
                _ if is_repeated => event.into_iter().for_each(|event| self.tell(event)),
                0 => event.into_iter().for_each(|event| self.tell(event)),
                number => {
                    let follows = self.order.accept(number, event, env.now);
                    self.follow(follows);
                    self.acknowledging.received(env.now);
                }
            }
        }
        for number in frame.skipped {
            if !self.order.has(number) {
                let follows = self.order.accept(number, None, env.now);
                self.follow(follows);
            }
        }
    }

    /// Takes in what is no content: it does not wait for its turn.
    fn take_in_body(
        &mut self,
        body: Body,
        number: u64,
        from: Option<ParticipantId>,
        sent_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        match body {
            Body::Receipt(ids) => self.peer_read(ids),
            Body::Typing(typing) => self.peer_types(typing, from, sent_at, now),
            // One that was overtaken by a newer one is of the past.
            Body::Contact(bundles) if number > self.contact_of_peer => {
                self.contact_of_peer = number;
                let peer = None;
                self.outputs.push_back(Output::Contact { peer, bundles });
            }
            Body::Close if !self.ended => self.end(),
            _ => {}
        }
    }

    /// Whether the peer has seen more of this side than this state has sent: then
    /// its acknowledgements are of what another state sent. Only a new session
    /// helps, which is asked for once.
    fn is_behind(&mut self, what: &Acknowledgement) -> bool {
        if !self.behind && self.flights.is_beyond(what) {
            self.behind = true;
            self.head_changed = true;
        }
        if self.behind && !self.asked_for_renewal && self.superseded.is_none() {
            self.asked_for_renewal = true;
            self.outputs.push_back(Output::Renew);
        }
        self.behind
    }

    fn acknowledged(&mut self, what: &Acknowledgement, env: &mut Env<'_>) {
        let before = (self.flights.acknowledged(), self.flights.closed().len());
        let ended = self.flights.acknowledge(what);
        let closed = self.flights.closed().len();
        self.head_changed |= (self.flights.acknowledged(), closed) != before || !ended.is_empty();
        if (1..before.1).contains(&closed) {
            // One frame does not name all of them.
            self.skip_due = env.now;
        }
        let last = ended.iter().map(|(_, flight)| flight.first).max();
        for (number, flight) in ended {
            self.landed(number, flight.content);
        }
        let beyond: BTreeSet<u64> = match self.superseded {
            Some(_) => what.beyond().collect(),
            None => BTreeSet::new(),
        };
        let is_acknowledged = |number| number <= what.cumulative || beyond.contains(&number);
        self.acknowledged_late(is_acknowledged);
        if let Some(publish) = last {
            // A protocol that has no use for it says so; that changes nothing.
            if self.call(Input::Received(publish), env).is_ok() {
                self.pass_on(env.now);
            }
        }
    }

    /// The peer has a frame that was in flight.
    pub(super) fn landed(&mut self, number: u64, content: Option<ContentId>) {
        self.delete_own(records::numbered(records::UNACKNOWLEDGED, number));
        self.contact_landed(number, true);
        if let Some(id) = content {
            self.pending.remove(&id);
            let state = ContentState::Delivered;
            self.tell(ConversationEvent::State { id, state });
        }
    }

    pub(super) fn follow(&mut self, follows: Vec<Follows>) {
        self.head_changed = true;
        for follow in follows {
            match follow {
                Follows::Tell(event) => self.tell(event),
                Follows::Hold(number) => {
                    if let Some(held) = self
                        .order
                        .held(number)
                        .filter(|_| !fault!("forget-what-is-held"))
                    {
                        let value = records::encode_held(held);
                        self.put_own(records::numbered(records::HELD, number), value);
                    }
                }
                Follows::Release(number) => {
                    self.delete_own(records::numbered(records::HELD, number));
                }
                Follows::Missing => self.missing_changed = true,
            }
        }
    }
}

fn is_duplicate(outputs: &[Output]) -> bool {
    let is_repetition =
        |output: &Output| matches!(output, Output::Event(ConversationEvent::Duplicate));
    outputs.iter().any(is_repetition)
}
