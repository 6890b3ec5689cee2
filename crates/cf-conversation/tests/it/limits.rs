//! Bounds, long losses, restored states, points and the states of content.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cf_conversation::{PRIVATE, Ratchet, Reliable, ReliableSettings, private};
use cf_core::{
    ContentId, ContentState, ConversationEvent, ConversationProtocol, Error, ErrorKind,
    FailureReason, Incoming, Input, Outcome, Publish, Timestamp,
};

use crate::pair::{Faults, Pair, info, point};

fn bare() -> Arc<dyn ConversationProtocol> {
    Arc::new(Ratchet::new())
}

fn incoming(publish: &Publish, at: &str) -> Incoming {
    Incoming {
        point: point(at),
        cursor: None,
        tag: publish.frame.tag,
        body: publish.frame.body.clone(),
    }
}

/// Sends contents of one side and gives the payloads, none published.
fn burst(pair: &mut Pair, from: usize, count: u32) -> Vec<Publish> {
    let now = pair.now;
    for number in 0..count {
        let text = number.to_string();
        pair.sides[from]
            .send(&format!("{number}"), text, now)
            .unwrap();
    }
    std::mem::take(&mut pair.sides[from].outbox)
}

fn states(pair: &Pair, side: usize, id: &str) -> Vec<ContentState> {
    let wanted = ContentId::new(id.as_bytes().to_vec()).unwrap();
    let state = |event: &ConversationEvent| match event {
        ConversationEvent::State { id, state } if *id == wanted => Some(*state),
        _ => None,
    };
    pair.sides[side].events.iter().filter_map(state).collect()
}

#[test]
fn a_thousand_losses_in_a_row_are_searched_for() {
    // In the current chain, and as the first that comes of the next one.
    for turned in [false, true] {
        let mut pair = Pair::new(&bare(), Faults::NONE, 1);
        if turned {
            pair.send(1, "turn", "turn");
            pair.run_for(Duration::from_secs(1));
        }
        let payloads = burst(&mut pair, 0, 1_001);
        pair.deliver(1, incoming(&payloads[1_000], "Raya's point"));
        assert_eq!(pair.sides[1].contents(), ["1000"]);
        // All of those that were late are welcome, also after a restart.
        pair.sides[1].restart(pair.now);
        for publish in payloads[..1_000].iter().rev() {
            pair.deliver(1, incoming(publish, "Raya's point"));
        }
        assert_eq!(pair.sides[1].contents().len(), 1_001);
    }
}

#[test]
fn a_search_goes_on_where_the_last_one_stopped_and_ends() {
    let mut pair = Pair::new(&bare(), Faults::NONE, 1);
    let payloads = burst(&mut pair, 0, 3_000);
    let now = pair.now;
    let raya = &mut pair.sides[1];
    let miss = |budget| Input::Miss {
        cursor: None,
        point: point("Raya's point"),
        tag: payloads[2_999].frame.tag,
        budget,
    };
    for _ in 0..5 {
        assert!(raya.handle(miss(1_000), now).unwrap() <= 1_000);
        assert!(!raya.expected.contains(&payloads[2_999].frame.tag));
    }
    raya.handle(miss(1_000), now).unwrap();
    assert!(raya.expected.contains(&payloads[2_999].frame.tag));
    // A tag of nobody's is searched for within bounds only.
    let nobody = || Input::Miss {
        cursor: None,
        point: point("Raya's point"),
        tag: cf_core::RoutingTag([1; 16]),
        budget: 50_000,
    };
    raya.handle(nobody(), now).unwrap();
    assert_eq!(raya.expected.len(), 2 * (16_384 + 16));
    assert_eq!(raya.handle(nobody(), now).unwrap(), 0);
}

#[test]
fn at_most_2048_keys_are_kept_and_the_rest_is_a_gap() {
    for turned in [false, true] {
        let mut pair = Pair::new(&bare(), Faults::NONE, 2);
        if turned {
            pair.send(1, "turn", "turn");
            pair.run_for(Duration::from_secs(1));
        }
        let payloads = burst(&mut pair, 0, 2_100);
        let now = pair.now;
        pair.deliver(1, incoming(&payloads[2_099], "Raya's point"));
        let raya = &mut pair.sides[1];
        assert!(
            raya.events
                .contains(&ConversationEvent::Gap { missing: 51 })
        );
        let kept = raya.records.0.keys().filter(|key| key[0] == b's').count();
        assert_eq!(kept, 2_048);
        let error = raya.handle(Input::Frame(incoming(&payloads[50], "Raya's point")), now);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Rejected);
        raya.handle(Input::Frame(incoming(&payloads[51], "Raya's point")), now)
            .unwrap();
        assert_eq!(raya.contents(), ["2099", "51"]);
        // They are not kept longer than anyone resends them.
        pair.run_for(Duration::from_secs(15 * 24 * 3600));
        let raya = &pair.sides[1];
        assert!(!raya.records.0.keys().any(|key| key[0] == b's'));
        assert!(
            raya.events
                .contains(&ConversationEvent::Gap { missing: 2_047 })
        );
        let restarted = raya.expected.clone();
        pair.sides[1].restart(pair.now);
        assert!(
            restarted
                .iter()
                .filter(|tag| !pair.sides[1].expected.contains(*tag))
                .count()
                < 1
        );
    }
}

#[test]
fn a_sender_stops_where_its_peer_could_not_follow() {
    let mut pair = Pair::new(&bare(), Faults::NONE, 3);
    burst(&mut pair, 0, 16_384);
    let now = pair.now;
    let error = pair.sides[0].send("more", "more", now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    pair.sides[0]
        .handle(Input::Received(cf_core::PublishId(9)), now)
        .unwrap();
    assert_eq!(burst(&mut pair, 0, 10).len(), 10);
    let error = pair.sides[0].send("more", "more", now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn the_wrapper_queues_and_sends_later() {
    let mut pair = Pair::new(&private(), Faults::NONE, 4);
    let now = pair.now;
    let payloads = burst(&mut pair, 0, 16_500);
    assert_eq!(payloads.len(), 1_024);
    pair.sides[0].restart(now);
    assert_eq!(pair.sides[0].handle(Input::Time, now).unwrap(), 1);
    pair.sides[0].send("16499", "again", now).unwrap();
    for publish in payloads {
        pair.deliver(1, incoming(&publish, "Raya's point"));
    }
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.sides[1].contents().len(), 16_500);
    assert_eq!(
        states(&pair, 0, "16499"),
        [ContentState::Accepted, ContentState::Delivered]
    );
}

#[test]
fn a_state_from_older_records_repeats_no_pair_for_other_bytes() {
    for protocol in [private(), bare()] {
        let mut pair = Pair::new(&protocol, Faults::NONE, 5);
        pair.run_for(Duration::from_secs(1));
        // Both before and after a step of the peer's that makes a new key.
        let older = pair.sides[0].records.clone();
        let mut seen: HashMap<(Vec<u8>, Vec<u8>), Vec<u8>> = HashMap::new();
        for life in 0..20 {
            pair.sides[0].records = older.clone();
            pair.sides[0].restart(pair.now);
            pair.sides[1]
                .send(&format!("from Raya {life}"), "x", pair.now)
                .unwrap();
            let from_raya = std::mem::take(&mut pair.sides[1].outbox);
            for publish in &from_raya {
                pair.deliver(0, incoming(publish, "Saro's point"));
            }
            for number in 0..3 {
                let text = format!("{life} {number}");
                pair.sides[0].send(&text, text.clone(), pair.now).unwrap();
            }
            for publish in std::mem::take(&mut pair.sides[0].outbox) {
                // Body key and nonce follow from the tag's number and the salt,
                // header key from the chain, header nonce from 12 bytes of salt.
                let body = publish.frame.body.to_vec();
                let tag = publish.frame.tag.0.to_vec();
                for (pair, bytes) in [
                    ((tag, body[..16].to_vec()), body[68..].to_vec()),
                    ((vec![], body[..12].to_vec()), body[16..68].to_vec()),
                ] {
                    let known = seen.entry(pair).or_insert_with(|| bytes.clone());
                    assert_eq!(*known, bytes);
                }
            }
            pair.payloads.clear();
        }
        assert_eq!(seen.len() % 20, 0);
        assert!(seen.len() >= 120);
    }
}

#[test]
fn content_that_does_not_fit_is_refused_with_both_numbers() {
    let reliable = Reliable::new(PRIVATE, bare());
    for protocol in [Arc::new(reliable), bare()] {
        let mut pair = Pair::new(&protocol, Faults::NONE, 6);
        pair.run_for(Duration::from_secs(10));
        let now = pair.now;
        const BIG: usize = 16_300;
        let records = pair.sides[0].records.clone();
        let error = pair.sides[0].send("big", vec![1; BIG], now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        let text = error.to_string();
        let numbers: Vec<usize> = text
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [len, max] = numbers[..] else {
            panic!("{text}")
        };
        assert!(len >= BIG && max < BIG, "{text}");
        assert_eq!(pair.sides[0].records, records);
        // What is possible is possible, to the byte.
        let possible = max - (len - BIG);
        assert!(
            pair.sides[0]
                .send("big", vec![1; possible + 1], now)
                .is_err()
        );
        pair.send(0, "big", vec![1; possible]);
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.sides[1].contents()[0].len(), possible);
        // A peer's point that takes less counts from when it is known.
        let mut small = info("Raya's point");
        small.max_body_len = 1_024;
        let points = vec![small];
        pair.sides[0]
            .handle(Input::PeerPoints { peer: None, points }, now)
            .unwrap();
        assert!(pair.sides[0].send("small", vec![1; 1_000], now).is_err());
        pair.send(0, "small", vec![1; 700]);
    }
}

#[test]
fn the_link_is_left_when_the_peer_knows_better() {
    let mut pair = Pair::new(&private(), Faults::NONE, 7);
    assert!(pair.sides[1].listening.contains(&point("Raya's link")));
    pair.send(0, "early", "early");
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.sides[1].contents(), ["early"]);
    pair.send(0, "late", "late");
    assert!(pair.sides[0].answered.len() == 1);
    pair.run_for(Duration::from_secs(60));
    pair.sides[1].restart(pair.now);
    assert!(pair.sides[1].listening.contains(&point("Raya's link")));
    pair.run_for(Duration::from_secs(14 * 24 * 3600));
    assert!(!pair.sides[1].listening.contains(&point("Raya's link")));
    assert!(pair.sides[1].listening.contains(&point("Raya's point")));
    pair.sides[1].restart(pair.now);
    assert_eq!(pair.sides[1].listening.len(), 1);
    // Nothing is left to be done on either side.
    assert_eq!(pair.sides[0].wake, Timestamp::NEVER);
    assert_eq!(pair.sides[1].wake, Timestamp::NEVER);
}

#[test]
fn what_nobody_gets_expires_and_the_sequence_goes_on() {
    let mut pair = Pair::new(&private(), Faults::NONE, 8);
    pair.run_for(Duration::from_secs(10));
    let kept = pair.faults;
    pair.faults.loss = 100;
    pair.send(0, "lost", "lost");
    pair.run_for(Duration::from_secs(13 * 24 * 3600));
    assert_eq!(states(&pair, 0, "lost"), [ContentState::Accepted]);
    // The skip is what expires next, if nobody gets it either.
    pair.run_for(Duration::from_secs(40 * 24 * 3600));
    let failed = ContentState::Failed(FailureReason::Expired);
    assert_eq!(states(&pair, 0, "lost"), [ContentState::Accepted, failed]);
    assert_eq!(pair.sides[0].wake, Timestamp::NEVER);
    pair.faults = kept;
    pair.sides[0].restart(pair.now);
    pair.send(0, "found", "found");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.sides[1].contents(), ["found"]);
    assert_eq!(
        states(&pair, 0, "found"),
        [ContentState::Accepted, ContentState::Delivered]
    );
    assert!(
        !pair.sides[0]
            .records
            .0
            .keys()
            .any(|key| key.starts_with(&[0, b'u']))
    );
}

#[test]
fn refused_everywhere_is_failed_and_skipped() {
    let mut pair = Pair::new(&private(), Faults::NONE, 9);
    pair.run_for(Duration::from_secs(10));
    let now = pair.now;
    pair.sides[0].send("refused", "refused", now).unwrap();
    let publish = pair.sides[0].outbox.pop().unwrap();
    for point in &publish.points {
        let input = Input::Outcome {
            publish: publish.id,
            point: point.clone(),
            outcome: Outcome::Refused(Error::rejected("too long")),
        };
        pair.sides[0].handle(input, now).unwrap();
    }
    let failed = ContentState::Failed(FailureReason::Refused);
    assert_eq!(states(&pair, 0, "refused"), [failed]);
    pair.publish(0);
    pair.send(0, "next", "next");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.sides[1].contents(), ["next"]);
    assert!(!pair.sides[1].events.contains(&ConversationEvent::GapClosed));
}

#[test]
fn what_is_missing_is_waited_for_and_then_passed_over() {
    // For 30 seconds, or behind 256 others.
    for others in [1u32, 257] {
        let settings = ReliableSettings::default();
        let protocol: Arc<dyn ConversationProtocol> =
            Arc::new(Reliable::with_settings(PRIVATE, bare(), settings));
        let mut pair = Pair::new(&protocol, Faults::NONE, 10);
        pair.run_for(Duration::from_secs(10));
        let payloads = burst(&mut pair, 0, others + 1);
        let kept = pair.faults;
        pair.faults.loss = 100;
        for publish in &payloads[1..] {
            pair.deliver(1, incoming(publish, "Raya's point"));
        }
        pair.sides[1].restart(pair.now);
        if others == 1 {
            assert!(pair.sides[1].contents().is_empty());
            pair.run_for(Duration::from_secs(31));
        }
        assert!(
            pair.sides[1]
                .events
                .contains(&ConversationEvent::Gap { missing: 1 })
        );
        assert_eq!(pair.sides[1].contents().len(), others as usize);
        pair.faults = kept;
        pair.run_for(Duration::from_secs(3_600));
        assert_eq!(pair.sides[1].contents().last().unwrap(), "0");
        assert_eq!(
            pair.sides[1].events.last(),
            Some(&ConversationEvent::GapClosed)
        );
        assert!(
            !pair.sides[1]
                .records
                .0
                .keys()
                .any(|key| key.starts_with(&[0, b'r']))
        );
    }
}

#[test]
fn a_closed_conversation_takes_no_content() {
    for protocol in [private(), bare()] {
        let mut pair = Pair::new(&protocol, Faults::NONE, 11);
        pair.run_for(Duration::from_secs(10));
        let now = pair.now;
        pair.sides[0].handle(Input::Close, now).unwrap();
        pair.sides[0].handle(Input::Close, now).unwrap();
        pair.publish(0);
        pair.sides[0].restart(now);
        pair.run_for(Duration::from_secs(10));
        let closed = |event: &&ConversationEvent| **event == ConversationEvent::Closed;
        assert_eq!(pair.sides[0].events.iter().filter(closed).count(), 1);
        let error = pair.sides[0].send("x", "x", now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        let told = pair.sides[1].events.iter().filter(closed).count();
        assert_eq!(told, usize::from(*protocol.id() == PRIVATE));
    }
}

#[test]
fn a_content_that_is_on_its_way_is_sent_once() {
    let mut pair = Pair::new(&private(), Faults::NONE, 12);
    pair.run_for(Duration::from_secs(10));
    pair.send(0, "a", "a");
    assert_eq!(pair.sides[0].handle(Input::Time, pair.now).unwrap(), 1);
    pair.sides[0].restart(pair.now);
    pair.send(0, "a", "a");
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.sides[1].contents(), ["a"]);
}

#[test]
fn resends_are_the_same_payload_and_become_rare() {
    let mut pair = Pair::new(&private(), Faults::NONE, 13);
    pair.run_for(Duration::from_secs(10));
    pair.faults.loss = 100;
    let now = pair.now;
    pair.sides[0].send("a", "a", now).unwrap();
    let first = pair.sides[0].outbox[0].clone();
    pair.publish(0);
    let (mut count, mut probes) = (0, HashSet::new());
    while pair.sides[0].wake <= now.after(Duration::from_secs(24 * 3600)) {
        pair.now = pair.sides[0].wake;
        let at = pair.now;
        pair.sides[0].handle(Input::Time, at).unwrap();
        for publish in pair.sides[0].outbox.drain(..) {
            if publish.id != first.id {
                // It asks for an acknowledgement, and is sent again itself.
                probes.insert(publish.id);
                continue;
            }
            assert_eq!(publish.frame, first.frame);
            assert_eq!(publish.points, first.points);
            count += 1;
        }
    }
    assert!((20..60).contains(&count), "{count} resends in a day");
    assert!((1..5).contains(&probes.len()), "{probes:?}");
}
