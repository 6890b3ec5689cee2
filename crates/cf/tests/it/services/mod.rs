//! Conversations over servers that are killed and connections that are cut. Each test
//! here needs a server.

mod bare;
mod city;
mod talk;

use std::time::Duration;

/// A number that a soak sets, and what it is in a test.
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// How long servers are killed and connections cut.
fn duration() -> Duration {
    Duration::from_secs(setting("CF_SECONDS", 5))
}
