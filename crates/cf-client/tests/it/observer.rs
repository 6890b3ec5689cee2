//! What someone learns who sees every payload and holds no link and no key.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cf_core::{FramingStrategy, padding};

use crate::world::{World, accept};

#[test]
fn payloads_share_nothing_and_name_nothing() {
    let mut world = World::new(7);
    let saro = world.add("Saro the Sender", |_| {});
    let raya = world.add("Raya the Recipient", |_| {});
    let bundles = world.bundles(raya);
    let connect = |driver: &mut cf_client::Driver, now| driver.connect(&bundles, None, now);
    let talk = world
        .input(saro, connect)
        .expect("no crash")
        .expect("the bundle is good");
    let text = "the same words in every message";
    world.run(2);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    for number in 0..40 {
        world.send(saro, talk, &format!("{text} {number}"));
        world.send(raya, at_raya, &format!("{text} {number}"));
        world.run(1);
    }
    world.run(20);

    let router = cf_framing::Tagged.router();
    let mut distinct = HashSet::new();
    let mut seen: HashMap<[u8; 8], usize> = HashMap::new();
    let mut secrets: Vec<Bytes> = vec![
        text[..16].to_owned().into(),
        "Saro the".into(),
        "Raya the".into(),
        "/cf/".into(),
        "memory:".into(),
        Bytes::copy_from_slice(talk.as_bytes()),
    ];
    for address in world.log.keys().map(|(_, address)| address) {
        secrets.push(Bytes::copy_from_slice(address.as_bytes()));
    }
    for node in &world.nodes {
        secrets.push(node.identity().id().to_bytes());
        let key = node
            .identity()
            .agreement_key(world.now)
            .expect("software keys are there");
        secrets.push(Bytes::copy_from_slice(&key.public));
    }
    let payloads: Vec<_> = world.log.values().flatten().cloned().collect();
    assert!(payloads.len() > 80, "there was a conversation");
    for payload in &payloads {
        for secret in &secrets {
            let shown = payload.windows(secret.len()).any(|window| window == secret);
            assert!(
                !shown,
                "a payload shows {:?}",
                String::from_utf8_lossy(secret)
            );
        }
        // A resend is the same payload and counts once.
        if !distinct.insert(payload.clone()) {
            continue;
        }
        let routed = router
            .route(payload)
            .expect("the client's own payloads are well formed");
        let class = routed.body.len() - padding::BODY_OVERHEAD;
        assert_eq!(
            padding::padded_len(class),
            class,
            "every body has the length of a class"
        );
        for part in [routed.tag.as_bytes(), &routed.body[..]] {
            for window in part.windows(8) {
                let window = window.try_into().expect("8 bytes");
                let other = seen.insert(window, distinct.len());
                assert_eq!(other, None, "two payloads share 8 bytes");
            }
        }
    }
}

/// Random, truncated, bit-flipped, extended and repeated payloads at every
/// address: nothing is told but what was said, and the conversation goes on.
#[test]
fn hostile_payloads_change_nothing() {
    (8..16).for_each(hostile_payloads);
}

fn hostile_payloads(seed: u64) {
    let mut world = World::new(seed);
    let (saro, raya) = (world.add("Saro", |_| {}), world.add("Raya", |_| {}));
    let bundles = world.bundles(raya);
    let connect = |driver: &mut cf_client::Driver, now| driver.connect(&bundles, None, now);
    let talk = world
        .input(saro, connect)
        .expect("no crash")
        .expect("the bundle is good");
    world.run(2);
    poison(&mut world, 200);
    world.run(5);
    let at_raya = accept(&mut world, raya).expect("she can accept");
    let (mut from_saro, mut from_raya) = (Vec::new(), Vec::new());
    for number in 0..20 {
        from_saro.push(format!("there {number}"));
        from_raya.push(format!("back {number}"));
        world.send(saro, talk, &from_saro[number]);
        world.send(raya, at_raya, &from_raya[number]);
        poison(&mut world, 10);
        world.run(3);
    }
    world.settle(30);
    assert_eq!(crate::world::texts(&world.events(raya), at_raya), from_saro);
    assert_eq!(crate::world::texts(&world.events(saro), talk), from_raya);
    let requests = |events: Vec<cf_client::Event>| {
        let is = |event: &&cf_client::Event| matches!(event.kind, cf_client::EventKind::Request(_));
        events.iter().filter(is).count()
    };
    assert_eq!(requests(world.events(raya)), 1, "one person asked, once");
    let counted = world.with(raya, |driver| driver.counters().clone());
    assert!(counted.of("malformed.payload") > 0 && counted.of("parked.payload") > 0);
}

/// Puts `count` hostile payloads to each address.
fn poison(world: &mut World, count: usize) {
    use cf_core::Random;
    let places: Vec<_> = world.log.keys().cloned().collect();
    for place in places {
        for _ in 0..count {
            let log = &world.log[&place];
            let mut bytes = match log.is_empty() {
                true => vec![0; 64],
                false => log[world.random.below(log.len() as u64) as usize].to_vec(),
            };
            let at = world.random.below(bytes.len().max(1) as u64) as usize;
            match world.random.below(6) {
                0 => world.random.fill(&mut bytes),
                1 => bytes.truncate(at),
                2 if !bytes.is_empty() => bytes[at] ^= 1 << world.random.below(8),
                3 => bytes.push(0),
                4 => bytes.extend_from_within(..at),
                _ => {}
            }
            if let Some(log) = world.log.get_mut(&place) {
                log.push(bytes.into());
            }
        }
    }
}
