//! `cargo xtask test` and `cargo xtask ci`: cargo's own commands, in order.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::{Result, codegen, fuzz, root, services, soak};

/// One check, named where it is listed.
type Step = fn() -> Result;

/// Whether the tests run that need a server.
pub(crate) enum Services {
    With,
    Without,
}

/// Builds and runs every test of every crate, documentation examples included.
///
/// # Errors
/// Says what to do if a test fails; cargo has said which.
pub(crate) fn test(services: Services) -> Result {
    let failed = |_| "a test failed: its name and output are above";
    let all = ["test", "--workspace", "--locked"];
    match services {
        Services::With => {
            services::find_or_install()?;
            cargo(&all, &[]).map_err(failed)?;
        }
        Services::Without => {
            let skipped = services::count(&all)?;
            cargo(&[&all[..], &["--", "--skip", services::PATH]].concat(), &[]).map_err(failed)?;
            eprintln!("== left out: {skipped} tests that need nats-server or mosquitto");
        }
    }
    for manifest in outside()? {
        let manifest = manifest.to_string_lossy();
        let args = ["test", "--locked", "--manifest-path", &manifest];
        let target = root().join("target");
        let env = [("CARGO_TARGET_DIR", &*target.to_string_lossy())];
        cargo(&args, &env).map_err(failed)?;
    }
    Ok(())
}

/// The manifests outside of the workspace: the fuzz targets, whose test is their
/// corpus, and crates as a stranger would write them.
fn outside() -> Result<Vec<PathBuf>> {
    let mut found = vec![root().join(fuzz::MANIFEST)];
    for entry in std::fs::read_dir(root().join("docs/examples"))? {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.exists() {
            found.push(manifest);
        }
    }
    found.sort();
    Ok(found)
}

/// Runs everything that has to hold before a change is taken, cheapest first,
/// and stops at the first step that fails.
///
/// # Errors
/// Says what to do about the step that failed.
pub(crate) fn ci() -> Result {
    let steps: [(&str, Step); 6] = [
        ("format", format),
        ("generated code", || codegen::run(codegen::Mode::Check)),
        ("clippy", clippy),
        ("documentation", documentation),
        ("tests", || test(Services::With)),
        ("seeded faults", || soak::faults("50")),
    ];
    for (name, step) in steps {
        run_step(name, step)?;
    }
    Ok(())
}

fn format() -> Result {
    for manifest in ["Cargo.toml", fuzz::MANIFEST] {
        let args = ["fmt", "--all", "--check", "--manifest-path", manifest];
        let advice = |_| format!("run `cargo fmt --all --manifest-path {manifest}`");
        cargo(&[&args[..], &["--", "--color", "never"]].concat(), &[]).map_err(advice)?;
    }
    Ok(())
}

fn clippy() -> Result {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&args, &[]).map_err(|_| "fix what clippy says above".into())
}

fn documentation() -> Result {
    let args = ["doc", "--workspace", "--no-deps", "--locked"];
    cargo(&args, &[("RUSTDOCFLAGS", "-D warnings")])
        .map_err(|_| "fix what rustdoc says above".into())
}

fn run_step(name: &str, step: Step) -> Result {
    eprintln!("== {name}");
    #[expect(clippy::disallowed_methods, reason = "a program that shows durations")]
    let start = Instant::now();
    let outcome = step();
    let seconds = start.elapsed().as_secs_f32();
    match outcome {
        Ok(()) => {
            eprintln!("== {name}: ok, {seconds:.1} s");
            Ok(())
        }
        Err(advice) => Err(format!("{name} failed after {seconds:.1} s: {advice}").into()),
    }
}

/// Runs the cargo that runs this, in the workspace's root.
pub(crate) fn cargo(args: &[&str], env: &[(&str, &str)]) -> Result {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(root())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`cargo {}` failed", args.join(" ")).into())
    }
}
