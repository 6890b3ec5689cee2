//! Exchanges between two conversations, and what others make of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, padded_len};
use cf_core::{
    Capabilities, Content, ContentId, Conversation, ConversationEvent, ConversationId,
    DeliveryAddress, DeliveryPoint, Env, ErrorKind, Frame, Incoming, Input, Locator, Output, Peer,
    PeerId, PointInfo, ProtocolId, Random, RoutingTag, Secret, Setup, Timestamp,
};
use cf_testkit::{NamedIdentity, RecordMap, SeededRandom};
use prost::Message;

use crate::crypto::Key;
use crate::label::PRIVATE_2;
use crate::ratchet::body::Body;
use crate::ratchet::exchange::{Exchange, Stage};
use crate::ratchet::head;
use crate::ratchet::healing::{Healing, HealingSettings};
use crate::ratchet::kem_key::{KEM_CIPHERTEXT_LEN, KEM_KEY_LEN, KemSecret};
use crate::ratchet::plaintext::{self, Plaintext};
use crate::ratchet::ratchet_key::RatchetKey;
use crate::ratchet::session::{Origin, Session, Step};
use crate::ratchet::setup::Settled;
use crate::ratchet::window::NumberedChain;
use crate::wire::ratchet as wire;
use crate::wire::ratchet::healing::Said;

use super::super::RatchetConversation;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const OFTEN: HealingSettings = HealingSettings {
    interval: Duration::from_secs(3600),
    frames: 6,
};
const MAX_BODY: usize = 16 * 1024;

/// The initiator is 0, the responder 1.
struct Two {
    sides: [Side; 2],
    settings: HealingSettings,
    now: Timestamp,
    sent: u32,
}

struct Side {
    talk: RatchetConversation,
    records: RecordMap,
    random: SeededRandom,
    told: Vec<Bytes>,
    outbox: Vec<Frame>,
}

fn point() -> DeliveryPoint {
    DeliveryPoint {
        locator: Locator::parse("memory:test").unwrap(),
        address: DeliveryAddress::new(b"a point".to_vec()).unwrap(),
        framing: ProtocolId::from_static("/cf/framing/tagged/1"),
    }
}

impl Two {
    fn new(settings: HealingSettings, max_body_len: usize, seed: u64) -> Self {
        let origin = Origin::new(&Secret::new(vec![3; 32]), &PRIVATE_2);
        let offer = RatchetKey::from_secret([4; 32]);
        let own = RatchetKey::from_secret([5; 32]);
        let other = RatchetKey::from_secret([6; 32]);
        let public = *own.public();
        let sessions = [
            Session::initiate(&origin, offer.public(), own).unwrap(),
            Session::respond(&origin, &offer, &public, other).unwrap(),
        ];
        let info = PointInfo {
            point: point(),
            max_body_len,
            capabilities: Capabilities::none(max_body_len),
        };
        let mut at = 0;
        let sides = sessions.map(|session| {
            let initiator = at == 0;
            let setup = Setup {
                conversation: ConversationId([7; 16]),
                identity: Arc::new(NamedIdentity::new(["Saro", "Raya"][at])),
                peer: Some(Peer {
                    id: PeerId(1),
                    participant: None,
                    offer: None,
                    points: vec![info.clone()],
                }),
                exported: None,
                offer_secret: None,
                parameters: Bytes::new(),
                points: vec![info.clone()],
                arrived_at: None,
            };
            let settled = Settled::new(&setup, &origin, initiator).unwrap();
            let healing = Healing::new(settings, initiator, NOW);
            at += 1;
            let mut side = Side {
                talk: RatchetConversation::new(settled, session, Some(healing)),
                records: RecordMap::default(),
                random: SeededRandom::new(seed + at as u64),
                told: Vec::new(),
                outbox: Vec::new(),
            };
            side.drain();
            side
        });
        Self {
            sides,
            settings,
            now: NOW,
            sent: 0,
        }
    }

    fn often() -> Self {
        Self::new(OFTEN, MAX_BODY, 1)
    }

    /// Has a side send; gives the frame and its content.
    fn send(&mut self, from: usize) -> (Frame, Bytes) {
        self.sent += 1;
        let content = Bytes::from(format!("content {}", self.sent));
        let input = Input::Send {
            id: ContentId::new(content.clone()).ok(),
            content: Content::Bytes(content.clone()),
        };
        self.sides[from].handle(input, self.now).unwrap();
        (self.sides[from].outbox.pop().unwrap(), content)
    }

    fn receive(&mut self, to: usize, frame: &Frame) -> cf_core::Result<()> {
        self.sides[to].handle(incoming(frame), self.now)
    }

    fn pass(&mut self, from: usize) -> Frame {
        let (frame, content) = self.send(from);
        self.receive(1 - from, &frame).unwrap();
        assert_eq!(*self.sides[1 - from].told.last().unwrap(), content);
        frame
    }

    /// Lets them take turns until a side is at a stage.
    fn until(&mut self, side: usize, stage: &str) {
        for turn in 0..40 {
            if self.stage(side) == stage {
                return;
            }
            self.pass(turn % 2);
        }
        panic!("never {stage}");
    }

    fn exchange(&self, side: usize) -> &Exchange {
        &self.sides[side].talk.healing.as_ref().unwrap().exchange
    }

    fn epochs(&self) -> [u64; 2] {
        [self.exchange(0).epoch, self.exchange(1).epoch]
    }

    fn stage(&self, side: usize) -> &'static str {
        match self.exchange(side).stage {
            Stage::Quiet => "quiet",
            Stage::Asking { .. } => "asking",
            Stage::Agreed { .. } => "agreed",
            Stage::Answering { .. } => "answering",
        }
    }

    fn restart(&mut self, side: usize) {
        let (settings, now) = (self.settings, self.now);
        let side = &mut self.sides[side];
        let mut env = Env {
            now,
            random: &mut side.random,
            records: &side.records,
        };
        side.talk = RatchetConversation::restore(&PRIVATE_2, Some(settings), &mut env).unwrap();
        side.drain();
    }
}

impl Side {
    fn handle(&mut self, input: Input, now: Timestamp) -> cf_core::Result<()> {
        let mut env = Env {
            now,
            random: &mut self.random,
            records: &self.records,
        };
        let result = self.talk.handle(input, &mut env);
        self.drain();
        result
    }

    fn drain(&mut self) {
        while let Some(output) = self.talk.poll_output() {
            match output {
                Output::Record(change) => self.records.apply(change),
                Output::Publish(publish) => self.outbox.push(publish.frame),
                Output::Event(ConversationEvent::Content {
                    content: Content::Bytes(content),
                    ..
                }) => self.told.push(content),
                _ => {}
            }
        }
    }

    /// All that a frame could change.
    fn state(&self) -> (Bytes, Bytes, RecordMap, usize) {
        let head = head::encode(&self.talk.session, self.talk.next_publish);
        let healing = self.talk.healing.as_ref().unwrap().encode();
        (head, healing, self.records.clone(), self.told.len())
    }

    /// A frame in which this side says what it likes.
    fn says(&mut self, healing: wire::Healing) -> Frame {
        let mut text = plaintext::encode(None, NOW, Vec::new(), Bytes::from_static(b"evil"));
        text.healing = Some(healing);
        let standing = RoutingTag([0; 16]);
        let context = self.talk.context.clone();
        let len = text.encoded_len();
        let mut session = self.talk.session.clone();
        session.seal([9; 16], standing, &context, len, |body| {
            text.encode_raw(body);
        })
    }
}

fn incoming(frame: &Frame) -> Input {
    Input::Frame(Incoming {
        point: point(),
        cursor: None,
        tag: frame.tag,
        body: frame.body.clone(),
    })
}

fn key(epoch: u64, key: impl Into<Bytes>) -> wire::Healing {
    let said = Some(Said::Key(key.into()));
    wire::Healing { epoch, said }
}

fn answer(epoch: u64, ciphertext: impl Into<Bytes>) -> wire::Healing {
    let said = Some(Said::Ciphertext(ciphertext.into()));
    wire::Healing { epoch, said }
}

/// Whoever stole a state, and computes every Diffie-Hellman result since: X25519
/// hides no secret from it. What ML-KEM hides it has only if it was stolen.
struct Thief {
    session: Session,
    exchange: Exchange,
    context: Vec<u8>,
}

/// A secret of X25519 that is known.
struct Known([u8; 32]);

impl Random for Known {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }
}

impl Thief {
    fn new(victim: &Side) -> Self {
        Self {
            session: victim.talk.session.clone(),
            exchange: victim.talk.healing.as_ref().unwrap().exchange.clone(),
            context: victim.talk.context.clone(),
        }
    }

    /// Whether it reads a frame that the victim has received; it then makes the
    /// step that the victim has made.
    fn reads_received(&mut self, frame: &Frame, victim: &Side) -> bool {
        let body = Body::split(&frame.body).unwrap();
        for chain in [NumberedChain::Current, NumberedChain::Next] {
            let Some(key) = self.session.header_key(chain).cloned() else {
                continue;
            };
            let Some(number) = (0..64).find(|number| key.tag(*number) == frame.tag) else {
                continue;
            };
            let shared = self.exchange.answered().cloned();
            let opened = (self.session).open(
                chain,
                number,
                &frame.tag,
                &body,
                &self.context,
                shared.as_ref(),
            );
            let Ok((text, step)) = opened else {
                return false;
            };
            if matches!(&step, Step::Next(step) if step.began.mixed) {
                self.exchange.mixed();
            }
            if let Some(heard) = Plaintext::decode(text).unwrap().healing {
                let _ = self.exchange.hear(&heard, &mut SeededRandom::new(0xbad));
            }
            match step {
                Step::Current { receive, .. } => self.session.receive = Some(receive),
                Step::Next(step) => {
                    let mut known = Known(*victim.talk.session.own.secret());
                    let shared = self.exchange.mix();
                    (self.session)
                        .commit_next(&step, &mut known, 0, shared.as_ref())
                        .unwrap();
                }
            }
            return true;
        }
        false
    }

    /// Whether it reads a frame that the victim has sent.
    fn reads_sent(&self, frame: &Frame) -> bool {
        let body = Body::split(&frame.body).unwrap();
        let mut chain = self.session.send.chain.clone();
        (0..64).any(|_| {
            let key = chain.advance();
            body.open(&key, &frame.tag, &self.context).is_ok()
        })
    }
}

/// With X25519 broken, whoever has a state reads on in both directions until a
/// secret is mixed that the state did not have, and nothing after.
#[test]
fn post_compromise_security_without_x25519_from_the_mixed_step_on() {
    let mut healed = 0;
    for victim in 0..2 {
        for stolen_after in (0..36).step_by(2) {
            let mut two = Two::often();
            let mut turns = SeededRandom::new(5);
            for _ in 0..stolen_after {
                two.pass(turns.below(2) as usize);
            }
            let exchange = two.exchange(victim).clone();
            // A secret that was drawn before does not help.
            let worthless = exchange.epoch + u64::from(!matches!(exchange.stage, Stage::Quiet));
            let mut thief = Thief::new(&two.sides[victim]);
            for _ in 0..36 {
                let from = turns.below(2) as usize;
                let (frame, _) = two.send(from);
                let expected = two.exchange(from).epoch <= worthless;
                two.receive(1 - from, &frame).unwrap();
                let reads = match from == victim {
                    true => thief.reads_sent(&frame),
                    false => thief.reads_received(&frame, &two.sides[victim]),
                };
                assert_eq!(reads, expected, "{victim}, {stolen_after}");
                healed += u32::from(!reads);
            }
        }
    }
    assert!(healed > 200, "{healed}");

    // Without exchanges it reads for ever: the healing of private/1 is of no use.
    let never = HealingSettings {
        frames: u64::MAX,
        ..OFTEN
    };
    let mut two = Two::new(never, MAX_BODY, 1);
    let mut thief = Thief::new(&two.sides[1]);
    for turn in 0..60 {
        let from = turn % 2;
        let frame = two.pass(from);
        assert!(match from {
            1 => thief.reads_sent(&frame),
            _ => thief.reads_received(&frame, &two.sides[1]),
        });
    }
}

/// Both go on, and to the same epochs, whatever is lost, repeated and overtaken,
/// and wherever a side is restored from its records.
#[test]
fn exchanges_go_on_through_losses_reordering_and_restarts() {
    for seed in 0..12 {
        let mut two = Two::new(OFTEN, MAX_BODY, seed);
        let mut random = SeededRandom::new(seed ^ 0xcafe);
        let mut wire: Vec<(usize, Frame, Option<Bytes>)> = Vec::new();
        for _ in 0..800 {
            if wire.len() < 12 && random.chance(55) || wire.is_empty() {
                let from = random.below(2) as usize;
                let (frame, content) = two.send(from);
                if !random.chance(25) {
                    wire.push((1 - from, frame, Some(content)));
                }
            } else {
                let at = random.below(wire.len() as u64) as usize;
                let (to, frame, content) = wire.swap_remove(at);
                let told = two.sides[to].told.len();
                let result = two.receive(to, &frame);
                if let Some(content) = content {
                    result.unwrap();
                    assert_eq!(two.sides[to].told[told..], [content]);
                    if random.chance(30) {
                        wire.push((to, frame, None));
                    }
                } else {
                    assert_eq!(two.sides[to].told.len(), told);
                }
            }
            if random.chance(10) {
                two.restart(random.below(2) as usize);
            }
            let [ours, theirs] = two.epochs();
            assert!(ours == theirs || ours == theirs + 1, "{ours}, {theirs}");
        }
        assert!(two.epochs()[1] > 8, "{:?}", two.epochs());
    }
}

/// Restored after every single input, both pass through every stage; the keys of
/// an exchange that is over are in no record.
#[test]
fn a_restart_at_each_point_of_an_exchange_changes_nothing() {
    let mut two = Two::often();
    let mut stages = Vec::new();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for turn in 0..40 {
        let from = turn / 2 % 2;
        let (frame, _) = two.send(from);
        two.restart(from);
        stages.push([two.stage(0), two.stage(1)]);
        two.receive(1 - from, &frame).unwrap();
        two.restart(1 - from);
        // What comes again changes nothing either.
        let before = two.sides[1 - from].state();
        let _ = two.receive(1 - from, &frame);
        assert_eq!(two.sides[1 - from].state(), before);
        stages.push([two.stage(0), two.stage(1)]);
        for side in 0..2 {
            match &two.exchange(side).stage {
                Stage::Quiet => {
                    let mut records = two.sides[side].records.0.values();
                    let is_in = |record: &Bytes, secret: &[u8]| {
                        record.windows(secret.len()).any(|part| part == secret)
                    };
                    assert!(
                        !records.any(|record| secrets.iter().any(|secret| is_in(record, secret)))
                    );
                }
                Stage::Asking { secret, .. } => secrets.push(secret.seed().to_vec()),
                Stage::Agreed { shared } => secrets.push(shared.expose().to_vec()),
                Stage::Answering {
                    shared, ciphertext, ..
                } => {
                    secrets.push(shared.expose().to_vec());
                    secrets.push(ciphertext.to_vec());
                }
            }
        }
    }
    for stage in [
        ["asking", "quiet"],
        ["asking", "answering"],
        ["agreed", "answering"],
        ["quiet", "answering"],
        ["quiet", "quiet"],
    ] {
        assert!(stages.contains(&stage), "never {stage:?}");
    }
    assert!(two.epochs()[1] >= 2);
}

/// What is refused changes nothing, and the conversation goes on.
#[test]
fn forged_keys_and_answers_are_refused_and_change_nothing() {
    let public = KemSecret::new(&[8; 64]).public();
    let mut unreduced = public;
    // Two coefficients of 4,095, over the modulus.
    unreduced[..3].fill(0xff);
    let short = &public[..KEM_KEY_LEN - 1];
    let long = [&public[..], &[0]].concat();
    let (malformed, rejected) = (ErrorKind::Malformed, ErrorKind::Rejected);
    let nothing = wire::Healing {
        epoch: 1,
        said: None,
    };
    let to_responder = vec![
        ("quiet", key(1, unreduced.to_vec()), malformed),
        ("quiet", key(1, short.to_vec()), malformed),
        ("quiet", key(1, long), malformed),
        ("quiet", key(0, short.to_vec()), malformed),
        ("quiet", key(2, public.to_vec()), rejected),
        ("quiet", key(u64::MAX, public.to_vec()), rejected),
        ("quiet", answer(1, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("quiet", nothing.clone(), malformed),
        ("answering", key(1, public.to_vec()), rejected),
        ("answering", key(1, unreduced.to_vec()), rejected),
        ("answering", key(2, public.to_vec()), rejected),
    ];
    let to_initiator = vec![
        ("quiet", answer(1, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("quiet", key(1, public.to_vec()), rejected),
        ("asking", answer(1, vec![1; 1087]), malformed),
        ("asking", answer(1, vec![1; 1089]), malformed),
        ("asking", answer(0, vec![1; 1087]), malformed),
        ("asking", answer(2, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("asking", nothing, malformed),
    ];
    for (to, hostile) in [(1, to_responder), (0, to_initiator)] {
        for (stage, healing, kind) in hostile {
            let mut two = Two::often();
            two.pass(1);
            two.until(to, stage);
            let before = two.sides[to].state();
            let frame = two.sides[1 - to].says(healing.clone());
            let error = two.receive(to, &frame).unwrap_err();
            assert_eq!(error.kind(), kind, "{stage}: {error}");
            assert!(two.sides[to].state() == before, "{stage}: {error}");
            for turn in 0..40 {
                two.pass(turn % 2);
            }
            assert!(two.epochs()[1] >= 2);
        }
    }
}

/// A chain that claims a secret that nobody exchanged is refused, by private/1
/// and private/2.
#[test]
fn a_chain_that_mixes_without_an_exchange_is_refused() {
    let mut two = Two::often();
    two.pass(1);
    two.sides[0].talk.session.send.began.mixed = true;
    let before = two.sides[1].state();
    let (frame, _) = two.send(0);
    let error = two.receive(1, &frame).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(two.sides[1].state() == before);
    two.sides[0].talk.session.send.began.mixed = false;
    two.pass(0);
}

/// A peer that answers with a ciphertext of its own making breaks the
/// conversation for both, by errors and not before the mixed step.
#[test]
fn a_wrong_ciphertext_breaks_the_conversation_and_nothing_else() {
    let mut two = Two::often();
    two.pass(1);
    two.until(0, "asking");
    two.until(1, "answering");
    if let Some(healing) = &mut two.sides[1].talk.healing {
        if let Stage::Answering { ciphertext, .. } = &mut healing.exchange.stage {
            *ciphertext = vec![7; KEM_CIPHERTEXT_LEN].into();
        }
    }
    two.pass(1);
    while two.epochs()[0] == 0 {
        two.pass(1);
    }
    let before = two.sides[1].state();
    let (frame, _) = two.send(0);
    let error = two.receive(1, &frame).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(two.sides[1].state() == before);
}

/// What is said again, and what is said late, is no error and changes nothing.
#[test]
fn replayed_keys_and_answers_change_nothing() {
    let mut two = Two::often();
    two.pass(1);
    two.until(0, "asking");
    let Stage::Asking { key: first, .. } = two.exchange(0).stage.clone() else {
        panic!("it asks");
    };
    two.until(1, "answering");
    let Stage::Answering { ciphertext, .. } = two.exchange(1).stage.clone() else {
        panic!("it answers");
    };
    for stage in ["answering", "quiet", "answering"] {
        two.until(1, stage);
        for (to, said) in [
            (1, key(1, first.clone())),
            (0, answer(1, ciphertext.clone())),
        ] {
            let before = two.exchange(to).clone();
            let frame = two.sides[1 - to].says(said);
            // Its sender has not sent it: what it sends next is another frame.
            let mut copy = Two::often();
            std::mem::swap(&mut copy, &mut two);
            let records = copy.sides[to].records.clone();
            copy.receive(to, &frame).unwrap();
            let after = copy.exchange(to);
            if to == 1 || before.epoch > 0 {
                assert_eq!(after.epoch, before.epoch);
                assert_eq!(format!("{:?}", after.stage), format!("{:?}", before.stage));
            }
            copy.sides[to].records = records;
            copy.restart(to);
            std::mem::swap(&mut copy, &mut two);
        }
    }
}

/// Frames that say something have the padded length of what they carry, and a
/// frame without room for it says nothing.
#[test]
fn frames_of_an_exchange_are_of_a_size_class_and_never_too_long() {
    let mut two = Two::often();
    let mut lengths = Vec::new();
    for turn in 0..40 {
        let from = turn % 2;
        let said = two.exchange(from).said().is_some();
        let frame = two.pass(from);
        let padded = frame.body.len() - BODY_OVERHEAD;
        assert_eq!(padded_len(padded), padded);
        lengths.push((from, said || two.exchange(from).said().is_some(), padded));
    }
    for (from, said, padded) in lengths {
        // Of short contents; the first frames of the responder say its points.
        let expected = match (from, said) {
            (0, true) => 1_280,
            (1, true) => 1_152,
            _ => 256,
        };
        assert_eq!(padded, expected, "{from}");
    }

    // 1,152 bytes have room for an answer, and not for a key.
    let mut two = Two::new(OFTEN, 1_152 + BODY_OVERHEAD, 1);
    for turn in 0..40 {
        let frame = two.pass(turn % 2);
        assert_eq!(frame.body.len(), 256 + BODY_OVERHEAD);
    }
    assert_eq!(two.epochs(), [0, 0]);
    assert_eq!(two.stage(0), "quiet");

    // A frame that is full of content goes without a key that others say.
    let mut two = Two::new(OFTEN, 1_280 + BODY_OVERHEAD, 1);
    two.pass(1);
    two.until(0, "asking");
    let input = Input::Send {
        id: None,
        content: Content::Bytes(vec![b'x'; 1_262].into()),
    };
    two.sides[0].handle(input, NOW).unwrap();
    let frame = two.sides[0].outbox.pop().unwrap();
    assert_eq!(frame.body.len(), 1_280 + BODY_OVERHEAD);
    two.receive(1, &frame).unwrap();
    for turn in 0..8 {
        two.pass(turn % 2);
    }
    assert_eq!(two.epochs(), [1, 1]);
}

/// Only the initiator asks, not before it has heard of the responder, and when
/// time or frames are due by its own clock and count.
#[test]
fn the_initiator_asks_when_time_or_frames_are_due() {
    let settings = HealingSettings {
        interval: Duration::from_secs(100),
        frames: 50,
    };
    let mut two = Two::new(settings, MAX_BODY, 1);
    two.now = NOW.after(Duration::from_secs(1_000));
    two.send(0);
    assert_eq!(two.stage(0), "quiet", "nobody has answered");
    two.pass(1);
    two.pass(1);
    assert_eq!(
        [two.stage(0), two.stage(1)],
        ["quiet"; 2],
        "it says nothing yet"
    );
    two.pass(0);
    assert_eq!([two.stage(0), two.stage(1)], ["asking", "answering"]);
    two.pass(1);
    two.pass(0);
    assert_eq!(two.epochs(), [1, 1]);

    // The responder's clock is of no matter.
    for turn in 0..10 {
        two.now = NOW.after(Duration::from_secs(1_000 + 1_000_000 * turn));
        two.pass(1);
        two.now = NOW.after(Duration::from_secs(1_099));
        two.pass(0);
    }
    assert_eq!(two.stage(0), "quiet");
    // 1 frame after the step, and these; some of them before a restart.
    two.restart(0);
    let before = two.epochs()[0];
    let mut frames = 21;
    while two.stage(0) == "quiet" && two.epochs()[0] == before {
        two.pass(usize::from(frames % 3 == 0));
        frames += 1;
        assert!(frames < 60);
    }
    assert!((48..55).contains(&frames), "{frames}");
}

#[test]
fn debug_shows_no_secret_of_an_exchange() {
    let secret = KemSecret::new(&[8; 64]);
    let mut exchange = Exchange::new(true);
    exchange.stage = Stage::Asking {
        secret,
        key: Bytes::new(),
    };
    assert_eq!(
        format!("{exchange:?}"),
        "Exchange { initiator: true, epoch: 0, \
         stage: Asking { secret: KemSecret(64 bytes), key: b\"\" } }"
    );
    let shared = Key::new([1; 32]);
    assert_eq!(
        format!("{:?}", Stage::Agreed { shared }),
        "Agreed { shared: Key(32 bytes) }"
    );
}
