//! `cargo xtask soak`: the tests that go on as long as they are let.

use crate::steps::cargo;
use crate::{Result, services};

/// What a soak is of, and how long it goes on.
pub(crate) struct Soak<'a> {
    seeds: &'a str,
    kills: &'a str,
    first_seed: &'a str,
    /// How long each run over servers takes, if they are what it is of.
    seconds: Option<&'a str>,
}

/// A package and the tests of it, by what their paths have in common.
type Tests = (&'static str, &'static str);

/// In virtual time, and real processes of one machine.
const OF_CLIENTS: [Tests; 5] = [
    ("cf-conversation", "soak::"),
    (
        "cf-client",
        "rules::nothing_is_lost_or_doubled_over_crashes_and_faults",
    ),
    ("cf-client", "sessions::"),
    ("cf", "kills::"),
    ("cf-cli", "kills::"),
];
/// Over servers that are killed and connections that are cut.
const OF_SERVICES: [Tests; 2] = [("cf", services::PATH), ("cf-cli", "services::kills")];

impl<'a> Soak<'a> {
    /// Reads `[--services]`, then `--seeds N`, `--kills N`, `--first-seed N` and
    /// `--seconds N`, in any order.
    pub(crate) fn parse(args: &[&'a str]) -> Option<Self> {
        let mut soak = Self {
            seeds: "5000",
            kills: "500",
            first_seed: "0",
            seconds: None,
        };
        let args = match args {
            ["--services", rest @ ..] => {
                (soak.seconds, soak.kills) = (Some("60"), "100");
                rest
            }
            rest => rest,
        };
        for pair in args.chunks(2) {
            let [name, value] = *pair else { return None };
            value.parse::<u64>().ok()?;
            match name {
                "--seeds" => soak.seeds = value,
                "--kills" => soak.kills = value,
                "--first-seed" => soak.first_seed = value,
                "--seconds" if soak.seconds.is_some() => soak.seconds = Some(value),
                _ => return None,
            }
        }
        Some(soak)
    }

    /// Runs conversations and whole clients in virtual time from seeds, then real
    /// processes that are killed; or conversations over servers that are.
    ///
    /// # Errors
    /// Says how to run again what failed.
    pub(crate) fn run(&self) -> Result {
        let env = [
            ("CF_SEEDS", self.seeds),
            ("CF_KILLS", self.kills),
            ("CF_FIRST_SEED", self.first_seed),
            ("CF_SECONDS", self.seconds.unwrap_or("5")),
            ("CF_RATE", "200"),
        ];
        let (tests, again) = match self.seconds {
            Some(_) => {
                services::find_or_install()?;
                (&OF_SERVICES[..], "--services --first-seed SEED")
            }
            None => (&OF_CLIENTS[..], "--first-seed SEED --seeds 1"),
        };
        for (package, test) in tests {
            let mut args = vec![
                "test", "--locked", "-p", package, "--test", "it", test, "--",
            ];
            args.push("--nocapture");
            if self.seconds.is_some() {
                // Servers that are killed side by side would only share the machine.
                args.push("--test-threads=1");
            }
            cargo(&args, &env).map_err(|_| {
                format!(
                    "{package}, {test} failed; a seed that the output names runs alone with \
                     `cargo xtask soak {again}`"
                )
            })?;
        }
        Ok(())
    }
}
