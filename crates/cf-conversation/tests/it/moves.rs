//! Participants that move, and what was on its way to where they were.

use std::collections::BTreeSet;
use std::time::Duration;

use cf_conversation::{PRIVATE, Ratchet, Reliable, ReliableSettings, private};
use cf_core::{
    ContentState, ConversationEvent, ConversationProtocol, DeliveryPoint, Input, PointInfo,
};
use std::sync::Arc;

use crate::pair::{Faults, Pair, info, point};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A pair in which both have heard from each other.
fn settled(seed: u64) -> Pair {
    settled_in(&private(), seed)
}

fn settled_in(protocol: &Arc<dyn ConversationProtocol>, seed: u64) -> Pair {
    let mut pair = Pair::new(protocol, Faults::NONE, seed);
    for (from, id) in [(1, "hello"), (0, "hello"), (1, "well"), (0, "well")] {
        pair.send(from, id, id);
        pair.run_for(Duration::from_secs(10));
    }
    pair.run_for(15 * DAY);
    for side in &mut pair.sides {
        side.events.clear();
    }
    pair
}

fn moves(pair: &mut Pair, who: usize, to: &[&str]) {
    let points: Vec<PointInfo> = to.iter().map(|name| info(name)).collect();
    let now = pair.now;
    pair.sides[who]
        .handle(Input::OwnPoints(points), now)
        .unwrap();
    pair.publish(who);
}

fn listens(pair: &Pair, who: usize) -> Vec<&DeliveryPoint> {
    let mut all: Vec<_> = pair.sides[who].listening.iter().collect();
    all.sort();
    all
}

/// Where a side publishes to.
fn goes_to(pair: &mut Pair, from: usize) -> Vec<DeliveryPoint> {
    let now = pair.now;
    pair.sides[from]
        .send(&format!("{now:?}"), "where to", now)
        .unwrap();
    let publish = pair.sides[from].outbox.last().unwrap().points.clone();
    pair.publish(from);
    publish
}

fn delivered(pair: &Pair, who: usize) -> usize {
    let is_delivered = |event: &&ConversationEvent| matches!(event, ConversationEvent::State { state, .. } if *state == ContentState::Delivered);
    pair.sides[who].events.iter().filter(is_delivered).count()
}

#[test]
fn a_move_is_said_and_the_old_point_is_left_after_the_resend_lifetime() {
    let mut pair = settled(1);
    moves(&mut pair, 0, &["Saro's second"]);
    let [second, first] = [point("Saro's second"), point("Saro's point")];
    assert_eq!(listens(&pair, 0), [&first, &second]);
    // Nothing is said but the news.
    pair.run_for(Duration::from_secs(10));
    assert_eq!(goes_to(&mut pair, 1), std::slice::from_ref(&second));
    pair.run_for(13 * DAY);
    pair.sides[0].restart(pair.now);
    assert_eq!(listens(&pair, 0), [&first, &second]);
    pair.run_for(2 * DAY);
    assert_eq!(listens(&pair, 0), [&second]);
    // No frame says the points any more.
    assert_eq!(pair.sides[1].contents().len(), 0);
    let quiet = pair.payloads.len();
    pair.run_for(DAY);
    assert_eq!(pair.payloads.len(), quiet);
}

#[test]
fn what_leaves_a_point_is_said_too() {
    let mut pair = settled(2);
    moves(&mut pair, 0, &["Saro's point", "Saro's second"]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(goes_to(&mut pair, 1).len(), 2);
    pair.run_for(Duration::from_secs(10));
    moves(&mut pair, 0, &["Saro's second"]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(goes_to(&mut pair, 1), [point("Saro's second")]);
    pair.run_for(15 * DAY);
    assert_eq!(listens(&pair, 0), [&point("Saro's second")]);
}

/// What Raya has said since meets Saro at the new place, although it went to the
/// old one, whose service is gone for good.
#[test]
fn what_is_in_flight_is_encrypted_anew_for_a_peer_that_moved() {
    for restarts in [false, true] {
        let mut pair = settled(3);
        pair.gone.insert(point("Saro's point"));
        let sent: Vec<_> = (0..40).map(|number| number.to_string()).collect();
        for text in &sent {
            pair.send(1, text, text.clone());
        }
        pair.run_for(DAY);
        let before: Vec<_> = pair.payloads.keys().copied().collect();
        moves(&mut pair, 0, &["Saro's second"]);
        pair.run_for(Duration::from_secs(1));
        if restarts {
            pair.sides
                .iter_mut()
                .for_each(|side| side.restart(pair.now));
        }
        pair.run_for(HOUR);
        assert_eq!(pair.sides[0].contents(), sent);
        assert_eq!(delivered(&pair, 1), sent.len());
        let anew = pair.payloads.len() - before.len();
        assert!(anew >= sent.len(), "other bytes at another address");
    }
}

#[test]
fn both_move_at_once_and_again_while_the_other_is_away() {
    let mut pair = settled(4);
    pair.muted = [true; 2];
    for round in 0..12 {
        for who in [0, 1] {
            let name = format!("{} of {who}", round);
            moves(&mut pair, who, &[&name]);
            let id = format!("{round} from {who}");
            pair.send(who, &id, id.clone());
            pair.sides[who].restart(pair.now);
            pair.publish(who);
        }
        pair.run_for(HOUR);
    }
    pair.muted = [false; 2];
    pair.run_for(3 * HOUR);
    for who in [0, 1] {
        // Which frame is heard first is chance, and only the newest says where the
        // peer is now: what was waited for too long came behind a gap.
        let sent: BTreeSet<_> = (0..12)
            .map(|round| format!("{round} from {}", 1 - who).into_bytes())
            .collect();
        let told = pair.sides[who].contents();
        assert_eq!(told.len(), sent.len());
        assert!(told.iter().all(|text| sent.contains(&text[..])));
        assert_eq!(delivered(&pair, who), 12);
        assert_eq!(
            goes_to(&mut pair, who),
            [point(&format!("11 of {}", 1 - who))]
        );
    }
    pair.run_for(15 * DAY);
    for who in [0, 1] {
        assert_eq!(listens(&pair, who), [&point(&format!("11 of {who}"))]);
    }
}

/// A frame that leaves no room for the points goes without them; they are said
/// by the next.
#[test]
fn the_points_make_no_content_too_long() {
    // Without what would cut a content.
    let reliable: Arc<dyn ConversationProtocol> =
        Arc::new(Reliable::new(PRIVATE, Arc::new(Ratchet::new())));
    let mut pair = settled_in(&reliable, 5);
    let fits = (1..16_384).rev().find(|len| {
        let mut side = settled_in(&reliable, 5);
        let now = side.now;
        side.sides[0].send("long", vec![b'x'; *len], now).is_ok()
    });
    let fits = fits.unwrap();
    pair.muted[0] = true;
    moves(&mut pair, 0, &["a", "b", "c", "d", "e", "f", "g", "h"]);
    pair.muted[0] = false;
    pair.send(0, "long", vec![b'x'; fits]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.sides[1].contents().len(), 1);
    assert_eq!(goes_to(&mut pair, 1).len(), 1);
    pair.run_for(HOUR);
    assert_eq!(goes_to(&mut pair, 1).len(), 8);
}

/// Keys that the peer dropped are no loss: what they were for is encrypted anew.
/// That it was dropped is said until it is known, whatever is lost on the way.
#[test]
fn what_the_peer_dropped_the_keys_of_is_encrypted_anew() {
    // Held back for long enough that the order shows what was resent.
    let settings = ReliableSettings {
        hold: 30 * DAY,
        lifetime: 60 * DAY,
        ..ReliableSettings::default()
    };
    let ratchet = Arc::new(cf_conversation::Ratchet::new());
    let id = cf_conversation::PRIVATE;
    let protocol: Arc<dyn ConversationProtocol> =
        Arc::new(Reliable::with_settings(id, ratchet, settings));
    let mut pair = Pair::new(&protocol, Faults::NONE, 6);
    for (from, id) in [(1, "hello"), (0, "hello")] {
        pair.send(from, id, id);
        pair.run_for(Duration::from_secs(10));
    }
    pair.sides.iter_mut().for_each(|side| side.events.clear());
    pair.send(1, "turn", "turn");
    pair.run_for(Duration::from_secs(1));
    // Raya passes over these, and keeps their keys for two weeks only.
    pair.muted[0] = true;
    let mut sent: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    pair.muted[0] = false;
    pair.send(0, "last", "last");
    sent.push("last".to_owned());
    pair.muted = [true; 2];
    pair.run_for(20 * DAY);
    assert!(pair.sides[1].contents().is_empty());
    pair.faults.loss = 60;
    pair.muted = [false; 2];
    pair.run_for(DAY);
    assert_eq!(pair.sides[1].contents(), sent);
    assert_eq!(delivered(&pair, 0), sent.len());
}
