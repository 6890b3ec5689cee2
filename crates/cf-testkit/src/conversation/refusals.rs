use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ConversationEvent, EmptyRecords, Env, ErrorKind, Incoming, Input, Random,
    RoutingTag,
};

use super::ConversationUnderTest;
use super::establish::{self, CONVERSATION, Parts};
use super::law::{BUDGET, FORGED, NEEDS, PARAMETERS, REJECTED, UNKNOWN};
use super::pair::{Pair, Weather};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// Two runs from one seed, of which one gets inputs in between that give errors,
/// are the same in everything that they put out.
///
/// # Errors
/// The violation, if there is one.
pub fn a_refused_input_changes_nothing(at: ConversationUnderTest) -> Verdict {
    let law = &REJECTED;
    for seed in 0..3 {
        let (calm, _) = run(&at, seed, false)?;
        let (disturbed, refused) = run(&at, seed, true)?;
        ensure!(law, refused > 20, "only {refused} bad inputs were refused");
        for side in 0..2 {
            let (one, other) = (&calm.sides[side].records, &disturbed.sides[side].records);
            ensure!(
                law,
                one == other,
                "after refused inputs, side {side} has other records"
            );
        }
        let told = calm.told == disturbed.told;
        ensure!(law, told, "after refused inputs, other events are told");
        let published = |pair: &Pair<'_>| -> Vec<_> {
            let frames = pair.published.iter();
            frames
                .map(|(side, publish)| (*side, publish.id, publish.frame.clone()))
                .collect()
        };
        let same = published(&calm) == published(&disturbed);
        ensure!(
            law,
            same,
            "after refused inputs, other frames are published"
        );
    }
    Ok(())
}

/// One run, with bad inputs before every frame or without; how many of them were
/// refused.
fn run(at: &ConversationUnderTest, seed: u64, disturbed: bool) -> Verdict<(Pair<'_>, usize)> {
    let law = &REJECTED;
    let mut pair = Pair::new(law, at, Weather::GOOD, seed)?;
    pair.run_for(Duration::from_secs(60))?;
    let random = &mut SeededRandom::new(seed ^ 0xbad);
    let mut refused = 0;
    for round in 0..6 {
        for from in 0..pair.senders() {
            pair.send(from, 30 + round)?;
            pair.send(from, 400)?;
            if disturbed {
                refused += disturb(&mut pair, random)?;
            }
            pair.run_for(Duration::from_secs(2))?;
        }
    }
    pair.run_for(Duration::from_secs(60))?;
    Ok((pair, refused))
}

/// Gives both sides inputs that they have to refuse. Only what a copy of the
/// instance refuses is given to the instance: what is authenticated by nothing
/// may be taken.
fn disturb(pair: &mut Pair<'_>, random: &mut SeededRandom) -> Verdict<usize> {
    let law = pair.law;
    let mut refused = 0;
    for (to, incoming, _) in pair.on_the_way().cloned().collect::<Vec<_>>() {
        let mut bad = Vec::new();
        for _ in 0..6 {
            bad.push(Bad::Frame(altered(random, &incoming)));
        }
        bad.extend([Bad::Chunk, Bad::TooLong, Bad::Large]);
        for bad in bad {
            let mut copy = pair.sides[to].copy(law, CONVERSATION, pair.now)?;
            if copy.handle_with(bad.input()?, pair.now, random).0.is_ok() {
                continue;
            }
            let side = &mut pair.sides[to];
            let records = side.records.clone();
            let (result, outputs) = side.handle_with(bad.input()?, pair.now, random);
            let Err(error) = result else {
                return Err(law.broken("an input was refused by a restored instance only"));
            };
            ensure!(law, outputs == 0, "{error:?} came with {outputs} outputs");
            ensure!(
                law,
                side.records == records,
                "{error:?} changed the records"
            );
            refused += 1;
        }
    }
    Ok(refused)
}

/// An input that is bad in itself.
enum Bad {
    Frame(Incoming),
    Chunk,
    TooLong,
    Large,
}

impl Bad {
    fn input(&self) -> Verdict<Input> {
        let id = REJECTED.needs("a content id", ContentId::new("nobody asked for it"))?;
        Ok(match self {
            Self::Frame(incoming) => Input::Frame(incoming.clone()),
            Self::Chunk => Input::Chunk {
                content: id,
                offset: 7,
                bytes: "part".into(),
            },
            Self::TooLong => Input::Send {
                id: Some(id),
                content: Content::Bytes(vec![7; 1024 * 1024].into()),
            },
            Self::Large => Input::Send {
                id: Some(id),
                content: Content::Large { len: u64::MAX },
            },
        })
    }
}

fn altered(random: &mut SeededRandom, good: &Incoming) -> Incoming {
    let mut incoming = good.clone();
    let mut body = good.body.to_vec();
    let place = random.below(body.len() as u64) as usize;
    match random.below(6) {
        0 => body.truncate(place),
        1 => body.push(0),
        2 => random.fill(&mut body),
        3 => drop(body.drain(..=place)),
        4 => incoming.tag.0[place % 16] ^= 1 << random.below(8),
        _ => body[place] ^= 1 << random.below(8),
    }
    incoming.body = body.into();
    incoming
}

/// Altered frames, before and after the good ones, and frames of another
/// conversation tell nothing that was not sent; the good ones then do.
///
/// # Errors
/// The violation, if there is one.
pub fn a_forged_frame_brings_no_content(at: ConversationUnderTest) -> Verdict {
    let law = &FORGED;
    if !at.protocol.properties().authenticated {
        return law.not_declared("authenticated");
    }
    let random = &mut SeededRandom::new(3);
    for seed in 0..3 {
        let mut pair = Pair::new(law, &at, Weather::GOOD, seed)?;
        let mut foreign = Pair::new(law, &at, Weather::GOOD, seed ^ 0x77)?;
        for round in 0..4 {
            let from = round % pair.senders();
            for other in [&mut pair, &mut foreign] {
                other.send(from, 100)?;
            }
            let on_the_way: Vec<_> = pair.on_the_way().cloned().collect();
            // Without a secret, another conversation of the same author at the same
            // place may be the same one.
            let has_secret = at.protocol.properties().confidential;
            let strange = foreign.on_the_way().filter(|_| has_secret);
            let strange: Vec<_> = strange.map(|(_, frame, _)| frame.body.clone()).collect();
            for after in [false, true] {
                for (to, good, _) in &on_the_way {
                    for number in 0..25 {
                        let mut bad = altered(random, good);
                        if let Some(body) = strange.get(number) {
                            bad.body = body.clone();
                        }
                        if bad.tag == good.tag && bad.body == good.body {
                            continue;
                        }
                        pair.sides[*to]
                            .handle_with(Input::Frame(bad), pair.now, random)
                            .0
                            .ok();
                        // An altered tag alone may leave the content authentic.
                        let sent = &pair.sent[1 - to];
                        let told = pair.sides[*to].events.iter().any(|event| match event {
                            ConversationEvent::Content {
                                id,
                                content: Content::Bytes(bytes),
                                ..
                            } => !sent.iter().any(|(i, b)| (i, b) == (id, bytes)),
                            _ => false,
                        });
                        let when = if after { "after" } else { "before" };
                        ensure!(
                            law,
                            !told,
                            "a forged frame {when} the good one told content"
                        );
                        pair.collect(*to);
                    }
                }
                pair.run_for(Duration::from_secs(5))?;
            }
            let (id, bytes) = &pair.sent[from][pair.sent[from].len() - 1];
            let arrived = pair.heard(1 - from).contains(&(id, bytes));
            ensure!(
                law,
                arrived,
                "after forged frames, the good one did not arrive"
            );
        }
    }
    Ok(())
}

/// A part of a content that nobody asked for gives an error of the right kind.
///
/// # Errors
/// The violation, if there is one.
pub fn an_unknown_input_is_refused(at: ConversationUnderTest) -> Verdict {
    use ErrorKind::{Misuse, Rejected, Unsupported};
    let law = &UNKNOWN;
    let mut pair = Pair::new(law, &at, Weather::GOOD, 1)?;
    for side in 0..2 {
        let (result, outputs) = pair.sides[side].handle(Bad::Chunk.input()?, pair.now);
        let kind = result.err().map(|error| error.kind());
        let is_refused = matches!(kind, Some(Unsupported | Misuse | Rejected));
        ensure!(
            law,
            is_refused,
            "a chunk that nobody asked for gave {kind:?}"
        );
        ensure!(law, outputs == 0, "it put {outputs} outputs out");
    }
    Ok(())
}

/// For a tag that is nobody's, no more tags are expected than the budget allows.
///
/// # Errors
/// The violation, if there is one.
pub fn a_miss_is_answered_within_its_budget(at: ConversationUnderTest) -> Verdict {
    let law = &BUDGET;
    let mut pair = Pair::new(law, &at, Weather::GOOD, 2)?;
    pair.talk(6)?;
    pair.run_for(Duration::from_secs(60))?;
    for budget in [0, 1, 7, 100, 1000] {
        for side in 0..2 {
            let side = &mut pair.sides[side];
            let Some(point) = side.listening.iter().next().cloned() else {
                continue;
            };
            let before = side.single_use.len();
            let tag = RoutingTag([0xa5; 16]);
            let miss = Input::Miss {
                point,
                cursor: None,
                tag,
                budget,
            };
            let (result, _) = side.handle(miss, pair.now);
            let more = side.single_use.len().saturating_sub(before);
            ensure!(
                law,
                more <= budget as usize,
                "a budget of {budget} gave {more} tags"
            );
            let is_bad = result.is_err_and(|error| error.kind() == ErrorKind::Other);
            ensure!(law, !is_bad, "a miss is an error of nobody's");
        }
    }
    Ok(())
}

/// Parameters that were cut, extended or made up are refused, by an error that
/// blames their sender.
///
/// # Errors
/// The violation, if there is one.
pub fn hostile_parameters_are_refused(at: ConversationUnderTest) -> Verdict {
    use ErrorKind::{Malformed, Rejected};
    let law = &PARAMETERS;
    let (parts, good) = establish::parameters(law, &at)?;
    if good.is_empty() {
        println!("not asserted, since an invite has no parameters: {law}");
        return Ok(());
    }
    let random = &mut SeededRandom::new(9);
    law.needs("joining", parts.join(&at, good.clone(), random))?;
    let mut noise = vec![0; good.len() + 1];
    random.fill(&mut noise);
    let mut bad: Vec<(&str, Bytes)> = vec![
        ("no parameters", Bytes::new()),
        ("a byte more", [&good[..], &[0]].concat().into()),
        ("parameters twice", [&good[..], &good].concat().into()),
        ("random parameters", noise.into()),
        ("long parameters", vec![0xff; 100_000].into()),
    ];
    for len in 0..good.len().min(200) {
        bad.push(("cut parameters", good.slice(..len)));
    }
    for (what, parameters) in bad {
        let kind = parts
            .join(&at, parameters, random)
            .err()
            .map(|error| error.kind());
        let is_refused = matches!(kind, Some(Malformed | Rejected));
        ensure!(law, is_refused, "{what} gave {kind:?}");
    }
    Ok(())
}

/// Without conditional publish, a conversation that needs it is not created.
///
/// # Errors
/// The violation, if there is one.
pub fn what_a_protocol_needs_is_checked(at: ConversationUnderTest) -> Verdict {
    let law = &NEEDS;
    if !at.protocol.properties().needs_conditional_publish {
        return law.not_declared("a need of conditional publish");
    }
    let random = &mut SeededRandom::new(4);
    let parts = Parts::new(law, &at, random)?;
    for missing in ["conditional publish", "order"] {
        let mut kinds = Vec::new();
        for peer in [Some(parts.peer(false)), None] {
            let mut setup = parts.created_setup(peer);
            for info in setup
                .points
                .iter_mut()
                .chain(setup.peer.iter_mut().flat_map(|p| &mut p.points))
            {
                match missing {
                    "order" => info.capabilities.order = false,
                    _ => info.capabilities.conditional_publish = false,
                }
            }
            let mut env = Env {
                now: super::NOW,
                random,
                records: &EmptyRecords,
            };
            kinds.push(
                at.protocol
                    .create(setup, &mut env)
                    .err()
                    .map(|error| error.kind()),
            );
        }
        let is_created = kinds.contains(&None);
        let is_told = kinds.contains(&Some(ErrorKind::Unsupported));
        ensure!(
            law,
            is_told && !is_created,
            "without {missing}, creating gave {kinds:?}"
        );
    }
    Ok(())
}
