//! `cargo xtask codegen`: `proto/<crate>/*.proto` to
//! `crates/<crate>/src/generated/<package>.rs`, one file for each package, with
//! underscores for the package's dots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, root};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Write,
    Check,
}

pub(crate) fn run(mode: Mode) -> Result {
    let mut stale = Vec::new();
    for folder in sorted(&root().join("proto"))? {
        if !folder.is_dir() {
            continue;
        }
        let owner = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let target = root().join("crates").join(&owner).join("src/generated");
        let fresh = generate(&folder)?;
        if mode == Mode::Write {
            fs::create_dir_all(&target)?;
        }
        for (name, text) in &fresh {
            let path = target.join(name);
            if fs::read_to_string(&path).ok().as_ref() != Some(text) {
                stale.push(format!("crates/{owner}/src/generated/{name}"));
                if mode == Mode::Write {
                    fs::write(&path, text)?;
                }
            }
        }
        for path in sorted(&target)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !fresh.iter().any(|(fresh, _)| *fresh == name) {
                stale.push(format!(
                    "crates/{owner}/src/generated/{name} (has no source)"
                ));
                if mode == Mode::Write {
                    fs::remove_file(&path)?;
                }
            }
        }
    }
    match mode {
        Mode::Check if !stale.is_empty() => {
            Err(format!("not fresh, run `cargo xtask codegen`: {}", stale.join(", ")).into())
        }
        Mode::Write => {
            stale.iter().for_each(|path| println!("{path}"));
            Ok(())
        }
        Mode::Check => Ok(()),
    }
}

/// The files that the sources in a folder give, as (name, text).
fn generate(folder: &Path) -> Result<Vec<(String, String)>> {
    let sources: Vec<_> = sorted(folder)?
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "proto")
        })
        .collect();
    let files = protox::compile(&sources, [folder])?;
    let out = root().join("target/codegen");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(&out)
        .compile_fds(files)?;
    let made = sorted(&out)?;
    format(&made)?;
    made.into_iter()
        .map(|path| {
            let package = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .replace('.', "_");
            let text = fs::read_to_string(&path)?;
            Ok((
                format!("{package}.rs"),
                format!("// Made by `cargo xtask codegen`.\n{text}"),
            ))
        })
        .collect()
}

/// Formats as `cargo fmt` does, which follows a module into generated files: the two
/// must not undo each other.
fn format(files: &[PathBuf]) -> Result {
    let status = Command::new("rustfmt")
        .arg("--config-path")
        .arg(root())
        .args(files)
        .status()
        .map_err(|error| {
            format!("rustfmt does not run ({error}): `rustup component add rustfmt`")
        })?;
    if status.success() {
        Ok(())
    } else {
        Err("rustfmt refused the generated code".into())
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut paths = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
