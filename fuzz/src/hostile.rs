//! A peer of private/1 or private/2 that has all keys of its side and seals what it likes: the
//! initiator, written from the specification page alone.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use cf_core::{Offer, ProtocolId, RoutingTag};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::scene::{derive, seal};

type Key = [u8; 32];

/// What goes into a frame.
pub(crate) struct Lie {
    pub(crate) ratchet_key: Option<Key>,
    pub(crate) previous: Option<u32>,
    /// With its padding.
    pub(crate) plaintext: Vec<u8>,
}

pub(crate) struct Hostile {
    root: Key,
    own: StaticSecret,
    chain: Key,
    header: Key,
    next_header: Key,
    number: u32,
    previous: u32,
    /// The header key of the victim's chain that comes next.
    victim_header: Key,
    /// The victim's ratchet key, if it is still to be answered.
    answer: Option<Key>,
    context: Vec<u8>,
    protocol: ProtocolId,
    drawn: u8,
}

impl Hostile {
    /// Initiates with the victim's offer; gives the parameters too.
    pub(crate) fn new(exported: &[u8], offered: &Offer, names: [&[u8]; 2]) -> (Self, Bytes) {
        let protocol = offered.protocol.clone();
        let offered = &offered.public;
        let first = |purpose: &str| derive(None, exported, label(&protocol, purpose).as_bytes());
        let offered: Key = offered[offered.len() - 32..].try_into().expect("a key");
        let own = StaticSecret::from([0x41; 32]);
        let public = PublicKey::from(&own);
        let (root, chain, next_header) = step(&protocol, &first("root key"), &own, offered);
        let session_id: Key = first("session id");
        let mut context = session_id.to_vec();
        for name in names {
            context.extend((name.len() as u32).to_be_bytes());
            context.extend(name);
        }
        let hostile = Self {
            root,
            own,
            chain,
            header: first("initiator header key"),
            next_header,
            number: 0,
            previous: 0,
            victim_header: first("responder header key"),
            answer: None,
            context,
            protocol,
            drawn: 0x41,
        };
        (
            hostile,
            [&[0x0a, 0x20], &public.as_bytes()[..]].concat().into(),
        )
    }

    /// Learns the victim's ratchet key from the first frame of a chain.
    pub(crate) fn hear(&mut self, tag: &RoutingTag, body: &[u8]) {
        let key: Key = derive(
            None,
            &self.victim_header,
            label(&self.protocol, "header").as_bytes(),
        );
        let nonce: &[u8; 12] = body[..12].try_into().expect("a body has a salt");
        let sealed = Payload {
            msg: &body[16..68],
            aad: tag.as_bytes(),
        };
        let opened = Aes256Gcm::new((&key).into()).decrypt(nonce.into(), sealed);
        let Ok(header) = opened else { return };
        let victim: Key = header[..32].try_into().expect("a header has a key");
        let (root, _, next) = step(&self.protocol, &self.root, &self.own, victim);
        (self.root, self.victim_header) = (root, next);
        self.answer = Some(victim);
    }

    /// Begins the next chain, if the victim has begun one.
    pub(crate) fn turn(&mut self) {
        let Some(victim) = self.answer.take() else {
            return;
        };
        self.drawn = self.drawn.wrapping_add(1);
        self.own = StaticSecret::from([self.drawn; 32]);
        let (root, chain, next_header) = step(&self.protocol, &self.root, &self.own, victim);
        (self.root, self.chain) = (root, chain);
        self.header = std::mem::replace(&mut self.next_header, next_header);
        self.previous = std::mem::take(&mut self.number);
    }

    /// Passes over a number.
    pub(crate) fn skip(&mut self) {
        self.chain = code(&self.chain, label(&self.protocol, "chain key").as_bytes());
        self.number += 1;
    }

    /// Seals the next frame.
    pub(crate) fn seal(&mut self, lie: &Lie) -> (RoutingTag, Bytes) {
        let salt = [self.number as u8; 16];
        let tag_key: Key = derive(None, &self.header, label(&self.protocol, "tag").as_bytes());
        let tag = &code(&tag_key, &self.number.to_be_bytes())[..16];
        let header_key: Key = derive(
            None,
            &self.header,
            label(&self.protocol, "header").as_bytes(),
        );
        let header_key = [&header_key[..], &salt[..12]].concat();
        let header_key: &[u8; 44] = header_key[..].try_into().expect("44 bytes");
        let public = PublicKey::from(&self.own).to_bytes();
        let ratchet_key = lie.ratchet_key.unwrap_or(public);
        let previous = lie.previous.unwrap_or(self.previous);
        let header = [&ratchet_key[..], &previous.to_be_bytes()].concat();
        let header = seal(header_key, &header, tag);
        let message_key = code(&self.chain, label(&self.protocol, "message key").as_bytes());
        let key = derive(
            Some(&salt),
            &message_key,
            label(&self.protocol, "message").as_bytes(),
        );
        let additional = [tag, &header, &self.context].concat();
        let text = seal(&key, &lie.plaintext, &additional);
        let tag = RoutingTag::from_slice(tag).expect("16 bytes");
        self.skip();
        (tag, [&salt[..], &header, &text].concat().into())
    }
}

fn label(protocol: &ProtocolId, purpose: &str) -> String {
    format!("{protocol} {purpose}")
}

fn code(key: &Key, message: &[u8]) -> Key {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    code.update(message);
    code.finalize().into_bytes().into()
}

/// A step of the ratchet: root key, chain key, next header key.
fn step(protocol: &ProtocolId, root: &Key, own: &StaticSecret, peer: Key) -> (Key, Key, Key) {
    let agreed = own.diffie_hellman(&PublicKey::from(peer));
    let out: [u8; 96] = derive(
        Some(root),
        agreed.as_bytes(),
        label(protocol, "ratchet").as_bytes(),
    );
    let part = |at: usize| out[at..at + 32].try_into().expect("a key");
    (part(0), part(32), part(64))
}
