//! A client with many conversations starts without reading them all, and nobody
//! can tell the difference.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_client::{Components, Driver, limits};
use cf_core::{ConversationId, ProtocolId};

use crate::probes::public_channel::PublicChannel;
use crate::world::{World, accept, texts};

const CHANNEL: ProtocolId = ProtocolId::from_static("/probe/conversation/channel/1");
/// More than are read at once, before and behind the one that is talked in.
const MANY: usize = 400;

struct Many {
    world: World,
    saro: usize,
    raya: usize,
    talk: ConversationId,
}

/// Raya talks with Saro and has many conversations beside that; all sleep, and her
/// client is not running.
fn many() -> Many {
    let mut world = World::new(71);
    let channel = |all: &mut Components| {
        all.conversations.push(Arc::new(PublicChannel::new()));
    };
    let (saro, raya) = (world.add("Saro", channel), world.add("Raya", channel));
    let channels = |world: &mut World| {
        for _ in 0..MANY {
            let create = |driver: &mut Driver, now| driver.create(&CHANNEL, Bytes::new(), now);
            let created = world.input(saro, create).expect("no crash");
            let (_, parameters) = created.expect("it is alone");
            let join = |driver: &mut Driver, now| driver.join(&CHANNEL, parameters, now);
            world
                .input(raya, join)
                .expect("no crash")
                .expect("it is one");
        }
    };
    channels(&mut world);
    let bundles = world.bundles(raya);
    let connect = |driver: &mut Driver, now| driver.connect(&bundles, None, now);
    let talk = world
        .input(saro, connect)
        .expect("no crash")
        .expect("it is good");
    world.run(100);
    assert_eq!(accept(&mut world, raya).expect("it is known"), talk);
    for (who, text) in [(saro, "one"), (raya, "two")] {
        world.send(who, talk, text);
        world.run(100);
    }
    channels(&mut world);
    for _ in 0..4 {
        world.now = world.now.after(limits::IDLE * 2);
        world.run(10);
    }
    world.kill(raya);
    Many {
        world,
        saro,
        raya,
        talk,
    }
}

#[test]
fn what_is_sent_first_does_not_wait_for_all_conversations() {
    let Many {
        mut world,
        saro,
        raya,
        talk,
    } = many();
    world.send(raya, talk, "three");
    let places = world.nodes[raya].places().len();
    assert!(
        places < MANY,
        "{places} addresses were read before the message went out"
    );
    assert_eq!(world.with(raya, Driver::conversations).len(), 2 * MANY + 1);
    world.run(100);
    assert_eq!(texts(&world.events(saro), talk), ["two", "three"]);
    assert!(world.nodes[raya].places().len() > 2 * MANY);
    world.send(saro, talk, "four");
    world.run(100);
    assert_eq!(texts(&world.events(raya), talk), ["one", "four"]);
}

#[test]
fn what_comes_while_conversations_are_read_is_told_once() {
    let Many {
        mut world,
        saro,
        raya,
        talk,
    } = many();
    world.send(saro, talk, "three");
    // Killed again and again before everything is read.
    for _ in 0..3 {
        world.with(raya, |_| {});
        world.kill(raya);
    }
    world.run(100);
    assert_eq!(texts(&world.events(raya), talk), ["one", "three"]);
}

#[test]
fn who_is_known_is_known_before_everything_is_read() {
    let Many {
        mut world,
        saro,
        raya,
        talk,
    } = many();
    let backup = world.backup(raya);
    // The same two have one conversation, whoever asks.
    let bundles = world.bundles(saro);
    let connect = |driver: &mut Driver, now| driver.connect(&bundles, None, now);
    let again = world.input(raya, connect).expect("no crash");
    assert_eq!(again.expect("it is good"), talk);

    world.kill(raya);
    world.put_back(raya, &backup);
    let peer = world.nodes[saro].identity().id().clone();
    let block = |driver: &mut Driver, now| driver.block(&peer, now);
    world
        .input(raya, block)
        .expect("no crash")
        .expect("it is another");
    let id = cf_core::ContentId::new("blocked").expect("short");
    let send =
        |driver: &mut Driver, now| driver.send(talk, id, cf_core::Content::Bytes("no".into()), now);
    let refused = world.input(raya, send).expect("no crash");
    assert_eq!(
        refused.expect_err("blocked").kind(),
        cf_core::ErrorKind::Misuse
    );
    world.now = world.now.after(Duration::from_secs(1));
    world.send(saro, talk, "three");
    world.run(100);
    assert_eq!(texts(&world.events(raya), talk), ["one"]);
}
