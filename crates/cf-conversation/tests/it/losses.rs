//! What others lose a conversation over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{PRIVATE, Ratchet, Reliable, ReliableSettings};
use cf_core::{
    ContentState, ConversationEvent, ConversationProtocol, ErrorKind, FailureReason, Incoming,
    Input, Publish,
};

use crate::pair::{Faults, Pair, Side, point, reliable};
use crate::wiretap::Wiretap;

const HOUR: Duration = Duration::from_secs(3600);

/// A pair in which both have heard from each other.
fn settled(protocol: &Arc<dyn ConversationProtocol>, seed: u64) -> Pair {
    let mut pair = Pair::new(protocol, Faults::NONE, seed);
    for (from, id) in [(1, "hello"), (0, "hello"), (1, "well"), (0, "well")] {
        pair.send(from, id, id);
        pair.run_for(Duration::from_secs(10));
    }
    for side in &mut pair.sides {
        side.events.clear();
    }
    pair
}

fn arriving(publish: &Publish) -> Incoming {
    Incoming {
        point: point("Raya's point"),
        cursor: None,
        tag: publish.frame.tag,
        body: publish.frame.body.clone(),
    }
}

/// Has a content of Saro's encrypted and takes its payload.
fn sealed(pair: &mut Pair, id: &str) -> Publish {
    pair.sides[0].send(id, id.to_owned(), pair.now).unwrap();
    pair.sides[0].outbox.pop().unwrap()
}

fn count(side: &Side, wanted: ContentState) -> usize {
    let is_wanted = |event: &&ConversationEvent| matches!(event, ConversationEvent::State { state, .. } if *state == wanted);
    side.events.iter().filter(is_wanted).count()
}

/// Whether a gap was told that has not closed.
fn gap_is_open(side: &Side) -> bool {
    let gap = side.events.iter().rev().find_map(|event| match event {
        ConversationEvent::Gap { .. } => Some(true),
        ConversationEvent::GapClosed => Some(false),
        _ => None,
    });
    gap.unwrap_or(false)
}

/// Loses so many payloads of Saro's in a row; then everything arrives, that of
/// Raya's too.
fn loses_and_recovers(protocol: &Arc<dyn ConversationProtocol>, payloads: u64, turned: bool) {
    let mut pair = settled(protocol, payloads);
    if turned {
        // The first of them would have begun a chain.
        pair.send(1, "turn", "turn");
        pair.run_for(Duration::from_secs(10));
    }
    pair.muted[0] = true;
    pair.lost = 0;
    let mut sent: Vec<String> = (0..payloads).map(|number| format!("{number}")).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    // What the window has no room for is queued: the rest are resends.
    while pair.lost < payloads {
        pair.run_for(Duration::from_secs(1));
    }
    assert!(pair.sides[1].contents().is_empty());
    pair.muted[0] = false;
    pair.sides[1].restart(pair.now);
    pair.send(0, "last", "last");
    sent.push("last".to_owned());
    pair.run_for(3 * HOUR);
    let mut contents = pair.sides[1].contents();
    // The last may have come first, behind a gap.
    contents.sort_by_key(|text| {
        let number = std::str::from_utf8(text).unwrap().parse::<u64>();
        number.unwrap_or(u64::MAX)
    });
    assert!(contents == sent, "{} of {}", contents.len(), sent.len());
    assert!(!gap_is_open(&pair.sides[1]));
    assert_eq!(count(&pair.sides[0], ContentState::Delivered), sent.len());
    for number in 0..20 {
        let text = format!("and further {number}");
        for from in [0, 1] {
            pair.send(from, &text, text.clone());
            pair.run_for(Duration::from_secs(1));
            assert_eq!(*pair.sides[1 - from].contents().last().unwrap(), text);
        }
    }
}

#[test]
fn a_conversation_recovers_from_12_losses_in_a_row() {
    for protocol in &reliable() {
        loses_and_recovers(protocol, 12, false);
        loses_and_recovers(protocol, 12, true);
    }
}

#[test]
fn a_conversation_recovers_from_1_000_losses_in_a_row() {
    for protocol in &reliable() {
        loses_and_recovers(protocol, 1_000, false);
        loses_and_recovers(protocol, 1_000, true);
    }
}

#[test]
fn a_conversation_recovers_from_20_000_losses_in_a_row() {
    for protocol in &reliable() {
        loses_and_recovers(protocol, 20_000, true);
    }
}

#[test]
fn one_more_arrives_after_1_000_whose_lifetime_ended() {
    for protocol in &reliable() {
        let mut pair = settled(protocol, 1);
        pair.muted = [true; 2];
        for number in 0..1_000 {
            let text = format!("too late {number}");
            pair.send(0, &text, text.clone());
        }
        pair.run_for(15 * 24 * HOUR);
        let expired = ContentState::Failed(FailureReason::Expired);
        assert_eq!(count(&pair.sides[0], expired), 1_000);
        pair.muted = [false; 2];
        pair.send(0, "one more", "one more");
        pair.run_for(Duration::from_secs(60));
        assert_eq!(pair.sides[1].contents(), ["one more"]);
        pair.run_for(3 * HOUR);
        // Nothing waits for what never comes.
        assert!(!gap_is_open(&pair.sides[1]));
        assert_eq!(count(&pair.sides[0], ContentState::Delivered), 1);
        pair.send(0, "another", "another");
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.sides[1].contents(), ["one more", "another"]);
    }
}

#[test]
fn a_lost_acknowledgement_costs_a_resend_and_nothing_else() {
    for protocol in &reliable() {
        let mut pair = settled(protocol, 2);
        pair.muted[1] = true;
        pair.send(0, "once", "once");
        pair.run_for(10 * HOUR);
        assert_eq!(pair.sides[1].contents(), ["once"]);
        assert_eq!(count(&pair.sides[0], ContentState::Delivered), 0);
        pair.muted[1] = false;
        pair.run_for(2 * HOUR);
        assert_eq!(pair.sides[1].contents(), ["once"]);
        assert_eq!(count(&pair.sides[0], ContentState::Delivered), 1);
        // Then it is quiet: acknowledgements are not acknowledged.
        let payloads = pair.payloads.len();
        pair.run_for(2 * HOUR);
        assert_eq!(pair.payloads.len(), payloads);
    }
}

#[test]
fn a_duplicate_is_not_an_error() {
    for protocol in &reliable() {
        let mut pair = settled(protocol, 3);
        let first = sealed(&mut pair, "first");
        let second = sealed(&mut pair, "second");
        for round in 0..3 {
            for publish in [&first, &second, &first] {
                let input = Input::Frame(arriving(publish));
                pair.sides[1].handle(input, pair.now).unwrap();
            }
            assert_eq!(pair.sides[1].contents(), ["first", "second"]);
            match round {
                // Also what came before a restart, and before a step of the peer's.
                0 => pair.sides[1].restart(pair.now),
                _ => {
                    pair.send(1, "turn", "turn");
                    pair.run_for(Duration::from_secs(1));
                    let turned = sealed(&mut pair, "turned");
                    let input = Input::Frame(arriving(&turned));
                    pair.sides[1].handle(input, pair.now).unwrap();
                    assert_eq!(pair.sides[1].contents().pop().unwrap(), "turned");
                    pair.sides[1].events.clear();
                    for publish in [&first, &second, &turned] {
                        let input = Input::Frame(arriving(publish));
                        pair.sides[1].handle(input, pair.now).unwrap();
                    }
                    assert!(pair.sides[1].contents().is_empty());
                    break;
                }
            }
        }
    }
}

#[test]
fn a_forged_header_burns_nothing() {
    for protocol in &reliable() {
        let mut pair = settled(protocol, 4);
        // The next of Saro's is the first of a chain: its header is opened.
        pair.send(1, "turn", "turn");
        pair.run_for(Duration::from_secs(10));
        let real = sealed(&mut pair, "real");
        pair.sides[1].events.clear();
        let raya = &mut pair.sides[1];
        let (records, expected) = (raya.records.clone(), raya.expected.clone());
        // Every byte of the salt and of the encrypted header.
        for at in 0..68 {
            let mut forged = arriving(&real);
            let mut body = forged.body.to_vec();
            body[at] ^= 1 << (at % 8);
            forged.body = Bytes::from(body);
            let error = raya.handle(Input::Frame(forged), pair.now).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert_eq!(raya.records, records);
            assert_eq!(raya.expected, expected);
        }
        assert!(raya.events.is_empty() && raya.outbox.is_empty());
        raya.handle(Input::Frame(arriving(&real)), pair.now)
            .unwrap();
        assert_eq!(raya.contents(), ["real"]);
    }
}

#[test]
fn a_state_rolled_back_repeats_no_key_and_nonce_for_other_bytes() {
    for protocol in &reliable() {
        let mut pair = settled(protocol, 5);
        let before = pair.sides[0].records.clone();
        let mut wiretap = Wiretap::default();
        let first = sealed(&mut pair, "first");
        wiretap.sealed(&first);
        let input = Input::Frame(arriving(&first));
        pair.sides[1].handle(input, pair.now).unwrap();
        for number in 0..200 {
            pair.sides[0].records = before.clone();
            pair.sides[0].restart(pair.now);
            let again = sealed(&mut pair, &format!("other {number}"));
            assert_eq!(
                again.frame.tag, first.frame.tag,
                "the message key is the same"
            );
            wiretap.sealed(&again);
            // For Raya it is what she has: no error, and nothing is told.
            let input = Input::Frame(arriving(&again));
            pair.sides[1].handle(input, pair.now).unwrap();
        }
        assert_eq!(wiretap.len(), 201);
        assert_eq!(pair.sides[1].contents(), ["first"]);
        // Once more; the peer's acknowledgement of what it forgot shows that it is old.
        pair.sides[0].records = before;
        pair.sides[0].restart(pair.now);
        assert_eq!(pair.sides[0].renewals, 0);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.sides[0].renewals, 1);
        assert_eq!(count(&pair.sides[0], ContentState::Delivered), 0);
    }
}

/// Raya is away for a month; the service keeps what it has taken.
#[test]
fn messages_wait_for_a_month_and_arrive_in_order_within_bounds() {
    const MESSAGES: usize = 20_000;
    const IN_FLIGHT: usize = 1_024;
    let settings = ReliableSettings {
        lifetime: 60 * 24 * HOUR,
        longest_resend: 24 * HOUR,
        ..ReliableSettings::default()
    };
    let ratchet = Arc::new(Ratchet::new());
    let protocol: Arc<dyn ConversationProtocol> =
        Arc::new(Reliable::with_settings(PRIVATE, ratchet, settings));
    let mut pair = Pair::new(&protocol, Faults::NONE, 7);
    for (from, id) in [(1, "hello"), (0, "hello")] {
        pair.send(from, id, id);
        pair.run_for(Duration::from_secs(10));
    }
    pair.sides.iter_mut().for_each(|side| side.events.clear());
    let before = pair.payloads.len();
    pair.muted[0] = true;
    let sent: Vec<_> = (0..MESSAGES).map(|number| number.to_string()).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    pair.run_for(30 * 24 * HOUR);
    let mut waiting: Vec<_> = (pair.payloads.drain())
        .map(|(tag, (id, body))| (id, tag, body))
        .collect();
    waiting.sort_by_key(|(id, _, _)| *id);
    let (taken, probes) = (IN_FLIGHT, 20);
    assert!(
        waiting.len() - before <= taken + probes,
        "the rest is queued"
    );
    pair.sides[0].restart(pair.now);
    pair.muted[0] = false;
    let mut most = 0;
    for (_, tag, body) in waiting {
        let incoming = Incoming {
            point: point("Raya's point"),
            cursor: None,
            tag,
            body,
        };
        pair.deliver(1, incoming);
        most = most.max(pair.sides[1].records.0.len());
    }
    while pair.sides[1].contents().len() < MESSAGES {
        assert!(
            pair.step(pair.now.after(24 * HOUR)),
            "nothing happens any more"
        );
        most = most.max(pair.sides[1].records.0.len());
    }
    assert_eq!(pair.sides[1].contents(), sent);
    // Skipped keys, contents held back and a handful of others.
    assert!(most <= 2_048 + 256 + 16, "{most} records at once");
    pair.run_for(2 * 24 * HOUR);
    assert_eq!(count(&pair.sides[0], ContentState::Delivered), MESSAGES);
    assert!(!gap_is_open(&pair.sides[1]));
    let left = pair.sides[0].records.0.len();
    assert!(left <= 2_048 + 16, "{left} records are left");
}

/// The keys of a long chain that never came are not all kept; neither are their
/// tags.
#[test]
fn no_tag_is_expected_without_its_key() {
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let mut pair = Pair::new(&protocol, Faults::NONE, 6);
    for number in 0..5_000 {
        let text = format!("lost {number}");
        sealed(&mut pair, &text);
    }
    pair.send(1, "turn", "turn");
    pair.run_for(Duration::from_secs(1));
    let turned = sealed(&mut pair, "turned");
    pair.deliver(1, arriving(&turned));
    assert_eq!(pair.sides[1].contents(), ["turned"]);
    let expected = pair.sides[1].expected.clone();
    pair.sides[1].restart(pair.now);
    assert_eq!(pair.sides[1].expected, expected);
}
