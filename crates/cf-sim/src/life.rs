use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use cf_client::Components;
use cf_core::Identity;
use cf_testkit::SeededRandom;

use crate::client::{Client, NAMES};
use crate::plan::Plan;
use crate::world::{Stores, World};

/// How long everybody has to come to the same once the network is kind; contents fail
/// after 14 days, at times a pause of an hour is in between.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long it lasts from when everything has come until nothing is to be said any more.
const AFTERWARDS: Duration = Duration::from_secs(10 * 60);
/// The most steps in a life.
const MAX_STEPS: u64 = 1_000_000;

/// What one client of a life is made of.
pub struct Member {
    /// Its five choices.
    pub components: Components,
    /// What it starts again with in the middle, in some lives.
    pub upgraded: Option<Components>,
    /// Who it is.
    pub identity: Arc<dyn Identity>,
}

/// One life.
pub struct Life<'a> {
    /// What everything in it follows from.
    pub seed: u64,
    /// Makes two to four clients.
    pub town: &'a dyn Fn(&mut SeededRandom) -> Vec<Member>,
    /// Makes the store beneath a client's disk whenever it starts; without it, the disk
    /// is in memory.
    pub stores: Stores<'a>,
    /// Whether to draw a diagram.
    pub traced: bool,
}

/// What happened in a life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How often a client died.
    pub deaths: u64,
    /// How many contents arrived.
    pub contents: u64,
    /// How many payloads were published.
    pub payloads: u64,
    /// How many things happened.
    pub steps: u64,
    /// Something of everything that was published: the same for the same life.
    pub digest: u64,
}

/// What must not be, and happened.
#[derive(Debug)]
pub struct Violation {
    /// In which life.
    pub seed: u64,
    /// What it is.
    pub what: String,
    /// A sequence diagram in Mermaid's notation; empty unless it was wanted.
    pub diagram: String,
}

/// Lives whose disks are in memory.
pub fn in_memory(
    town: impl Fn(&mut SeededRandom) -> Vec<Member>,
) -> impl Fn(u64, bool) -> Result<Summary, Violation> {
    move |seed, traced| {
        live(&Life {
            seed,
            town: &town,
            stores: None,
            traced,
        })
    }
}

/// Lives a life.
///
/// # Errors
/// The first thing that must not be, a panic included.
pub fn live(life: &Life<'_>) -> Result<Summary, Violation> {
    let seed = life.seed;
    let mut dice = SeededRandom::new(seed);
    let members = (life.town)(&mut dice);
    assert!(
        (2..=NAMES.len()).contains(&members.len()),
        "two to four clients live together"
    );
    let all = members
        .iter()
        .flat_map(|member| &member.components.conversations);
    let is_reliable = all
        .clone()
        .all(|conversation| conversation.properties().reliable);
    let mut plan = Plan::draw(&mut dice, is_reliable);
    let needs_identity = |member: &Member| {
        let mut all = member.components.initializations.iter();
        all.all(|initialization| initialization.properties().authenticated)
    };
    if !members.iter().all(needs_identity) {
        // Who is not known can't be told from another, or found again.
        plan.crossing = false;
    }
    let upgrades = plan.upgrades;
    let members = members.into_iter().enumerate();
    let mut clients: Vec<_> = members.map(|(n, member)| Client::new(n, member)).collect();
    wish(&mut clients, &plan, &mut dice);
    let mut world = World::new(
        dice.below(u64::MAX),
        plan,
        clients,
        life.stores,
        life.traced,
    );
    let lived = catch_unwind(AssertUnwindSafe(|| go_through(&mut world, upgrades)));
    if let Err(panic) = lived {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        world
            .checks
            .fail(format!("panicked: {}", what.unwrap_or_default()));
    }
    match world.checks.violation() {
        None => Ok(summary(&world)),
        Some(what) => Err(Violation {
            seed,
            what: what.clone(),
            diagram: if life.traced {
                world.trace.diagram()
            } else {
                String::new()
            },
        }),
    }
}

/// Says who asks whom, and how much each has to say.
fn wish(clients: &mut [Client], plan: &Plan, dice: &mut SeededRandom) {
    for to in 1..clients.len() {
        let from = dice.below(to as u64) as usize;
        let (from, to) = if dice.chance(50) {
            (from, to)
        } else {
            (to, from)
        };
        clients[from].application.wishes.push_back(to);
        if plan.crossing {
            clients[to].application.wishes.push_back(from);
        }
    }
    for client in clients {
        client.application.to_write = plan.contents;
    }
}

fn go_through(world: &mut World<'_>, upgrades: bool) {
    world.begin();
    let span = world
        .plan
        .pause
        .saturating_mul(8 + world.plan.contents as u32);
    let mut until = world.now.after(span);
    let middle = world.now.after(span / 2);
    let mut upgrade = upgrades.then_some(middle);
    let mut is_kind = false;
    let mut done_at = None;
    while world.checks.violation().is_none() {
        if world.steps > MAX_STEPS {
            let missing = world.missing().unwrap_or_default();
            return world
                .checks
                .fail(format!("they do not come to rest: {missing}"));
        }
        world.step();
        if upgrade.is_some_and(|at| world.now >= at) {
            upgrade = None;
            (0..world.clients.len()).for_each(|who| world.upgrade(who));
        }
        if !is_kind && world.now >= until {
            is_kind = true;
            world.be_kind();
            until = world.now.after(PATIENCE);
        }
        if !is_kind {
            continue;
        }
        match done_at {
            None if world.missing().is_none() => done_at = Some(world.now.after(AFTERWARDS)),
            None if world.now >= until => {
                let missing = world.missing().unwrap_or_default();
                return world
                    .checks
                    .fail(format!("it does not come together: {missing}"));
            }
            Some(at) if world.now >= at && !is_publishing(world) => return in_the_end(world),
            Some(at) if world.now >= at.after(AFTERWARDS) => return in_the_end(world),
            _ => {}
        }
    }
}

/// Whether a payload is with a service right now.
fn is_publishing(world: &World<'_>) -> bool {
    let mut drivers = world
        .clients
        .iter()
        .filter_map(|client| client.driver.as_ref());
    drivers.any(|driver| driver.waiting().0 > 0)
}

/// Nothing is left to do, and the log was told to its end.
fn in_the_end(world: &mut World<'_>) {
    if let Some(missing) = world.missing() {
        world
            .checks
            .fail(format!("it does not stay together: {missing}"));
    }
    for who in 0..world.clients.len() {
        let client = &world.clients[who];
        let outgoing = client
            .driver
            .as_ref()
            .map_or(0, |driver| driver.waiting().0);
        if outgoing > 0 {
            let what = format!("{} still has {outgoing} payloads to publish", client.name);
            world.checks.fail(what);
        }
    }
}

fn summary(world: &World<'_>) -> Summary {
    let mut digest = 0u64;
    for payload in world.network.logs.values().flatten() {
        let last = payload.iter().rev().take(8);
        let number = last.fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        digest = digest.rotate_left(7) ^ number;
    }
    Summary {
        deaths: world.deaths,
        contents: world
            .checks
            .contents
            .values()
            .filter(|facts| facts.is_told)
            .count() as u64,
        payloads: world
            .network
            .logs
            .values()
            .map(|log| log.len() as u64)
            .sum(),
        steps: world.steps,
        digest,
    }
}
