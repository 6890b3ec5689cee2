//! `cargo xtask fuzz`: the fuzz targets, on stable Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::cargo;
use crate::{Result, root};

/// The package of the targets.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// What makes rustc report coverage to libFuzzer.
const FLAGS: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The longest input, in bytes.
const MAX_LEN: &str = "8192";

/// Which targets run, and how long.
pub(crate) struct Fuzz<'a> {
    target: Option<&'a str>,
    seconds: &'a str,
}

impl<'a> Fuzz<'a> {
    /// Reads `[TARGET] [--seconds N]`.
    pub(crate) fn parse(args: &[&'a str]) -> Option<Self> {
        let (target, rest) = match args {
            [target, rest @ ..] if !target.starts_with('-') => (Some(*target), rest),
            rest => (None, rest),
        };
        let seconds = match rest {
            [] => "60",
            ["--seconds", seconds] => seconds,
            _ => return None,
        };
        seconds.parse::<u32>().ok()?;
        Some(Self { target, seconds })
    }

    /// Builds the targets and runs them one after the other. What they find new
    /// stays under `target/fuzz/corpus`.
    ///
    /// # Errors
    /// Says how to run again what failed.
    pub(crate) fn run(&self) -> Result {
        let known = targets()?;
        let chosen: Vec<&String> = match self.target {
            None => known.iter().collect(),
            Some(name) => known.iter().filter(|target| *target == name).collect(),
        };
        if chosen.is_empty() {
            return Err(format!("the targets are {}", known.join(", ")).into());
        }
        let program = build()?;
        for target in chosen {
            eprintln!("== {target}");
            run(&program, target, self.seconds)?;
        }
        Ok(())
    }
}

/// The names of all targets: each has a folder of seeds.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in std::fs::read_dir(root().join("fuzz/corpus"))? {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Where everything of the fuzzer goes: its flags are for all that it links.
fn folder() -> PathBuf {
    root().join("target/fuzz")
}

fn build() -> Result<PathBuf> {
    let host = host()?;
    let args = [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        MANIFEST,
        "--features",
        "libfuzzer",
        "--bin",
        "fuzz",
        // With a target named, the flags spare build scripts.
        "--target",
        &host,
    ];
    let folder = folder();
    let env = [
        ("RUSTFLAGS", FLAGS.join(" ")),
        ("CARGO_TARGET_DIR", folder.to_string_lossy().into_owned()),
    ];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    cargo(&args, &env)?;
    Ok(folder.join(host).join("release/fuzz"))
}

/// The name of this machine's kind, as rustc says it.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not say its host")?.to_owned())
}

fn run(program: &Path, target: &str, seconds: &str) -> Result {
    let found = folder().join("corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let artifacts = folder().join(format!("{target}-"));
    let status = Command::new(program)
        .env("CF_FUZZ_TARGET", target)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .arg(format!("-artifact_prefix={}", artifacts.display()))
        .arg(found)
        .arg(root().join("fuzz/corpus").join(target))
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "{target} failed; the input is the file named above, which runs alone with \
             `CF_FUZZ_TARGET={target} {} FILE`; mend the code, and keep the file, made smaller, \
             in fuzz/corpus/{target}",
            program.display()
        )
        .into()),
    }
}
