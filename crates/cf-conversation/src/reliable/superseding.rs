//! Another instance sends from now on.

use std::collections::BTreeMap;

use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, Env, ErrorKind, Input, Output, Result,
    Timestamp,
};

use crate::Error;

use super::conversation::ReliableConversation;
use super::frame::Body;
use super::records;

/// What is left of an instance that sends nothing any more.
pub(crate) struct Superseded {
    pub(crate) at: Timestamp,
    /// What was given back and may have been received all the same, by its number.
    pub(crate) withdrawn: BTreeMap<u64, ContentId>,
}

impl ReliableConversation {
    /// Gives back every content whose fate is open, and goes on receiving for the
    /// resend lifetime. What has no id is an answer to what is received: a wrapper's
    /// own frames are still sent.
    pub(super) fn supersede(&mut self, env: &mut Env<'_>) -> Result<()> {
        if self.superseded.is_some() {
            return Ok(());
        }
        let flights = self.bodies_in_flight(env)?;
        let queued = self.queued_contents(env)?;
        match self.call(Input::Supersede, env) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            result => result?,
        }
        self.pass_on(env.now);
        let mut withdrawn = BTreeMap::new();
        for (number, body) in flights {
            let Some(flight) = self.flights.remove(number) else {
                continue;
            };
            self.outputs.push_back(Output::Withdraw(flight.publish));
            self.delete_own(records::numbered(records::UNACKNOWLEDGED, number));
            if let (Some(id), Body::Content(content)) = (flight.content, body) {
                let key = records::numbered(records::WITHDRAWN, number);
                self.put_own(key, records::encode_withdrawn(&id));
                withdrawn.insert(number, id.clone());
                self.unsent(id, content);
            }
        }
        for (place, id, content) in queued {
            self.delete_own(records::numbered(records::QUEUED, place));
            if let Some(id) = id {
                self.unsent(id, content);
            }
        }
        self.queue.waiting.clear();
        self.superseded = Some(Superseded {
            at: env.now,
            withdrawn,
        });
        if self.contact.take().is_some() {
            self.delete_own(records::CONTACT);
        }
        self.skip_due = Timestamp::NEVER;
        self.probe_due = Timestamp::NEVER;
        self.flush_due = Timestamp::NEVER;
        let follows = self.order.hurry();
        self.follow(follows);
        Ok(())
    }

    /// What is in flight, by its number. What an earlier version sent has no body
    /// here: it stays in flight.
    fn bodies_in_flight(&self, env: &Env<'_>) -> Result<Vec<(u64, Body)>> {
        let mut bodies = Vec::new();
        for (number, _) in self.flights.iter() {
            let key = records::numbered(records::UNACKNOWLEDGED, number);
            let stored = self.record(&key, env)?;
            let stored = stored.ok_or(Error::Records("an unacknowledged payload is missing"))?;
            let stored = records::decode_unacknowledged(stored)?;
            bodies.extend(stored.body.map(|body| (number, body)));
        }
        Ok(bodies)
    }

    fn queued_contents(
        &self,
        env: &Env<'_>,
    ) -> Result<Vec<(u64, Option<ContentId>, bytes::Bytes)>> {
        let mut contents = Vec::new();
        for queued in &self.queue.waiting {
            let key = records::numbered(records::QUEUED, queued.place);
            let stored = self.record(&key, env)?;
            let stored = stored.ok_or(Error::Records("a queued content is missing"))?;
            let (id, content, _) = records::decode_queued(stored)?;
            contents.push((queued.place, id, content));
        }
        Ok(contents)
    }

    fn unsent(&mut self, id: ContentId, content: bytes::Bytes) {
        self.pending.remove(&id);
        let content = Content::Bytes(content);
        self.outputs.push_back(Output::Unsent { id, content });
    }

    /// When a superseded instance ends.
    pub(super) fn superseded_until(&self) -> Timestamp {
        match &self.superseded {
            Some(superseded) if !self.over => superseded.at.after(self.origin.settings.lifetime),
            _ => Timestamp::NEVER,
        }
    }

    /// Ends a superseded instance: it tells nothing more. The wrapped conversation
    /// ends by itself.
    pub(super) fn end_superseded(&mut self, now: Timestamp) {
        if self.superseded_until() > now {
            return;
        }
        self.over = true;
        for number in self
            .flights
            .iter()
            .map(|(number, _)| number)
            .collect::<Vec<_>>()
        {
            if let Some(flight) = self.flights.remove(number) {
                self.outputs.push_back(Output::Withdraw(flight.publish));
                self.delete_own(records::numbered(records::UNACKNOWLEDGED, number));
            }
        }
        let superseded = self.superseded.as_mut();
        let withdrawn = superseded.map(|superseded| std::mem::take(&mut superseded.withdrawn));
        for number in withdrawn.unwrap_or_default().into_keys() {
            self.delete_own(records::numbered(records::WITHDRAWN, number));
        }
    }

    /// Tells what was given back and is acknowledged all the same.
    pub(super) fn acknowledged_late(&mut self, is_acknowledged: impl Fn(u64) -> bool) {
        let Some(superseded) = &mut self.superseded else {
            return;
        };
        let landed: Vec<_> = (superseded.withdrawn)
            .extract_if(.., |number, _| is_acknowledged(*number))
            .collect();
        for (number, id) in landed {
            self.delete_own(records::numbered(records::WITHDRAWN, number));
            let state = ContentState::Delivered;
            self.tell(ConversationEvent::State { id, state });
        }
    }

    /// The same, of one content.
    pub(super) fn withdrawn_landed(&mut self, id: &ContentId) {
        let withdrawn = self.superseded.as_ref().map(|s| &s.withdrawn);
        let number = withdrawn.and_then(|withdrawn| {
            let mut all = withdrawn.iter();
            all.find_map(|(number, other)| (other == id).then_some(*number))
        });
        if let Some(number) = number {
            self.acknowledged_late(|other| other == number);
        }
    }
}
