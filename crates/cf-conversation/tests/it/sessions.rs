//! How one session gives way to another.

use std::time::Duration;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{
    BundleSet, Content, ContentId, ContentState, ConversationEvent, ErrorKind, FailureReason,
    Incoming, Input, ProtocolId, RoutingTag,
};

use crate::pair::{Faults, Pair, Side, point};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

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

fn handle(pair: &mut Pair, who: usize, input: Input) -> cf_core::Result<()> {
    let result = pair.sides[who].handle(input, pair.now);
    pair.publish(who);
    result.map(drop)
}

fn contact(name: &str) -> BundleSet {
    let id = ProtocolId::from_static("/example/init/1");
    BundleSet::new(vec![(id, Bytes::copy_from_slice(name.as_bytes()))]).unwrap()
}

fn unsent(side: &Side) -> Vec<String> {
    let text = |(id, content): &(ContentId, Content)| match content {
        Content::Bytes(bytes) => {
            assert_eq!(id.as_bytes(), bytes);
            String::from_utf8(bytes.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    };
    side.unsent.iter().map(text).collect()
}

fn has(side: &Side, wanted: ContentState, id: &str) -> bool {
    side.events.iter().any(|event| {
        matches!(event, ConversationEvent::State { id: of, state }
            if *state == wanted && of.as_bytes() == id.as_bytes())
    })
}

#[test]
fn what_has_no_final_state_is_given_back_once_in_the_order_of_sending() {
    let mut pair = settled(1);
    pair.send(0, "received", "received");
    pair.run_for(Duration::from_secs(1));
    pair.muted = [true; 2];
    // As many as may be in flight, and the rest is queued.
    let sent: Vec<_> = (0..1_100).map(|number| format!("{number:04}")).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    // One of them is encrypted anew, and so published last.
    let second = crate::pair::info("Raya's second");
    let points = vec![second];
    handle(&mut pair, 0, Input::PeerPoints { peer: None, points }).unwrap();
    pair.run_for(Duration::from_secs(3));
    handle(&mut pair, 0, Input::Contact(contact("Saro"))).unwrap();
    let leaves = pair.sides[0].records.clone();
    for restarts in [false, true] {
        pair.sides[0].records = leaves.clone();
        pair.sides[0].restart(pair.now);
        pair.sides[0].unsent.clear();
        pair.sides[0].handle(Input::Supersede, pair.now).unwrap();
        assert_eq!(unsent(&pair.sides[0]), sent);
        assert!(pair.sides[0].outbox.is_empty(), "all is withdrawn");
        if restarts {
            pair.sides[0].restart(pair.now);
        }
        handle(&mut pair, 0, Input::Supersede).unwrap();
        assert_eq!(pair.sides[0].unsent.len(), sent.len());
    }
    let error = pair.sides[0].send("more", "more", pair.now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let error = handle(&mut pair, 0, Input::Contact(contact("again"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    // Nothing is sent again, and nothing fails.
    let payloads = pair.payloads.len();
    pair.run_for(13 * DAY);
    assert_eq!(pair.payloads.len(), payloads);
    let expired = ContentState::Failed(FailureReason::Expired);
    assert!(!sent.iter().any(|id| has(&pair.sides[0], expired, id)));
}

/// What the peer sent is still received, told and acknowledged, and an
/// acknowledgement that comes late still tells.
#[test]
fn a_superseded_instance_still_receives_for_the_resend_lifetime() {
    let mut pair = settled(2);
    pair.muted[1] = true;
    pair.send(0, "arrived", "arrived");
    pair.run_for(Duration::from_secs(1));
    pair.muted = [true; 2];
    pair.send(0, "lost", "lost");
    handle(&mut pair, 0, Input::Supersede).unwrap();
    assert_eq!(unsent(&pair.sides[0]), ["arrived", "lost"]);
    pair.muted = [false; 2];
    pair.sides[0].restart(pair.now);
    pair.send(1, "from Raya", "from Raya");
    pair.run_for(HOUR);
    assert_eq!(pair.sides[0].contents(), ["from Raya"]);
    assert!(has(&pair.sides[1], ContentState::Delivered, "from Raya"));
    assert!(has(&pair.sides[0], ContentState::Delivered, "arrived"));
    assert!(!has(&pair.sides[0], ContentState::Delivered, "lost"));
    let records = pair.sides[0].records.clone();
    for restarts in [false, true] {
        let at = pair.now.after(15 * DAY);
        let saro = &mut pair.sides[0];
        saro.records = records.clone();
        saro.restart(pair.now);
        assert!(!saro.listening.is_empty() && !saro.expected.is_empty());
        saro.wake = cf_core::Timestamp::NEVER;
        saro.handle(Input::Time, at).unwrap();
        if restarts {
            saro.restart(at);
        }
        assert!(saro.listening.is_empty() && saro.expected.is_empty() && saro.standing.is_empty());
        let told = saro.events.len();
        for wake in 0..10 {
            saro.handle(Input::Time, at.after(wake * DAY)).unwrap();
        }
        assert_eq!(saro.wake, cf_core::Timestamp::NEVER);
        assert_eq!(saro.events.len(), told);
        assert!(saro.outbox.is_empty());
    }
}

#[test]
fn what_was_held_back_is_told_when_the_session_is_superseded() {
    let mut pair = settled(3);
    let mut payloads = Vec::new();
    for text in ["0", "1", "2", "3", "4"] {
        pair.sides[0].send(text, text, pair.now).unwrap();
        payloads.push(pair.sides[0].outbox.pop().unwrap());
    }
    let arrive = |pair: &mut Pair, number: usize| {
        let incoming = Incoming {
            point: point("Raya's point"),
            cursor: None,
            tag: payloads[number].frame.tag,
            body: payloads[number].frame.body.clone(),
        };
        pair.deliver(1, incoming);
    };
    arrive(&mut pair, 1);
    arrive(&mut pair, 3);
    assert!(pair.sides[1].contents().is_empty());
    handle(&mut pair, 1, Input::Supersede).unwrap();
    pair.sides[1].restart(pair.now);
    arrive(&mut pair, 0);
    arrive(&mut pair, 4);
    arrive(&mut pair, 2);
    let told: Vec<_> = (pair.sides[1].events.iter())
        .filter_map(|event| match event {
            ConversationEvent::Gap { .. } => Some("(".to_owned()),
            ConversationEvent::GapClosed => Some(")".to_owned()),
            ConversationEvent::Content {
                content: Content::Bytes(bytes),
                ..
            } => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            _ => None,
        })
        .collect();
    // Out of order only between a gap and its end.
    assert_eq!(told.concat(), "(1(3)(0)(4)(2)");
}

#[test]
fn a_contact_reaches_the_peer_and_the_newest_wins() {
    let mut pair = settled(4);
    pair.muted = [true; 2];
    handle(&mut pair, 0, Input::Contact(contact("first"))).unwrap();
    pair.run_for(HOUR);
    handle(&mut pair, 0, Input::Contact(contact("second"))).unwrap();
    handle(&mut pair, 0, Input::Contact(contact("second"))).unwrap();
    pair.sides[0].restart(pair.now);
    // Longer than anything is resent: it is kept all the same.
    pair.run_for(15 * DAY);
    pair.muted = [false; 2];
    pair.send(1, "here again", "here again");
    pair.run_for(HOUR);
    assert_eq!(pair.sides[1].contacts, [contact("second")]);
    pair.run_for(2 * HOUR);
    let payloads = pair.payloads.len();
    pair.sides[0].restart(pair.now);
    pair.run_for(DAY);
    assert_eq!(pair.payloads.len(), payloads, "it is said once");
    handle(&mut pair, 0, Input::Contact(contact("second"))).unwrap();
    pair.run_for(HOUR);
    assert_eq!(pair.sides[1].contacts.len(), 2);
}

#[test]
fn a_contact_that_was_overtaken_is_of_the_past() {
    let mut pair = settled(5);
    let mut payloads = Vec::new();
    for name in ["first", "second"] {
        let input = Input::Contact(contact(name));
        pair.sides[0].handle(input, pair.now).unwrap();
        payloads.append(&mut pair.sides[0].outbox);
    }
    for publish in payloads.iter().rev() {
        let incoming = Incoming {
            point: point("Raya's point"),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body.clone(),
        };
        pair.deliver(1, incoming);
    }
    assert_eq!(pair.sides[1].contacts, [contact("second")]);
}

#[test]
fn a_contact_that_does_not_fit_waits_and_one_over_the_limits_is_misuse() {
    let mut pair = settled(6);
    let id = ProtocolId::from_static("/example/init/1");
    let long = |len| BundleSet::new(vec![(id.clone(), vec![7; len].into())]).unwrap();
    let error = handle(&mut pair, 0, Input::Contact(long(16_384))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    // Fits the limits and not the points.
    let fits = long(16_384 - "/example/init/1".len());
    handle(&mut pair, 0, Input::Contact(fits.clone())).unwrap();
    pair.send(0, "goes on", "goes on");
    pair.run_for(DAY);
    assert_eq!(pair.sides[1].contents(), ["goes on"]);
    assert!(pair.sides[1].contacts.is_empty());
    pair.sides[0].restart(pair.now);
    let larger = |name: &str| {
        let mut info = crate::pair::info(name);
        info.max_body_len = 64 * 1024;
        vec![info]
    };
    let points = larger("Raya's point");
    handle(&mut pair, 0, Input::PeerPoints { peer: None, points }).unwrap();
    assert!(pair.sides[1].contacts.is_empty());
    let points = larger("Saro's point");
    handle(&mut pair, 0, Input::OwnPoints(points)).unwrap();
    pair.run_for(HOUR);
    assert_eq!(pair.sides[1].contacts, [fits]);
}

/// A side that was put back to an older state learns it from what the peer
/// acknowledges, asks for a new session, and takes no acknowledgement for its own.
#[test]
fn a_state_that_is_behind_asks_for_a_new_session_and_believes_nothing() {
    let mut pair = settled(7);
    let before = pair.sides[0].records.clone();
    // No answer arrives: the peer's next chain is that which the older state
    // expects as well.
    pair.muted[1] = true;
    for number in 0..3 {
        let text = format!("forgotten {number}");
        pair.send(0, &text, text.clone());
        pair.run_for(Duration::from_secs(1));
    }
    pair.muted[1] = false;
    pair.sides[0].records = before;
    pair.sides[0].restart(pair.now);
    pair.sides[0].events.clear();
    pair.payloads.clear();
    // Nothing arrives of what it says: its chains have other lengths.
    pair.muted[0] = true;
    pair.send(1, "from Raya", "from Raya");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.sides[0].contents(), ["from Raya"]);
    assert_eq!(pair.sides[0].renewals, 1);
    pair.send(1, "more", "more");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.sides[0].renewals, 1, "once is enough");
    // Four contents, three of them under numbers that the peer has others of, and
    // acknowledges.
    let sent: Vec<_> = (0..4).map(|number| format!("new {number}")).collect();
    for text in &sent {
        pair.send(0, text, text.clone());
    }
    for restarts in [false, true] {
        if restarts {
            pair.sides[0].restart(pair.now);
        }
        let text = format!("and more, {restarts}");
        pair.send(1, &text, text.clone());
        pair.run_for(Duration::from_secs(1));
        assert_eq!(*pair.sides[0].contents().last().unwrap(), text);
        for text in &sent {
            let delivered = has(&pair.sides[0], ContentState::Delivered, text);
            assert!(!delivered, "{text}");
        }
    }
    assert_eq!(pair.sides[0].renewals, 2, "again after a restart");
    handle(&mut pair, 0, Input::Supersede).unwrap();
    assert_eq!(unsent(&pair.sides[0]), sent);
    pair.send(1, "the last", "the last");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.sides[0].renewals, 2);
}

#[test]
fn payloads_that_are_nobodys_ask_for_a_new_session_after_a_while_and_at_each_doubling() {
    const AFTER: Duration = Duration::from_secs(60);
    let mut pair = settled(8);
    let now = pair.now;
    let miss = |name: &str, number: u32| Input::Miss {
        point: point(name),
        cursor: None,
        tag: RoutingTag([number.to_be_bytes(); 4].concat().try_into().unwrap()),
        budget: 64,
    };
    let raya = &mut pair.sides[1];
    for number in 0..100 {
        // The link's address is open to everybody.
        raya.handle(miss("Raya's link", number), now).unwrap();
    }
    assert_eq!(raya.renewals, 0);
    // Whatever comes at once is no sign yet.
    for number in 200..203 {
        raya.handle(miss("Raya's point", number), now).unwrap();
    }
    let soon = now.after(AFTER - Duration::from_millis(1));
    raya.handle(miss("Raya's point", 203), soon).unwrap();
    assert_eq!(raya.renewals, 0);
    // One of them again, when it is time.
    let now = now.after(AFTER);
    raya.handle(miss("Raya's point", 200), now).unwrap();
    assert_eq!(raya.renewals, 1);
    for number in 4..70 {
        for _ in 0..3 {
            raya.handle(miss("Raya's point", number), now).unwrap();
        }
        let expected = [4, 8, 16, 32, 64].iter().filter(|at| **at <= number + 1);
        assert_eq!(raya.renewals, expected.count(), "after {}", number + 1);
    }
    // A frame of the peer's shows that all is well.
    pair.send(0, "well", "well");
    pair.run_for(Duration::from_secs(1));
    let (raya, now) = (&mut pair.sides[1], pair.now);
    for number in 100..104 {
        raya.handle(miss("Raya's point", number), now).unwrap();
        let later = now.after(2 * AFTER);
        let before = raya.renewals;
        let is_enough = number == 103;
        raya.handle(miss("Raya's point", 100), later).unwrap();
        assert_eq!(raya.renewals - before, usize::from(is_enough));
    }
}
