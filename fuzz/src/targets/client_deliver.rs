//! Any payloads at an inbox and at the addresses of a conversation of a client:
//! nothing is told but what was said, and what was said is told.

use std::collections::HashSet;
use std::sync::OnceLock;

use crate::scene::NOW;
use crate::script::Script;
use crate::world::{Node, World};

pub(super) fn run(data: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let mut script = Script::new(data);
    let restored = world.raya.on(world.raya.store.snapshot()).start(NOW);
    let mut raya = restored.expect("its own store");
    let before = raya.texts().len();
    for _ in 0..24 {
        if script.is_over() {
            break;
        }
        step(&mut raya, world, &mut script);
    }
    for (place, payload) in &world.waiting {
        raya.deliver(place, payload.clone());
    }
    let told = raya.texts().split_off(before);
    let distinct: HashSet<_> = told.iter().collect();
    assert_eq!(distinct.len(), told.len(), "a text was told twice");
    let texts: HashSet<_> = world.texts.iter().map(String::as_bytes).collect();
    assert!(
        told.iter().all(|text| texts.contains(&text[..])),
        "{told:?}"
    );
    assert_eq!(told.len(), texts.len(), "a text is missing");
}

fn step(raya: &mut Node, world: &World, script: &mut Script<'_>) {
    let places = raya.addresses.clone();
    let (place, payload) = &world.waiting[script.below(world.waiting.len())];
    let elsewhere = &places[script.below(places.len())];
    match script.byte() % 6 {
        0 => raya.deliver(place, payload.clone()),
        1 => raya.deliver(elsewhere, payload.clone()),
        2 => raya.deliver(place, script.mutated(payload)),
        3 => raya.deliver(elsewhere, script.part()),
        4 => {
            raya.driver.handle_time(NOW);
            raya.commit(NOW);
        }
        _ => {
            let again = world.raya.on(raya.home.store.clone()).start(NOW);
            *raya = again.expect("its own store");
        }
    }
}
