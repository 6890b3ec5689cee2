//! Contents that are longer than a frame carries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::segments::limits::*;
use cf_conversation::{PRIVATE, Ratchet, Reliable, Segments, private};
use cf_core::{
    Content, ContentId, ContentState, ConversationEvent, ConversationProtocol, ErrorKind,
    FailureReason, Input, PointInfo, Random, Result, Signal,
};
use cf_testkit::SeededRandom;

use crate::hostile::{bytes_field, field};
use crate::pair::{Faults, Pair, info};

fn id(text: &str) -> ContentId {
    ContentId::new(text.as_bytes().to_vec()).unwrap()
}

fn random_bytes(random: &mut SeededRandom, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes.into()
}

/// A pair over a service that takes 4 KiB.
fn pair(faults: Faults, seed: u64) -> Pair {
    let mut pair = Pair::new(&private(), Faults::NONE, seed);
    pair.run_for(Duration::from_secs(1));
    for (who, own, peer) in [(0, "Saro", "Raya"), (1, "Raya", "Saro")] {
        let small = |name: &str| -> Vec<PointInfo> {
            let mut small = info(&format!("{name}'s point"));
            small.max_body_len = 4_000;
            vec![small]
        };
        let now = pair.now;
        let points = small(peer);
        pair.sides[who]
            .handle(Input::OwnPoints(small(own)), now)
            .unwrap();
        let input = Input::PeerPoints { peer: None, points };
        pair.sides[who].handle(input, now).unwrap();
    }
    pair.faults = faults;
    pair
}

fn states(pair: &Pair, side: usize, of: &str) -> Vec<ContentState> {
    let of = id(of);
    let state = |event: &ConversationEvent| match event {
        ConversationEvent::State { id, state } if *id == of => Some(*state),
        _ => None,
    };
    pair.sides[side].events.iter().filter_map(state).collect()
}

/// How many records of its own a side's wrapper has, the head and what it
/// remembers aside.
fn own_records(pair: &Pair, side: usize) -> usize {
    let keys = pair.sides[side].records.0.keys();
    let is_own = |key: &&Bytes| key[0] == 2 && key[1] != b'h' && key[1] != b'e';
    keys.filter(is_own).count()
}

/// Whole, cut and large contents both ways come as the same bytes, each once, in
/// order (large ones aside), whatever is lost and whenever a process dies.
#[test]
fn contents_of_any_length_come_through_a_bad_link() {
    let faults = Faults {
        death: 3,
        ..Faults::BAD
    };
    for seed in 0..5 {
        let mut pair = pair(faults, seed);
        let random = &mut SeededRandom::new(seed ^ 0x5e6);
        let mut sent: [Vec<(ContentId, Bytes)>; 2] = Default::default();
        let mut large: [Vec<(ContentId, Bytes)>; 2] = Default::default();
        for round in 0..14 {
            let from = random.below(2) as usize;
            let name = format!("content {round}");
            let len = [10, 2_000, 3_900, 9_000, 60_000, 5_000, 400_000];
            let kind = random.below(7) as usize;
            let len = random.below(len[kind]) as usize + 1;
            let bytes = random_bytes(random, len);
            if kind < 5 {
                pair.send(from, &name, bytes.clone());
                sent[from].push((id(&name), bytes));
            } else {
                let now = pair.now;
                pair.sides[from].send_large(&name, bytes.clone(), now);
                pair.publish(from);
                large[from].push((id(&name), bytes));
            }
            pair.run_for(Duration::from_millis(random.below(20_000)));
        }
        pair.run_for(Duration::from_secs(3600));
        pair.faults = Faults::NONE;
        pair.run_for(Duration::from_secs(24 * 3600));
        for from in 0..2 {
            check_arrived(&pair, from, &sent[from], &large[from], seed);
        }
    }
}

fn check_arrived(
    pair: &Pair,
    from: usize,
    sent: &[(ContentId, Bytes)],
    large: &[(ContentId, Bytes)],
    seed: u64,
) {
    let to = &pair.sides[1 - from];
    let gaps = (to.events.iter()).any(|event| matches!(event, ConversationEvent::Gap { .. }));
    let (mut small, mut whole) = (Vec::new(), Vec::new());
    for event in &to.events {
        if let ConversationEvent::Content { id, content, .. } = event {
            match content {
                Content::Bytes(bytes) => small.push((id.clone(), bytes.clone())),
                Content::Large { len } => {
                    assert_eq!(*len as usize, to.joined(id).len());
                    whole.push((id.clone(), to.joined(id).into()));
                }
            }
        }
    }
    let (mut sent, mut large) = (sent.to_vec(), large.to_vec());
    if gaps {
        sent.sort();
        small.sort();
    }
    large.sort();
    whole.sort();
    assert!(small == sent, "seed {seed}: small contents differ");
    assert!(whole == large, "seed {seed}: large contents differ");
    for (content, _) in sent.iter().chain(&large) {
        let name = String::from_utf8(content.as_bytes().to_vec()).unwrap();
        let told = states(pair, from, &name);
        let last = told.last();
        assert_eq!(last, Some(&ContentState::Delivered), "seed {seed}, {name}");
        let delivered = told
            .iter()
            .filter(|state| **state == ContentState::Delivered);
        assert_eq!(delivered.count(), 1);
    }
    assert_eq!((own_records(pair, 0), own_records(pair, 1)), (0, 0));
}

#[test]
fn what_is_small_overtakes_a_large_content_and_no_more_than_a_window_is_on_its_way() {
    let mut pair = pair(Faults::NONE, 1);
    let bytes = random_bytes(&mut SeededRandom::new(1), 1_000_000);
    let now = pair.now;
    pair.sides[0].send_large("large", bytes.clone(), now);
    let outbox = pair.sides[0].outbox.iter();
    let parts = outbox.filter(|publish| publish.content.is_some()).count() as u64;
    assert!(parts == WINDOW_PARTS, "{parts}");
    pair.publish(0);
    pair.send(0, "small", "small");
    let before = pair.sides[0].records.0.len();
    pair.run_for(Duration::from_millis(60));
    let told = |pair: &Pair| pair.sides[1].contents();
    assert_eq!(told(&pair), ["small"]);
    assert!(
        pair.sides[0].records.0.len() <= before + 8,
        "more waits than a window"
    );
    pair.run_for(Duration::from_secs(60));
    let last = pair.sides[1].events.last();
    let whole = Content::Large { len: 1_000_000 };
    assert!(matches!(last, Some(ConversationEvent::Content { content, .. }) if *content == whole));
    assert_eq!(pair.sides[1].joined(&id("large")), bytes);
    let expected = [ContentState::Accepted, ContentState::Delivered];
    assert_eq!(states(&pair, 0, "large"), expected);
    for side in 0..2 {
        let progress = pair.sides[side].signals.iter().map(|signal| match signal {
            Signal::Progress { done, outgoing, .. } => {
                assert_eq!(*outgoing, side == 0);
                *done
            }
            other => panic!("{other:?}"),
        });
        let progress: Vec<u64> = progress.collect();
        assert!(progress.is_sorted() && progress.last() == Some(&1_000_000));
        assert!((20..=100).contains(&progress.len()), "{}", progress.len());
    }
}

#[test]
fn a_cut_content_keeps_its_place_and_its_bound() {
    let mut pair = pair(Faults::NONE, 2);
    let cut = random_bytes(&mut SeededRandom::new(2), MAX_CUT);
    pair.send(0, "first", "first");
    pair.send(0, "cut", cut.clone());
    pair.send(0, "last", "last");
    pair.run_for(Duration::from_secs(60));
    assert_eq!(
        pair.sides[1].contents(),
        [Bytes::from("first"), cut, "last".into()]
    );
    let expected = [ContentState::Accepted, ContentState::Delivered];
    assert_eq!(states(&pair, 0, "cut"), expected);
    let now = pair.now;
    let records = pair.sides[0].records.clone();
    let error = pair.sides[0]
        .send("long", vec![7; MAX_CUT + 1], now)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("266240"), "{error}");
    for len in [0, MAX_LARGE + 1, u64::MAX] {
        let content = Content::Large { len };
        let send = Input::Send {
            id: Some(id("large")),
            content,
        };
        assert_eq!(
            pair.sides[0].handle(send, now).unwrap_err().kind(),
            ErrorKind::Misuse
        );
    }
    assert_eq!(pair.sides[0].records, records);
}

#[test]
fn a_part_that_is_given_up_fails_the_content_and_the_peer_lets_go_of_it() {
    for large in [true, false] {
        let mut pair = pair(Faults::NONE, 3);
        let bytes = random_bytes(&mut SeededRandom::new(3), 200_000);
        pair.run_for(Duration::from_secs(1));
        let now = pair.now;
        match large {
            true => pair.sides[0].send_large("doomed", bytes, now),
            false => pair.sides[0].send("doomed", bytes, now).unwrap(),
        }
        // Only some of the first parts get through, and no acknowledgement.
        let kept: Vec<_> = pair.sides[0].outbox.drain(..20).collect();
        pair.sides[0].outbox.clear();
        pair.sides[0].outbox.extend(kept.into_iter().skip(4));
        pair.publish(0);
        pair.muted = [true, true];
        pair.run_for(Duration::from_secs(40));
        assert!(own_records(&pair, 1) > 0);
        assert_eq!(pair.sides[1].chunks.is_empty(), !large);
        pair.run_for(Duration::from_secs(15 * 24 * 3600));
        let failed = ContentState::Failed(FailureReason::Expired);
        assert_eq!(states(&pair, 0, "doomed").last(), Some(&failed));
        assert_eq!(own_records(&pair, 0), 0);
        pair.muted = [false, false];
        pair.run_for(Duration::from_secs(24 * 3600));
        assert_eq!(own_records(&pair, 1), 0);
        assert!(pair.sides[1].chunks.is_empty());
    }
}

/// Saro is no wrapper: what he sends are the frames themselves.
struct Rough(Reliable, Segments);

impl Rough {
    fn pair(seed: u64) -> Pair {
        let reliable = || Reliable::new(PRIVATE, Arc::new(Ratchet::new()));
        let segments = Segments::new(PRIVATE, Arc::new(reliable()));
        let rough: Arc<dyn ConversationProtocol> = Arc::new(Self(reliable(), segments));
        let mut pair = Pair::new(&rough, Faults::NONE, seed);
        pair.run_for(Duration::from_secs(1));
        pair
    }
}

impl ConversationProtocol for Rough {
    fn id(&self) -> &cf_core::ProtocolId {
        self.1.id()
    }
    fn specification(&self) -> &str {
        self.1.specification()
    }
    fn properties(&self) -> cf_core::Properties {
        self.1.properties()
    }
    fn make_offer(
        &self,
        request: cf_core::OfferRequest,
        env: &mut cf_core::Env<'_>,
    ) -> Result<Option<cf_core::MadeOffer>> {
        self.1.make_offer(request, env)
    }
    fn create(
        &self,
        setup: cf_core::Setup,
        env: &mut cf_core::Env<'_>,
    ) -> Result<cf_core::Created> {
        self.0.create(setup, env)
    }
    fn join(
        &self,
        setup: cf_core::Setup,
        env: &mut cf_core::Env<'_>,
    ) -> Result<Box<dyn cf_core::Conversation>> {
        self.1.join(setup, env)
    }
    fn restore(
        &self,
        conversation: cf_core::ConversationId,
        identity: Arc<dyn cf_core::Identity>,
        env: &mut cf_core::Env<'_>,
    ) -> Result<Box<dyn cf_core::Conversation>> {
        self.1.restore(conversation, identity, env)
    }
}

fn segment(content: &str, len: u64, offset: u64, part: &[u8], large: u64) -> Vec<u8> {
    let fields = [
        bytes_field(1, content.as_bytes()),
        field(2, len),
        field(3, offset),
        bytes_field(4, part),
        field(5, large),
    ];
    bytes_field(17, &fields.concat())
}

fn about(number: u64, content: &str) -> Vec<u8> {
    bytes_field(number, &bytes_field(1, content.as_bytes()))
}

/// Gives Raya a frame of Saro's at once.
fn give(pair: &mut Pair, frame: Vec<u8>) -> Result<()> {
    let now = pair.now;
    let fresh = pair.random.below(u64::MAX).to_string();
    pair.sides[0].send(&fresh, frame, now)?;
    let publish = pair.sides[0].outbox.pop().unwrap();
    let incoming = cf_core::Incoming {
        point: crate::pair::point("Raya's point"),
        cursor: None,
        tag: publish.frame.tag,
        body: publish.frame.body,
    };
    pair.sides[1]
        .handle(Input::Frame(incoming), now)
        .map(|_| ())
}

#[test]
fn hostile_segments_are_refused_and_change_nothing() {
    let part = [7; 100];
    let long = ["x"; 65].concat();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("another length", segment("known", 1_001, 100, &part, 1)),
        ("another kind", segment("known", 1_000, 100, &part, 0)),
        ("the same again", segment("known", 1_000, 200, &part, 1)),
        ("an overlap", segment("known", 1_000, 250, &part, 1)),
        ("an overlap before", segment("known", 1_000, 150, &part, 1)),
        ("beyond the end", segment("known", 1_000, 901, &part, 1)),
        ("at the end", segment("known", 1_000, 1_000, &part, 1)),
        (
            "far beyond the end",
            segment("new", 1_000, u64::MAX, &part, 1),
        ),
        ("nothing", segment("new", 1_000, 0, b"", 1)),
        ("nothing of nothing", segment("new", 0, 0, b"", 1)),
        ("crumbs", segment("new", 1_000, 0, &part[..MIN_PART - 1], 1)),
        ("too long", segment("new", MAX_LARGE + 1, 0, &part, 1)),
        (
            "too long for bytes",
            segment("new", MAX_CUT as u64 + 1, 0, &part, 0),
        ),
        ("no id", segment("", 1_000, 0, &part, 1)),
        ("a long id", segment(&long, 1_000, 0, &part, 1)),
        ("whole without an id", about(18, "")),
        ("whole, and was never sent", about(18, "raya's")),
        (
            "two bodies",
            [about(19, "known"), segment("new", 100, 0, &part, 1)].concat(),
        ),
    ];
    for (what, frame) in bad {
        let mut pair = Rough::pair(4);
        give(&mut pair, segment("known", 1_000, 200, &part, 1)).unwrap();
        let now = pair.now;
        pair.sides[1].send_large("raya's", vec![5; 3_000_000], now);
        let records = pair.sides[1].records.clone();
        let (events, chunks) = (pair.sides[1].events.clone(), pair.sides[1].chunks.clone());
        let outbox = pair.sides[1].outbox.len();
        let error = give(&mut pair, frame).expect_err(what);
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Rejected | ErrorKind::Malformed),
            "{what}: {kind:?}"
        );
        let raya = &pair.sides[1];
        assert!(raya.records == records, "{what} changed the records");
        assert!(raya.events == events && raya.chunks == chunks, "{what}");
        assert_eq!(raya.outbox.len(), outbox, "{what}");
        // What is good goes on.
        give(&mut pair, segment("known", 1_000, 300, &part, 1)).unwrap();
        assert_eq!(
            pair.sides[1].chunks.len(),
            1,
            "held until what is missing has come"
        );
    }
}

#[test]
fn a_peer_has_16_incomplete_contents_of_256_mib() {
    let part = [7; 100];
    // By their number.
    let mut pair = Rough::pair(5);
    for number in 0..MAX_INCOMPLETE {
        give(&mut pair, segment(&format!("{number}"), 1_000, 0, &part, 1)).unwrap();
    }
    assert_eq!(pair.sides[1].chunks.len(), MAX_INCOMPLETE);
    let frames = pair.sides[1].outbox.len();
    give(&mut pair, segment("one more", 1_000, 0, &part, 1)).unwrap();
    assert_eq!(pair.sides[1].chunks.len(), MAX_INCOMPLETE);
    assert_eq!(pair.sides[1].outbox.len(), frames + 1, "a refusal is sent");
    pair.publish(1);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.sides[0].contents(), [about(19, "one more")]);
    // Refused once, it stays so when there is room.
    give(&mut pair, about(20, "3")).unwrap();
    assert_eq!(pair.sides[1].chunks.len(), MAX_INCOMPLETE - 1);
    give(&mut pair, segment("one more", 1_000, 100, &part, 1)).unwrap();
    give(&mut pair, segment("3", 1_000, 100, &part, 1)).unwrap();
    assert_eq!(pair.sides[1].chunks.len(), MAX_INCOMPLETE - 1);
    give(&mut pair, segment("another", 1_000, 100, &part, 1)).unwrap();
    assert_eq!(pair.sides[1].chunks.len(), MAX_INCOMPLETE);
    // By their bytes, which are reserved.
    let mut pair = Rough::pair(6);
    for number in 0..MAX_INCOMPLETE_BYTES / MAX_LARGE {
        give(
            &mut pair,
            segment(&format!("{number}"), MAX_LARGE, 0, &part, 1),
        )
        .unwrap();
    }
    give(&mut pair, segment("one more", 101, 0, &part, 1)).unwrap();
    assert_eq!(
        pair.sides[1].chunks.len() as u64,
        MAX_INCOMPLETE_BYTES / MAX_LARGE
    );
    // What is waited for in vain is given up.
    pair.run_for(INCOMPLETE_FOR + Duration::from_secs(1));
    assert!(pair.sides[1].chunks.is_empty());
    assert_eq!(own_records(&pair, 1), 0);
}

#[test]
fn a_refused_content_fails_and_is_never_told_as_delivered() {
    let mut pair = pair(Faults::NONE, 7);
    let now = pair.now;
    // Raya has too many already.
    let parts = |name: &str| vec![name.as_bytes()[0]; 3_000_000];
    let mut restored = pair.sides[1].records.clone();
    for number in 0..MAX_INCOMPLETE as u8 {
        let key = [&[2, b'i'][..], &[b'a' + number]].concat();
        restored.0.insert(
            key.into(),
            [field(1, 1_000), field(2, 1), field(6, now.0)]
                .concat()
                .into(),
        );
    }
    pair.sides[1].records = restored;
    pair.sides[1].restart(now);
    pair.sides[0].send_large("refused", parts("r"), now);
    pair.sides[0]
        .send("cut and refused", vec![1; 9_000], now)
        .unwrap();
    pair.publish(0);
    pair.send(0, "small", "small");
    pair.run_for(Duration::from_secs(60));
    let refused = [ContentState::Failed(FailureReason::Refused)];
    assert_eq!(states(&pair, 0, "refused").last(), Some(&refused[0]));
    assert_eq!(
        states(&pair, 0, "cut and refused").last(),
        Some(&refused[0])
    );
    assert!(!states(&pair, 0, "cut and refused").contains(&ContentState::Delivered));
    assert_eq!(pair.sides[1].contents(), ["small"]);
    assert!(pair.sides[1].chunks.is_empty());
}

#[test]
fn the_end_of_a_conversation_fails_what_was_not_sent() {
    let mut pair = pair(Faults::NONE, 8);
    let now = pair.now;
    pair.sides[0].send_large("large", vec![7; 1_000_000], now);
    pair.publish(0);
    pair.sides[0].handle(Input::Close, now).unwrap();
    let closed = [ContentState::Failed(FailureReason::Closed)];
    assert_eq!(states(&pair, 0, "large")[..], closed);
    let content = Content::Large { len: 9 };
    let send = Input::Send {
        id: Some(id("late")),
        content,
    };
    assert_eq!(
        pair.sides[0].handle(send, now).unwrap_err().kind(),
        ErrorKind::Misuse
    );
}

#[test]
fn a_restored_instance_asks_again_for_the_part_that_it_waits_for() {
    let mut pair = pair(Faults::NONE, 9);
    let now = pair.now;
    let large = random_bytes(&mut SeededRandom::new(9), 300_000);
    pair.sides[0].send_large("large", large.clone(), now);
    for _ in 0..200 {
        pair.publish(0);
        pair.run_for(Duration::from_millis(30));
        pair.sides[0].restart(pair.now);
        pair.sides[1].restart(pair.now);
    }
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.sides[1].joined(&id("large")), large);
}

/// A receiver that is superseded still says what is whole, and what waits for that
/// word only holds nothing up.
#[test]
fn a_superseded_receiver_still_says_what_is_whole() {
    let mut pair = pair(Faults::NONE, 10);
    let names: Vec<_> = (0..2 * MAX_ACTIVE).map(|n| n.to_string()).collect();
    for name in &names {
        let now = pair.now;
        pair.sides[0].send_large(name, vec![7; 20_000], now);
    }
    pair.publish(0);
    pair.sides[1].handle(Input::Supersede, pair.now).unwrap();
    pair.publish(1);
    // What it says is lost at first, and said again.
    pair.muted[1] = true;
    pair.run_for(Duration::from_secs(1));
    pair.sides[1].restart(pair.now);
    pair.muted[1] = false;
    pair.run_for(Duration::from_secs(3600));
    for name in &names {
        let last = states(&pair, 0, name).last().copied();
        assert_eq!(last, Some(ContentState::Delivered), "{name}");
    }
    // When its time is over it keeps nothing of what it said.
    pair.muted = [true; 2];
    pair.sides[0].send_large("late", vec![7; 20_000], pair.now);
    pair.run_for(Duration::from_secs(15 * 24 * 3600));
    assert!(pair.sides[1].outbox.is_empty());
    let kept = pair.sides[1].records.0.keys();
    let unacknowledged = |key: &&Bytes| key.starts_with(&[0, b'u']);
    assert_eq!(kept.filter(unacknowledged).count(), 0);
}
