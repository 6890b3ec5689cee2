//! A signed public channel in plaintext: one author, any number of readers, a
//! standing tag and no secret.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ContentState, Conversation, ConversationEvent, ConversationId,
    ConversationProtocol, Created, DeliveryPoint, Env, Error, FailureReason, Frame, Identity,
    Input, MadeOffer, OfferRequest, Outcome, Output, ParticipantId, Properties, ProtocolId,
    Publish, PublishId, RecordChange, Result, RoutingTag, Secret, Setup, Spread, Tag, Timestamp,
};
use sha2::{Digest, Sha256};

use super::codec::{decode, encode, fields};

const ID: ProtocolId = ProtocolId::from_static("/probe/conversation/channel/1");
const SIGNATURE: &str = "/probe/conversation/channel/1 message";
const HEAD: &[u8] = b"head";
/// How many numbers below the highest are told apart.
const WINDOW: u64 = 64;
/// The most messages that wait for the service.
const MAX_PENDING: usize = 64;

/// Makes channels and joins them.
pub(crate) struct PublicChannel(ProtocolId);

impl PublicChannel {
    pub(crate) fn new() -> Self {
        Self(ID)
    }
}

impl ConversationProtocol for PublicChannel {
    fn id(&self) -> &ProtocolId {
        &self.0
    }

    fn specification(&self) -> &str {
        "https://chat-framework.example/probe/channel/1"
    }

    fn properties(&self) -> Properties {
        Properties {
            authenticated: true,
            ..Properties::default()
        }
    }

    fn make_offer(&self, _: OfferRequest, _: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        Ok(None)
    }

    fn create(&self, setup: Setup, _: &mut Env<'_>) -> Result<Created> {
        if setup.peer.is_some() {
            return Err(Error::misuse(
                "a channel starts alone: give its parameters to readers",
            ));
        }
        let own = setup.points.first();
        let own = own.ok_or_else(|| Error::misuse("a channel needs a point of its own"))?;
        let channel = Channel {
            owner: setup.identity.id().clone(),
            point: own.point.clone(),
        };
        let parameters = encode(&channel).into();
        let max_body_len = own.max_body_len as u64;
        let instance = Instance::begin(State::new(channel, max_body_len), setup.identity);
        Ok(Created {
            conversation: Box::new(instance),
            parameters,
        })
    }

    fn join(&self, setup: Setup, _: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let channel: Channel = decode(setup.parameters)?;
        if channel.owner == *setup.identity.id() {
            return Err(Error::misuse(
                "the owner of a channel creates or restores it",
            ));
        }
        Ok(Box::new(Instance::begin(
            State::new(channel, 0),
            setup.identity,
        )))
    }

    fn restore(
        &self,
        _: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let head = env.records.get(HEAD)?;
        let head = head.ok_or_else(|| Error::new(cf_core::ErrorKind::Other, "no head"))?;
        Ok(Box::new(Instance::new(decode(head)?, identity)))
    }
}

/// The parameters: who writes, and where.
#[derive(Clone)]
struct Channel {
    owner: ParticipantId,
    point: DeliveryPoint,
}
fields!(Channel { owner, point });

/// A message on the wire; the signature is over everything before it and the
/// channel.
struct Message {
    number: u64,
    id: ContentId,
    sent_at: Timestamp,
    content: Bytes,
    signature: Bytes,
}
fields!(Message {
    number,
    id,
    sent_at,
    content,
    signature
});

/// The head record.
#[derive(Clone)]
struct State {
    channel: Channel,
    max_body_len: u64,
    /// Above the highest number that was sent or received.
    next: u64,
    /// Bit i: `next - 1 - i` was received.
    seen: u64,
    pending: Vec<(u64, ContentId)>,
    closed: bool,
}
fields!(State {
    channel,
    max_body_len,
    next,
    seen,
    pending,
    closed
});

impl State {
    fn new(channel: Channel, max_body_len: u64) -> Self {
        Self {
            channel,
            max_body_len,
            next: 0,
            seen: 0,
            pending: Vec::new(),
            closed: false,
        }
    }

    fn tag(&self) -> RoutingTag {
        let mut tag = [0; 16];
        tag.copy_from_slice(&Sha256::digest(encode(&self.channel))[..16]);
        RoutingTag(tag)
    }

    /// Notes a number; `false` if it was received or is too old to tell.
    fn receive(&mut self, number: u64) -> Result<bool> {
        let above = number
            .checked_add(1)
            .ok_or_else(|| Error::malformed("no such number"))?;
        if above > self.next {
            self.seen = self
                .seen
                .checked_shl((above - self.next).min(64) as u32)
                .unwrap_or(0)
                | 1;
            self.next = above;
            return Ok(true);
        }
        let below = self.next - above;
        if below >= WINDOW || self.seen >> below & 1 == 1 {
            return Ok(false);
        }
        self.seen |= 1 << below;
        Ok(true)
    }
}

struct Instance {
    state: State,
    identity: Arc<dyn Identity>,
    outputs: VecDeque<Output>,
}

impl Instance {
    fn begin(state: State, identity: Arc<dyn Identity>) -> Self {
        let mut instance = Self::new(state, identity);
        instance.record();
        instance
    }

    /// Puts out what is in force.
    fn new(state: State, identity: Arc<dyn Identity>) -> Self {
        let mut outputs = VecDeque::new();
        if !state.closed && state.channel.owner != *identity.id() {
            outputs.push_back(Output::Listen(state.channel.point.clone()));
            outputs.push_back(Output::Expect(Tag::Standing(state.tag())));
        }
        Self {
            state,
            identity,
            outputs,
        }
    }

    fn send(&mut self, id: Option<ContentId>, content: Content, env: &mut Env<'_>) -> Result<()> {
        if self.state.closed || self.state.channel.owner != *self.identity.id() {
            return Err(Error::misuse(
                "only the owner of a channel writes, until it is closed",
            ));
        }
        let (Some(id), Content::Bytes(content)) = (id, content) else {
            return Err(Error::unsupported(
                "a channel takes whole contents with an id",
            ));
        };
        if self.state.pending.len() >= MAX_PENDING {
            return Err(Error::unavailable(
                "64 messages wait for the service already",
            ));
        }
        let (number, signature) = (self.state.next, Bytes::new());
        let mut message = Message {
            number,
            id: id.clone(),
            sent_at: env.now,
            content,
            signature,
        };
        message.signature = self.identity.sign(SIGNATURE, &self.signed(&message))?;
        let body = encode(&message);
        if body.len() as u64 > self.state.max_body_len {
            return Err(Error::misuse("the content is longer than a frame may be"));
        }
        self.state.next += 1;
        self.state.pending.push((number, id.clone()));
        self.outputs.push_back(Output::Publish(Publish {
            id: PublishId(number),
            points: vec![self.state.channel.point.clone()],
            spread: Spread::All,
            condition: None,
            frame: Frame::new(self.state.tag(), body),
            content: Some(id),
        }));
        Ok(())
    }

    fn receive(&mut self, body: Bytes) -> Result<()> {
        let message: Message = decode(body)?;
        let owner = self.state.channel.owner.clone();
        self.identity.verify(
            &owner,
            SIGNATURE,
            &self.signed(&message),
            &message.signature,
        )?;
        self.outputs
            .push_back(Output::Event(match self.state.receive(message.number)? {
                false => ConversationEvent::Duplicate,
                true => ConversationEvent::Content {
                    id: message.id,
                    from: Some(owner),
                    content: Content::Bytes(message.content),
                    sent_at: Some(message.sent_at),
                },
            }));
        Ok(())
    }

    fn signed(&self, message: &Message) -> Vec<u8> {
        let channel = Bytes::from(encode(&self.state.channel));
        let content = (message.id.clone(), message.content.clone());
        encode(&((channel, message.number), (message.sent_at, content)))
    }

    fn outcome(&mut self, publish: PublishId, outcome: &Outcome) {
        let state = match outcome {
            Outcome::Accepted { .. } => ContentState::Accepted,
            Outcome::Refused(_) => ContentState::Failed(FailureReason::Refused),
            _ => return,
        };
        let pending = &mut self.state.pending;
        if let Some(at) = pending.iter().position(|(number, _)| *number == publish.0) {
            let (_, id) = pending.remove(at);
            self.outputs
                .push_back(Output::Event(ConversationEvent::State { id, state }));
        }
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.state.closed, true) {
            return;
        }
        for (_, id) in std::mem::take(&mut self.state.pending) {
            let state = ContentState::Failed(FailureReason::Closed);
            self.outputs
                .push_back(Output::Event(ConversationEvent::State { id, state }));
        }
        if self.state.channel.owner != *self.identity.id() {
            self.outputs
                .push_back(Output::Forget(Tag::Standing(self.state.tag())));
            self.outputs
                .push_back(Output::Unlisten(self.state.channel.point.clone()));
        }
        self.outputs
            .push_back(Output::Event(ConversationEvent::Closed));
    }

    fn record(&mut self) {
        let (key, value) = (Bytes::from_static(HEAD), encode(&self.state).into());
        self.outputs
            .push_back(Output::Record(RecordChange::Put { key, value }));
    }
}

impl Conversation for Instance {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send { id, content } => self.send(id, content, env)?,
            Input::Frame(incoming) => self.receive(incoming.body)?,
            Input::Outcome {
                publish, outcome, ..
            } => self.outcome(publish, &outcome),
            Input::Close => self.close(),
            Input::Miss { .. } | Input::Time => return Ok(()),
            _ => return Err(Error::unsupported("a channel does not take this input")),
        }
        self.record();
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, _: &str) -> Result<Secret> {
        Err(Error::unsupported("a channel has no secret"))
    }
}
