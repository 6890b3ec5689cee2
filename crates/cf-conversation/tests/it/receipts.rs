//! What is read, and who writes.

use std::time::Duration;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{ContentId, ContentState, ConversationEvent, Input, Signal, TYPING_FOR};

use crate::pair::{Faults, Pair};

fn settled(seed: u64) -> Pair {
    let mut pair = Pair::new(&private(), Faults::NONE, seed);
    for (from, id) in [(1, "hello"), (0, "hello"), (1, "well"), (0, "well")] {
        pair.send(from, id, id);
        pair.run_for(Duration::from_secs(10));
    }
    for side in &mut pair.sides {
        side.events.clear();
    }
    pair
}

fn reads(pair: &mut Pair, who: usize, id: &str) {
    let content = ContentId::new(Bytes::copy_from_slice(id.as_bytes())).unwrap();
    let read = Input::Read {
        from: None,
        content,
    };
    pair.sides[who].handle(read, pair.now).unwrap();
    pair.publish(who);
}

fn types(pair: &mut Pair, who: usize, typing: bool) {
    let now = pair.now;
    pair.sides[who].handle(Input::Typing(typing), now).unwrap();
    pair.publish(who);
}

/// The states that were told of a content.
fn states(pair: &Pair, who: usize, id: &str) -> Vec<ContentState> {
    let state = |event: &ConversationEvent| match event {
        ConversationEvent::State { id: of, state } if of.as_bytes() == id.as_bytes() => {
            Some(*state)
        }
        _ => None,
    };
    pair.sides[who].events.iter().filter_map(state).collect()
}

fn typing(pair: &Pair, who: usize) -> Vec<bool> {
    let typing = |signal: &Signal| match signal {
        Signal::Typing { from, typing } => {
            assert!(from.is_some());
            *typing
        }
        other => panic!("{other:?}"),
    };
    pair.sides[who].signals.iter().map(typing).collect()
}

#[test]
fn what_is_read_is_told_once_over_losses_and_restarts() {
    let mut pair = settled(1);
    let sent: Vec<_> = (0..150).map(|number| number.to_string()).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    pair.run_for(Duration::from_secs(1));
    let before = pair.payloads.len();
    for text in &sent {
        reads(&mut pair, 1, text);
        reads(&mut pair, 1, text);
    }
    // It has not said them yet.
    pair.sides[1].restart(pair.now);
    pair.faults.loss = 60;
    pair.run_for(Duration::from_secs(3600));
    for text in &sent {
        let all = [
            ContentState::Accepted,
            ContentState::Delivered,
            ContentState::Read,
        ];
        assert_eq!(states(&pair, 0, text), all, "{text}");
    }
    pair.faults.loss = 0;
    pair.run_for(Duration::from_secs(3 * 3600));
    // Three frames, their acknowledgements, and what losses cost.
    assert!(pair.payloads.len() - before < 40);
}

#[test]
fn a_receipt_shows_that_its_content_arrived_and_nothing_that_never_left() {
    let mut pair = settled(2);
    // The acknowledgement of it is lost; the frame with the receipt has no room
    // for one of its kind.
    pair.muted[1] = true;
    pair.send(0, "arrived", "arrived");
    pair.run_for(Duration::from_secs(1));
    pair.muted[1] = false;
    reads(&mut pair, 1, "arrived");
    reads(&mut pair, 1, "never sent");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        states(&pair, 0, "arrived"),
        [
            ContentState::Accepted,
            ContentState::Delivered,
            ContentState::Read
        ]
    );
    // What waits to be sent can't have been read.
    pair.muted = [true; 2];
    for number in 0..1_100 {
        let id = format!("number {number}");
        pair.send(0, &id, "x");
    }
    pair.muted[1] = false;
    reads(&mut pair, 1, "number 1099");
    pair.run_for(Duration::from_secs(1));
    assert!(states(&pair, 0, "number 1099").is_empty());
    let unknown = ConversationEvent::Unknown {
        kind: "receipt".to_owned(),
    };
    assert!(pair.sides[0].events.contains(&unknown));
}

#[test]
fn typing_is_said_rarely_and_expires() {
    let mut pair = settled(3);
    let before = pair.payloads.len();
    for _ in 0..100 {
        types(&mut pair, 0, true);
        pair.run_for(Duration::from_millis(100));
    }
    // One in three seconds, and the acknowledgement of nothing.
    assert_eq!(pair.payloads.len() - before, 4);
    assert_eq!(typing(&pair, 1), [true; 4]);
    types(&mut pair, 0, false);
    types(&mut pair, 0, false);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(typing(&pair, 1), [true, true, true, true, false]);
    types(&mut pair, 0, true);
    pair.run_for(TYPING_FOR + Duration::from_secs(1));
    assert_eq!(typing(&pair, 1)[5..], [true, false]);
    assert!(pair.sides[1].contents().is_empty());
}

#[test]
fn typing_is_neither_stored_nor_resent_nor_said_when_it_is_crowded() {
    let mut pair = settled(4);
    let [records, seen] = [0, 1].map(|who| pair.sides[who].records.0.len());
    pair.muted[0] = true;
    types(&mut pair, 0, true);
    pair.muted[0] = false;
    assert_eq!(pair.sides[0].records.0.len(), records);
    pair.sides[0].restart(pair.now);
    let payloads = pair.payloads.len();
    pair.run_for(Duration::from_secs(3600));
    assert_eq!(pair.payloads.len(), payloads);
    types(&mut pair, 0, true);
    pair.run_for(Duration::from_secs(3600));
    assert_eq!(typing(&pair, 1), [true, false]);
    let kept = pair.sides[1].records.0.len();
    assert!(kept <= seen + 2, "the key of the lost one and no more");
    pair.muted[0] = true;
    for number in 0..600 {
        let id = format!("number {number}");
        pair.send(0, &id, "x");
    }
    let payloads = pair.payloads.len();
    types(&mut pair, 0, true);
    assert_eq!(pair.payloads.len(), payloads);
}

/// What no service took in time is withdrawn: it would be news of the past.
#[test]
fn typing_does_not_wait_for_a_service() {
    let mut pair = settled(5);
    let now = pair.now;
    pair.sides[0].handle(Input::Typing(true), now).unwrap();
    assert_eq!(pair.sides[0].outbox.len(), 1);
    let later = now.after(TYPING_FOR);
    pair.sides[0].handle(Input::Time, later).unwrap();
    assert!(pair.sides[0].outbox.is_empty());
}
