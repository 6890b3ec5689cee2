use bytes::Bytes;
use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, Env, ErrorKind, FailureReason, Input,
    Output, Result, Signal, Timestamp,
};

use crate::Error;

use super::conversation::{Asked, RETRY_AFTER, SegmentsConversation};
use super::frame::{Frame, MAX_CUT, MAX_LARGE, MAX_PART, PART_ID_LEN, PartId, Segment};
use super::outgoing::{MAX_ACTIVE, MAX_OUTGOING, Outgoing, WINDOW_PARTS};
use super::ranges::passes_a_cent;
use super::records;

/// What is left free of the room that was found, in bytes: what the wrapped
/// conversation adds to a frame grows with its numbers.
const MARGIN: usize = 24;

/// How many bytes of frame and id are taken to fit when that can't be known.
const SURE_ROOM: usize = 1_024;

impl SegmentsConversation {
    pub(super) fn send(
        &mut self,
        id: Option<ContentId>,
        content: Content,
        env: &mut Env<'_>,
    ) -> Result<()> {
        if self.superseded {
            return Err(Error::Misuse("another instance sends in this conversation").into());
        }
        if id.as_ref().is_some_and(|id| PartId::decode(id).is_some()) {
            return Err(Error::Misuse("ids of this form are those of parts").into());
        }
        if let Some(id) = &id
            && self.number_of(id).is_some()
        {
            return Ok(());
        }
        match content {
            Content::Bytes(bytes) => self.send_bytes(id, bytes, env),
            Content::Large { len } => self.send_large(id, len),
        }
    }

    fn send_bytes(&mut self, id: Option<ContentId>, bytes: Bytes, env: &mut Env<'_>) -> Result<()> {
        if bytes.len() > MAX_CUT {
            return Err(Error::TooLongForBytes {
                len: bytes.len(),
                max: MAX_CUT,
            }
            .into());
        }
        let frame = Frame::Content(bytes.clone()).encode();
        let cost = frame.len() + id.as_ref().map_or(0, |id| id.as_bytes().len());
        let before = self.room;
        if before.is_none_or(|room| cost + MARGIN <= room) {
            let content = Content::Bytes(frame);
            let id = id.clone();
            match self.call(Input::Send { id, content }, env) {
                Err(error) if self.learn(&error, cost) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let is_sent = self.pass_on(env.now);
                    if is_sent || before.is_some() || cost <= SURE_ROOM {
                        return Ok(());
                    }
                    // It waits there, and nobody knows yet whether it fits.
                    self.take_back(env)?;
                    self.room = Some(SURE_ROOM);
                }
            }
        }
        let is_guessed = before.is_none() && self.room == Some(SURE_ROOM);
        let result = match id {
            Some(id) => self.cut(&id, &bytes, env),
            None => Err(Error::Misuse("content that does not fit one frame needs an id").into()),
        };
        if result.is_err() || is_guessed {
            self.room = before;
        }
        result
    }

    /// Sends a content in parts, all at once, so that it keeps its place.
    fn cut(&mut self, id: &ContentId, bytes: &Bytes, env: &mut Env<'_>) -> Result<()> {
        self.check_count()?;
        let number = self.next_number;
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let len = self.part_len(id)?.min(rest.len());
            let segment = Segment {
                content: id.clone(),
                len: bytes.len() as u64,
                offset: (bytes.len() - rest.len()) as u64,
                part: rest.slice(..len),
                large: false,
            };
            match self.send_part(number, segment, env) {
                Err(TransmitError::TooLong) => {}
                Err(TransmitError::Other(error)) => return Err(error),
                Ok(()) => drop(rest.split_to(len)),
            }
        }
        self.next_number += 1;
        self.head_changed = true;
        let outgoing = Outgoing::new(id.clone(), bytes.len() as u64, false);
        self.outgoing.insert(number, outgoing);
        self.put_outgoing(number);
        self.put_own(records::numbered(records::BYTES, number), bytes.clone());
        Ok(())
    }

    fn send_large(&mut self, id: Option<ContentId>, len: u64) -> Result<()> {
        let id = id.ok_or(Error::Misuse("a large content needs an id"))?;
        if self.ended {
            return Err(Error::Misuse("the conversation is closed").into());
        }
        if len == 0 || len > MAX_LARGE {
            return Err(Error::Misuse("a large content has 1 byte to 64 MiB").into());
        }
        self.check_count()?;
        let number = self.next_number;
        self.next_number += 1;
        self.head_changed = true;
        self.outgoing.insert(number, Outgoing::new(id, len, true));
        self.put_outgoing(number);
        Ok(())
    }

    fn check_count(&self) -> Result<(), Error> {
        match self.outgoing.len() >= MAX_OUTGOING {
            true => Err(Error::Unavailable("too many contents are sent in parts")),
            false => Ok(()),
        }
    }

    /// Asks for the next part of the first large content that may go on.
    pub(super) fn ask(&mut self) {
        if self.asked.is_some() || self.ask_due != Timestamp::NEVER || self.superseded {
            return;
        }
        let large = || self.outgoing.iter().filter(|(_, one)| one.large);
        let on_the_way: u64 = large().map(|(_, one)| one.on_the_way()).sum();
        // What the peer has all of only waits for its word.
        let active = large().filter(|(_, one)| one.settled_at.is_none());
        let mut active = active.take(MAX_ACTIVE);
        let Some((number, next)) = active.find(|(_, one)| !one.is_sent()) else {
            return;
        };
        let Ok(part) = self.part_len(&next.content) else {
            // Points that take so little may be replaced.
            return;
        };
        if on_the_way + part as u64 > WINDOW_PARTS * part as u64 {
            return;
        }
        let (number, offset, content) = (*number, next.next, next.content.clone());
        let len = part.min(usize::try_from(next.len - next.next).unwrap_or(part));
        self.asked = Some(Asked {
            number,
            offset,
            len,
        });
        self.outputs.push_back(Output::WantChunk {
            content,
            offset,
            len: len as u32,
        });
    }

    /// Takes a part that was asked for.
    pub(super) fn chunk(
        &mut self,
        content: &ContentId,
        offset: u64,
        bytes: Bytes,
        env: &mut Env<'_>,
    ) -> Result<()> {
        let wanted = self.asked.filter(|asked| asked.offset == offset);
        let wanted = wanted.filter(|asked| self.number_of(content) == Some(asked.number));
        let Some(Asked { number, len, .. }) = wanted else {
            return Err(Error::Misuse("nobody asked for this part of a content").into());
        };
        if !bytes.is_empty() && bytes.len() != len {
            return Err(Error::Misuse("a part has the length that was asked for").into());
        }
        self.asked = None;
        let Some(outgoing) = self.outgoing.get(&number) else {
            return Ok(());
        };
        if bytes.is_empty() {
            self.fail(number, FailureReason::Refused);
            return Ok(());
        }
        let segment = Segment {
            content: outgoing.content.clone(),
            len: outgoing.len,
            offset,
            part: bytes,
            large: true,
        };
        match self.send_part(number, segment, env) {
            Ok(()) => {
                if let Some(outgoing) = self.outgoing.get_mut(&number) {
                    outgoing.next += len as u64;
                }
                self.put_outgoing(number);
            }
            Err(TransmitError::TooLong) => {}
            Err(TransmitError::Other(error)) if error.is_retryable() => {
                self.ask_due = env.now.after(RETRY_AFTER);
            }
            Err(TransmitError::Other(_)) => self.fail(number, FailureReason::Refused),
        }
        Ok(())
    }

    fn send_part(
        &mut self,
        number: u64,
        segment: Segment,
        env: &mut Env<'_>,
    ) -> Result<(), TransmitError> {
        let part = PartId {
            number,
            offset: segment.offset as u32,
            len: segment.part.len() as u32,
        };
        let frame = Frame::Segment(segment).encode();
        let cost = frame.len() + PART_ID_LEN;
        let send = Input::Send {
            id: part.encode(),
            content: Content::Bytes(frame),
        };
        match self.call(send, env) {
            Ok(()) => {
                self.pass_on(env.now);
                Ok(())
            }
            Err(error) if self.learn(&error, cost) => Err(TransmitError::TooLong),
            Err(error) => Err(TransmitError::Other(error)),
        }
    }

    /// How long a part of a content may be.
    fn part_len(&self, content: &ContentId) -> Result<usize, Error> {
        let Some(room) = self.room else {
            return Ok(MAX_PART);
        };
        let len = Segment::part_len(room.saturating_sub(MARGIN), content);
        len.ok_or(Error::TooLong { len: room, max: 0 })
    }

    /// Learns from a refusal how many bytes of frame and id fit; `false` if it was
    /// not for a length.
    fn learn(&mut self, error: &cf_core::Error, cost: usize) -> bool {
        if error.kind() != ErrorKind::Misuse {
            return false;
        }
        let source = std::error::Error::source(error);
        let room = match source.and_then(|source| source.downcast_ref::<Error>()) {
            Some(Error::TooLong { len, max }) => cost.saturating_sub(len.saturating_sub(*max)),
            Some(_) => return false,
            // A protocol of another crate: what fits is found by halving.
            None => cost / 2,
        };
        self.head_changed |= room < cost;
        if room < cost {
            self.room = Some(room);
        }
        room < cost
    }

    /// A state of a part has changed.
    pub(super) fn part_changed(&mut self, part: PartId, state: ContentState, now: Timestamp) {
        let Some(outgoing) = self.outgoing.get_mut(&part.number) else {
            return;
        };
        let before = outgoing.delivered.total();
        match state {
            ContentState::Accepted => outgoing.accepted.insert(part.range()),
            ContentState::Delivered => {
                outgoing.accepted.insert(part.range());
                outgoing.delivered.insert(part.range());
            }
            ContentState::Failed(reason) => return self.fail(part.number, reason),
            _ => return,
        }
        let len = outgoing.len;
        let (id, large) = (outgoing.content.clone(), outgoing.large);
        let done = outgoing.delivered.total();
        if done == len && before < len {
            outgoing.settled_at = Some(now);
        }
        let is_accepted = outgoing.accepted.total() == len && !outgoing.told_accepted;
        outgoing.told_accepted |= is_accepted;
        if is_accepted {
            let (id, state) = (id.clone(), ContentState::Accepted);
            self.tell(ConversationEvent::State { id, state });
        }
        if large && passes_a_cent(before, done, len) {
            self.outputs.push_back(Output::Signal(Signal::Progress {
                from: None,
                content: id,
                outgoing: true,
                done,
                len,
            }));
        }
        if is_accepted || done != before {
            self.put_outgoing(part.number);
        }
    }

    /// Gives a content up, and tells the peer to let go of what it has of it.
    pub(super) fn fail(&mut self, number: u64, reason: FailureReason) {
        let Some(outgoing) = self.remove_outgoing(number) else {
            return;
        };
        if outgoing.next > 0 {
            let frame = Frame::Cancelled(outgoing.content.clone());
            self.controls.push_back(frame);
        }
        self.tell_state(outgoing.content, ContentState::Failed(reason));
    }

    pub(super) fn tell_state(&mut self, id: ContentId, state: ContentState) {
        self.tell(ConversationEvent::State { id, state });
    }

    /// The conversation has ended: what was not sent yet never will be.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.head_changed = true;
        let unsent = |(number, one): (&u64, &Outgoing)| (!one.is_sent()).then_some(*number);
        let unsent: Vec<u64> = self.outgoing.iter().filter_map(unsent).collect();
        for number in unsent {
            self.fail(number, FailureReason::Closed);
        }
        self.tell(ConversationEvent::Closed);
    }

    pub(super) fn number_of(&self, id: &ContentId) -> Option<u64> {
        let mut all = self.outgoing.iter();
        all.find(|(_, one)| one.content == *id)
            .map(|(number, _)| *number)
    }

    /// The content that a publish carries, or a part of it.
    pub(super) fn whole_of(&self, id: ContentId) -> Option<ContentId> {
        match PartId::decode(&id) {
            None => Some(id),
            Some(part) => {
                let whole = self.outgoing.get(&part.number);
                whole.map(|outgoing| outgoing.content.clone())
            }
        }
    }

    pub(super) fn remove_outgoing(&mut self, number: u64) -> Option<Outgoing> {
        let outgoing = self.outgoing.remove(&number)?;
        self.asked = self.asked.filter(|asked| asked.number != number);
        self.delete_own(records::numbered(records::OUTGOING, number));
        if !outgoing.large {
            self.delete_own(records::numbered(records::BYTES, number));
        }
        Some(outgoing)
    }

    fn put_outgoing(&mut self, number: u64) {
        if let Some(outgoing) = self.outgoing.get(&number) {
            let value = records::encode_outgoing(outgoing);
            self.put_own(records::numbered(records::OUTGOING, number), value);
        }
    }
}

/// Why a part was not sent.
enum TransmitError {
    /// It is too long; a shorter one may do.
    TooLong,
    Other(cf_core::Error),
}
