//! Large contents through whole clients.

use std::sync::Arc;

use bytes::Bytes;
use cf_client::limits::{SPOOL_ROW, SPOOL_STEP, UNSENT_FOR};
use cf_client::{Driver, EventKind, read_large};
use cf_core::{
    Content, ContentId, ContentState, ConversationId, ErrorKind, FailureReason, Identity, Random,
    Scan, Store,
};
use cf_ds::{MemoryOptions, MemoryService};
use cf_testkit::SeededRandom;

use crate::world::{Faults, World, accept, texts};

/// How long a content is in a test that anybody runs, in bytes; the environment
/// may say another, up to 64 MiB.
fn len() -> usize {
    let mib = std::env::var("CF_LARGE_MIB")
        .ok()
        .and_then(|mib| mib.parse().ok());
    mib.unwrap_or(3usize) * 1024 * 1024
}

/// Saro and Raya, who talk over a service that takes 4 KiB and a frame's tag.
fn pair(world: &mut World) -> (usize, usize) {
    (add(world, "Saro"), add(world, "Raya"))
}

fn add(world: &mut World, name: &str) -> usize {
    world.add(name, |components| {
        let options = MemoryOptions {
            max_payload_len: 4_096 + 256,
            ..MemoryOptions::default()
        };
        let service = MemoryService::with_options("world", options).unwrap();
        components.services = vec![Arc::new(service)];
    })
}

fn talk(world: &mut World, saro: usize, raya: usize) -> (ConversationId, ConversationId) {
    let bundles = world.bundles(raya);
    let made = world.input(saro, |driver, now| driver.connect(&bundles, None, now));
    let talk = made.unwrap().unwrap();
    world.run(5);
    let at_raya = accept(world, raya).unwrap();
    world.run(10);
    (talk, at_raya)
}

fn id(name: &str) -> ContentId {
    ContentId::new(name.as_bytes().to_vec()).unwrap()
}

fn random_bytes(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes.into()
}

/// Sends a large content, again and again until it is known that all of it was
/// committed: what a client does.
fn send(world: &mut World, node: usize, to: ConversationId, name: &str, bytes: &Bytes) {
    let (name, len) = (id(name), bytes.len() as u64);
    loop {
        let begun = world.input(node, |driver, now| driver.spooled(to, &name, len, now));
        let Some(begun) = begun else { continue };
        let (filled, state) = begun.unwrap();
        if state.is_some() {
            return;
        }
        if filled == len {
            let sent = world.input(node, |driver, now| driver.send_large(to, name.clone(), now));
            match sent {
                Some(sent) => {
                    sent.unwrap();
                    return;
                }
                None => continue,
            }
        }
        let end = bytes.len().min(filled as usize + SPOOL_STEP);
        let piece = bytes.slice(filled as usize..end);
        let spooled = world.input(node, |driver, _| driver.spool(to, &name, filled, piece));
        spooled.map(Result::unwrap);
    }
}

/// The large contents that came, in order.
fn came(world: &World, node: usize) -> Vec<(ContentId, u64)> {
    let large = |kind: EventKind| match kind {
        EventKind::Message {
            id,
            content: Content::Large { len },
            ..
        } => Some((id, len)),
        _ => None,
    };
    let events = world.events(node).into_iter();
    events.filter_map(|event| large(event.kind)).collect()
}

fn read(
    world: &World,
    node: usize,
    talk: ConversationId,
    from: &dyn Identity,
    name: &str,
) -> Vec<u8> {
    let store = &world.nodes[node].store;
    let mut all = Vec::new();
    loop {
        let at = all.len() as u64;
        let piece = read_large(store, talk, Some(from.id()), &id(name), at, 300_000).unwrap();
        assert!(piece.len() <= 300_000);
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

/// How many rows the spools of a client have.
fn rows(world: &World, node: usize) -> usize {
    let store = &world.nodes[node].store;
    let spools = store.scan(b"spools", &Scan::prefix("")).unwrap();
    let rows = spools.iter().map(|(key, _)| {
        let namespace = [b"#spool/", &key[..]].concat();
        store.scan(&namespace, &Scan::prefix("")).unwrap().len()
    });
    rows.sum::<usize>() + spools.len()
}

/// Two large contents, one each way, and small ones beside them come whole through
/// crashes at every boundary, losses and repetitions.
#[test]
fn large_contents_come_through_crashes() {
    let mut world = World::new(41);
    let (saro, raya) = pair(&mut world);
    let (at_saro, at_raya) = talk(&mut world, saro, raya);
    world.faults = Faults {
        loss: 3,
        repetition: 5,
        reordering: 20,
        crash: 25,
        outage: false,
    };
    let (there, back) = (random_bytes(1, len()), random_bytes(2, len() / 2 + 77));
    send(&mut world, saro, at_saro, "there", &there);
    send(&mut world, raya, at_raya, "back", &back);
    world.send(saro, at_saro, "small");
    let mut rounds = 0;
    while came(&world, raya).is_empty() || came(&world, saro).is_empty() {
        world.run(20);
        world.settle(1);
        rounds += 1;
        assert!(rounds < 20_000, "it takes for ever");
    }
    println!("{rounds} rounds, {} crashes", world.crashes);
    assert!(world.crashes > 50, "only {} crashes", world.crashes);
    world.faults = Faults::default();
    world.settle(20);
    world.run(200);
    assert_eq!(texts(&world.events(raya), at_raya), ["small"]);
    assert_eq!(came(&world, raya), [(id("there"), there.len() as u64)]);
    assert_eq!(came(&world, saro), [(id("back"), back.len() as u64)]);
    let saros = world.nodes[saro].identity().id().clone();
    for (node, talk, name) in [(saro, at_saro, "there"), (raya, at_raya, "back")] {
        let state = world.with(node, |driver| driver.state(talk, &id(name)).unwrap());
        assert_eq!(state, Some(ContentState::Delivered), "{name}");
    }
    let arrived = read(&world, raya, at_raya, world.nodes[saro].identity(), "there");
    assert!(arrived == there, "other bytes arrived");
    let arrived = read(&world, saro, at_saro, world.nodes[raya].identity(), "back");
    assert!(arrived == back, "other bytes arrived");
    // Only what came is kept, until it is let go of.
    world.run(2_000);
    let forget =
        |driver: &mut Driver, now| driver.forget_large(at_raya, Some(&saros), &id("there"), now);
    world.input(raya, forget).unwrap().unwrap();
    world.run(2_000);
    assert_eq!(rows(&world, raya), 0);
    let gone = read_large(
        &world.nodes[raya].store,
        at_raya,
        Some(&saros),
        &id("there"),
        0,
        9,
    );
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn what_was_not_spooled_to_its_end_was_never_sent() {
    let mut world = World::new(42);
    let (saro, raya) = pair(&mut world);
    let (at_saro, _) = talk(&mut world, saro, raya);
    let bytes = random_bytes(3, 3 * SPOOL_STEP + 5);
    let (name, len) = (id("half"), bytes.len() as u64);
    let begin = |driver: &mut Driver, now| driver.spooled(at_saro, &id("half"), len, now);
    assert_eq!(world.input(saro, begin).unwrap().unwrap(), (0, None));
    let spool = |at: usize, to: usize| {
        let piece = bytes.slice(at..to);
        move |driver: &mut Driver, _| driver.spool(at_saro, &id("half"), at as u64, piece)
    };
    world.input(saro, spool(0, SPOOL_STEP)).unwrap().unwrap();
    for (from, to) in [
        (0, SPOOL_STEP),
        (SPOOL_STEP + SPOOL_ROW, 2 * SPOOL_STEP),
        (SPOOL_STEP, SPOOL_STEP + 7),
        (SPOOL_STEP, 2 * SPOOL_STEP + SPOOL_ROW),
    ] {
        let error = world.input(saro, spool(from, to)).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
    }
    let send = |driver: &mut Driver, now| driver.send_large(at_saro, id("half"), now);
    let error = world.input(saro, send).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    let content = Content::Bytes(vec![7; 300_000].into());
    let error = world.input(saro, |driver, now| {
        driver.send(at_saro, id("bytes"), content, now)
    });
    assert!(error.unwrap().unwrap_err().to_string().contains("266240"));
    world.kill(saro);
    assert_eq!(
        world.with(saro, |driver| driver.state(at_saro, &name).unwrap()),
        None
    );
    assert_eq!(
        world.input(saro, begin).unwrap().unwrap(),
        (SPOOL_STEP as u64, None)
    );
    world.run(20);
    assert!(came(&world, raya).is_empty());
    // In a week it goes.
    assert!(rows(&world, saro) > 1);
    world.now = world.now.after(UNSENT_FOR * 2);
    world.run(200);
    assert_eq!(rows(&world, saro), 0);
}

/// What came stays until it is let go of, so there is only so much of it: in each
/// conversation and in all. What comes beyond fails at its author, who is told.
#[test]
fn what_came_is_bounded_in_each_conversation_and_in_all() {
    const LEN: usize = 100_000;
    let refused = ContentState::Failed(FailureReason::Refused);
    let mut world = World::new(44);
    let (saro, raya) = pair(&mut world);
    let oscar = add(&mut world, "Oscar");
    let (at_saro, from_saro) = talk(&mut world, saro, raya);
    let (at_oscar, from_oscar) = talk(&mut world, oscar, raya);
    let most = |driver: &mut Driver, _| driver.keep_large(250_000, 350_000);
    world.input(raya, most).unwrap();
    let sends = |world: &mut World, node, talk, name: &str| {
        send(world, node, talk, name, &random_bytes(4, LEN));
        for _ in 0..100 {
            world.run(20);
            let state = world.with(node, |driver| driver.state(talk, &id(name)).unwrap());
            if !matches!(
                state,
                Some(ContentState::Queued | ContentState::Accepted) | None
            ) {
                return state.unwrap();
            }
            world.settle(1);
        }
        panic!("{name} has no end");
    };
    let forgets = |world: &mut World, node: usize, talk, name: &str| {
        let author = world.nodes[node].identity().id().clone();
        let forget =
            |driver: &mut Driver, now| driver.forget_large(talk, Some(&author), &id(name), now);
        world.input(raya, forget).unwrap().unwrap();
    };
    let delivered = ContentState::Delivered;
    assert_eq!(sends(&mut world, saro, at_saro, "1"), delivered);
    assert_eq!(sends(&mut world, saro, at_saro, "2"), delivered);
    assert_eq!(sends(&mut world, saro, at_saro, "3"), refused);
    // Another peer has room of its own, as long as there is some in all.
    assert_eq!(sends(&mut world, oscar, at_oscar, "1"), delivered);
    world.kill(raya);
    assert_eq!(sends(&mut world, oscar, at_oscar, "2"), refused);
    assert_eq!(came(&world, raya).len(), 3);
    // A refused content leaves nothing behind.
    world.run(500);
    let kept = rows(&world, raya);
    forgets(&mut world, saro, from_saro, "1");
    assert_eq!(sends(&mut world, saro, at_saro, "4"), delivered);
    assert_eq!(sends(&mut world, saro, at_saro, "5"), refused);
    world.run(500);
    assert_eq!(rows(&world, raya), kept);
    for (node, talk, name) in [(saro, from_saro, "2"), (oscar, from_oscar, "1")] {
        forgets(&mut world, node, talk, name);
    }
    let no_limit = |driver: &mut Driver, _| driver.keep_large(u64::MAX, u64::MAX);
    world.input(raya, no_limit).unwrap();
    for name in ["6", "7", "8", "9"] {
        assert_eq!(sends(&mut world, saro, at_saro, name), delivered);
    }
}
