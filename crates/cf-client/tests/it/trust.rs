//! Compared keys, and other keys that claim to be somebody who is known.

use std::sync::Arc;

use cf_client::limits::MAX_OTHER_KEYS;
use cf_client::{Driver, EventKind};
use cf_core::*;
use cf_framing::Tagged;
use cf_identity::SoftwareIdentity;
use cf_init::InboxProtocol;

use crate::rules::{connect, pair};
use crate::world::{World, accept, last_request};

fn talking(world: &mut World, saro: usize, raya: usize) -> ConversationId {
    connect(world, saro, raya);
    world.settle(5);
    let talk = accept(world, raya).expect("she can accept");
    world.settle(10);
    talk
}

fn id(world: &World, node: usize) -> ParticipantId {
    world.nodes[node].identity().id().clone()
}

fn verify(world: &mut World, node: usize, who: &ParticipantId, on: bool) -> Result<()> {
    let done = world.input(node, |driver, now| driver.set_verified(who, on, now));
    done.expect("no crash")
}

/// Which other keys a client was told of.
fn other_keys(world: &World, node: usize) -> Vec<(ConversationId, Option<ParticipantId>, bool)> {
    let other = |event: cf_client::Event| match event.kind {
        EventKind::OtherKey {
            conversation,
            participant,
            verified,
            ..
        } => Some((conversation, participant, verified)),
        _ => None,
    };
    world.events(node).into_iter().filter_map(other).collect()
}

fn verified(world: &mut World, node: usize, of: ConversationId) -> bool {
    let all = world.with(node, Driver::conversations);
    all.iter().any(|talk| talk.id == of && talk.verified)
}

#[test]
fn another_key_by_a_contacts_name_is_reported_and_has_no_mark() {
    let mut world = World::new(81);
    let (saro, raya) = pair(&mut world);
    let talk = talking(&mut world, saro, raya);
    let (is_saro, stranger) = (id(&world, saro), ParticipantId::new("nobody").unwrap());
    let error = verify(&mut world, raya, &stranger, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(!verified(&mut world, raya, talk));
    verify(&mut world, raya, &is_saro, true).unwrap();
    world.kill(raya);
    assert!(verified(&mut world, raya, talk), "it is kept");

    let mallory = world.add("  sARO ", |_| {});
    for _ in 0..2 {
        connect(&mut world, mallory, raya);
        world.settle(3);
    }
    let is_mallory = id(&world, mallory);
    let told = [(talk, Some(is_mallory.clone()), true)];
    assert_eq!(other_keys(&world, raya), told, "once");
    let request = last_request(&world.events(raya)).expect("it is asked as a stranger");
    assert_eq!(request.from, Some(is_mallory));
    let other = accept(&mut world, raya).unwrap();
    assert_ne!(other, talk);
    assert!(verified(&mut world, raya, talk));
    assert!(!verified(&mut world, raya, other), "the mark is the key's");

    verify(&mut world, raya, &is_saro, false).unwrap();
    world.kill(raya);
    assert!(!verified(&mut world, raya, talk));
}

#[test]
fn nobody_else_is_reported() {
    let mut world = World::new(82);
    let (saro, raya) = pair(&mut world);
    talking(&mut world, saro, raya);
    // The same key again, another name, and no name at all.
    world.wipe(saro);
    for name in ["Sara", "", " "] {
        let other = world.add(name, |_| {});
        connect(&mut world, other, raya);
    }
    connect(&mut world, saro, raya);
    world.settle(10);
    assert_eq!(other_keys(&world, raya), []);
}

#[test]
fn a_link_of_another_key_by_a_contacts_name_is_reported() {
    let mut world = World::new(83);
    let (saro, raya) = pair(&mut world);
    let talk = talking(&mut world, saro, raya);
    let mallory = world.add("Saro", |_| {});
    connect(&mut world, raya, mallory);
    let told = [(talk, Some(id(&world, mallory)), false)];
    assert_eq!(other_keys(&world, raya), told);
}

#[test]
fn another_key_that_names_a_conversation_is_reported_and_gets_nothing() {
    let mut world = World::new(84);
    let (saro, raya) = pair(&mut world);
    let talk = talking(&mut world, saro, raya);
    let requests = |world: &World| last_request(&world.events(raya)).expect("Saro's").id;
    let before = requests(&world);
    let mut claimants = Vec::new();
    for seed in 0..MAX_OTHER_KEYS + 3 {
        let mut random = cf_testkit::SeededRandom::new(seed as u64);
        let mallory: Arc<dyn Identity> = Arc::new(SoftwareIdentity::generate(&mut random).unwrap());
        claimants.push(mallory.id().clone());
        invite_into(&mut world, raya, &mallory, talk, &mut random);
    }
    world.settle(3);
    let told = other_keys(&world, raya);
    assert_eq!(told.len(), MAX_OTHER_KEYS, "and no more");
    assert!(told.iter().all(|(of, who, _)| {
        *of == talk && who.as_ref().is_some_and(|who| claimants.contains(who))
    }));
    assert_eq!(requests(&world), before, "nobody is asked");
    assert_eq!(world.with(raya, Driver::conversations).len(), 1);
    world.send(raya, talk, "still here");
    world.settle(5);
    let heard = world.events(saro);
    assert!(
        heard
            .iter()
            .any(|event| matches!(event.kind, EventKind::Message { .. }))
    );
}

/// Puts an invite into a conversation that is somebody else's at a client's address.
fn invite_into(
    world: &mut World,
    node: usize,
    mallory: &Arc<dyn Identity>,
    conversation: ConversationId,
    random: &mut dyn Random,
) {
    let bundles = world.bundles(node);
    let protocol = InboxProtocol::default();
    let bundle = bundles.bundle(protocol.id()).unwrap();
    let spec = protocol.read(&**mallory, bundle, world.now).unwrap().spec;
    let mut env = Env {
        now: world.now,
        random,
        records: &EmptyRecords,
    };
    let handshake = protocol.initiate(mallory, bundle, conversation, &mut env);
    let invite = Invite {
        id: InviteId::random(env.random),
        conversation,
        conversation_protocol: spec.conversation_protocols[0].clone(),
        specification: String::new(),
        parameters: "anything".into(),
        offer: None,
        chosen_from: vec![],
        points: spec.points.clone(),
        offers: vec![],
        sent_at: world.now,
        display_name: "Mallory".to_owned(),
    };
    let sealed = handshake.unwrap().seal(&invite, &mut env).unwrap();
    let payload = Tagged.encode(&sealed.frame, 8192).unwrap();
    let point = &spec.points[0];
    let place = (point.locator.clone(), point.address.clone());
    world.log.entry(place).or_default().push(payload);
}
