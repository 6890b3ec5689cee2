//! What one input does to a group.

use bytes::Bytes;
use cf_core::{
    Condition, Content, ContentId, ContentState, ConversationEvent, DeliveryPoint, Error,
    FailureReason, Frame, Identity, Incoming, Input, Outcome, OutgoingInvite, Output,
    ParticipantId, Peer, PeerId, Publish, PublishId, Result, RoutingTag, Spread, Timestamp,
};

use super::state::{Candidate, InFlight, Member, State};
use super::{MAX_MEMBERS, Welcome, same_service};
use crate::probes::codec::{decode, encode, fields};

const SIGNATURE: &str = "/probe/conversation/group/1 frame";
/// The most contents that wait for the service.
const MAX_PENDING: usize = 64;
/// The most numbers that a miss makes a member look ahead.
const MAX_AHEAD: u32 = 256;
/// How long an add that met a conflict waits for the winner, in milliseconds.
/// It may be a payload that is no commit, and never shows.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_millis(500);

const CONTENT: u64 = 0;
const JOINED: u64 = 1;
const ADD: u64 = 2;

/// A frame's body. The signature is over everything before it and the group.
struct Body {
    member: u64,
    number: u64,
    kind: u64,
    payload: Bytes,
    signature: Bytes,
}
fields!(Body {
    member,
    number,
    kind,
    payload,
    signature
});

/// An input being taken: a copy of the state, and what will be put out.
pub(super) struct Step<'a> {
    pub(super) state: State,
    pub(super) identity: &'a dyn Identity,
    pub(super) now: Timestamp,
    pub(super) outputs: Vec<Output>,
}

impl Step<'_> {
    /// Shows the others that this participant is there.
    pub(super) fn join(&mut self) -> Result<()> {
        let me = self.identity.id().to_bytes();
        let (number, body) = self.sign(JOINED, me)?;
        self.publish(number, body, self.state.group.messages(), None, None);
        Ok(())
    }

    pub(super) fn take(&mut self, input: Input) -> Result<()> {
        if self.state.closed && !matches!(input, Input::Outcome { .. } | Input::Time) {
            return Err(Error::misuse("the group is closed here"));
        }
        match input {
            Input::Send {
                id: Some(id),
                content: Content::Bytes(content),
            } => self.send(id, content),
            Input::Frame(incoming) => self.receive(incoming),
            Input::Miss { tag, budget, .. } => self.look_ahead(tag, budget),
            Input::Outcome {
                publish, outcome, ..
            } => self.outcome(publish, outcome),
            Input::Candidate(peer) => self.candidate(peer),
            Input::OwnPoints(points) => {
                let home = &self.state.group.home;
                if let Some(info) = points.iter().find(|info| same_service(&info.point, home)) {
                    self.state.max_body_len = info.max_body_len as u64;
                }
                Ok(())
            }
            Input::Time => self.retry(),
            Input::Close => self.close(),
            _ => Err(Error::unsupported("a group does not take this input")),
        }
    }

    fn send(&mut self, id: ContentId, content: Bytes) -> Result<()> {
        if self.state.pending.len() >= MAX_PENDING {
            return Err(Error::unavailable(
                "64 contents wait for the service already",
            ));
        }
        let payload = encode(&(id.clone(), (self.now, content)));
        let (number, body) = self.sign(CONTENT, payload.into())?;
        if body.len() as u64 > self.state.max_body_len {
            return Err(Error::misuse("the content is longer than a frame may be"));
        }
        self.state.pending.push((number, id.clone()));
        self.publish(number, body, self.state.group.messages(), None, Some(id));
        Ok(())
    }

    fn receive(&mut self, incoming: Incoming) -> Result<()> {
        let body: Body = decode(incoming.body)?;
        let Body {
            member,
            number,
            kind,
            ref payload,
            ref signature,
        } = body;
        let place = usize::try_from(member)
            .ok()
            .filter(|place| *place < MAX_MEMBERS);
        let place = place.ok_or_else(|| Error::malformed("a group has at most three members"))?;
        let author = self.state.members.get(place);
        let author = author.ok_or_else(|| Error::unavailable("from one not added yet"))?;
        let claim = (kind == JOINED)
            .then(|| ParticipantId::new(payload.clone()))
            .transpose()?;
        let signer = match (&author.participant, claim) {
            (Some(known), Some(claim)) if *known != claim => {
                return Err(Error::rejected("another participant was added"));
            }
            (Some(known), _) => known.clone(),
            (None, Some(claim)) => claim,
            (None, None) => return Err(Error::unavailable("from one who has not joined yet")),
        };
        self.identity
            .verify(&signer, SIGNATURE, &self.signed(&body), signature)?;
        let own = member == self.state.own;
        if own && number >= self.state.sent {
            return Err(Error::rejected("this participant has not sent that"));
        }
        if !self.state.members[place].receive(number)? {
            self.tell(ConversationEvent::Duplicate);
            return Ok(());
        }
        match kind {
            ADD => self.merge(&body, &incoming.point, incoming.cursor)?,
            JOINED => self.joined(member, signer),
            CONTENT if own => {}
            CONTENT => {
                let (id, (sent_at, content)) = decode(body.payload)?;
                let (from, content) = (Some(signer), Content::Bytes(content));
                self.tell(ConversationEvent::Content {
                    id,
                    from,
                    content,
                    sent_at: Some(sent_at),
                });
            }
            kind => self.tell(ConversationEvent::Unknown {
                kind: kind.to_string(),
            }),
        }
        Ok(())
    }

    fn candidate(&mut self, peer: Peer) -> Result<()> {
        if self.state.members.len() + self.state.candidates.len() >= MAX_MEMBERS {
            return Err(Error::rejected("the group is full"));
        }
        if self.is_member(&peer.participant) {
            return Err(Error::rejected("the candidate is a member already"));
        }
        let since = self.state.sent;
        let candidate = Candidate {
            peer: peer.id.0,
            participant: peer.participant,
            since,
        };
        self.state.candidates.push(candidate);
        self.add()
    }

    /// Publishes an add for the first candidate, if none is on its way.
    fn add(&mut self) -> Result<()> {
        if self.state.members.len() >= MAX_MEMBERS {
            self.state.candidates.clear();
        }
        if self.state.commit.is_some() {
            return Ok(());
        }
        let Some(candidate) = self.state.candidates.first() else {
            return Ok(());
        };
        let payload = encode(&(self.state.epoch, candidate.participant.clone()));
        let (number, body) = self.sign(ADD, payload.into())?;
        self.state.commit = Some(InFlight { number, body });
        self.publish_commit();
        Ok(())
    }

    fn publish_commit(&mut self) {
        let Some(InFlight { number, body }) = self.state.commit.clone() else {
            return;
        };
        let condition = self
            .state
            .cursor
            .clone()
            .map_or(Condition::Empty, Condition::LastIs);
        self.publish(
            number,
            body,
            self.state.group.commits(),
            Some(condition),
            None,
        );
    }

    /// Takes an add in its place: the first one of the epoch counts.
    fn merge(
        &mut self,
        body: &Body,
        point: &DeliveryPoint,
        cursor: Option<cf_core::Cursor>,
    ) -> Result<()> {
        let (epoch, participant): (u64, Option<ParticipantId>) = decode(body.payload.clone())?;
        if *point != self.state.group.commits() {
            return Err(Error::rejected("an add outside of the commit address"));
        }
        if epoch > self.state.epoch {
            return Err(Error::unavailable(
                "an add of an epoch that is still to come",
            ));
        }
        let full = self.state.members.len() >= MAX_MEMBERS;
        if epoch < self.state.epoch || full || self.is_member(&participant) {
            return Ok(());
        }
        self.state.epoch += 1;
        self.state.members.push(Member::new(participant));
        self.state.cursor = cursor.or_else(|| self.state.cursor.take());
        self.state.retry_at = None;
        let commit = self.state.commit.take();
        if body.member == self.state.own && commit.is_some_and(|it| it.number == body.number) {
            self.invite();
        }
        let added = self
            .state
            .members
            .last()
            .and_then(|member| member.participant.clone());
        self.state
            .candidates
            .retain(|it| it.participant.is_none() || it.participant != added);
        self.add()
    }

    /// Asks the member in whom this participant has just added.
    fn invite(&mut self) {
        let Candidate { peer, since, .. } = self.state.candidates.remove(0);
        let last = self.state.members.len() as u64 - 1;
        let members = (0..).zip(&self.state.members);
        let welcome = Welcome {
            group: self.state.group.clone(),
            epoch: self.state.epoch,
            members: members
                .map(|(place, member)| match place {
                    place if place == last => member.clone(),
                    place => member.from((place == self.state.own).then_some(since)),
                })
                .collect(),
            cursor: self.state.cursor.clone(),
        };
        self.state.invited.push((last, peer));
        let parameters = encode(&welcome).into();
        self.outputs.push(Output::Invite(OutgoingInvite {
            peer: PeerId(peer),
            parameters,
        }));
    }

    fn joined(&mut self, member: u64, participant: ParticipantId) {
        if member == self.state.own {
            return;
        }
        self.state.members[member as usize].participant = Some(participant.clone());
        if let Some(at) = self
            .state
            .invited
            .iter()
            .position(|(place, _)| *place == member)
        {
            let (_, peer) = self.state.invited.remove(at);
            self.outputs.push(Output::Answered(PeerId(peer)));
        }
        self.tell(ConversationEvent::Joined(participant));
    }

    fn outcome(&mut self, publish: PublishId, outcome: Outcome) -> Result<()> {
        if self
            .state
            .commit
            .as_ref()
            .is_some_and(|commit| commit.number == publish.0)
        {
            match outcome {
                Outcome::Refused(_) => {
                    self.state.commit = None;
                    self.state.candidates.remove(0);
                    return self.add();
                }
                Outcome::Conflict { ref current } => {
                    self.state.cursor.clone_from(current);
                    self.retry_later();
                }
                Outcome::Unknown(_) => self.retry_later(),
                _ => {}
            }
        }
        let state = match outcome {
            Outcome::Accepted { .. } => ContentState::Accepted,
            Outcome::Refused(_) => ContentState::Failed(FailureReason::Refused),
            _ => return Ok(()),
        };
        let pending = &mut self.state.pending;
        if let Some(at) = pending.iter().position(|(number, _)| *number == publish.0) {
            let (_, id) = pending.remove(at);
            self.tell(ConversationEvent::State { id, state });
        }
        Ok(())
    }

    fn retry_later(&mut self) {
        let at = self.now.after(RETRY_AFTER);
        self.state.retry_at = Some(at);
        self.outputs.push(Output::WakeAt(at));
    }

    fn retry(&mut self) -> Result<()> {
        if self.state.retry_at.is_some_and(|at| at <= self.now) {
            self.state.retry_at = None;
            self.publish_commit();
        }
        Ok(())
    }

    fn look_ahead(&mut self, tag: RoutingTag, budget: u32) -> Result<()> {
        let budget = u64::from(budget.min(MAX_AHEAD)) / self.state.members.len() as u64;
        for (place, member) in (0..).zip(&mut self.state.members) {
            member.look_ahead(budget, |number| self.state.group.tag(place, number) == tag);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.state.closed = true;
        self.state.commit = None;
        self.state.retry_at = None;
        for (_, id) in std::mem::take(&mut self.state.pending) {
            let state = ContentState::Failed(FailureReason::Closed);
            self.tell(ConversationEvent::State { id, state });
        }
        let points = [self.state.group.commits(), self.state.group.messages()];
        self.outputs.extend(points.map(Output::Unlisten));
        self.tell(ConversationEvent::Closed);
        Ok(())
    }

    fn sign(&mut self, kind: u64, payload: Bytes) -> Result<(u64, Bytes)> {
        let (member, number) = (self.state.own, self.state.sent);
        let mut body = Body {
            member,
            number,
            kind,
            payload,
            signature: Bytes::new(),
        };
        body.signature = self.identity.sign(SIGNATURE, &self.signed(&body))?;
        self.state.sent += 1;
        Ok((number, encode(&body).into()))
    }

    fn signed(&self, body: &Body) -> Vec<u8> {
        let place = (
            (body.member, body.number),
            (body.kind, body.payload.clone()),
        );
        encode(&(self.state.group.hash(b"group"), place))
    }

    fn publish(
        &mut self,
        number: u64,
        body: Bytes,
        point: DeliveryPoint,
        condition: Option<Condition>,
        content: Option<ContentId>,
    ) {
        let group = &self.state.group;
        let tag = group.tag(self.state.own, number);
        self.outputs.push(Output::Publish(Publish {
            id: PublishId(number),
            points: vec![point],
            spread: Spread::All,
            condition,
            frame: Frame {
                tag,
                standing: group.standing(),
                body,
            },
            content,
        }));
    }

    fn is_member(&self, participant: &Option<ParticipantId>) -> bool {
        let mut members = self.state.members.iter();
        participant.is_some() && members.any(|member| member.participant == *participant)
    }

    fn tell(&mut self, event: ConversationEvent) {
        self.outputs.push(Output::Event(event));
    }
}
