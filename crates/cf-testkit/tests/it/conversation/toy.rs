//! A reliable conversation of two under a shared secret, and eighteen ways to
//! get it wrong. The cipher is a toy: a hash as a key stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;

use super::cipher::{Keys, Kind};
use super::state::State;

/// What is wrong with a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LosesTheLastByte,
    AcceptsAReplay,
    ClaimsDelivery,
    NeverResends,
    TellsAtOnce,
    ChangesWhatItRefuses,
    BelievesEveryFrame,
    TakesAnyInput,
    DerivesWithoutBudget,
    TakesAnyParameters,
    NeedsWhatItDoesNotCheck,
    ForgetsAtRestart,
    ReusesTags,
    ReusesTheKeyStream,
    SendsInTheClear,
    ShowsItsSession,
    ShowsTheConversation,
    ExportsItsOwn,
}

#[derive(Clone)]
pub(super) struct Toy {
    id: ProtocolId,
    pub(super) fault: Option<Fault>,
}

/// How many contents may be sent and not acknowledged.
const WINDOW: u64 = 32;
const MAX_LEN: usize = 8000;
const RESEND_AFTER: Duration = Duration::from_secs(5);
const HEAD: &[u8] = b"head";

impl Toy {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        Self {
            id: ProtocolId::from_static("/toy/conversation/1"),
            fault,
        }
    }

    fn instance(&self, state: State) -> Instance {
        Instance {
            toy: self.clone(),
            keys: Keys(state.key),
            state,
            unacknowledged: BTreeMap::new(),
            held: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    fn begin(&self, setup: &Setup, me: u64) -> Result<Instance> {
        let missing = || Error::misuse("a peer with a point and the secret are needed");
        let peer = setup.peer.as_ref().ok_or_else(missing)?;
        let exported = setup.exported.as_ref().ok_or_else(missing)?;
        let listens = setup
            .points
            .iter()
            .chain(&setup.arrived_at)
            .map(|info| info.point.clone());
        let mut instance = self.instance(State {
            key: exported.expose().try_into().map_err(|_| missing())?,
            me,
            next: 1,
            heard: 1,
            listens: listens.collect(),
            peer: peer.points.first().ok_or_else(missing)?.point.clone(),
            author: peer.participant.clone().ok_or_else(missing)?,
        });
        instance.record_head();
        instance.announce();
        Ok(instance)
    }
}

impl ConversationProtocol for Toy {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn specification(&self) -> &str {
        "https://example.org/toy"
    }

    fn properties(&self) -> Properties {
        Properties {
            confidential: true,
            authenticated: true,
            unlinkable: true,
            reliable: true,
            bidirectional: true,
            max_participants: Some(2),
            needs_conditional_publish: self.fault == Some(Fault::NeedsWhatItDoesNotCheck),
            ..Properties::default()
        }
    }

    fn make_offer(&self, _: OfferRequest, _: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        Ok(None)
    }

    fn create(&self, setup: Setup, _: &mut Env<'_>) -> Result<Created> {
        let instance = self.begin(&setup, 0)?;
        let parameters = Bytes::copy_from_slice(&instance.keys.tag(Kind::Parameters, 0, 0).0);
        Ok(Created {
            conversation: Box::new(instance),
            parameters,
        })
    }

    fn join(&self, setup: Setup, _: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let instance = self.begin(&setup, 1)?;
        let expected = instance.keys.tag(Kind::Parameters, 0, 0);
        let takes_any = self.fault == Some(Fault::TakesAnyParameters);
        if setup.parameters != expected.as_bytes()[..] && !takes_any {
            return Err(Error::rejected(
                "the parameters are of another conversation",
            ));
        }
        Ok(Box::new(instance))
    }

    fn restore(
        &self,
        _: ConversationId,
        _: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let damaged = || Error::new(ErrorKind::Other, "the records are damaged");
        let head = env.records.get(HEAD)?.ok_or_else(damaged)?;
        let mut instance = self.instance(State::decode(&head).ok_or_else(damaged)?);
        for (key, value) in env.records.scan(&Scan::prefix(""))? {
            let Some((kind, number)) = key.split_first().filter(|_| key.len() == 9) else {
                continue;
            };
            let number = number.try_into().map_err(|_| damaged())?;
            let number = u64::from_be_bytes(number);
            match kind {
                _ if self.fault == Some(Fault::ForgetsAtRestart) => {}
                b's' => drop(instance.unacknowledged.insert(number, value)),
                _ => drop(instance.held.insert(number, value)),
            }
        }
        instance.announce();
        if !instance.unacknowledged.is_empty() {
            instance
                .outputs
                .push_back(Output::WakeAt(env.now.after(RESEND_AFTER)));
        }
        Ok(Box::new(instance))
    }
}

struct Instance {
    toy: Toy,
    keys: Keys,
    state: State,
    /// Id and body of what was sent and not acknowledged.
    unacknowledged: BTreeMap<u64, Bytes>,
    /// What arrived before what comes before it.
    held: BTreeMap<u64, Bytes>,
    outputs: VecDeque<Output>,
}

impl Instance {
    fn is(&self, fault: Fault) -> bool {
        self.toy.fault == Some(fault)
    }

    fn other(&self) -> u64 {
        1 - self.state.me
    }

    /// Puts out the listens and expects in force.
    fn announce(&mut self) {
        self.outputs
            .extend(self.state.listens.iter().cloned().map(Output::Listen));
        let standing = self.keys.tag(Kind::Standing, 0, 0);
        self.outputs
            .push_back(Output::Expect(Tag::Standing(standing)));
        for number in self.window() {
            self.expect(Kind::Content, self.other(), number);
        }
        for number in self.unacknowledged.keys().copied().collect::<Vec<_>>() {
            self.expect(Kind::Acknowledgement, self.state.me, number);
        }
    }

    /// The numbers of contents that may come, for the first time or again.
    fn window(&self) -> std::ops::Range<u64> {
        let heard = self.state.heard;
        heard.saturating_sub(2 * WINDOW).max(1)..heard + WINDOW
    }

    fn expect(&mut self, kind: Kind, of: u64, number: u64) {
        let tag = self.keys.tag(kind, of, number);
        self.outputs.push_back(Output::Expect(Tag::SingleUse(tag)));
    }

    fn forget(&mut self, kind: Kind, of: u64, number: u64) {
        let tag = self.keys.tag(kind, of, number);
        self.outputs.push_back(Output::Forget(Tag::SingleUse(tag)));
    }

    fn put(&mut self, kind: u8, number: u64, value: Bytes) {
        let key = [&[kind], &number.to_be_bytes()[..]].concat().into();
        self.outputs
            .push_back(Output::Record(RecordChange::Put { key, value }));
    }

    fn delete(&mut self, kind: u8, number: u64) {
        let key = [&[kind], &number.to_be_bytes()[..]].concat().into();
        self.outputs
            .push_back(Output::Record(RecordChange::Delete { key }));
    }

    fn record_head(&mut self) {
        let (key, value) = (Bytes::from_static(HEAD), self.state.encode());
        self.outputs
            .push_back(Output::Record(RecordChange::Put { key, value }));
    }

    fn send(&mut self, id: Option<ContentId>, content: Content, env: &mut Env<'_>) -> Result<()> {
        let (Some(id), Content::Bytes(content)) = (id, content) else {
            return Err(Error::misuse("content is sent whole and with an id"));
        };
        if content.len() > MAX_LEN {
            return Err(Error::misuse("content takes at most 8000 bytes"));
        }
        let first = self.unacknowledged.keys().next().copied();
        if first.is_some_and(|first| self.state.next >= first + WINDOW) {
            return Err(Error::unavailable("32 contents are not acknowledged yet"));
        }
        let number = self.state.next;
        let id = id.as_bytes();
        let text = [&[id.len() as u8], id, &content[..]].concat();
        let body = self.seal(number, &text, env);
        let value: Bytes = [&[id.len() as u8], id, &body[..]].concat().into();
        self.unacknowledged.insert(number, value.clone());
        self.put(b's', number, value);
        self.state.next += 1;
        if !self.is(Fault::ReusesTags) {
            self.record_head();
        }
        self.expect(Kind::Acknowledgement, self.state.me, number);
        self.publish(number);
        self.outputs
            .push_back(Output::WakeAt(env.now.after(RESEND_AFTER)));
        Ok(())
    }

    fn seal(&self, number: u64, text: &[u8], env: &mut Env<'_>) -> Vec<u8> {
        let salt = match self.is(Fault::ReusesTheKeyStream) {
            true => [0; 16],
            false => env.draw::<16>(),
        };
        let shown: &[u8] = match self.toy.fault {
            Some(Fault::ShowsItsSession) => &self.keys.0[..8],
            Some(Fault::ShowsTheConversation) => b"a conversation's",
            _ => b"",
        };
        let sealed = match self.is(Fault::SendsInTheClear) {
            true => text.to_vec(),
            false => self.keys.stream(self.state.me, number, &salt, text),
        };
        let mac = self.keys.mac(self.state.me, number, &[&salt, &sealed]);
        [&salt[..], &mac, &sealed, shown].concat()
    }

    fn publish(&mut self, number: u64) {
        let Some(value) = self.unacknowledged.get(&number) else {
            return;
        };
        let id_len = usize::from(value[0]);
        let (id, body) = (value.slice(1..1 + id_len), value.slice(1 + id_len..));
        let tag = self.keys.tag(Kind::Content, self.state.me, number);
        self.put_out(PublishId(number * 2), tag, body, ContentId::new(id).ok());
    }

    fn put_out(&mut self, id: PublishId, tag: RoutingTag, body: Bytes, content: Option<ContentId>) {
        let standing = self.keys.tag(Kind::Standing, 0, 0);
        self.outputs.push_back(Output::Publish(Publish {
            id,
            points: vec![self.state.peer.clone()],
            spread: Spread::All,
            condition: None,
            frame: Frame {
                tag,
                standing,
                body,
            },
            content,
        }));
    }

    fn acknowledge(&mut self, number: u64) {
        let tag = self.keys.tag(Kind::Acknowledgement, self.other(), number);
        let body = Bytes::copy_from_slice(&self.keys.mac(self.other(), number, &[b"received"]));
        self.put_out(PublishId(number * 2 + 1), tag, body, None);
    }

    fn receive(&mut self, incoming: &Incoming) -> Result<()> {
        let (other, me) = (self.other(), self.state.me);
        let acknowledged = self
            .unacknowledged
            .keys()
            .copied()
            .find(|number| self.keys.tag(Kind::Acknowledgement, me, *number) == incoming.tag);
        if let Some(number) = acknowledged {
            return self.take_acknowledgement(number, &incoming.body);
        }
        let mut window = self.window();
        let number =
            window.find(|number| self.keys.tag(Kind::Content, other, *number) == incoming.tag);
        let number = number.ok_or(Error::rejected("no such tag is expected"))?;
        let malformed = || Error::malformed("a frame has a salt, a mac and a text");
        let shown = match self.toy.fault {
            Some(Fault::ShowsItsSession) => 8,
            Some(Fault::ShowsTheConversation) => 16,
            _ => 0,
        };
        let end = incoming.body.len().saturating_sub(shown);
        let (salt, rest) = incoming.body[..end]
            .split_at_checked(16)
            .ok_or_else(malformed)?;
        let (mac, sealed) = rest.split_at_checked(16).ok_or_else(malformed)?;
        let is_authentic = mac == self.keys.mac(other, number, &[salt, sealed]);
        if !is_authentic && !self.is(Fault::BelievesEveryFrame) {
            if self.is(Fault::ChangesWhatItRefuses) {
                self.state.heard += 1;
                self.record_head();
            }
            return Err(Error::rejected("the frame is not authentic"));
        }
        let text: Bytes = match self.is(Fault::SendsInTheClear) {
            true => sealed.to_vec(),
            false => self.keys.stream(other, number, salt, sealed),
        }
        .into();
        let (id, _) = split(&text).ok_or_else(malformed)?;
        ContentId::new(id)?;
        self.take(number, text);
        Ok(())
    }

    fn take(&mut self, number: u64, text: Bytes) {
        let is_known = number < self.state.heard || self.held.contains_key(&number);
        self.acknowledge(number);
        if is_known {
            self.outputs
                .push_back(Output::Event(ConversationEvent::Duplicate));
            if self.is(Fault::AcceptsAReplay) {
                self.tell(&text);
            }
            return;
        }
        if self.is(Fault::TellsAtOnce) {
            self.tell(&text);
        }
        self.held.insert(number, text.clone());
        self.put(b'h', number, text);
        while let Some(text) = self.held.remove(&self.state.heard) {
            let number = self.state.heard;
            self.state.heard += 1;
            self.delete(b'h', number);
            self.expect(Kind::Content, self.other(), number + WINDOW);
            if let Some(old) = number.checked_sub(2 * WINDOW).filter(|old| *old > 0) {
                self.forget(Kind::Content, self.other(), old);
            }
            if !self.is(Fault::TellsAtOnce) {
                self.tell(&text);
            }
        }
        self.record_head();
    }

    fn tell(&mut self, text: &Bytes) {
        let Some((id, content)) = split(text) else {
            return;
        };
        let Ok(id) = ContentId::new(id) else {
            return;
        };
        let lost = usize::from(self.is(Fault::LosesTheLastByte)).min(content.len());
        self.outputs
            .push_back(Output::Event(ConversationEvent::Content {
                id,
                from: Some(self.state.author.clone()),
                content: Content::Bytes(content.slice(..content.len() - lost)),
                sent_at: None,
            }));
    }

    fn take_acknowledgement(&mut self, number: u64, body: &Bytes) -> Result<()> {
        if *body != self.keys.mac(self.state.me, number, &[b"received"])[..] {
            return Err(Error::rejected("the acknowledgement is not authentic"));
        }
        self.say(number, ContentState::Delivered);
        self.unacknowledged.remove(&number);
        self.delete(b's', number);
        self.forget(Kind::Acknowledgement, self.state.me, number);
        if self.unacknowledged.is_empty() {
            self.outputs.push_back(Output::WakeAt(Timestamp::NEVER));
        }
        Ok(())
    }

    fn say(&mut self, number: u64, state: ContentState) {
        let sent = self.unacknowledged.get(&number);
        let id = sent
            .and_then(split)
            .and_then(|(id, _)| ContentId::new(id).ok());
        if let Some(id) = id {
            self.outputs
                .push_back(Output::Event(ConversationEvent::State { id, state }));
        }
    }

    fn resend(&mut self, now: Timestamp) {
        if self.is(Fault::NeverResends) || self.unacknowledged.is_empty() {
            return;
        }
        for number in self.unacknowledged.keys().copied().collect::<Vec<_>>() {
            self.publish(number);
        }
        self.outputs
            .push_back(Output::WakeAt(now.after(RESEND_AFTER)));
    }
}

impl Conversation for Instance {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send { id, content } => self.send(id, content, env)?,
            Input::Frame(incoming) => self.receive(&incoming)?,
            Input::Outcome {
                publish,
                outcome: Outcome::Accepted { .. },
                ..
            } => {
                let state = match self.is(Fault::ClaimsDelivery) {
                    true => ContentState::Delivered,
                    false => ContentState::Accepted,
                };
                if publish.0 % 2 == 0 {
                    self.say(publish.0 / 2, state);
                }
            }
            Input::Time => self.resend(env.now),
            Input::Miss { .. } if self.is(Fault::DerivesWithoutBudget) => {
                for number in 0..2000 {
                    self.expect(
                        Kind::Content,
                        self.other(),
                        self.state.heard + WINDOW + number,
                    );
                }
            }
            Input::Miss { .. } | Input::Outcome { .. } | Input::Close => {}
            _ if self.is(Fault::TakesAnyInput) => {}
            _ => return Err(Error::unsupported("a toy does not take this")),
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, label: &str) -> Result<Secret> {
        let me = if self.is(Fault::ExportsItsOwn) {
            self.state.me
        } else {
            0
        };
        Ok(Secret::new(self.keys.export(me, label).to_vec()))
    }
}

/// Id and content of a text.
fn split(text: &Bytes) -> Option<(Bytes, Bytes)> {
    let end = 1 + usize::from(*text.first()?);
    (text.len() >= end).then(|| (text.slice(1..end), text.slice(end..)))
}
