use bytes::Bytes;
use cf_core::{ErrorKind, Frame, FramingStrategy, InstanceId, Random, Routed, RoutingTag};

use super::law::{CANONICAL, DETERMINISTIC, EMPTY, LIMIT, ROUND_TRIP};
use super::{FramingUnderTest, frame};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// Body lengths around the steps of usual encodings.
const LENGTHS: [usize; 12] = [1, 2, 15, 16, 17, 127, 128, 255, 256, 4096, 16_384, 70_000];

/// Any router gives a frame's tag and body back: one that expects it, and one
/// that expects nothing.
///
/// # Errors
/// The violation, if there is one.
pub fn what_is_encoded_is_routed_to_the_same_tag_and_body(at: FramingUnderTest) -> Verdict {
    let law = &ROUND_TRIP;
    let random = &mut SeededRandom::new(1);
    for len in LENGTHS.into_iter().chain(3..40) {
        let frame = frame(random, len);
        let payload = law.needs("encoding", at.strategy.encode(&frame, usize::MAX))?;
        for router in [at.strategy.router(), at.router_for(&frame)] {
            let routed = law.needs("routing what was encoded", router.route(&payload))?;
            let Routed { tag, body, .. } = routed;
            ensure!(
                law,
                body == frame.body,
                "{len} bytes came back as {} others",
                body.len()
            );
            ensure!(
                law,
                tag == frame.tag,
                "{:?} came back as {tag:?}",
                frame.tag
            );
        }
        let routed = law.needs("routing", at.router_for(&frame).route(&payload))?;
        let expected = Some(InstanceId(1));
        ensure!(
            law,
            routed.instance == expected,
            "the instance that expects it was not found"
        );
    }
    Ok(())
}

/// The same frame gives the same bytes, whatever the limit is.
///
/// # Errors
/// The violation, if there is one.
pub fn encoding_is_deterministic(at: FramingUnderTest) -> Verdict {
    let law = &DETERMINISTIC;
    let random = &mut SeededRandom::new(2);
    for len in LENGTHS {
        let frame = frame(random, len);
        let first = law.needs("encoding", at.strategy.encode(&frame, usize::MAX))?;
        for limit in [usize::MAX, usize::MAX, first.len() + 1000, usize::MAX] {
            let again = law.needs("encoding", at.strategy.encode(&frame, limit))?;
            ensure!(
                law,
                again == first,
                "a body of {len} bytes was encoded in two ways"
            );
        }
    }
    Ok(())
}

/// For many limits, the longest body makes a payload within the limit, and one
/// byte more is refused.
///
/// # Errors
/// The violation, if there is one.
pub fn a_body_of_the_limit_fits_and_one_byte_more_is_refused(at: FramingUnderTest) -> Verdict {
    let law = &LIMIT;
    let random = &mut SeededRandom::new(3);
    for limit in (0..400)
        .chain(4090..4100)
        .chain(16_300..16_500)
        .chain([70_000])
    {
        let max = at.strategy.max_body_len(limit);
        ensure!(
            law,
            max <= limit,
            "a payload of {limit} bytes holds a body of {max}"
        );
        for len in [max / 2, max].into_iter().filter(|len| *len > 0) {
            let encoded = at.strategy.encode(&frame(random, len), limit);
            let payload = law.needs("encoding a body within the limit", encoded)?;
            let found = payload.len();
            ensure!(
                law,
                found <= limit,
                "a body of {len} took {found} bytes of {limit}"
            );
        }
        let kind = kind(&*at.strategy, &frame(random, max + 1), limit);
        ensure!(
            law,
            kind == Some(ErrorKind::Rejected),
            "a body of {} bytes under a limit of {limit} gave {kind:?}",
            max + 1
        );
    }
    Ok(())
}

/// A frame without a body is refused.
///
/// # Errors
/// The violation, if there is one.
pub fn an_empty_body_is_refused(at: FramingUnderTest) -> Verdict {
    let law = &EMPTY;
    let frame = Frame::new(RoutingTag([1; 16]), "");
    let kind = kind(&*at.strategy, &frame, 1024);
    ensure!(law, kind == Some(ErrorKind::Rejected), "it gave {kind:?}");
    Ok(())
}

fn kind(strategy: &dyn FramingStrategy, frame: &Frame, limit: usize) -> Option<ErrorKind> {
    strategy
        .encode(frame, limit)
        .err()
        .map(|error| error.kind())
}

/// Altered payloads and random bytes are malformed, or are exactly what `encode`
/// makes of some other frame.
///
/// # Errors
/// The violation, if there is one.
pub fn only_what_encode_makes_is_routed(at: FramingUnderTest) -> Verdict {
    let law = &CANONICAL;
    let random = &mut SeededRandom::new(4);
    for round in 0..300 {
        let frame = frame(random, 1 + round % 150);
        let payload = law.needs("encoding", at.strategy.encode(&frame, usize::MAX))?;
        check(&at, &frame, &payload, "an untouched payload")?;
        for (what, bytes) in alterations(random, &payload) {
            check(&at, &frame, &bytes.into(), what)?;
        }
    }
    Ok(())
}

/// What may be done to a payload.
fn alterations(random: &mut SeededRandom, payload: &Bytes) -> Vec<(&'static str, Vec<u8>)> {
    let place = random.below(payload.len() as u64) as usize;
    let mut noise = vec![0; 1 + random.below(40) as usize];
    random.fill(&mut noise);
    let mut flipped = payload.to_vec();
    flipped[place] ^= 1 << random.below(8);
    let mut inserted = payload.to_vec();
    inserted.insert(place, noise[0]);
    let mut removed = payload.to_vec();
    removed.remove(place);
    let (front, back) = payload.split_at(place);
    vec![
        ("a flipped bit", flipped),
        ("an inserted byte", inserted),
        ("a removed byte", removed),
        ("a payload cut short", front.to_vec()),
        ("the end of a payload", back.to_vec()),
        ("a byte behind a payload", [payload, &noise[..1]].concat()),
        ("bytes behind a payload", [payload, &noise[..]].concat()),
        ("a payload twice", [&payload[..], payload].concat()),
        ("a payload with its front again", [payload, front].concat()),
        ("a payload with halves exchanged", [back, front].concat()),
        ("random bytes", noise),
        ("nothing", Vec::new()),
    ]
}

/// Routes bytes: malformed, or what `encode` makes.
fn check(at: &FramingUnderTest, frame: &Frame, bytes: &Bytes, what: &str) -> Verdict {
    let law = &CANONICAL;
    let routed = match at.router_for(frame).route(bytes) {
        Ok(routed) => routed,
        Err(error) if error.kind() == ErrorKind::Malformed => return Ok(()),
        Err(error) => return Err(law.broken(format!("{what} gave {error:?}"))),
    };
    let found = Frame {
        tag: routed.tag,
        standing: frame.standing,
        body: routed.body,
    };
    let Ok(again) = at.strategy.encode(&found, usize::MAX) else {
        return Err(law.broken(format!("{what} was routed, and can't be encoded")));
    };
    // A blinded hint that nobody here expects can't be made again: its frame
    // still has one length.
    let is_same = match routed.instance.is_none() && at.is_blinded() {
        true => again.len() == bytes.len(),
        false => again == *bytes,
    };
    ensure!(
        law,
        is_same,
        "{what} was routed as a frame that is encoded otherwise"
    );
    Ok(())
}
