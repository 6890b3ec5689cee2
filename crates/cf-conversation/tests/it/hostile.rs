//! Whatever comes from outside changes nothing, and the conversation goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{PRIVATE, Ratchet, Reliable, private};
use cf_core::{
    Content, Conversation, ConversationEvent, ConversationId, ConversationProtocol, Created, Env,
    ErrorKind, Identity, Incoming, Input, MadeOffer, OfferRequest, Properties, ProtocolId, Result,
    RoutingTag, Secret, Setup,
};
use proptest::prelude::*;

use crate::pair::{Faults, Pair, encrypted, point};

/// What a hostile service makes of a payload that it has seen.
#[derive(Clone, Debug)]
enum Forgery {
    Random(Vec<u8>),
    Truncated(usize),
    Extended(u8),
    Flipped(usize),
    /// Of another conversation.
    Foreign,
    /// Of the recipient's own.
    Reflected,
    /// The parts of two payloads.
    Spliced(usize),
}

fn forgery() -> impl Strategy<Value = Forgery> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..700).prop_map(Forgery::Random),
        any::<usize>().prop_map(Forgery::Truncated),
        any::<u8>().prop_map(Forgery::Extended),
        any::<usize>().prop_map(Forgery::Flipped),
        Just(Forgery::Foreign),
        Just(Forgery::Reflected),
        (0usize..84).prop_map(Forgery::Spliced),
    ]
}

/// Takes what waits in a side's outbox.
fn payload(pair: &mut Pair, side: usize, id: &str) -> (RoutingTag, Bytes) {
    let now = pair.now;
    pair.sides[side].send(id, id.to_owned(), now).unwrap();
    let publish = pair.sides[side].outbox.pop().unwrap();
    (publish.frame.tag, publish.frame.body)
}

fn forge(forgery: &Forgery, real: &[u8], other: &[u8], foreign: &[u8], own: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    match forgery {
        Forgery::Random(random) => bytes = random.clone(),
        Forgery::Truncated(len) => bytes.truncate(len % real.len()),
        Forgery::Extended(byte) => bytes.push(*byte),
        Forgery::Flipped(bit) => bytes[bit / 8 % real.len()] ^= 1 << (bit % 8),
        Forgery::Foreign => bytes = foreign.to_vec(),
        Forgery::Reflected => bytes = own.to_vec(),
        Forgery::Spliced(at) => bytes[*at..].copy_from_slice(&other[*at..]),
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn forged_frames_change_nothing(
        forgeries in proptest::collection::vec((forgery(), 0u8..3), 1..12),
        seed in any::<u64>(),
        turned in any::<bool>(),
    ) {
        for protocol in encrypted() {
            let mut pair = Pair::new(&protocol, Faults::NONE, seed);
            let mut foreign = Pair::new(&protocol, Faults::NONE, seed ^ 1);
            pair.run_for(Duration::from_secs(10));
            if turned {
                // The next frame of Saro's is the first of a chain.
                pair.send(1, "turn", "turn");
                pair.run_for(Duration::from_secs(10));
            }
            let real = payload(&mut pair, 0, "real");
            let other = payload(&mut pair, 0, "else");
            let own = payload(&mut pair, 1, "mine");
            let strange = payload(&mut foreign, 0, "real");
            let records = pair.sides[1].records.clone();
            let events = pair.sides[1].events.clone();
            for (forgery, which) in &forgeries {
                let body = forge(forgery, &real.1, &other.1, &strange.1, &own.1);
                prop_assume!(body != real.1);
                let tag = [real.0, own.0, RoutingTag([9; 16])][usize::from(*which)];
                let incoming = Incoming {
                    point: point("Raya's point"),
                    cursor: None,
                    tag,
                    body: body.into(),
                };
                let now = pair.now;
                let raya = &mut pair.sides[1];
                let error = raya.handle(Input::Frame(incoming), now).unwrap_err();
                prop_assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Rejected));
                prop_assert_eq!(&raya.records, &records);
                prop_assert_eq!(&raya.events, &events);
                prop_assert!(raya.outbox.is_empty());
            }
            for (tag, body) in [real.clone(), other, real] {
                let point = point("Raya's point");
                pair.deliver(1, Incoming { point, cursor: None, tag, body });
            }
            let contents = pair.sides[1].contents();
            prop_assert_eq!(&contents[contents.len() - 2..], ["real", "else"]);
            pair.send(1, "answer", "answer");
            pair.run_for(Duration::from_secs(10));
            let contents = pair.sides[0].contents();
            prop_assert_eq!(contents.last().unwrap(), "answer");
        }
    }

    #[test]
    fn hostile_parameters_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for protocol in encrypted() {
            let error = Pair::joining(&protocol, bytes.clone().into()).err().unwrap();
            prop_assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Rejected));
        }
    }
}

#[test]
fn keys_without_contribution_and_other_encodings_are_refused() {
    for protocol in encrypted() {
        let mut zero = vec![0x0a, 32];
        zero.extend([0; 32]);
        let error = Pair::joining(&protocol, zero.into()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        let mut key = vec![0x0a, 32];
        key.extend([9; 32]);
        assert!(Pair::joining(&protocol, key.clone().into()).is_ok());
        // Trailing, repeated, a longer length, another field.
        let repeated = [key.clone(), key.clone()].concat();
        let longer = [&[0x0a, 0xa0, 0x00], &key[2..]].concat();
        let further = [&key[..], &[0x10, 1]].concat();
        for bytes in [repeated, longer, further, key[..33].to_vec()] {
            let error = Pair::joining(&protocol, bytes.into()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
    }
}

#[test]
fn a_frame_that_came_is_a_duplicate_and_decrypts_nothing() {
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let mut pair = Pair::new(&protocol, Faults::NONE, 3);
    let (tag, body) = payload(&mut pair, 0, "once");
    let incoming = |body: &Bytes| Incoming {
        point: point("Raya's point"),
        cursor: None,
        tag,
        body: body.clone(),
    };
    let now = pair.now;
    let raya = &mut pair.sides[1];
    raya.handle(Input::Frame(incoming(&body)), now).unwrap();
    let records = raya.records.clone();
    for body in [body, Bytes::from(vec![0; 400])] {
        let outputs = raya.handle(Input::Frame(incoming(&body)), now).unwrap();
        assert_eq!(outputs, 1);
        assert_eq!(raya.events.last(), Some(&ConversationEvent::Duplicate));
        assert_eq!(raya.records, records);
    }
    assert_eq!(raya.contents(), ["once"]);
}

/// Speaks the ratchet without the wrapper: an authenticated but hostile peer.
pub(crate) struct Lawless(pub(crate) Arc<dyn ConversationProtocol>);

impl ConversationProtocol for Lawless {
    fn id(&self) -> &ProtocolId {
        self.0.id()
    }
    fn specification(&self) -> &str {
        self.0.specification()
    }
    fn properties(&self) -> Properties {
        self.0.properties()
    }
    fn make_offer(&self, request: OfferRequest, env: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        self.0.make_offer(request, env)
    }
    fn create(&self, mut setup: Setup, env: &mut Env<'_>) -> Result<Created> {
        if let Some(offer) = setup.peer.as_mut().and_then(|peer| peer.offer.as_mut()) {
            offer.protocol = Ratchet::new().id().clone();
        }
        Ratchet::new().create(setup, env)
    }
    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        self.0.join(setup, env)
    }
    fn restore(
        &self,
        conversation: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        self.0.restore(conversation, identity, env)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is authentic but breaks the wrapper's rules is refused whole, also
    /// by the ratchet within.
    #[test]
    fn an_authenticated_peer_that_breaks_the_rules_changes_nothing(
        frame in prop_oneof![
            // Sequence numbers beyond the window, and zero as skipped.
            (16_386u64..).prop_map(|number| field(1, number)),
            (16_386u64..).prop_map(|number| field(4, number)),
            Just(field(4, 0)),
            // Over the limits, or not of the format at all.
            Just(bytes_field(4, &[5; 65])),
            Just(bytes_field(3, &[0; 2_049])),
            Just([bytes_field(16, b"both"), bytes_field(17, b"")].concat()),
            Just([bytes_field(19, b""), bytes_field(17, b"")].concat()),
            // Receipts of nothing, of too many, of no ids.
            Just(bytes_field(18, b"")),
            Just(bytes_field(18, &bytes_field(1, b"id").repeat(65))),
            Just(bytes_field(18, &bytes_field(1, &[7; 65]))),
            // Contacts of nothing, of two for one protocol, of too many, of no id.
            Just(bytes_field(20, b"")),
            Just(bytes_field(20, &bundle("/a/b/1", 1).repeat(2))),
            Just(bytes_field(20, &bundles(9, 1))),
            Just(bytes_field(20, &bundle("no id", 1))),
            Just(vec![0xff; 9]),
        ],
    ) {
        let lawless: Arc<dyn ConversationProtocol> = Arc::new(Lawless(private()));
        let mut pair = Pair::new(&lawless, Faults::NONE, 5);
        // Raya is honest and has sent one frame: that she joined.
        let records = pair.sides[1].records.clone();
        let expected = pair.sides[1].expected.clone();
        let outbox = |pair: &mut Pair| {
            let publish = pair.sides[0].outbox.pop().unwrap();
            Incoming {
                point: point("Raya's point"),
                cursor: None,
                tag: publish.frame.tag,
                body: publish.frame.body,
            }
        };
        let now = pair.now;
        pair.sides[0].send("bad", frame, now).unwrap();
        let bad = outbox(&mut pair);
        for _ in 0..2 {
            let raya = &mut pair.sides[1];
            let error = raya.handle(Input::Frame(bad.clone()), now).unwrap_err();
            prop_assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Rejected));
            prop_assert_eq!(&raya.records, &records);
            prop_assert_eq!(&raya.expected, &expected);
            prop_assert!(raya.events.is_empty() && raya.outbox.is_empty());
        }
        let good = [field(1, 1), field(2, 1), bytes_field(16, b"good")].concat();
        pair.sides[0].send("good", good, now).unwrap();
        let good = outbox(&mut pair);
        pair.sides[1].handle(Input::Frame(good), now).unwrap();
        prop_assert_eq!(pair.sides[1].contents(), ["good"]);
    }
}

fn bundle(protocol: &str, len: usize) -> Vec<u8> {
    let bundle = [
        bytes_field(1, protocol.as_bytes()),
        bytes_field(2, &vec![9; len]),
    ];
    bytes_field(1, &bundle.concat())
}

fn bundles(count: usize, len: usize) -> Vec<u8> {
    let all = (0..count).flat_map(|number| bundle(&format!("/a/b/{number}"), len));
    all.collect()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

pub(crate) fn field(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

pub(crate) fn bytes_field(number: u64, value: &[u8]) -> Vec<u8> {
    let len = varint(value.len() as u64);
    [varint(number << 3 | 2), len, value.to_vec()].concat()
}

#[test]
fn unknown_frame_types_are_skipped_and_reported() {
    let lawless: Arc<dyn ConversationProtocol> = Arc::new(Lawless(private()));
    let mut pair = Pair::new(&lawless, Faults::NONE, 6);
    let now = pair.now;
    let frame = [field(1, 1), bytes_field(900, b"from the future")].concat();
    pair.sides[0].send("new", frame, now).unwrap();
    let frame = [field(1, 2), bytes_field(16, b"known")].concat();
    pair.sides[0].send("old", frame, now).unwrap();
    pair.publish(0);
    pair.run_for(Duration::from_millis(40));
    let kind = "900".to_owned();
    assert_eq!(pair.sides[1].events[0], ConversationEvent::Unknown { kind });
    assert_eq!(pair.sides[1].contents(), ["known"]);
}

#[test]
fn payloads_share_nothing_and_show_nothing() {
    let mut pair = Pair::new(&private(), Faults::BAD, 8);
    for number in 0..60 {
        let text = format!("a text that nobody else may read, number {number}");
        pair.send(number % 2, &format!("content id {number}"), text);
        pair.run_for(Duration::from_secs(1));
    }
    pair.run_for(Duration::from_secs(600));
    let mut seen = HashSet::new();
    let mut windows = 0u64;
    for (tag, (_, body)) in &pair.payloads {
        let payload = [tag.as_bytes(), body].concat();
        let mut own: HashSet<[u8; 8]> = HashSet::new();
        for window in payload.windows(8) {
            own.insert(window.try_into().unwrap());
        }
        for window in own {
            windows += 1;
            assert!(seen.insert(window), "two payloads share 8 bytes");
        }
    }
    assert!(windows > 20_000, "only {windows}");
    let standing = pair.sides.iter().flat_map(|side| &side.standing);
    let mut hidden: Vec<Vec<u8>> = standing.map(|tag| tag.0.to_vec()).collect();
    for text in [
        "a text that",
        "content id",
        "Saro's",
        "Raya's",
        "/cf/conver",
        "memory:t",
        "/cf/fram",
    ] {
        hidden.push(text.as_bytes().to_vec());
    }
    hidden.push([7; 16].to_vec());
    // Every run of 16 bytes of every record: keys, ids, secrets. Bodies that
    // wait to be resent are payloads themselves.
    for (key, value) in pair.sides.iter().flat_map(|side| &side.records.0) {
        if !key.starts_with(&[0, b'u']) {
            hidden.extend(value.windows(16).map(<[u8]>::to_vec));
        }
    }
    let hidden: HashSet<Vec<u8>> = hidden.into_iter().collect();
    for (_, body) in pair.payloads.values() {
        for len in [6, 7, 8, 10, 11, 16] {
            for window in body.windows(len) {
                assert!(!hidden.contains(window));
            }
        }
    }
}

#[test]
fn a_wrapper_passes_on_what_it_does_not_know() {
    let protocol = Reliable::new(PRIVATE, Arc::new(Ratchet::new()));
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(protocol);
    let mut pair = Pair::new(&protocol, Faults::NONE, 9);
    let now = pair.now;
    let chunk = Input::Chunk {
        content: cf_core::ContentId::new("x").unwrap(),
        offset: 0,
        bytes: Bytes::new(),
    };
    let error = pair.sides[0].handle(chunk, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let large = Input::Send {
        id: None,
        content: Content::Large { len: 1 << 30 },
    };
    let error = pair.sides[0].handle(large, now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let secrets = pair
        .sides
        .each_ref()
        .map(|side| side.conversation.export("/x/1 a").unwrap());
    assert_eq!(secrets[0].expose(), secrets[1].expose());
    let other: Secret = pair.sides[0].conversation.export("/x/1 b").unwrap();
    assert_ne!(secrets[0].expose(), other.expose());
    assert!(pair.sides[0].conversation.poll_output().is_none());
}
