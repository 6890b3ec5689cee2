//! The crash rule, the truth rule, and what a message may live through.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_client::limits::PARKED_FOR;
use cf_client::{Driver, Event, EventKind};
use cf_core::{
    Capabilities, ContentId, ContentState, ConversationId, EmptyRecords, Env, ErrorKind,
    FailureReason, Frame, FramingStrategy, Identity, InitializationProtocol, Invite, InviteId,
    Peer, PeerId, PointInfo, RoutingTag, Setup,
};
use cf_framing::Tagged;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;

use crate::world::{World, accept, texts};

pub(crate) fn pair(world: &mut World) -> (usize, usize) {
    (world.add("Saro", |_| {}), world.add("Raya", |_| {}))
}

pub(crate) fn connect(world: &mut World, from: usize, to: usize) -> ConversationId {
    let bundles = world.bundles(to);
    loop {
        let made = world.input(from, |driver, now| driver.connect(&bundles, None, now));
        if let Some(made) = made {
            return made.expect("the bundle is good");
        }
        // It may have been committed before the crash.
        if let Some(found) = world.with(from, Driver::conversations).last() {
            return found.id;
        }
    }
}

#[test]
fn content_sent_before_accept_arrives_after_it() {
    let mut world = World::new(1);
    let (saro, raya) = pair(&mut world);
    let talk = connect(&mut world, saro, raya);
    world.send(saro, talk, "one");
    world.send(saro, talk, "two");
    world.run(5);
    assert!(
        world.with(raya, Driver::conversations).is_empty(),
        "no state before she accepts"
    );
    world.kill(raya);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    world.run(20);
    assert_eq!(texts(&world.events(raya), at_raya), ["one", "two"]);
}

#[test]
fn payloads_that_overtake_the_invite_are_kept() {
    let mut world = World::new(2);
    let (saro, raya) = pair(&mut world);
    let talk = connect(&mut world, saro, raya);
    world.send(saro, talk, "one");
    world.send(saro, talk, "two");
    for log in world.log.values_mut() {
        log.reverse();
    }
    world.run(5);
    world.kill(raya);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    world.run(50);
    assert_eq!(texts(&world.events(raya), at_raya), ["one", "two"]);
}

#[test]
fn a_lost_invite_is_sent_again() {
    let mut world = World::new(3);
    let (saro, raya) = pair(&mut world);
    world.faults.loss = 100;
    let talk = connect(&mut world, saro, raya);
    world.send(saro, talk, "one");
    world.faults.loss = 0;
    world.settle(20);
    let at_raya = accept(&mut world, raya).expect("the invite came");
    world.settle(20);
    assert_eq!(texts(&world.events(raya), at_raya), ["one"]);
}

#[test]
fn the_same_id_sends_nothing_and_answers_its_state() {
    let mut world = World::new(4);
    let (saro, raya) = pair(&mut world);
    let talk = connect(&mut world, saro, raya);
    world.run(2);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    for _ in 0..3 {
        world.send(saro, talk, "once");
        world.run(10);
    }
    assert_eq!(texts(&world.events(raya), at_raya), ["once"]);
    let id = ContentId::new("once").expect("a short text");
    let state = world.with(saro, |driver| driver.state(talk, &id));
    assert_eq!(state.expect("readable"), Some(ContentState::Delivered));
}

/// The states that were told of a content, in order.
fn told(world: &World, node: usize, text: &str) -> Vec<ContentState> {
    let state = |event: cf_client::Event| match event.kind {
        EventKind::State { id, state, .. } if id.as_bytes() == text.as_bytes() => Some(state),
        _ => None,
    };
    world.events(node).into_iter().filter_map(state).collect()
}

#[test]
fn closing_tells_nothing_untrue_of_content_on_its_way() {
    let mut world = World::new(5);
    let (saro, raya) = pair(&mut world);
    let talk = connect(&mut world, saro, raya);
    world.run(2);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    world.run(10);
    world.send(saro, talk, "on its way");
    let close = |driver: &mut Driver, now| driver.close(talk, now);
    world
        .input(saro, close)
        .expect("no crash")
        .expect("it is open");
    world.kill(saro);
    world.run(30);
    assert_eq!(texts(&world.events(raya), at_raya), ["on its way"]);
    let expected = [ContentState::Accepted, ContentState::Delivered];
    assert_eq!(told(&world, saro, "on its way"), expected);
}

#[test]
fn content_that_was_given_up_is_not_published_any_more() {
    let mut world = World::new(6);
    let (saro, raya) = pair(&mut world);
    let talk = connect(&mut world, saro, raya);
    world.run(2);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    world.run(10);
    world.faults.outage = true;
    world.send(saro, talk, "too late");
    world.now = world.now.after(Duration::from_secs(15 * 24 * 60 * 60));
    world.run(5);
    let expired = [ContentState::Failed(FailureReason::Expired)];
    assert_eq!(told(&world, saro, "too late"), expired);
    world.kill(saro);
    world.faults.outage = false;
    world.now = world.now.after(Duration::from_secs(3600));
    world.send(saro, talk, "again");
    world.run(50);
    world.settle(10);
    assert_eq!(texts(&world.events(raya), at_raya), ["again"]);
    assert_eq!(told(&world, saro, "too late"), expired);
}

#[test]
fn an_invite_waits_once_and_ends_with_its_conversation() {
    let mut world = World::new(9);
    let (saro, raya) = pair(&mut world);
    world.faults.outage = true;
    let talk = connect(&mut world, saro, raya);
    for _ in 0..20 {
        world.now = world.now.after(Duration::from_secs(3600));
        world.run(2);
    }
    world.kill(saro);
    let (outgoing, _) = world.with(saro, Driver::waiting);
    assert_eq!(outgoing, 1, "one invite waits, however often it was due");
    let close = |driver: &mut Driver, now| driver.close(talk, now);
    world
        .input(saro, close)
        .expect("no crash")
        .expect("it is open");
    world.kill(saro);
    world.faults.outage = false;
    world.settle(20);
    assert!(crate::world::last_request(&world.events(raya)).is_none());
}

#[test]
fn what_nobody_expects_is_not_kept_for_ever() {
    let mut world = World::new(10);
    let (saro, raya) = pair(&mut world);
    connect(&mut world, saro, raya);
    let stays = world.input(saro, |driver, now| driver.rotate_points_every(None, now));
    stays.expect("no crash").expect("readable");
    world.run(2);
    for log in world.log.values_mut() {
        let frame = Frame::new(RoutingTag([9; 16]), "nobody expects this");
        log.push(Tagged.encode(&frame, 1024).expect("short"));
    }
    world.run(2);
    assert_eq!(world.with(raya, Driver::waiting).1, 1);
    world.now = world.now.after(PARKED_FOR + Duration::from_secs(1));
    world.run(1);
    assert_eq!(world.with(raya, Driver::waiting).1, 0);
    world.kill(raya);
    assert_eq!(world.with(raya, Driver::waiting).1, 0);
}

/// Somebody else's invite names the conversation that Saro asks for.
#[test]
fn a_conversation_begins_by_one_request_only() {
    let mut world = World::new(11);
    let (saro, raya) = pair(&mut world);
    let bundles = world.bundles(raya);
    let connect = |driver: &mut Driver, now| driver.connect(&bundles, None, now);
    let talk = world
        .input(saro, connect)
        .expect("no crash")
        .expect("the bundle is good");
    let inbox = InboxProtocol::new();
    let oscar = SoftwareIdentity::generate(&mut world.random).expect("a seed");
    let oscar: Arc<dyn Identity> = Arc::new(oscar);
    let bundle = bundles.bundle(inbox.id()).expect("it is there");
    let info = inbox.read(&*oscar, bundle, world.now).expect("it is good");
    let mut env = Env {
        now: world.now,
        random: &mut world.random,
        records: &EmptyRecords,
    };
    let handshake = inbox
        .initiate(&oscar, bundle, talk, &mut env)
        .expect("it is good");
    let offer = info.spec.offers[0].clone();
    let own = PointInfo {
        point: info.spec.points[0].clone(),
        max_body_len: 1 << 16,
        capabilities: Capabilities::none(1 << 17),
    };
    let setup = Setup {
        conversation: talk,
        identity: oscar.clone(),
        peer: Some(Peer {
            id: PeerId(0),
            participant: info.owner.clone(),
            offer: Some(offer.clone()),
            points: vec![own.clone()],
        }),
        exported: Some(handshake.exported().clone()),
        offer_secret: None,
        parameters: Bytes::new(),
        points: vec![own.clone()],
        arrived_at: None,
    };
    let created = cf_conversation::private()
        .create(setup, &mut env)
        .expect("it is good");
    let invite = Invite {
        id: InviteId([9; 16]),
        conversation: talk,
        conversation_protocol: cf_conversation::PRIVATE,
        specification: String::new(),
        parameters: created.parameters,
        offer: Some(offer.id),
        chosen_from: Vec::new(),
        points: vec![own.point],
        offers: Vec::new(),
        sent_at: world.now,
        display_name: "Oscar".to_owned(),
    };
    let sealed = handshake.seal(&invite, &mut env).expect("it is short");
    let payload = Tagged.encode(&sealed.frame, 8192).expect("it is short");
    let point = &info.spec.points[0];
    let place = (point.locator.clone(), point.address.clone());
    world
        .log
        .get_mut(&place)
        .expect("Saro has sent there")
        .push(payload);
    world.run(2);
    let requests = world.with(raya, |driver| driver.requests().expect("readable"));
    let of = |name: &str| {
        requests
            .iter()
            .find(|r| r.name == name)
            .expect("it came")
            .id
    };
    let accept = |world: &mut World, id| {
        let accepting = |driver: &mut Driver, now| driver.accept(id, now);
        world.input(raya, accepting).expect("no crash")
    };
    assert_eq!(
        accept(&mut world, of("Saro")).expect("it is the first"),
        talk
    );
    let error = accept(&mut world, of("Oscar")).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let all = world.with(raya, Driver::conversations);
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].participant.as_ref(),
        Some(world.nodes[saro].identity().id())
    );
}

/// Every content is told once, and before an earlier one only while a gap is
/// told to be open; in the end none is.
pub(crate) fn check_order(events: &[Event], of: ConversationId, sent: &[String], seed: u64) {
    let (mut told, mut gap) = (BTreeSet::new(), false);
    for event in events {
        match &event.kind {
            EventKind::Gap { conversation, .. } if *conversation == of => gap = true,
            EventKind::GapClosed { conversation } if *conversation == of => gap = false,
            EventKind::Message {
                conversation,
                content: cf_core::Content::Bytes(content),
                ..
            } if *conversation == of => {
                let place = sent.iter().position(|text| text.as_bytes() == &content[..]);
                let place = place.expect("only what was sent is told");
                let early = (0..place).any(|before| !told.contains(&before));
                assert!(!early || gap, "seed {seed}: {content:?} was told too early");
                assert!(
                    told.insert(place),
                    "seed {seed}: {content:?} was told twice"
                );
            }
            _ => {}
        }
    }
    assert_eq!(told.len(), sent.len(), "seed {seed}: content was lost");
    assert!(!gap, "seed {seed}: a gap was left open");
}
