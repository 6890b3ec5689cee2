use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, DeliveryPoint, Env, ErrorKind,
    FailureReason, Input, Outcome, Output, Publish, PublishId, Result,
};

use crate::Error;
use crate::fault::fault;

use super::conversation::ReliableConversation;
use super::flight::Flight;
use super::frame::{BITMAP_ALONE, BITMAP_BESIDE, Body, Frame};
use super::records;

/// How many payloads are sent again, or sent from the queue, in one go.
pub(super) const BATCH: usize = 256;

impl ReliableConversation {
    pub(super) fn send(
        &mut self,
        id: Option<ContentId>,
        content: Content,
        env: &mut Env<'_>,
    ) -> Result<()> {
        if self.ended {
            return Err(Error::Misuse("the conversation is closed").into());
        }
        let is_superseded = self.superseded.is_some();
        if is_superseded && id.is_some() {
            return Err(Error::Misuse("another instance of the conversation sends").into());
        }
        let Content::Bytes(bytes) = content else {
            return Err(Error::Misuse("a frame carries content in one piece").into());
        };
        if id.as_ref().is_some_and(|id| self.pending.contains(id)) {
            return Ok(());
        }
        if self.queue.waiting.is_empty() && self.flights.has_room_for_content() {
            let body = Body::Content(bytes.clone());
            match self.transmit(body, id.clone(), env) {
                Err(error) if error.is_retryable() => {}
                result => {
                    result?;
                    self.pending.extend(id);
                    return Ok(());
                }
            }
        }
        if is_superseded || self.queue.is_full() {
            return Err(Error::Unavailable("too much content waits to be sent").into());
        }
        let value = records::encode_queued(id.as_ref(), bytes, env.now);
        let place = self.queue.push(id.clone(), env.now);
        self.put_own(records::numbered(records::QUEUED, place), value);
        self.pending.extend(id);
        self.head_changed = true;
        Ok(())
    }

    /// Has a frame encrypted and published, and resent from now on.
    pub(super) fn transmit(
        &mut self,
        body: Body,
        id: Option<ContentId>,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let number = self.flights.next();
        let complete = self.encrypt(number, &body, id.as_ref(), env)?;
        while let Some(output) = self.inner.poll_output() {
            if let Output::Publish(publish) = &output {
                self.start_flight(publish, &body, env);
            }
            self.forward(output, env.now);
        }
        self.said(complete);
        Ok(())
    }

    /// Has a frame encrypted and published once; gives what it is published as.
    pub(super) fn say(&mut self, body: Body, env: &mut Env<'_>) -> Result<Option<PublishId>> {
        let complete = self.encrypt(0, &body, None, env)?;
        let mut published = None;
        while let Some(output) = self.inner.poll_output() {
            if let Output::Publish(publish) = &output {
                published = Some(publish.id);
            }
            self.forward(output, env.now);
        }
        self.said(complete);
        Ok(published)
    }

    /// Has a frame encrypted, whose outputs are to be polled; says whether it
    /// acknowledges everything that was received.
    pub(super) fn encrypt(
        &mut self,
        sequence: u64,
        body: &Body,
        id: Option<&ContentId>,
        env: &mut Env<'_>,
    ) -> Result<bool> {
        let bitmap = match body {
            Body::None | Body::Close => BITMAP_ALONE,
            _ => BITMAP_BESIDE,
        };
        let (acknowledgement, complete) = self.order.acknowledgement(bitmap);
        let mut frame = Frame {
            sequence,
            acknowledgement,
            skipped: self.flights.skipped(),
            gone: self.anew.gone,
            ..Frame::bare(body.clone())
        };
        let send = |frame: &Frame| Input::Send {
            id: id.cloned(),
            content: Content::Bytes(frame.encode()),
        };
        match self.call(send(&frame), env) {
            // What travels beside the content must not make it too long.
            Err(error) if error.kind() == ErrorKind::Misuse => {
                frame.acknowledgement.bitmap.clear();
                frame.skipped.clear();
                self.call(send(&frame), env).map(|()| false)
            }
            result => result.map(|()| complete),
        }
    }

    /// A frame was encrypted that acknowledges everything, or not.
    pub(super) fn said(&mut self, complete: bool) {
        if complete {
            self.acknowledging.done();
        }
        self.head_changed = true;
    }

    fn start_flight(&mut self, publish: &Publish, body: &Body, env: &Env<'_>) {
        let due = env.now.after(self.origin.settings.first_resend);
        let has_content = *body != Body::None;
        let flight = Flight::new(publish, has_content, env.now, due);
        let number = self.flights.start(flight);
        let key = records::numbered(records::UNACKNOWLEDGED, number);
        let points = self.points.encode(&publish.points);
        let (first, body) = (publish.id, Some(body));
        let value =
            records::encode_unacknowledged(publish, points, first, has_content, env.now, body);
        if !fault!("forget-a-flight") {
            self.put_own(key, value);
        }
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self, env: &mut Env<'_>) -> Result<()> {
        self.flush_due = cf_core::Timestamp::NEVER;
        for _ in 0..BATCH {
            let Some(first) = self.queue.waiting.front() else {
                return Ok(());
            };
            if !self.flights.has_room_for_content() {
                return Ok(());
            }
            let (id, place) = (first.content.clone(), first.place);
            let key = records::numbered(records::QUEUED, place);
            let stored = self.record(&key, env)?;
            let stored = stored.ok_or(Error::Records("a queued content is missing"))?;
            let (_, content, _) = records::decode_queued(stored)?;
            match self.transmit(Body::Content(content), id.clone(), env) {
                Err(error) if error.is_retryable() => return Ok(()),
                Err(_) => self.tell_failed(id, FailureReason::Refused),
                Ok(()) => {}
            }
            self.queue.waiting.pop_front();
            self.delete_own(key);
        }
        self.flush_due = env.now.after(super::timing::BATCH_EVERY);
        Ok(())
    }

    pub(super) fn handle_outcome(
        &mut self,
        publish: PublishId,
        point: DeliveryPoint,
        outcome: Outcome,
        env: &mut Env<'_>,
    ) -> Result<()> {
        if self.alone == Some(publish) {
            self.alone = None;
        }
        self.typing.published(publish);
        let accepted = matches!(outcome, Outcome::Accepted { .. });
        let refused = matches!(outcome, Outcome::Refused(_));
        let input = Input::Outcome {
            publish,
            point: point.clone(),
            outcome,
        };
        match self.call(input, env) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            result => {
                result?;
                self.absorb(env)?;
            }
        }
        let Some(number) = self.flights.number_of(publish) else {
            return Ok(());
        };
        match self.flights.flight_mut(number) {
            Some(flight) if accepted && !flight.accepted => {
                flight.accepted = true;
                if let Some(id) = flight.content.clone() {
                    let state = match fault!("delivered-when-accepted") {
                        true => ContentState::Delivered,
                        false => ContentState::Accepted,
                    };
                    self.tell(ConversationEvent::State { id, state });
                }
                Ok(())
            }
            Some(flight) if refused && !flight.accepted => {
                flight.refused.push(point);
                self.fail_if_refused_everywhere(number, env)
            }
            _ => Ok(()),
        }
    }

    fn fail_if_refused_everywhere(&mut self, number: u64, env: &Env<'_>) -> Result<()> {
        let key = records::numbered(records::UNACKNOWLEDGED, number);
        let Some(stored) = self.record(&key, env)? else {
            return Ok(());
        };
        let publish = records::decode_unacknowledged(stored)?.publish;
        let Some(flight) = self.flights.flight_mut(number) else {
            return Ok(());
        };
        if (publish.points.iter()).all(|point| flight.refused.contains(point)) {
            self.fail(number, FailureReason::Refused, env);
        }
        Ok(())
    }

    /// Gives a payload up; its number is closed by a skip.
    pub(super) fn fail(&mut self, number: u64, reason: FailureReason, env: &Env<'_>) {
        let content = self.give_up(number, env);
        self.tell_failed(content, reason);
    }

    /// Closes a number by a skip; gives the id of its content.
    pub(super) fn give_up(&mut self, number: u64, env: &Env<'_>) -> Option<ContentId> {
        let flight = self.flights.close(number)?;
        self.outputs.push_back(Output::Withdraw(flight.publish));
        self.delete_own(records::numbered(records::UNACKNOWLEDGED, number));
        self.head_changed = true;
        if flight.has_content {
            // A number without content may stay open until the next frame.
            self.skip_due = env.now;
        }
        self.contact_landed(number, false);
        flight.content
    }

    pub(super) fn tell_failed(&mut self, id: Option<ContentId>, reason: FailureReason) {
        if let Some(id) = id {
            self.pending.remove(&id);
            let state = ContentState::Failed(reason);
            self.tell(ConversationEvent::State { id, state });
        }
    }

    /// Ends the conversation from this side: what was never sent is given up.
    /// What is on its way goes on until it is acknowledged or its lifetime ends,
    /// and what the peer sent before it knows is still received.
    pub(super) fn close(&mut self, env: &mut Env<'_>) {
        if self.ended {
            return;
        }
        // Not reliable: a peer that misses it learns that nothing answers.
        let _ = self.say(Body::Close, env);
        self.end();
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.head_changed = true;
        while let Some(queued) = self.queue.waiting.pop_front() {
            self.delete_own(records::numbered(records::QUEUED, queued.place));
            self.tell_failed(queued.content, FailureReason::Closed);
        }
        self.tell(ConversationEvent::Closed);
    }
}
