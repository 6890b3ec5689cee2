//! The servers that some tests need.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, root};

/// What stands in the path of every test that starts a server.
pub(crate) const PATH: &str = "services::";

/// The servers, and the packages of Debian that have them.
const SERVERS: [&str; 2] = ["nats-server", "mosquitto"];

/// Looks for the servers, and installs those that are missing where that can be done
/// without asking anybody.
///
/// # Errors
/// Says what to type where it can't.
pub(crate) fn find_or_install() -> Result {
    let missing: Vec<_> = SERVERS.into_iter().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = [
        &["apt-get", "install", "--yes", "--no-install-recommends"],
        &missing[..],
    ];
    let install = install.concat();
    let sudo: Option<&[&str]> = match () {
        () if !is_there("apt-get") => None,
        () if succeeds(&["sh", "-c", "[ $(id -u) = 0 ]"]) => Some(&[]),
        () if is_there("sudo") && succeeds(&["sudo", "-n", "true"]) => Some(&["sudo", "-n"]),
        () => None,
    };
    if let Some(sudo) = sudo {
        eprintln!("== installing {}", missing.join(", "));
        let _ = run(&[sudo, &["apt-get", "update"]].concat());
        let _ = run(&[sudo, &install].concat());
    }
    match SERVERS.into_iter().all(is_there) {
        true => Ok(()),
        false => Err(format!(
            "tests need {}: `sudo apt-get install {}`, or leave them out with `cargo xtask test \
             --no-services`",
            missing.join(" and "),
            missing.join(" ")
        )
        .into()),
    }
}

/// How many tests need a server.
///
/// # Errors
/// If the tests do not build.
pub(crate) fn count(all: &[&str]) -> Result<usize> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let listing = Command::new(program)
        .args(all)
        .args(["--", "--list"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()?;
    if !listing.status.success() {
        return Err("the tests do not build: see above".into());
    }
    let listing = String::from_utf8_lossy(&listing.stdout);
    let is_one = |line: &&str| line.contains(PATH) && line.ends_with(": test");
    Ok(listing.lines().filter(is_one).count())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/sbin"];
    let mut folders = std::env::split_paths(&path).chain(more.map(Into::into));
    folders.any(|folder| Path::new(&folder).join(program).is_file())
}

fn succeeds(command: &[&str]) -> bool {
    let mut quiet = Command::new(command[0]);
    quiet.args(&command[1..]).stdin(Stdio::null());
    quiet.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn run(command: &[&str]) -> std::io::Result<std::process::ExitStatus> {
    let mut shown = Command::new(command[0]);
    shown.args(&command[1..]).stdin(Stdio::null());
    shown.env("DEBIAN_FRONTEND", "noninteractive").status()
}
