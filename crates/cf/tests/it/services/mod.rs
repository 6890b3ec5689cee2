//! Conversations over servers that are killed and connections that are cut. Each test
//! here needs a server.

mod bare;
mod brokers;
mod city;
mod talk;

use std::time::{Duration, Instant};

use cf_testkit::SeededRandom;

/// A number that a soak sets, and what it is in a test.
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// How long servers are killed and connections cut.
fn duration() -> Duration {
    Duration::from_secs(setting("CF_SECONDS", 5))
}

fn random() -> SeededRandom {
    SeededRandom::new(setting("CF_FIRST_SEED", 0))
}

/// Does something again and again; says how often.
fn while_it_lasts(mut disturb: impl FnMut()) -> u64 {
    let (until, mut times) = (Instant::now() + duration(), 0);
    while Instant::now() < until {
        disturb();
        times += 1;
    }
    times
}
