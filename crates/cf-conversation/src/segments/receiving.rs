use bytes::{Bytes, BytesMut};
use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, Env, FailureReason, Output, ParticipantId,
    Result, Signal, Timestamp,
};

use crate::Error;

use super::conversation::SegmentsConversation;
use super::frame::{Frame, Segment};
use super::incoming::{Incoming, MAX_ENDED, has_room};
use super::ranges::{Ranges, passes_a_cent};
use super::records::{self, CONFIRMED_WITHIN, INCOMPLETE_FOR};

impl SegmentsConversation {
    /// Takes in a frame of the peer's.
    pub(super) fn take_in(&mut self, event: ConversationEvent, env: &Env<'_>) -> Result<()> {
        let ConversationEvent::Content {
            id,
            from,
            content: Content::Bytes(bytes),
            sent_at,
        } = event
        else {
            self.tell(event);
            return Ok(());
        };
        match Frame::decode(bytes)? {
            Frame::Content(content) => self.tell(ConversationEvent::Content {
                id,
                from,
                content: Content::Bytes(content),
                sent_at,
            }),
            Frame::Segment(segment) => self.take_segment(segment, from, sent_at, env)?,
            Frame::Whole(content) => {
                if let Some(number) = self.number_of(&content) {
                    self.whole_there(number)?;
                }
            }
            Frame::Refused(content) => {
                let number = self.number_of(&content);
                if let Some(outgoing) = number.and_then(|number| self.remove_outgoing(number)) {
                    let state = ContentState::Failed(FailureReason::Refused);
                    self.tell_state(outgoing.content, state);
                }
            }
            Frame::Cancelled(content) => {
                self.drop_incoming(&content, env)?;
                self.put_ended(content, env)?;
            }
            Frame::Unknown(number) => {
                let kind = number.to_string();
                self.tell(ConversationEvent::Unknown { kind });
            }
        }
        Ok(())
    }

    /// The peer has all of a content.
    fn whole_there(&mut self, number: u64) -> Result<()> {
        let is_sent = |one: &super::outgoing::Outgoing| one.is_sent();
        if !self.outgoing.get(&number).is_some_and(is_sent) {
            return Err(Error::Rejected("a content is said to be whole that was not sent").into());
        }
        if let Some(outgoing) = self.remove_outgoing(number) {
            self.tell_state(outgoing.content, ContentState::Delivered);
        }
        Ok(())
    }

    fn take_segment(
        &mut self,
        segment: Segment,
        from: Option<ParticipantId>,
        sent_at: Option<Timestamp>,
        env: &Env<'_>,
    ) -> Result<()> {
        let id = segment.content.clone();
        match self.incoming.get(&id) {
            Some(incoming) => incoming.check(&segment)?,
            None if self.ended_contents(env)?.contains(&id) => return Ok(()),
            None if !self.has_room(&segment) => {
                self.put_ended(id.clone(), env)?;
                self.controls.push_back(Frame::Refused(id));
                return Ok(());
            }
            None => {}
        }
        let incoming = self.incoming.entry(id.clone()).or_insert_with(|| {
            if segment.large {
                self.room_for_large = self.room_for_large.saturating_sub(segment.len);
            }
            Incoming {
                len: segment.len,
                large: segment.large,
                received: Ranges::default(),
                from: from.clone(),
                sent_at,
                touched_at: env.now,
            }
        });
        let before = incoming.received.total();
        incoming.received.insert(segment.offset..segment.end());
        let done = incoming.received.total();
        incoming.sent_at = incoming.sent_at.min(sent_at).or(sent_at);
        incoming.touched_at = env.now;
        let value = records::encode_incoming(incoming);
        let (len, offset) = (segment.len, segment.offset);
        self.put_own(records::incoming_key(&id), value);
        if segment.large {
            self.outputs.push_back(Output::Chunk {
                from: from.clone(),
                content: id.clone(),
                len,
                offset,
                bytes: segment.part,
            });
            if passes_a_cent(before, done, len) {
                self.outputs.push_back(Output::Signal(Signal::Progress {
                    from,
                    content: id.clone(),
                    outgoing: false,
                    done,
                    len,
                }));
            }
        } else {
            self.put_own(records::part_key(&id, offset), segment.part);
        }
        match done == len {
            true => self.whole_here(&id, env),
            false => Ok(()),
        }
    }

    fn has_room(&self, segment: &Segment) -> bool {
        let fits = !segment.large || segment.len <= self.room_for_large;
        fits && has_room(&self.incoming, segment.len)
    }

    /// Tells a content of which all parts are there.
    fn whole_here(&mut self, id: &ContentId, env: &Env<'_>) -> Result<()> {
        let Some(incoming) = self.incoming.remove(id) else {
            return Ok(());
        };
        let content = match incoming.large {
            true => Content::Large { len: incoming.len },
            false => Content::Bytes(self.take_parts(id, env)?),
        };
        self.delete_own(records::incoming_key(id));
        self.put_ended(id.clone(), env)?;
        self.controls.push_back(Frame::Whole(id.clone()));
        self.tell(ConversationEvent::Content {
            id: id.clone(),
            from: incoming.from,
            content,
            sent_at: incoming.sent_at,
        });
        Ok(())
    }

    /// Lets go of what has come of a content.
    fn drop_incoming(&mut self, id: &ContentId, env: &Env<'_>) -> Result<()> {
        let Some(incoming) = self.incoming.remove(id) else {
            return Ok(());
        };
        self.delete_own(records::incoming_key(id));
        if incoming.large {
            self.outputs.push_back(Output::DropChunks {
                from: incoming.from,
                content: id.clone(),
            });
            return Ok(());
        }
        self.take_parts(id, env).map(|_| ())
    }

    /// Joins the parts that are in records, and deletes them there.
    fn take_parts(&mut self, id: &ContentId, env: &Env<'_>) -> Result<Bytes> {
        let mut joined = BytesMut::new();
        for (key, part) in self.scan(records::parts_of(id), env)? {
            joined.extend_from_slice(&part);
            self.delete_own(key);
        }
        Ok(joined.freeze())
    }

    fn ended_contents(&self, env: &Env<'_>) -> Result<Vec<ContentId>> {
        records::decode_ended(self.record(records::ENDED, env)?)
    }

    /// Remembers that nothing more is taken of a content.
    fn put_ended(&mut self, id: ContentId, env: &Env<'_>) -> Result<()> {
        let mut ended = self.ended_contents(env)?;
        if !ended.contains(&id) {
            ended.push(id);
            let surplus = ended.len().saturating_sub(MAX_ENDED);
            ended.drain(..surplus);
            self.put_own(records::ENDED, records::encode_ended(&ended));
        }
        Ok(())
    }

    /// Gives up what was waited for long enough.
    pub(super) fn expire(&mut self, env: &Env<'_>) -> Result<()> {
        let is_over = |since: Timestamp, wait| since.after(wait) <= env.now;
        let incoming = (self.incoming.iter())
            .filter(|(_, one)| is_over(one.touched_at, INCOMPLETE_FOR))
            .map(|(id, _)| id.clone());
        for id in incoming.collect::<Vec<_>>() {
            self.drop_incoming(&id, env)?;
            self.put_ended(id, env)?;
        }
        let outgoing = (self.outgoing.iter())
            .filter(|(_, one)| {
                one.settled_at
                    .is_some_and(|at| is_over(at, CONFIRMED_WITHIN))
            })
            .map(|(number, _)| *number);
        for number in outgoing.collect::<Vec<_>>() {
            self.fail(number, FailureReason::Expired);
        }
        Ok(())
    }
}
