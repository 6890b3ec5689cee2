//! How long an invite is sent, a request that is declined aloud or not, and discoveries
//! that go on after a restart.

use cf_client::{Driver, EventKind, LinkOptions};
use cf_core::{ProtocolId, Secret};

use crate::links::{BOARD, DAY, accept, ask, link, pass, requests, town};
use crate::world::World;

#[test]
fn a_decline_is_told_only_if_it_is_wanted_and_begins_no_conversation() {
    let (mut world, board, raya, others) = town(610, 2);
    let made = link(&mut world, raya, &LinkOptions::default());
    let bundles = board.find(&made.query);
    let asked = [0, 1].map(|n| ask(&mut world, others[n], &bundles));
    world.run(2);
    for (n, talk) in asked.into_iter().enumerate() {
        world.send(others[n], talk, "early");
    }
    world.run(2);
    for request in requests(&mut world, raya) {
        let tell = request.name == "Other 1";
        let declined = world.input(raya, |driver, now| match tell {
            true => driver.decline_and_tell(request.id, now),
            false => driver.decline(request.id),
        });
        declined.expect("no crash").expect("it is there");
        world.kill(raya);
    }
    world.settle(20);
    let closed = |world: &World, n: usize| {
        let mut events = world.events(others[n]).into_iter();
        events.any(|event| matches!(event.kind, EventKind::Closed { .. }))
    };
    assert!(!closed(&world, 0), "nothing is told unless it is wanted");
    assert!(closed(&world, 1));
    assert!(requests(&mut world, raya).is_empty());
    assert!(world.with(raya, Driver::conversations).is_empty());
    let about_talk = |event: &cf_client::Event| !matches!(event.kind, EventKind::Request(_));
    let events = world.events(raya);
    assert!(!events.iter().any(about_talk), "{events:?}");
    // Who was told can ask again.
    ask(&mut world, others[1], &bundles);
    world.settle(10);
    assert_eq!(requests(&mut world, raya).len(), 1);
}

#[test]
fn discoveries_go_on_with_links_that_live() {
    let (mut world, _, raya, _) = town(611, 0);
    let lives = link(&mut world, raya, &LinkOptions::default());
    let ends = link(&mut world, raya, &LinkOptions::default());
    world.kill(raya);
    let queries = |world: &mut World| -> Vec<String> {
        let all = world.with(raya, Driver::resumptions).into_iter();
        let query = |(id, state): (ProtocolId, Secret)| {
            assert_eq!(id, BOARD);
            String::from_utf8(state.expose().to_vec()).expect("a query")
        };
        all.map(query).collect()
    };
    assert_eq!(queries(&mut world).len(), 2);
    let revoked = world.input(raya, |driver, now| driver.revoke(ends.id, now));
    revoked.expect("no crash").expect("it is there");
    assert_eq!(queries(&mut world), [lives.query]);
    pass(&mut world, 31 * DAY);
    assert!(queries(&mut world).is_empty());
}

#[test]
fn an_invite_is_sent_again_until_it_is_answered_or_its_lifetime_ends() {
    let (mut world, board, raya, others) = town(612, 2);
    let made = link(&mut world, raya, &LinkOptions::default());
    let bundles = board.find(&made.query);
    let talks = [0, 1].map(|n| ask(&mut world, others[n], &bundles));
    let again = |world: &mut World, n: usize| {
        world.with(others[n], |driver| driver.counters().of("resent.invite"))
    };
    pass(&mut world, 3 * DAY);
    assert!(again(&mut world, 0) >= 5 && again(&mut world, 1) >= 5);
    let asked = requests(&mut world, raya);
    assert_eq!(asked.len(), 2, "one of each, however often it came");
    accept(&mut world, raya, "Other 0");
    world.settle(10);
    let sent = [0, 1].map(|n| again(&mut world, n));
    pass(&mut world, 2 * DAY);
    assert_eq!(again(&mut world, 0), sent[0], "it was answered");
    assert!(again(&mut world, 1) > sent[1]);

    pass(&mut world, 10 * DAY);
    let told = |world: &World, n: usize| {
        let about = |event: cf_client::Event| match event.kind {
            EventKind::Answered { conversation } => Some(("answered", conversation)),
            EventKind::InviteExpired { conversation } => Some(("expired", conversation)),
            _ => None,
        };
        let events = world.events(others[n]).into_iter();
        events.filter_map(about).collect::<Vec<_>>()
    };
    assert_eq!(told(&world, 0), [("answered", talks[0])]);
    assert_eq!(told(&world, 1), [("expired", talks[1])]);
    let sent = again(&mut world, 1);
    pass(&mut world, 2 * DAY);
    assert_eq!(again(&mut world, 1), sent, "its time is over");
}
