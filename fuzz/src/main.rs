//! libFuzzer around one target, which `CF_FUZZ_TARGET` names.

#![no_main]

use std::sync::OnceLock;

use cf_fuzz::{TARGETS, Target};

static CHOSEN: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    CHOSEN.get_or_init(chosen)(data);
});

fn chosen() -> Target {
    let name = std::env::var("CF_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    match TARGETS.iter().find(|(other, _)| *other == name) {
        Some((_, target)) => *target,
        None => panic!("CF_FUZZ_TARGET is one of {}", names.join(", ")),
    }
}
