//! `/cf/init/psk/1`: docs/spec/vectors/init-psk-1.json, made by the script beside
//! it, and its limits.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::*;
use cf_init::{MIN_BODY_LEN, PSK, PskProtocol};
use cf_testkit::{NamedIdentity, RecordMap, SeededRandom};
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors::{drain, drawn, hex, invite, point, spec, time};
use crate::world;

fn check(vector: &Value) {
    let (now, keys) = (time(&vector["now"]), &vector["keys"]);
    let protocol = PskProtocol::new(Secret::new(hex(&keys["psk"]))).unwrap();
    let anybody: Arc<dyn Identity> = Arc::new(NamedIdentity::new("anybody"));
    let mut records = RecordMap::default();

    let mut random = drawn(keys, &["bundle_salt"]);
    let mut env = Env {
        now,
        random: &mut random,
        records: &EmptyRecords,
    };
    let mut inbox = protocol.inbox(anybody.clone(), &mut env).unwrap();
    let bundle = inbox.make_bundle(spec(&vector["spec"]), &mut env).unwrap();
    assert_eq!(bundle, hex(&vector["bundle"]));
    drain(&mut *inbox, &mut records);
    let record = (hex(&vector["record_key"]), hex(&vector["record"]));
    let record = (Bytes::from(record.0), Bytes::from(record.1));
    assert_eq!(records.0, [record].into());

    let mut random = drawn(keys, &["tag", "salt"]);
    let mut env = Env {
        now,
        random: &mut random,
        records: &EmptyRecords,
    };
    let invite = invite(&vector["invite"]);
    let handshake = protocol.initiate(&anybody, &bundle, invite.conversation, &mut env);
    let handshake = handshake.unwrap();
    assert_eq!(handshake.exported().expose(), hex(&vector["exported"]));
    let sealed = handshake.seal(&invite, &mut env).unwrap();
    assert_eq!(sealed.frame.tag.as_bytes(), &hex(&keys["tag"])[..]);
    assert_eq!(sealed.frame.body, hex(&vector["body"]));
    assert_eq!(sealed.precedence, hex(&vector["precedence"])[..]);

    // The stored record is opened as well: also one of an earlier build.
    let mut random = SeededRandom::new(1);
    let mut env = Env {
        now,
        random: &mut random,
        records: &records,
    };
    let mut restored = protocol.inbox(anybody, &mut env).unwrap();
    let at = point(&vector["spec"]["points"][0]);
    let recognized = restored.recognize(&at, sealed.frame.tag, &sealed.frame.body);
    let Opened::New(invitation) = restored.open(recognized.unwrap(), &mut env).unwrap() else {
        panic!("it is new");
    };
    assert_eq!(invitation.invite, invite);
    assert_eq!(invitation.from, None);
    assert_eq!(invitation.exported.expose(), hex(&vector["exported"]));
    assert_eq!(invitation.precedence, sealed.precedence);
    drain(&mut *restored, &mut records);
    assert!(records.0.contains_key(&hex(&vector["seen_key"])[..]));
}

#[test]
fn every_derivation_matches_the_vectors() {
    let vectors = include_str!("../../../../docs/spec/vectors/init-psk-1.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    assert_eq!(vectors["protocol"], PSK.as_str());
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    cases.iter().for_each(check);
}

/// An inbox that has made a bundle, and its records.
struct Raya {
    protocol: PskProtocol,
    identity: Arc<dyn Identity>,
    inbox: Box<dyn Inbox>,
    records: RecordMap,
    random: SeededRandom,
    bundle: Bytes,
}

impl Raya {
    fn new(protocol: PskProtocol) -> Self {
        let identity: Arc<dyn Identity> = Arc::new(NamedIdentity::new("Raya"));
        let (mut random, mut records) = (SeededRandom::new(5), RecordMap::default());
        let mut env = Env {
            now: world::NOW,
            random: &mut random,
            records: &EmptyRecords,
        };
        let mut inbox = protocol.inbox(identity.clone(), &mut env).unwrap();
        let bundle = inbox.make_bundle(world::spec(1), &mut env).unwrap();
        drain(&mut *inbox, &mut records);
        Self {
            protocol,
            identity,
            inbox,
            records,
            random,
            bundle,
        }
    }

    fn receive(&mut self, invite: &Invite) -> Result<Opened> {
        let mut env = Env {
            now: world::NOW,
            random: &mut self.random,
            records: &self.records,
        };
        let (id, bundle) = (invite.conversation, &self.bundle);
        let handshake = self
            .protocol
            .initiate(&self.identity, bundle, id, &mut env)?;
        let Frame { tag, body, .. } = handshake.seal(invite, &mut env)?.frame;
        assert!(body.len() >= MIN_BODY_LEN);
        let found = self.inbox.recognize(&world::point("link"), tag, &body);
        let opened = self.inbox.open(found.unwrap(), &mut env);
        drain(&mut *self.inbox, &mut self.records);
        opened
    }
}

fn protocol() -> PskProtocol {
    PskProtocol::new(Secret::new(vec![7; 32])).unwrap()
}

#[test]
fn invites_are_bounded_in_number_and_age() {
    let mut raya = Raya::new(protocol().with_max_invites(2).with_retention(world::DAY));
    let invite = |sent_at| Invite {
        sent_at,
        ..world::invite()
    };
    let hour = world::DAY / 24;
    for sent_at in [world::NOW.after(hour), world::NOW.before(world::DAY)] {
        raya.receive(&invite(sent_at)).unwrap();
    }
    let before = raya.records.clone();
    for (sent_at, message) in [
        (world::NOW, "all of its 2 invites"),
        (world::NOW.after(hour * 2), "more than an hour"),
        (world::NOW.before(world::DAY + hour), "too old"),
    ] {
        let error = raya.receive(&invite(sent_at)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(raya.records, before);
    }
}

#[test]
fn damaged_and_newer_records_are_told_apart() {
    let raya = Raya::new(protocol());
    let (key, value) = raya.records.0.first_key_value().unwrap();
    let newer = [&[2], &value[1..]].concat().into();
    let damaged = value.slice(..value.len() - 1);
    for (value, kind) in [
        (newer, ErrorKind::Unsupported),
        (damaged, ErrorKind::Other),
        (Bytes::new(), ErrorKind::Other),
    ] {
        let mut env = Env {
            now: world::NOW,
            random: &mut SeededRandom::new(1),
            records: &RecordMap([(key.clone(), value)].into()),
        };
        let opened = protocol().inbox(raya.identity.clone(), &mut env);
        assert_eq!(opened.err().unwrap().kind(), kind);
    }
}

#[test]
fn the_key_is_not_printed() {
    let printed = format!("{:?}", protocol());
    assert!(printed.contains("Secret(32 bytes)"), "{printed}");
}

proptest! {
    #[test]
    fn rubbish_is_no_bundle(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read = protocol().read(&NamedIdentity::new("x"), &bytes.into(), world::NOW);
        let kind = read.unwrap_err().kind();
        prop_assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::Rejected));
    }
}
