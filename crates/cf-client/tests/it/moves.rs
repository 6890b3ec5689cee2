//! Conversations that move, what is read, and who writes.

use std::sync::Arc;
use std::time::Duration;

use cf_client::Driver;
use cf_core::{ContentId, ContentState, ConversationId, ErrorKind, Locator, Signal};
use cf_ds::MemoryService;

use crate::world::{World, accept, texts};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn service(name: &str) -> Arc<MemoryService> {
    Arc::new(MemoryService::new(name).expect("a valid name"))
}

fn locator(name: &str) -> Locator {
    Locator::parse(&format!("memory:{name}")).expect("a locator")
}

/// Saro and Raya, who have talked.
fn talking(world: &mut World) -> ConversationId {
    let (saro, raya) = (world.add("Saro", |_| {}), world.add("Raya", |_| {}));
    let bundles = world.bundles(raya);
    let made = world.input(saro, |driver, now| driver.connect(&bundles, None, now));
    let talk = made.expect("nothing crashes").expect("a good bundle");
    world.run(5);
    accept(world, raya).expect("she can accept");
    for who in [saro, raya] {
        world.send(who, talk, &format!("hello from {who}"));
    }
    world.settle(20);
    talk
}

/// What both were told since, in order.
fn said(world: &World, talk: ConversationId) -> [Vec<String>; 2] {
    [0, 1].map(|who| texts(&world.events(who), talk)[1..].to_vec())
}

#[test]
fn points_rotate_weekly_and_nothing_is_lost() {
    let mut world = World::new(1);
    let talk = talking(&mut world);
    let first = [0, 1].map(|who| world.places(who));
    world.faults.crash = 2;
    world.faults.loss = 20;
    let mut sent = Vec::new();
    for week in 0..6 {
        for half in 0..2 {
            let text = format!("week {week}, {half}");
            for who in [0, 1] {
                world.send(who, talk, &text);
            }
            sent.push(text);
            world.settle(20);
            world.now = world.now.after(WEEK / 2);
        }
    }
    world.faults = Default::default();
    world.settle(60);
    assert_eq!(said(&world, talk), [sent.clone(), sent]);
    for who in [0, 1] {
        let now = world.places(who);
        let moved = now.difference(&first[who]).count();
        assert!(moved >= 1, "it listens elsewhere");
        assert!(now.len() < first[who].len() + 5, "and has left old places");
    }
    // Switched off, it stays where it is, also after a restart.
    for who in [0, 1] {
        let off = world.input(who, |driver, now| driver.rotate_points_every(None, now));
        off.expect("nothing crashes").expect("readable");
    }
    world.settle(20);
    let before: Vec<_> = [0, 1].map(|who| world.places(who)).into();
    for _ in 0..4 {
        world.now = world.now.after(WEEK);
        world.kill(0);
        world.settle(20);
    }
    for who in [0, 1] {
        let now = world.places(who);
        assert_eq!(now.difference(&before[who]).count(), 0);
    }
}

#[test]
fn a_conversation_moves_to_another_service() {
    let mut world = World::new(2);
    let talk = talking(&mut world);
    for who in [0, 1] {
        world.recompose(who, |components| {
            components.services.push(service("second"))
        });
    }
    world.settle(5);
    let wrong = |world: &mut World, services: &[Locator]| {
        let moved = world.input(0, |driver, now| {
            driver.move_conversation(talk, services, now)
        });
        moved
            .expect("nothing crashes")
            .map_err(|error| error.kind())
    };
    assert_eq!(wrong(&mut world, &[]), Err(ErrorKind::Misuse));
    let third = [locator("third")];
    assert_eq!(wrong(&mut world, &third), Err(ErrorKind::Unsupported));
    assert_eq!(wrong(&mut world, &[locator("second")]), Ok(()));
    world.settle(10);
    world.send(1, talk, "over the second");
    world.settle(10);
    let on_second = |places: &std::collections::BTreeSet<(Locator, _)>| {
        places.iter().any(|(at, _)| *at == locator("second"))
    };
    let places = world.places(0);
    assert!(on_second(&places));
    let logs = world.log.iter();
    let counts = logs.filter(|((at, _), log)| *at == locator("second") && !log.is_empty());
    assert!(counts.count() >= 1, "it went there");
    assert_eq!(said(&world, talk)[0], ["over the second"]);
}

/// The service of both is gone for good while contents are on their way over it.
/// At their next start with another one they meet there, as far as each can tell
/// the other: here Saro's move reaches Raya through what is left of the first.
#[test]
fn a_conversation_leaves_a_service_that_is_no_longer_configured() {
    let mut world = World::new(3);
    let talk = talking(&mut world);
    // Raya keeps both services; Saro changes to the second.
    world.recompose(1, |components| components.services.push(service("second")));
    world.settle(5);
    // What waits in the outbox at that start goes on, under the first of its numbers.
    world.kill(0);
    world.faults.outage = true;
    world.send(0, talk, "waits");
    world.recompose(0, |components| {
        components.services = vec![service("second")]
    });
    world.run(1);
    world.faults.outage = false;
    world.settle(10);
    assert_eq!(said(&world, talk)[1], ["waits"]);
    // The last that the first service carries is the news of the move.
    world.gone.insert(locator("world"));
    for number in 0..5 {
        world.send(1, talk, &format!("number {number}"));
    }
    world.settle(40);
    let numbers: Vec<_> = (0..5).map(|number| format!("number {number}")).collect();
    assert_eq!(said(&world, talk)[0], numbers);
    let id = ContentId::new("number 0").expect("short");
    let state = world.with(1, |driver| driver.state(talk, &id));
    // Saro can't say so: Raya's own points are on the first service still.
    assert_ne!(state.expect("readable"), None);
}

#[test]
fn what_is_read_is_a_state_and_who_writes_is_told_at_once() {
    let mut world = World::new(4);
    let talk = talking(&mut world);
    world.send(0, talk, "read me");
    world.settle(10);
    let id = |text: &str| ContentId::new(text.to_owned()).expect("short");
    for text in ["read me", "never sent"] {
        let read = world.input(1, |driver, now| driver.read(talk, None, id(text), now));
        read.expect("nothing crashes").expect("it can");
    }
    world.kill(1);
    world.settle(10);
    let state = |world: &mut World, text: &str| {
        let state = world.with(0, |driver| driver.state(talk, &id(text)));
        state.expect("readable")
    };
    assert_eq!(state(&mut world, "read me"), Some(ContentState::Read));
    assert_eq!(state(&mut world, "never sent"), None);
    let unknown = world.with(0, |driver| driver.counters().of("unknown.receipt"));
    assert_eq!(unknown, 1);
    let events = world.events(1).len();
    let typing = world.input(0, |driver: &mut Driver, now| driver.typing(talk, true, now));
    typing.expect("nothing crashes").expect("it can");
    world.run(5);
    let told = &world.signals[..];
    let is_typing = |signal: &Signal| matches!(signal, Signal::Typing { typing: true, .. });
    assert!(
        matches!(told, [(1, signal)] if is_typing(signal)),
        "{told:?}"
    );
    assert_eq!(world.events(1).len(), events, "it is not logged");
}
