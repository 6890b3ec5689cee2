use cf_core::{Content, ContentState, ConversationEvent, Env, Incoming, Input, Output, Result};

use crate::Error;

use super::conversation::{RETRY_AFTER, ReliableConversation};
use super::frame::{Acknowledgement, Body, Frame};
use super::order::Follows;
use super::records;

impl ReliableConversation {
    pub(super) fn receive(&mut self, incoming: Incoming, env: &mut Env<'_>) -> Result<()> {
        let outputs = self.call(Input::Frame(incoming), env)?;
        if let Err(error) = self.absorb(outputs, env) {
            self.take_back(env)?;
            return Err(error);
        }
        if self.flush(env).is_err() {
            self.flush_due = env.now.after(RETRY_AFTER);
        }
        Ok(())
    }

    /// Takes in what the wrapped conversation put out. After an error nothing
    /// here has changed.
    pub(super) fn absorb(&mut self, outputs: Vec<Output>, env: &mut Env<'_>) -> Result<()> {
        let mut frames = Vec::new();
        for output in &outputs {
            if let Output::Event(ConversationEvent::Content {
                content: Content::Bytes(bytes),
                ..
            }) = output
            {
                frames.push(self.check(Frame::decode(bytes.clone())?)?);
            }
        }
        let mut frames = frames.into_iter();
        for output in outputs {
            match output {
                Output::Event(event @ ConversationEvent::Content { .. }) => {
                    if let Some(frame) = frames.next() {
                        self.take_in(frame, event, env);
                    }
                }
                other => self.forward(other, env.now),
            }
        }
        Ok(())
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
        self.flights.check(&frame.acknowledgement)?;
        self.order.check(frame.sequence)?;
        (frame.skipped.iter()).try_for_each(|number| self.order.check(*number))?;
        match frame.skipped.contains(&0) {
            true => Err(Error::Malformed("sequence numbers start with 1")),
            false => Ok(frame),
        }
    }

    fn take_in(&mut self, frame: Frame, event: ConversationEvent, env: &mut Env<'_>) {
        self.acknowledged(&frame.acknowledgement, env);
        let event = match (&frame.body, event) {
            (
                Body::Content(content),
                ConversationEvent::Content {
                    id, from, sent_at, ..
                },
            ) => Some(ConversationEvent::Content {
                id,
                from,
                content: Content::Bytes(content.clone()),
                sent_at,
            }),
            _ => None,
        };
        if let Some(number) = frame.unknown {
            let kind = number.to_string();
            self.tell(ConversationEvent::Unknown { kind });
        }
        match frame.sequence {
            0 => event.into_iter().for_each(|event| self.tell(event)),
            number if self.order.has(number) => self.acknowledging.repeated(env.now),
            number => {
                let follows = self.order.accept(number, event, env.now);
                self.follow(follows);
                self.acknowledging.received(env.now);
            }
        }
        for number in frame.skipped {
            if !self.order.has(number) {
                let follows = self.order.accept(number, None, env.now);
                self.follow(follows);
            }
        }
        if frame.body == Body::Close && !self.ended {
            self.end();
        }
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
        let last = ended.iter().map(|(_, flight)| flight.publish).max();
        for (number, flight) in ended {
            self.delete_own(records::numbered(records::UNACKNOWLEDGED, number));
            if let Some(id) = flight.content {
                self.pending.remove(&id);
                let state = ContentState::Delivered;
                self.tell(ConversationEvent::State { id, state });
            }
        }
        if let Some(publish) = last {
            // A protocol that has no use for it says so; that changes nothing.
            if let Ok(outputs) = self.call(Input::Received(publish), env) {
                for output in outputs {
                    self.forward(output, env.now);
                }
            }
        }
    }

    pub(super) fn follow(&mut self, follows: Vec<Follows>) {
        self.head_changed = true;
        for follow in follows {
            match follow {
                Follows::Tell(event) => self.tell(event),
                Follows::Hold(number) => {
                    if let Some(held) = self.order.held(number) {
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
