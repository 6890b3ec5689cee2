use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{ContentId, ConversationEvent, Input, Timestamp};

use super::ConversationUnderTest;
use super::establish::CONVERSATION;
use super::law::{KEY_STREAM, RESTORED, TAGS};
use super::pair::{Pair, Weather};
use super::side::Side;
use crate::law::ensure;
use crate::{Faults, SeededRandom, Verdict};

/// A run with restarts of both sides between all that happens tells the same as
/// one without, and a restored instance asks for what was in force.
///
/// # Errors
/// The violation, if there is one.
pub fn a_restored_instance_behaves_as_before(at: ConversationUnderTest) -> Verdict {
    let law = &RESTORED;
    for seed in 0..4 {
        let calm = run(&at, seed, false)?;
        let restarted = run(&at, seed, true)?;
        for side in 0..2 {
            let heard = |pair: &Pair<'_>| -> BTreeSet<Bytes> {
                let heard = pair.heard(side).into_iter();
                heard.map(|(_, bytes)| bytes.clone()).collect()
            };
            let (one, other) = (heard(&calm), heard(&restarted));
            ensure!(
                law,
                one == other,
                "with restarts, side {side} was told {} contents, not the {} of before (seed {seed})",
                other.len(),
                one.len()
            );
            let (one, other) = (states(&calm, side), states(&restarted, side));
            ensure!(
                law,
                one == other,
                "with restarts, side {side} was told {other:?}, not {one:?}"
            );
        }
    }
    Ok(())
}

fn run(at: &ConversationUnderTest, seed: u64, restarts: bool) -> Verdict<Pair<'_>> {
    let law = &RESTORED;
    let weather = Weather {
        network: Faults {
            delay: Duration::from_millis(200),
            reordering: 50,
            ..Faults::NONE
        },
        ..Weather::GOOD
    };
    let mut pair = Pair::new(law, at, weather, seed)?;
    for number in 0..12 {
        let from = number % pair.senders();
        // Several at once, of which later ones may arrive first.
        for part in 0..3 {
            let text = format!("part {part} of content {number} of seed {seed}");
            pair.send_bytes(from, text.into())?;
        }
        for _ in 0..4 {
            if restarts {
                for side in 0..2 {
                    check_in_force(&mut pair, side)?;
                }
            }
            pair.run_for(Duration::from_millis(60))?;
        }
    }
    pair.run_for(Duration::from_secs(3600))?;
    Ok(pair)
}

/// Restarts a side; what it listens at, its standing tags and whether it wants
/// to be woken are as before.
fn check_in_force(pair: &mut Pair<'_>, side: usize) -> Verdict {
    let law = &RESTORED;
    let before = &pair.sides[side];
    let mut copy = before.copy(law, CONVERSATION, pair.now)?;
    let (one, other) = (&before.listening, &copy.listening);
    ensure!(
        law,
        one == other,
        "restored, it listens at {other:?}, not at {one:?}"
    );
    let (one, other) = (&before.standing, &copy.standing);
    ensure!(
        law,
        one == other,
        "restored, it expects {other:?}, not {one:?}"
    );
    check_routed(pair, side, &mut copy)?;
    let before = &pair.sides[side];
    let is_lost = copy.wake == Timestamp::NEVER && before.wake < Timestamp::NEVER;
    ensure!(law, !is_lost, "restored, it does not want to be woken");
    pair.restart(side)
}

/// What is on its way and was expected is expected by the copy as well, at the
/// latest after a miss.
fn check_routed(pair: &Pair<'_>, side: usize, copy: &mut Side) -> Verdict {
    let law = &RESTORED;
    let expected = &pair.sides[side].single_use;
    let frames = pair.on_the_way().filter(|(to, ..)| *to == side);
    for (_, incoming, _) in frames.filter(|(_, frame, _)| expected.contains(&frame.tag)) {
        if !copy.single_use.contains(&incoming.tag) {
            let miss = Input::Miss {
                point: incoming.point.clone(),
                cursor: incoming.cursor.clone(),
                tag: incoming.tag,
                budget: 4096,
            };
            copy.handle(miss, pair.now).0.ok();
        }
        let is_routed = copy.single_use.contains(&incoming.tag);
        ensure!(
            law,
            is_routed,
            "restored, it does not expect a frame that is on its way"
        );
    }
    Ok(())
}

/// The last state of each content that a side was told, by the content's place.
fn states(pair: &Pair<'_>, side: usize) -> Vec<Option<String>> {
    let mut last: BTreeMap<&ContentId, String> = BTreeMap::new();
    for (_, event) in pair.told.iter().filter(|(who, _)| *who == side) {
        if let ConversationEvent::State { id, state } = event {
            last.insert(id, format!("{state:?}"));
        }
    }
    pair.sent[side]
        .iter()
        .map(|(id, _)| last.get(id).cloned())
        .collect()
}

/// Over a bad link with restarts, a single-use tag stands for one body, and a
/// publish id for one frame.
///
/// # Errors
/// The violation, if there is one.
pub fn no_tag_is_used_for_two_frames(at: ConversationUnderTest) -> Verdict {
    let law = &TAGS;
    for seed in 0..4 {
        let often = Weather {
            restart: 30,
            ..Weather::BAD
        };
        let mut pair = Pair::new(law, &at, often, seed)?;
        pair.talk(25)?;
        pair.run_for(Duration::from_secs(60 * 60))?;
        let standing: BTreeSet<_> = pair.sides.iter().flat_map(|side| &side.standing).collect();
        let mut bodies = BTreeMap::new();
        let mut frames = BTreeMap::new();
        for (side, publish) in &pair.published {
            let frame = &publish.frame;
            let first = frames.entry((side, publish.id)).or_insert(frame);
            let id = publish.id;
            ensure!(
                law,
                *first == frame,
                "{id:?} names two frames (seed {seed})"
            );
            if frame.tag == frame.standing || standing.contains(&frame.tag) {
                continue;
            }
            let first = bodies.entry(frame.tag).or_insert(&frame.body);
            let tag = frame.tag;
            ensure!(
                law,
                frame.body == *first,
                "{tag:?} was used for two bodies (seed {seed})"
            );
        }
    }
    Ok(())
}

/// An instance restored from records of before its last frame sends other bytes:
/// the two bodies differ by more than their contents do.
///
/// # Errors
/// The violation, if there is one.
pub fn no_key_and_nonce_are_used_for_different_bytes(at: ConversationUnderTest) -> Verdict {
    const LEN: usize = 300;
    let law = &KEY_STREAM;
    if !at.protocol.properties().confidential {
        return law.not_declared("confidential");
    }
    for seed in 0..3 {
        let mut pair = Pair::new(law, &at, Weather::GOOD, seed)?;
        pair.talk(5)?;
        pair.run_for(Duration::from_secs(60))?;
        for side in 0..pair.senders() {
            let mut older = pair.sides[side].copy(law, CONVERSATION, pair.now)?;
            older.random = SeededRandom::new(seed ^ 0x01d);
            std::mem::swap(&mut pair.sides[side], &mut older);
            pair.send_bytes(side, vec![b'A'; LEN].into())?;
            std::mem::swap(&mut pair.sides[side], &mut older);
            pair.send_bytes(side, vec![b'B'; LEN].into())?;
            pair.send_bytes(side, vec![b'C'; LEN].into())?;
        }
        let bodies: Vec<_> = pair
            .published
            .iter()
            .map(|(_, p)| p.frame.body.clone())
            .collect();
        for (index, body) in bodies.iter().enumerate() {
            for other in &bodies[..index] {
                let run = longest_run(body, other);
                ensure!(
                    law,
                    run < 48,
                    "the xor of two bodies has {run} equal bytes in a row"
                );
            }
        }
    }
    Ok(())
}

/// The longest run of one byte, zero aside, in the xor of two bodies.
fn longest_run(one: &[u8], other: &[u8]) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, 0);
    for byte in one.iter().zip(other).map(|(a, b)| a ^ b) {
        run = if byte == last && byte != 0 {
            run + 1
        } else {
            1
        };
        last = byte;
        longest = longest.max(if byte == 0 { 0 } else { run });
    }
    longest
}
