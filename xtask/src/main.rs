//! The workspace's own commands: `cargo xtask <command>`.

mod codegen;
mod fuzz;
mod services;
mod soak;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a command gives: an error is a sentence for the person who typed it.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: cargo xtask <command>

  test [--no-services]
                      build and run every test of every crate; those that need nats-server and
                      mosquitto too, which are installed where that can be done, unless left out
  ci                  all that .ci/run checks: format, generated code, clippy, documentation, test
  soak [--seeds N] [--kills N] [--first-seed N] [--only NAME]
                      seeds of the simulation and kills of real processes, as many as you like;
                      or one part alone: stock, bare, sqlite, conversation, sessions, kills, power
  soak --services [--seconds N] [--kills N] [--first-seed N]
                      conversations over servers that are killed, a minute each unless said otherwise
  faults [--seeds N]  fails unless the simulation finds every seeded fault within 1,000 seeds
  compositions        runs every composition and makes docs/compositions.md
  fuzz [TARGET] [--seconds N]
                      one fuzz target or all, one after the other, a minute each unless said otherwise
  codegen [--check]   make the Rust of proto/ (or say what is not fresh)";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["test"] => steps::test(steps::Services::With),
        ["test", "--no-services"] => steps::test(steps::Services::Without),
        ["ci"] => steps::ci(),
        ["soak", ref rest @ ..] => match soak::Soak::parse(rest) {
            Some(soak) => soak.run(),
            None => return usage(),
        },
        ["compositions"] => soak::compositions(),
        ["faults"] => soak::faults("1000"),
        ["faults", "--seeds", seeds] if seeds.parse::<u64>().is_ok() => soak::faults(seeds),
        ["fuzz", ref rest @ ..] => match fuzz::Fuzz::parse(rest) {
            Some(fuzz) => fuzz.run(),
            None => return usage(),
        },
        ["codegen"] => codegen::run(codegen::Mode::Write),
        ["codegen", "--check"] => codegen::run(codegen::Mode::Check),
        _ => return usage(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// The workspace's root folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the root")
        .to_owned()
}
