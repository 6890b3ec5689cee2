//! What a failing store, a service that is away and a hostile peer can't do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{
    ConversationProtocol, Env, Error, Incoming, Input, Outcome, Output, Records, Result, Scan,
    Timestamp,
};

use crate::hostile::{Lawless, field};
use crate::pair::{Faults, Pair, point};

/// A store that can't be read.
struct Unreadable;

impl Records for Unreadable {
    fn get(&self, _: &[u8]) -> Result<Option<Bytes>> {
        Err(Error::unavailable("the disk does not answer"))
    }

    fn scan(&self, _: &Scan) -> Result<Vec<(Bytes, Bytes)>> {
        Err(Error::unavailable("the disk does not answer"))
    }
}

/// Gives an input while the store can't be read.
fn handle_unreadable(pair: &mut Pair, side: usize, input: Input, now: Timestamp) -> Result<()> {
    let side = &mut pair.sides[side];
    let mut env = Env {
        now,
        random: &mut side.random,
        records: &Unreadable,
    };
    let result = side.conversation.handle(input, &mut env);
    side.drain();
    result
}

/// What Saro has to publish, as it arrives at Raya.
fn arriving(pair: &mut Pair) -> Incoming {
    let publish = pair.sides[0].outbox.pop().unwrap();
    Incoming {
        point: point("Raya's point"),
        cursor: None,
        tag: publish.frame.tag,
        body: publish.frame.body,
    }
}

#[test]
fn a_failed_read_stops_no_timer() {
    let mut pair = Pair::new(&private(), Faults::NONE, 31);
    pair.run_for(Duration::from_secs(10));
    pair.faults.loss = 100;
    pair.send(0, "a", "a");
    let due = pair.sides[0].wake;
    assert!(due < Timestamp::NEVER);
    handle_unreadable(&mut pair, 0, Input::Time, due).unwrap();
    pair.sides[0].outbox.clear();
    pair.faults.loss = 0;
    pair.now = due;
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.sides[1].contents(), ["a"]);
}

#[test]
fn a_failed_read_breaks_nothing_for_good() {
    let lawless: Arc<dyn ConversationProtocol> = Arc::new(Lawless(private()));
    let mut pair = Pair::new(&lawless, Faults::NONE, 32);
    let now = pair.now;
    // Authentic, and not of the format: what was decrypted is taken back.
    pair.sides[0].send("bad", field(4, 0), now).unwrap();
    let bad = arriving(&mut pair);
    handle_unreadable(&mut pair, 1, Input::Frame(bad), now).unwrap_err();
    let good = [field(1, 1), crate::hostile::bytes_field(16, b"good")].concat();
    pair.sides[0].send("good", good, now).unwrap();
    let good = arriving(&mut pair);
    pair.sides[1].handle(Input::Frame(good), now).unwrap();
    assert_eq!(pair.sides[1].contents(), ["good"]);
}

#[test]
fn acknowledgements_do_not_pile_up_while_the_service_is_away() {
    let mut pair = Pair::new(&private(), Faults::NONE, 33);
    pair.run_for(Duration::from_secs(10));
    let mut now = pair.now;
    for number in 0..200 {
        let text = number.to_string();
        pair.sides[0].send(&text, text.clone(), now).unwrap();
        let incoming = arriving(&mut pair);
        pair.sides[1].handle(Input::Frame(incoming), now).unwrap();
        now = now.after(Duration::from_millis(200));
        pair.sides[1].handle(Input::Time, now).unwrap();
    }
    assert_eq!(pair.sides[1].outbox.len(), 1, "none had an outcome");
    let first = pair.sides[1].outbox[0].clone();
    let input = Input::Outcome {
        publish: first.id,
        point: first.points[0].clone(),
        outcome: Outcome::Accepted { cursor: None },
    };
    pair.sides[1].handle(input, now).unwrap();
    assert_eq!(pair.sides[1].outbox.len(), 2, "then the next one goes");
}

#[test]
fn closing_many_missing_numbers_stores_them_once() {
    let lawless: Arc<dyn ConversationProtocol> = Arc::new(Lawless(private()));
    let mut pair = Pair::new(&lawless, Faults::NONE, 34);
    let mut now = pair.now;
    let far = [field(1, 16_000), crate::hostile::bytes_field(16, b"far")].concat();
    pair.sides[0].send("far", far, now).unwrap();
    let far = arriving(&mut pair);
    pair.sides[1].handle(Input::Frame(far), now).unwrap();
    now = now.after(Duration::from_secs(31));
    pair.sides[1].handle(Input::Time, now).unwrap();
    let skips: Vec<u8> = (0..60).flat_map(|n| field(4, 100 + 2 * n)).collect();
    pair.sides[0].send("skips", skips, now).unwrap();
    let skips = arriving(&mut pair);
    let raya = &mut pair.sides[1];
    let mut env = Env {
        now,
        random: &mut raya.random,
        records: &raya.records,
    };
    raya.conversation
        .handle(Input::Frame(skips), &mut env)
        .unwrap();
    let outputs = std::iter::from_fn(|| raya.conversation.poll_output());
    let missing = |output: &Output| matches!(output, Output::Record(c) if c.key()[..] == *b"\0m");
    assert_eq!(outputs.filter(missing).count(), 1);
}
