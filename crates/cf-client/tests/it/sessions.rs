//! The sessions of a conversation of two: what one side loses, the other keeps.

use std::collections::BTreeSet;

use cf_client::limits::{MAX_SESSIONS, SUPERSEDED_FOR};
use cf_client::{Driver, EventKind};
use cf_conversation::{PRIVATE_2, private_2};
use cf_core::{ContentId, ContentState, ConversationId, ProtocolId, Scan, Store};

use crate::rules::{check_order, connect, pair};
use crate::world::{Faults, World, accept, texts};

/// So many seeds, or those that `cargo xtask soak` names.
fn seeds(so_many: u64) -> std::ops::Range<u64> {
    let named = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = named("CF_FIRST_SEED").unwrap_or(0);
    first..first + named("CF_SEEDS").unwrap_or(so_many)
}

/// The protocols that renewed a conversation, in order.
fn renewals(world: &World, node: usize, of: ConversationId) -> Vec<ProtocolId> {
    let renewal = |event: cf_client::Event| match event.kind {
        EventKind::Renewed {
            conversation,
            protocol,
        } if conversation == of => Some(protocol),
        _ => None,
    };
    world.events(node).into_iter().filter_map(renewal).collect()
}

fn state(world: &mut World, node: usize, of: ConversationId, text: &str) -> Option<ContentState> {
    let id = ContentId::new(text.as_bytes().to_vec()).expect("a short text");
    world
        .with(node, |driver| driver.state(of, &id))
        .expect("readable")
}

/// Saro and Raya talk; gives their names of the conversation.
fn talking(world: &mut World, saro: usize, raya: usize) -> (ConversationId, ConversationId) {
    let talk = connect(world, saro, raya);
    world.settle(5);
    let at_raya = accept(world, raya).expect("she can accept");
    world.settle(10);
    (talk, at_raya)
}

#[test]
fn a_peer_who_lost_everything_comes_back_into_the_same_conversation() {
    let mut world = World::new(71);
    let (saro, raya) = pair(&mut world);
    let (talk, at_raya) = talking(&mut world, saro, raya);
    world.send(saro, talk, "before");
    world.settle(10);
    world.wipe(saro);
    world.send(raya, at_raya, "into the void");
    world.settle(10);
    let talk = connect(&mut world, saro, raya);
    world.settle(20);
    world.send(saro, talk, "again");
    world.send(raya, at_raya, "welcome back");
    world.settle(20);
    let requests = world.with(raya, |driver| driver.requests().expect("readable"));
    assert!(requests.is_empty(), "nobody is asked: {requests:?}");
    assert_eq!(renewals(&world, raya, at_raya).len(), 1);
    assert_eq!(world.with(raya, Driver::conversations).len(), 1);
    assert_eq!(texts(&world.events(raya), at_raya), ["before", "again"]);
    assert_eq!(
        texts(&world.events(saro), talk),
        ["into the void", "welcome back"]
    );
    for text in ["into the void", "welcome back"] {
        assert_eq!(
            state(&mut world, raya, at_raya, text),
            Some(ContentState::Delivered)
        );
    }
}

/// What was sent on the request would be told twice, if that were accepted later beside
/// the conversation that was asked for.
#[test]
fn who_asks_somebody_whose_request_waits_has_accepted_it() {
    for seed in 0..8 {
        let mut world = World::new(720 + seed);
        let (saro, raya) = pair(&mut world);
        let talk = connect(&mut world, saro, raya);
        world.send(saro, talk, "once");
        world.run(3);
        let requests = |world: &mut World| {
            let all = world.with(raya, |driver| driver.requests().expect("readable"));
            all.len()
        };
        assert_eq!(requests(&mut world), 1);
        let at_raya = connect(&mut world, raya, saro);
        assert_eq!(requests(&mut world), 0, "seed {seed}");
        world.kill(raya);
        world.settle(30);
        world.send(raya, at_raya, "back");
        world.settle(30);
        for node in [saro, raya] {
            assert_eq!(world.with(node, Driver::conversations).len(), 1);
        }
        assert_eq!(texts(&world.events(raya), at_raya), ["once"], "seed {seed}");
        assert_eq!(texts(&world.events(saro), talk), ["back"], "seed {seed}");
    }
}

#[test]
fn a_peer_who_comes_again_and_again_has_so_many_sessions_at_most() {
    let mut world = World::new(75);
    let (saro, raya) = pair(&mut world);
    let (_, at_raya) = talking(&mut world, saro, raya);
    let sessions = |world: &World| {
        let all = world.nodes[raya]
            .store
            .scan(b"#conversations", &Scan::prefix(""));
        all.expect("readable").len()
    };
    for round in 0..MAX_SESSIONS + 4 {
        world.wipe(saro);
        let talk = connect(&mut world, saro, raya);
        world.run(30);
        world.send(saro, talk, &format!("round {round}"));
        world.run(30);
        assert_eq!(sessions(&world), (round + 2).min(MAX_SESSIONS));
    }
    let told = texts(&world.events(raya), at_raya);
    assert_eq!(told.len(), MAX_SESSIONS + 4, "{told:?}");
    // Those that were superseded end once nothing of them can be on its way.
    world.now = world.now.after(SUPERSEDED_FOR);
    world.run(5);
    assert_eq!(sessions(&world), 1);
}

#[test]
fn a_closed_conversation_is_not_renewed_also_after_a_restart() {
    let mut world = World::new(76);
    let (saro, raya) = pair(&mut world);
    let (_, at_raya) = talking(&mut world, saro, raya);
    // So that there is a superseded session beside the one that is closed.
    world.wipe(saro);
    connect(&mut world, saro, raya);
    world.run(30);
    let closed = world.input(raya, |driver, now| driver.close(at_raya, now));
    closed.expect("no crash").expect("it is open");
    world.run(30);
    world.kill(raya);
    world.wipe(saro);
    connect(&mut world, saro, raya);
    world.run(30);
    let requests = world.with(raya, |driver| driver.requests().expect("readable"));
    assert_eq!(requests.len(), 1, "she is asked");
    assert_eq!(renewals(&world, raya, at_raya).len(), 1);
}

#[test]
fn two_who_ask_each_other_at_once_have_one_conversation() {
    for seed in seeds(20) {
        let mut world = World::new(7_200 + seed);
        let (saro, raya) = pair(&mut world);
        world.faults = Faults {
            loss: 20,
            repetition: 10,
            reordering: 20,
            crash: 5,
            ..Faults::default()
        };
        let bundles = [world.bundles(saro), world.bundles(raya)];
        let connect = |world: &mut World, node: usize, bundles| {
            loop {
                let made = world.input(node, |driver, now| driver.connect(bundles, None, now));
                if let Some(made) = made {
                    return made.expect("the bundle is good");
                }
                if let Some(found) = world.with(node, Driver::conversations).last() {
                    return found.id;
                }
            }
        };
        let at_saro = connect(&mut world, saro, &bundles[1]);
        let at_raya = connect(&mut world, raya, &bundles[0]);
        let mut sent = [Vec::new(), Vec::new()];
        for number in 0..6 {
            for (who, (node, talk)) in [(saro, at_saro), (raya, at_raya)].into_iter().enumerate() {
                let text = format!("{who} says {number}");
                world.send(node, talk, &text);
                sent[who].push(text);
            }
            world.run(3);
        }
        world.faults = Faults::default();
        world.settle(150);
        for node in [saro, raya] {
            let requests = world.with(node, |driver| driver.requests().expect("readable"));
            assert!(requests.is_empty(), "seed {seed}: {requests:?}");
            assert_eq!(
                world.with(node, Driver::conversations).len(),
                1,
                "seed {seed}"
            );
        }
        check_order(&world.events(raya), at_raya, &sent[0], seed);
        check_order(&world.events(saro), at_saro, &sent[1], seed);
    }
}

fn with_better(components: &mut cf_client::Components) {
    components.conversations.insert(0, private_2());
}

#[test]
fn a_conversation_moves_to_a_better_protocol_once_both_have_it() {
    for seed in seeds(20) {
        let mut world = World::new(7_300 + seed);
        let (saro, raya) = pair(&mut world);
        let (talk, at_raya) = talking(&mut world, saro, raya);
        world.faults = Faults {
            loss: 20,
            repetition: 10,
            reordering: 20,
            crash: 5,
            ..Faults::default()
        };
        let mut sent = [Vec::new(), Vec::new()];
        for number in 0..12 {
            match number {
                2 => world.recompose(saro, with_better),
                4 => {
                    assert!(renewals(&world, saro, talk).is_empty(), "she lacks it");
                    world.recompose(raya, with_better);
                }
                _ => {}
            }
            for (who, (node, of)) in [(saro, talk), (raya, at_raya)].into_iter().enumerate() {
                let text = format!("{who} says {number}");
                world.send(node, of, &text);
                sent[who].push(text);
            }
            world.run(5);
        }
        world.faults = Faults::default();
        world.settle(100);
        for (node, of) in [(saro, talk), (raya, at_raya)] {
            assert_eq!(renewals(&world, node, of), [PRIVATE_2], "seed {seed}");
            let all = world.with(node, Driver::conversations);
            assert_eq!(all.len(), 1, "seed {seed}");
            assert_eq!(
                (all[0].id, &all[0].protocol),
                (of, &PRIVATE_2),
                "seed {seed}"
            );
        }
        check_order(&world.events(raya), at_raya, &sent[0], seed);
        check_order(&world.events(saro), talk, &sent[1], seed);
        for (who, (node, of)) in [(saro, talk), (raya, at_raya)].into_iter().enumerate() {
            let failed: BTreeSet<_> = sent[who]
                .iter()
                .filter(|text| state(&mut world, node, of, text) != Some(ContentState::Delivered))
                .collect();
            assert!(failed.is_empty(), "seed {seed}: {failed:?}");
        }
    }
}

#[test]
fn a_backup_that_was_put_back_renews_its_session() {
    for seed in seeds(10) {
        let mut world = World::new(7_400 + seed);
        let (saro, raya) = pair(&mut world);
        let (talk, at_raya) = talking(&mut world, saro, raya);
        world.send(saro, talk, "one");
        world.run(20);
        let backup = world.backup(saro);
        // Further than a chain: what Raya sends now opens with no key of the backup.
        for number in 0..3 {
            world.send(saro, talk, &format!("lost {number}"));
            world.send(raya, at_raya, &format!("heard {number}"));
            world.run(20);
        }
        world.put_back(saro, &backup);
        // Before he hears her, Saro can't know: what he says may take the place of
        // what she has heard.
        world.send(saro, talk, "hello?");
        world.send(raya, at_raya, "yes?");
        world.run(60);
        let mut sent = [Vec::new(), Vec::new()];
        for number in 0..8 {
            for (who, (node, of)) in [(saro, talk), (raya, at_raya)].into_iter().enumerate() {
                let text = format!("{who} says {number}");
                world.send(node, of, &text);
                sent[who].push(text);
            }
            world.run(60);
        }
        world.run(300);
        for (node, of) in [(saro, talk), (raya, at_raya)] {
            let all = world.with(node, Driver::conversations);
            assert_eq!(all.len(), 1, "seed {seed}");
            assert!(!renewals(&world, node, of).is_empty(), "seed {seed}");
        }
        let told = [
            texts(&world.events(raya), at_raya),
            texts(&world.events(saro), talk),
        ];
        for who in 0..2 {
            for text in &sent[who] {
                let times = told[who].iter().filter(|other| *other == text).count();
                assert_eq!(times, 1, "seed {seed}: {text} in {:?}", told[who]);
            }
        }
    }
}
