//! A conversation protocol that Raya does not have at first: short messages
//! under two keys that come straight from the first contact. It shows how
//! little a protocol needs, not what a good one is: it has no ratchet and
//! resends nothing, and says so in its properties.

use std::collections::VecDeque;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use cf::core::{
    Content, ContentId, ContentState, Conversation, ConversationEvent, ConversationId,
    ConversationProtocol, Created, DeliveryAddress, DeliveryPoint, Env, Error, Frame, Identity,
    Input, Locator, MadeOffer, OfferRequest, Outcome, Output, ParticipantId, PeerId, Properties,
    ProtocolId, Publish, PublishId, RecordChange, Result, RoutingTag, Secret, Setup, Spread, Tag,
};
use hkdf::Hkdf;
use sha2::Sha256;

pub(super) static POSTCARD: ProtocolId =
    ProtocolId::from_static("/example/conversation/postcard/1");
const SALT: usize = 16;

#[derive(Default)]
pub(super) struct Postcards;

impl ConversationProtocol for Postcards {
    fn id(&self) -> &ProtocolId {
        &POSTCARD
    }

    fn specification(&self) -> &str {
        "crates/cf-cli/src/demo/postcard.rs"
    }

    fn properties(&self) -> Properties {
        Properties {
            confidential: true,
            authenticated: true,
            bidirectional: true,
            max_participants: Some(2),
            ..Properties::default()
        }
    }

    fn make_offer(&self, _: OfferRequest, _: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        Ok(None)
    }

    fn create(&self, setup: Setup, _: &mut Env<'_>) -> Result<Created> {
        let conversation = Box::new(Postcard::start(setup, true)?);
        Ok(Created {
            conversation,
            parameters: "postcard".into(),
        })
    }

    fn join(&self, setup: Setup, _: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        Ok(Box::new(Postcard::start(setup, false)?))
    }

    fn restore(
        &self,
        _: ConversationId,
        _: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let damaged = || Error::new(cf::core::ErrorKind::Other, "a postcard record is damaged");
        let head = env.records.get(b"head")?.ok_or_else(damaged)?;
        let mut fields = Fields(&head);
        let mut postcard = Postcard {
            secret: Secret::from(fields.next().ok_or_else(damaged)?),
            initiator: fields.next() == Some(b"initiator"),
            peer: fields
                .next()
                .and_then(|id| ParticipantId::new(id.to_vec()).ok()),
            own: Vec::new(),
            to: Vec::new(),
            answered: fields.next() == Some(b"answered"),
            sent: VecDeque::new(),
            number: env.now.0,
            outputs: VecDeque::new(),
        };
        postcard.own = fields.points().ok_or_else(damaged)?;
        postcard.to = fields.points().ok_or_else(damaged)?;
        postcard.listen();
        Ok(Box::new(postcard))
    }
}

struct Postcard {
    secret: Secret,
    initiator: bool,
    peer: Option<ParticipantId>,
    own: Vec<DeliveryPoint>,
    to: Vec<DeliveryPoint>,
    answered: bool,
    sent: VecDeque<(PublishId, ContentId)>,
    number: u64,
    outputs: VecDeque<Output>,
}

impl Postcard {
    fn start(setup: Setup, initiator: bool) -> Result<Self> {
        let missing = || Error::misuse("a postcard conversation needs a peer and a secret");
        let peer = setup.peer.ok_or_else(missing)?;
        // Where the invite arrived, the initiator goes on to send.
        let own = setup
            .points
            .into_iter()
            .chain(setup.arrived_at)
            .map(|info| info.point)
            .collect();
        let mut postcard = Self {
            secret: setup.exported.ok_or_else(missing)?,
            initiator,
            peer: peer.participant,
            own,
            to: peer.points.into_iter().map(|info| info.point).collect(),
            answered: !initiator,
            sent: VecDeque::new(),
            number: 0,
            outputs: VecDeque::new(),
        };
        postcard.store();
        postcard.listen();
        Ok(postcard)
    }

    fn listen(&mut self) {
        self.outputs
            .extend(self.own.iter().cloned().map(Output::Listen));
        self.outputs
            .push_back(Output::Expect(Tag::Standing(self.tag(!self.initiator))));
    }

    fn store(&mut self) {
        let mut head = Vec::new();
        field(&mut head, self.secret.expose());
        field(
            &mut head,
            if self.initiator {
                b"initiator"
            } else {
                b"responder"
            },
        );
        field(
            &mut head,
            self.peer.as_ref().map_or(b"", |id| id.as_bytes()),
        );
        field(
            &mut head,
            if self.answered { b"answered" } else { b"asked" },
        );
        for points in [&self.own, &self.to] {
            field(&mut head, &[points.len() as u8]);
            for point in points {
                field(&mut head, point.locator.as_str().as_bytes());
                field(&mut head, point.address.as_bytes());
                field(&mut head, point.framing.as_str().as_bytes());
            }
        }
        let record = RecordChange::Put {
            key: "head".into(),
            value: head.into(),
        };
        self.outputs.push_back(Output::Record(record));
    }

    fn derive<const N: usize>(&self, salt: &[u8], purpose: &str, by_initiator: bool) -> [u8; N] {
        let info = format!(
            "{POSTCARD} {purpose} {}",
            if by_initiator { "there" } else { "back" }
        );
        let mut out = [0; N];
        let hkdf = Hkdf::<Sha256>::new(Some(salt), self.secret.expose());
        hkdf.expand(info.as_bytes(), &mut out)
            .expect("a few bytes are within HKDF's limit");
        out
    }

    fn tag(&self, by_initiator: bool) -> RoutingTag {
        RoutingTag(self.derive(b"", "tag", by_initiator))
    }

    fn cipher(&self, salt: &[u8], by_initiator: bool) -> (Aes256Gcm, [u8; 12]) {
        let material: [u8; 44] = self.derive(salt, "message", by_initiator);
        let key = Key::<Aes256Gcm>::try_from(&material[..32]).expect("32 bytes");
        let nonce = material[32..].try_into().expect("12 bytes");
        (Aes256Gcm::new(&key), nonce)
    }

    fn send(&mut self, id: ContentId, text: &[u8], env: &mut Env<'_>) -> Result<()> {
        let mut plaintext = Vec::new();
        field(&mut plaintext, id.as_bytes());
        field(&mut plaintext, text);
        let salt: [u8; SALT] = env.draw();
        let (cipher, nonce) = self.cipher(&salt, self.initiator);
        let tag = self.tag(self.initiator);
        let payload = Payload {
            msg: &plaintext,
            aad: tag.as_bytes(),
        };
        let sealed = cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| Error::misuse("a postcard takes a short text"))?;
        self.number += 1;
        let publish = PublishId(self.number);
        self.sent.push_back((publish, id.clone()));
        self.outputs.push_back(Output::Publish(Publish {
            id: publish,
            points: self.to.clone(),
            spread: Spread::All,
            condition: None,
            frame: Frame::new(tag, [&salt[..], &sealed].concat()),
            content: Some(id),
        }));
        Ok(())
    }

    fn receive(&mut self, body: &[u8], env: &mut Env<'_>) -> Result<()> {
        let short = || Error::malformed("a postcard is longer");
        let (salt, sealed) = body.split_at_checked(SALT).ok_or_else(short)?;
        let (cipher, nonce) = self.cipher(salt, !self.initiator);
        let tag = self.tag(!self.initiator);
        let payload = Payload {
            msg: sealed,
            aad: tag.as_bytes(),
        };
        let plaintext = cipher
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| Error::rejected("a postcard is not authentic"))?;
        let mut fields = Fields(&plaintext);
        let (id, text) = fields.next().zip(fields.next()).ok_or_else(short)?;
        let id = ContentId::new(id.to_vec())?;
        let seen = [b"seen", id.as_bytes()].concat();
        if env.records.get(&seen)?.is_some() {
            self.outputs
                .push_back(Output::Event(ConversationEvent::Duplicate));
            return Ok(());
        }
        let record = RecordChange::Put {
            key: seen.into(),
            value: "1".into(),
        };
        self.outputs.push_back(Output::Record(record));
        if !self.answered {
            self.answered = true;
            self.outputs.push_back(Output::Answered(PeerId(0)));
            self.store();
        }
        self.outputs
            .push_back(Output::Event(ConversationEvent::Content {
                id,
                from: self.peer.clone(),
                content: Content::Bytes(text.to_vec().into()),
                sent_at: None,
            }));
        Ok(())
    }
}

impl Conversation for Postcard {
    fn handle(&mut self, input: Input, env: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send {
                id: Some(id),
                content: Content::Bytes(text),
            } => self.send(id, &text, env),
            Input::Frame(incoming) => self.receive(&incoming.body, env),
            Input::Outcome {
                publish,
                outcome: Outcome::Accepted { .. },
                ..
            } => {
                let sent = self.sent.iter().position(|(id, _)| *id == publish);
                if let Some((_, id)) = sent.and_then(|index| self.sent.remove(index)) {
                    let state = ContentState::Accepted;
                    let event = ConversationEvent::State { id, state };
                    self.outputs.push_back(Output::Event(event));
                }
                Ok(())
            }
            Input::Outcome { .. } | Input::Time | Input::Miss { .. } => Ok(()),
            _ => Err(Error::unsupported(
                "a postcard conversation does not know this input",
            )),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn export(&self, _: &str) -> Result<Secret> {
        Err(Error::unsupported("postcards are not upgraded"))
    }
}

fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        self.0 = rest;
        Some(field)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next()?).ok()
    }

    fn points(&mut self) -> Option<Vec<DeliveryPoint>> {
        let count = *self.next()?.first()?;
        (0..count)
            .map(|_| {
                Some(DeliveryPoint {
                    locator: Locator::parse(self.text()?).ok()?,
                    address: DeliveryAddress::new(self.next()?.to_vec()).ok()?,
                    framing: ProtocolId::parse(self.text()?).ok()?,
                })
            })
            .collect()
    }
}
