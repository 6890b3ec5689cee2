//! Exchanges between two conversations, and what others make of them.

mod hostile;
mod thief;
mod two;

use std::time::Duration;

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, padded_len};
use cf_core::{Content, Frame, Input};
use cf_testkit::SeededRandom;

use crate::crypto::Key;
use crate::ratchet::exchange::{Exchange, Stage};
use crate::ratchet::healing::HealingSettings;
use crate::ratchet::kem_key::KemSecret;

use two::{MAX_BODY, NOW, OFTEN, Two};

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
    let mut random = SeededRandom::new(3);
    for _ in 0..100 {
        // What both say before either has heard the other.
        let mut frames = Vec::new();
        for _ in 0..1 + random.below(3) {
            let from = random.below(2) as usize;
            frames.push((1 - from, two.send(from).0));
            two.restart(from);
            stages.push([two.stage(0), two.stage(1)]);
        }
        for (to, frame) in frames {
            two.receive(to, &frame).unwrap();
            two.restart(to);
            // What comes again changes nothing either.
            let before = two.sides[to].state();
            let _ = two.receive(to, &frame);
            assert_eq!(two.sides[to].state(), before);
            stages.push([two.stage(0), two.stage(1)]);
        }
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
