//! The initialization, discovery and framing probes on the level of the contract.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use cf_identity::SoftwareIdentity;
use cf_testkit::{RecordMap, SeededRandom};
use proptest::prelude::*;

use super::codec::{decode, encode};
use super::psk::Psk;
use super::salted::Salted;
use super::static_discovery::{StaticDiscovery, Table};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Letters {
    random: SeededRandom,
    records: RecordMap,
    psk: Psk,
    identity: Arc<dyn Identity>,
    inbox: Box<dyn Inbox>,
    point: DeliveryPoint,
}

impl Letters {
    fn new(seed: u64) -> Self {
        let mut random = SeededRandom::new(seed);
        let identity: Arc<dyn Identity> =
            Arc::new(SoftwareIdentity::generate(&mut random).unwrap());
        let (psk, records) = (Psk::new([7; 32]), RecordMap::default());
        let mut env = Env {
            now: NOW,
            random: &mut random,
            records: &records,
        };
        let inbox = psk.inbox(identity.clone(), &mut env).unwrap();
        let point = DeliveryPoint {
            locator: Locator::parse("bench:").unwrap(),
            address: DeliveryAddress::random(&mut random),
            framing: ProtocolId::from_static("/probe/framing/salted/1"),
        };
        Self {
            random,
            records,
            psk,
            identity,
            inbox,
            point,
        }
    }

    fn bundle(&mut self, one_time: bool) -> Bytes {
        let spec = BundleSpec {
            id: BundleId::random(&mut self.random),
            points: vec![self.point.clone()],
            offers: Vec::new(),
            conversation_protocols: vec![ProtocolId::from_static("/probe/conversation/group/1")],
            initializations: vec![ProtocolId::from_static("/probe/init/psk/1")],
            display_name: "Raya".into(),
            expires_at: NOW.after(Duration::from_secs(3600)),
            one_time,
            generation: 1,
        };
        let bundle = self
            .with(|inbox, env| inbox.make_bundle(spec, env))
            .unwrap();
        self.drain();
        bundle
    }

    fn invite(&mut self, bundle: &Bytes) -> (Secret, SealedInvite) {
        let conversation = ConversationId::random(&mut self.random);
        let invite = Invite {
            id: InviteId::random(&mut self.random),
            conversation,
            conversation_protocol: ProtocolId::from_static("/unheard/of/9"),
            specification: "https://chat-framework.example/9".into(),
            parameters: "parameters".into(),
            offer: Some(OfferId([3; 16])),
            chosen_from: vec![ProtocolId::from_static("/unheard/of/9")],
            points: vec![self.point.clone()],
            offers: Vec::new(),
            sent_at: NOW,
            display_name: "Saro".into(),
        };
        let mut env = Env {
            now: NOW,
            random: &mut self.random,
            records: &EmptyRecords,
        };
        let handshake = self
            .psk
            .initiate(&self.identity, bundle, conversation, &mut env)
            .unwrap();
        let exported = handshake.exported().clone();
        (exported, handshake.seal(&invite, &mut env).unwrap())
    }

    fn open(&mut self, frame: &Frame) -> Option<Result<Opened>> {
        let found = self.inbox.recognize(&self.point, frame.tag, &frame.body)?;
        let opened = self.with(|inbox, env| inbox.open(found, env));
        self.drain();
        Some(opened)
    }

    fn restore(&mut self) {
        let mut env = Env {
            now: NOW,
            random: &mut self.random,
            records: &self.records,
        };
        self.inbox = self.psk.inbox(self.identity.clone(), &mut env).unwrap();
        self.drain();
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Inbox, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: NOW,
            random: &mut self.random,
            records: &self.records,
        };
        call(&mut *self.inbox, &mut env)
    }

    fn drain(&mut self) {
        while let Some(output) = self.inbox.poll_output() {
            if let InboxOutput::Record(change) = output {
                self.records.apply(change);
            }
        }
    }
}

#[test]
fn a_shared_key_opens_and_nothing_else_does() {
    let mut letters = Letters::new(1);
    let bundle = letters.bundle(false);
    let (exported, sealed) = letters.invite(&bundle);
    letters.restore();
    let Some(Ok(Opened::New(invitation))) = letters.open(&sealed.frame) else {
        panic!("the invite opens")
    };
    assert_eq!(invitation.exported.expose(), exported.expose());
    assert_eq!(invitation.precedence, sealed.precedence);
    assert_eq!(invitation.from, None);
    assert_eq!(invitation.invite.parameters, "parameters");
    letters.restore();
    assert!(matches!(
        letters.open(&sealed.frame),
        Some(Ok(Opened::Repeated))
    ));
    let stranger = Psk::new([8; 32]);
    let refused = stranger.read(&*letters.identity, &bundle, NOW).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
    let late = NOW.after(Duration::from_secs(3601));
    assert!(letters.psk.read(&*letters.identity, &bundle, late).is_err());
}

#[test]
fn a_one_time_bundle_opens_one_invite_and_a_revoked_one_none() {
    let mut letters = Letters::new(2);
    let bundle = letters.bundle(true);
    let (first, second) = (letters.invite(&bundle).1, letters.invite(&bundle).1);
    assert!(matches!(
        letters.open(&first.frame),
        Some(Ok(Opened::New(_)))
    ));
    assert!(matches!(letters.open(&second.frame), Some(Err(_))));
    assert!(matches!(
        letters.open(&first.frame),
        Some(Ok(Opened::Repeated))
    ));
    let id = letters
        .psk
        .read(&*letters.identity, &bundle, NOW)
        .unwrap()
        .spec
        .id;
    letters.with(|inbox, env| inbox.revoke(id, env));
    letters.drain();
    assert!(letters.open(&first.frame).is_none());
    assert!(letters.records.0.is_empty());
}

#[test]
fn a_name_stands_for_what_was_advertised() {
    let table = Table::default();
    let raya = StaticDiscovery::new(table.clone(), Some("raya"));
    let saro = StaticDiscovery::new(table, None);
    let bundles = BundleSet::new(vec![(ProtocolId::from_static("/a/1"), "b".into())]).unwrap();
    let advertisement = Advertisement {
        bundles: bundles.clone(),
        expires_at: NOW,
        generation: 1,
        state: None,
        now: NOW,
        seed: [0; 32],
    };
    let query = pollster::block_on(raya.advertise(advertisement.clone()))
        .unwrap()
        .query;
    assert!(saro.recognizes(&query) && !saro.recognizes("raya"));
    assert_eq!(
        pollster::block_on(saro.resolve(&query, NOW)).unwrap(),
        [bundles]
    );
    assert!(pollster::block_on(saro.resolve(&query, Timestamp(NOW.0 + 1))).is_err());
    assert!(pollster::block_on(saro.resolve("static:", NOW)).is_err());
    assert!(
        pollster::block_on(saro.resolve("static:pax", NOW))
            .unwrap()
            .is_empty()
    );
    assert!(pollster::block_on(saro.advertise(advertisement)).is_err());
}

proptest! {
    #[test]
    fn no_altered_invite_opens(seed: u64, at: usize, bit in 0..8u8, cut: bool) {
        let mut letters = Letters::new(seed);
        let bundle = letters.bundle(false);
        let mut frame = letters.invite(&bundle).1.frame;
        let mut body = frame.body.to_vec();
        let at = at % body.len();
        if cut { body.truncate(at) } else { body[at] ^= 1 << bit }
        frame.body = body.into();
        let before = letters.records.clone();
        prop_assert!(letters.open(&frame).is_none_or(|opened| opened.is_err()));
        prop_assert_eq!(letters.records, before);
    }

    #[test]
    fn a_bundle_has_one_encoding(bytes: Vec<u8>) {
        if let Ok(spec) = decode::<BundleSpec>(bytes.clone().into()) {
            prop_assert_eq!(encode(&spec), bytes);
        }
    }

    #[test]
    fn a_salted_payload_finds_the_one_who_expects_it(
        body in prop::collection::vec(any::<u8>(), 1..200),
        tag: [u8; 16],
        standing: [[u8; 16]; 3],
        noise: Vec<u8>,
    ) {
        let framing = Salted::new();
        let mut router = framing.router();
        for (number, standing) in (0..).zip(standing) {
            router.expect(Tag::Standing(RoutingTag(standing)), InstanceId(number)).unwrap();
        }
        let frame = Frame { tag: RoutingTag(tag), standing: RoutingTag(standing[1]), body: body.into() };
        let payload = framing.encode(&frame, 28 + frame.body.len()).unwrap();
        prop_assert_eq!(&payload, &framing.encode(&frame, 1000).unwrap());
        prop_assert!(framing.encode(&frame, 27 + frame.body.len()).is_err());
        let routed = router.route(&payload).unwrap();
        prop_assert_eq!(routed, Routed { instance: Some(InstanceId(1)), tag: frame.tag, body: frame.body });
        router.forget(Tag::Standing(RoutingTag(standing[1])), InstanceId(1));
        prop_assert_eq!(router.route(&payload).unwrap().instance, None);
        let _ = router.route(&noise.into());
    }
}
