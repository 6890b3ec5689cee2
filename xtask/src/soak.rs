//! `cargo xtask soak`, `faults` and `compositions`: the tests that go on as long as they
//! are let.

use crate::steps::cargo;
use crate::{Result, services};

/// How long the longest content is, in MiB: as long as it may be.
const LARGE_MIB: &str = "64";

/// What a soak is of, and how long it goes on.
pub(crate) struct Soak<'a> {
    seeds: &'a str,
    kills: &'a str,
    first_seed: &'a str,
    only: Option<&'a str>,
    /// How long each run over servers takes, if they are what it is of.
    seconds: Option<&'a str>,
}

/// A part of a soak.
struct Part {
    /// By which it is chosen.
    name: &'static str,
    package: &'static str,
    /// The program of its tests.
    binary: &'static str,
    /// What the paths of its tests have in common.
    tests: &'static str,
    /// What cargo is told besides.
    options: &'static [&'static str],
}

const fn part(name: &'static str, package: &'static str, tests: &'static str) -> Part {
    Part {
        name,
        package,
        binary: "it",
        tests,
        options: &[],
    }
}

/// One that is worth an optimized build.
const fn life(name: &'static str, tests: &'static str) -> Part {
    Part {
        options: &["--release"],
        ..part(name, "cf-sim", tests)
    }
}

/// In virtual time, and real processes and files of one machine.
const OF_CLIENTS: [Part; 9] = [
    life("stock", "stock"),
    life("bare", "bare"),
    life("sqlite", "sqlite"),
    part("conversation", "cf-conversation", "soak::"),
    part("sessions", "cf-client", "sessions::"),
    Part {
        binary: "memory",
        ..part("memory", "cf", "")
    },
    part("kills", "cf", "kills::clients"),
    part("kills", "cf-cli", "kills::a_thousand"),
    Part {
        options: &["--features", "sqlite"],
        ..part("power", "cf-store", "sqlite::power::")
    },
];
/// Over servers that are killed and connections that are cut.
const OF_SERVICES: [Part; 2] = [
    part("clients", "cf", services::PATH),
    part("programs", "cf-cli", "services::kills"),
];

impl<'a> Soak<'a> {
    /// Reads `[--services]`, then `--seeds N`, `--kills N`, `--first-seed N`,
    /// `--seconds N` and `--only NAME`, in any order.
    pub(crate) fn parse(args: &[&'a str]) -> Option<Self> {
        let mut soak = Self {
            seeds: "5000",
            kills: "500",
            first_seed: "0",
            only: None,
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
            let is_number = value.parse::<u64>().is_ok();
            match name {
                "--seeds" if is_number => soak.seeds = value,
                "--kills" if is_number => soak.kills = value,
                "--first-seed" if is_number => soak.first_seed = value,
                "--seconds" if is_number && soak.seconds.is_some() => soak.seconds = Some(value),
                "--only" if soak.parts().iter().any(|part| part.name == value) => {
                    soak.only = Some(value);
                }
                _ => return None,
            }
        }
        Some(soak)
    }

    fn parts(&self) -> &'static [Part] {
        match self.seconds {
            Some(_) => &OF_SERVICES,
            None => &OF_CLIENTS,
        }
    }

    /// Runs whole clients and conversations in virtual time from seeds, then real
    /// processes that are killed and files that lose their power; or conversations over
    /// servers that are killed.
    ///
    /// # Errors
    /// Says how to run again what failed.
    pub(crate) fn run(&self) -> Result {
        let env = [
            ("CF_SEEDS", self.seeds),
            ("CF_KILLS", self.kills),
            ("CF_FIRST_SEED", self.first_seed),
            ("CF_SECONDS", self.seconds.unwrap_or("5")),
            ("CF_LARGE_MIB", LARGE_MIB),
            ("CF_RATE", "200"),
        ];
        let again = match self.seconds {
            Some(_) => {
                services::find_or_install()?;
                "--services --first-seed SEED"
            }
            None => "--first-seed SEED --seeds 1",
        };
        let is_wanted = |part: &&Part| self.only.is_none_or(|only| only == part.name);
        for part in self.parts().iter().filter(is_wanted) {
            let mut args = vec![
                "test",
                "--locked",
                "-p",
                part.package,
                "--test",
                part.binary,
            ];
            args.extend(part.options);
            args.extend([part.tests, "--", "--nocapture"]);
            if self.seconds.is_some() {
                // Servers that are killed side by side would only share the machine.
                args.push("--test-threads=1");
            }
            cargo(&args, &env).map_err(|_| {
                format!(
                    "{}, {} failed; a seed that the output names runs alone with `cargo xtask \
                     soak {again} --only {}`",
                    part.package, part.tests, part.name
                )
            })?;
        }
        Ok(())
    }
}

/// Has the simulation find every seeded fault, within so many seeds.
///
/// # Errors
/// Names the faults that it does not find.
pub(crate) fn faults(seeds: &str) -> Result {
    let args = ["test", "--locked", "-p", "cf-sim", "--features", "faults"];
    let rest = ["--test", "it", "faults::", "--", "--nocapture"];
    cargo(&[&args[..], &rest].concat(), &[("CF_SEEDS", seeds)]).map_err(|_| {
        "the simulation misses a seeded fault: its name is above; a check or an action is missing"
            .into()
    })
}

/// Runs every composition of the stock components, and makes `docs/compositions.md`.
///
/// # Errors
/// If one does not work that the linter does not refuse.
pub(crate) fn compositions() -> Result {
    let args = ["test", "--locked", "-p", "cf", "--test", "it"];
    let env = [("CF_COMPOSITIONS", "all"), ("CF_GOLDEN", "make")];
    cargo(&[&args[..], &["compositions::"]].concat(), &env)
        .map_err(|_| "a composition does not work: its name is above".into())
}
