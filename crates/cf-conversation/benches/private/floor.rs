//! What the construction costs bare: the seals, HMACs, HKDFs and agreements of
//! the specification on the same lengths, by the same crates, and nothing else.

use std::hint::black_box;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use cf_core::Random;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::{Cheap, Rival};

/// How many tags of a chain are expected.
const AHEAD: u32 = 16;
/// Session id and two identities of 32 bytes with their lengths.
const CONTEXT: [u8; 104] = [9; 104];
const LABEL: &[u8] = b"/cf/conversation/private/1 a label";

/// One chain, which both ends share: nothing here is checked against anything.
pub(crate) struct Floor {
    root: [u8; 32],
    chain: [u8; 32],
    number: u32,
    tag: Hmac<Sha256>,
    header: [u8; 32],
    own: StaticSecret,
    peer: PublicKey,
    random: Cheap,
    padded: usize,
    /// Who sent last: the other's next is the first of a chain.
    last: usize,
}

/// A payload, the number that its key is made of, and whether it begins a chain.
pub(crate) struct Wire {
    body: Vec<u8>,
    chain: [u8; 32],
    tag: [u8; 16],
    turns: bool,
}

impl Floor {
    /// Around plaintexts that are padded to this length.
    pub(crate) fn new(padded: usize) -> Self {
        let mut random = Cheap::default();
        let own = secret(&mut random);
        let peer = PublicKey::from(&secret(&mut random));
        Self {
            root: [1; 32],
            chain: [2; 32],
            number: 0,
            tag: keyed(&[3; 32]),
            header: [4; 32],
            own,
            peer,
            random,
            padded,
            last: 0,
        }
    }

    pub(crate) fn create_and_join(offer: &StaticSecret, padded: usize) -> Self {
        let mut floor = Self::new(padded);
        // Create: an own key, one agreement. Join: an own key, two agreements.
        let offered = PublicKey::from(offer);
        for agreements in [1, 2] {
            floor.own = secret(&mut floor.random);
            floor.peer = PublicKey::from(&floor.own);
            let origin = Hkdf::<Sha256>::new(Some(&[]), &[5; 32]);
            for len in [32, 32, 32, 32, 16, 32] {
                let mut out = [0; 32];
                expand(&origin, &mut out[..len]);
                black_box(out);
            }
            for _ in 0..agreements {
                let agreed = floor.own.diffie_hellman(&offered);
                floor.step_root(agreed.as_bytes());
            }
            // Send, next receive; the responder has a receiving chain as well.
            for _ in 0..=agreements {
                floor.header_key();
            }
            for number in 0..AHEAD * agreements {
                black_box(code(&floor.tag, &number.to_be_bytes()));
            }
        }
        floor
    }

    fn step_root(&mut self, agreed: &[u8; 32]) {
        let mut out = [0; 96];
        expand(&Hkdf::new(Some(&self.root), agreed), &mut out);
        self.root.copy_from_slice(&out[..32]);
        self.chain.copy_from_slice(&out[32..64]);
        black_box(out);
    }

    fn header_key(&mut self) {
        let extracted = Hkdf::<Sha256>::new(Some(&[]), &self.root);
        let mut key = [0; 32];
        expand(&extracted, &mut key);
        self.tag = keyed(&key);
        expand(&extracted, &mut self.header);
    }

    /// Makes the peer's step and an own one.
    fn step(&mut self) {
        let agreed = self.own.diffie_hellman(&self.peer);
        self.step_root(agreed.as_bytes());
        self.own = secret(&mut self.random);
        black_box(PublicKey::from(&self.own));
        let agreed = self.own.diffie_hellman(&self.peer);
        self.step_root(agreed.as_bytes());
        self.header_key();
        self.header_key();
        for number in 0..AHEAD {
            black_box(code(&self.tag, &number.to_be_bytes()));
        }
    }
}

impl Rival for Floor {
    type Wire = Wire;

    fn send(&mut self, from: usize, text: &[u8]) -> Wire {
        let tag = tag(&self.tag, self.number);
        let chain = self.chain;
        let message = advance(&mut self.chain);
        self.number += 1;
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        let mut body = Vec::with_capacity(self.padded + 84);
        body.extend_from_slice(&salt);
        body.extend_from_slice(&[6; 36]);
        seal(&self.header, &salt[..12], &tag, &mut body, 16);
        let additional = [&tag[..], &body[16..], &CONTEXT].concat();
        body.extend_from_slice(text);
        body.resize(68 + self.padded, 0);
        let (key, nonce) = pair(&salt, &message);
        seal(&key, &nonce, &additional, &mut body, 68);
        let turns = std::mem::replace(&mut self.last, from) != from;
        Wire {
            body,
            chain,
            tag,
            turns,
        }
    }

    fn receive(&mut self, _: usize, wire: &Wire) {
        let mut chain = wire.chain;
        let (salt, rest) = wire.body.split_at(16);
        let (header, sealed) = rest.split_at(52);
        if wire.turns {
            let mut header = header.to_vec();
            open(&self.header, &salt[..12], &wire.tag, &mut header);
        }
        let message = advance(&mut chain);
        let additional = [&wire.tag[..], header, &CONTEXT].concat();
        let (key, nonce) = pair(salt, &message);
        let mut text = sealed.to_vec();
        open(&key, &nonce, &additional, &mut text);
        let zeros = text.iter().rev().take_while(|byte| **byte == 0).count();
        text.truncate(text.len() - zeros);
        black_box(text);
        // The window goes on by one.
        black_box(tag(&self.tag, self.number + AHEAD));
        if wire.turns {
            self.step();
        }
    }

    fn settle(&mut self) {}

    fn body_len(wire: &Wire) -> usize {
        wire.body.len()
    }
}

pub(crate) fn secret(random: &mut Cheap) -> StaticSecret {
    let mut secret = [0; 32];
    random.fill(&mut secret);
    StaticSecret::from(secret)
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key")
}

fn code(mac: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    let mut mac = mac.clone();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn tag(mac: &Hmac<Sha256>, number: u32) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.copy_from_slice(&code(mac, &number.to_be_bytes())[..16]);
    tag
}

/// Gives the message key and goes on.
fn advance(chain: &mut [u8; 32]) -> [u8; 32] {
    let mac = keyed(chain);
    let message = code(&mac, LABEL);
    *chain = code(&mac, &LABEL[1..]);
    message
}

fn expand(extracted: &Hkdf<Sha256>, out: &mut [u8]) {
    extracted.expand(LABEL, out).expect("a short output");
}

fn pair(salt: &[u8], message: &[u8; 32]) -> ([u8; 32], [u8; 12]) {
    let mut out = [0; 44];
    expand(&Hkdf::new(Some(salt), message), &mut out);
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    key.copy_from_slice(&out[..32]);
    nonce.copy_from_slice(&out[32..]);
    (key, nonce)
}

fn seal(key: &[u8; 32], nonce: &[u8], additional: &[u8], buffer: &mut Vec<u8>, from: usize) {
    let nonce: &[u8; 12] = nonce.try_into().expect("12 bytes");
    let inout = InOutBuf::from(&mut buffer[from..]);
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), additional, inout)
        .expect("a short text");
    buffer.extend_from_slice(&tag);
}

fn open(key: &[u8; 32], nonce: &[u8], additional: &[u8], buffer: &mut Vec<u8>) {
    let nonce: &[u8; 12] = nonce.try_into().expect("12 bytes");
    let len = buffer.len() - 16;
    let (text, tag) = buffer.split_at_mut(len);
    let tag: &[u8; 16] = (&*tag).try_into().expect("16 bytes");
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), additional, InOutBuf::from(text), tag.into())
        .expect("it is authentic");
    buffer.truncate(len);
}
