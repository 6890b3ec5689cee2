//! `cargo xtask soak`: the tests that go on as long as they are let.

use crate::Result;
use crate::steps::cargo;

/// How long a soak goes on.
pub(crate) struct Soak<'a> {
    seeds: &'a str,
    kills: &'a str,
    first_seed: &'a str,
}

impl<'a> Soak<'a> {
    /// Reads `--seeds N`, `--kills N` and `--first-seed N`, in any order.
    pub(crate) fn parse(args: &[&'a str]) -> Option<Self> {
        let mut soak = Self {
            seeds: "5000",
            kills: "500",
            first_seed: "0",
        };
        for pair in args.chunks(2) {
            let [name, value] = *pair else { return None };
            value.parse::<u64>().ok()?;
            match name {
                "--seeds" => soak.seeds = value,
                "--kills" => soak.kills = value,
                "--first-seed" => soak.first_seed = value,
                _ => return None,
            }
        }
        Some(soak)
    }

    /// Runs conversations and whole clients in virtual time from seeds, then real processes that are
    /// killed.
    ///
    /// # Errors
    /// Says how to run again what failed.
    pub(crate) fn run(&self) -> Result {
        let env = [
            ("CF_SEEDS", self.seeds),
            ("CF_KILLS", self.kills),
            ("CF_FIRST_SEED", self.first_seed),
        ];
        for (package, test) in [
            ("cf-conversation", "soak::"),
            (
                "cf-client",
                "rules::nothing_is_lost_or_doubled_over_crashes_and_faults",
            ),
            ("cf-client", "sessions::"),
            ("cf", "kills::"),
            ("cf-cli", "kills::"),
        ] {
            let args = [
                "test",
                "--locked",
                "-p",
                package,
                "--test",
                "it",
                test,
                "--",
                "--nocapture",
            ];
            cargo(&args, &env).map_err(|_| {
                format!(
                    "{package}, {test} failed; a seed that the output names runs alone with \
                     `cargo xtask soak --first-seed SEED --seeds 1`"
                )
            })?;
        }
        Ok(())
    }
}
