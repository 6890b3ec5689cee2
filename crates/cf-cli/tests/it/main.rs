//! The program, run as a person or a script runs it.

#![allow(
    clippy::disallowed_methods,
    reason = "real processes live in real time"
)]

mod backup;
mod demo;
mod describe;
mod files;
mod hidden;
mod history;
mod home;
mod kills;
mod lan;
mod links;
mod meeting;
mod services;
mod two;
mod verify;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with two homes and the service's file.
struct Town {
    folder: TempDir,
    /// The URL of the service.
    service: String,
}

impl Town {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let service = format!("local:{}", folder.path().join("service.db").display());
        Self { folder, service }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cf"));
        command
            .env_remove("CF_PASSPHRASE")
            .env("HOME", self.folder.path())
            .env("CF_HOME", self.path(who))
            .env("CF_DS", &self.service)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, who: &str, arguments: &[&str]) -> Output {
        self.command(who, arguments)
            .output()
            .expect("the program was built")
    }

    /// The objects that a command prints; it has to succeed.
    fn json(&self, who: &str, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(who, &[&["--json"], arguments].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        objects(&text)
    }

    fn spawn(&self, who: &str, arguments: &[&str]) -> Child {
        self.command(who, arguments)
            .spawn()
            .expect("the program was built")
    }

    /// Two homes whose people have just met.
    fn with_two() -> Self {
        Self::new().met()
    }

    fn met(self) -> Self {
        let town = self;
        town.json("saro", &["init", "--name", "Saro"]);
        town.json("raya", &["init", "--name", "Raya"]);
        let link = town.json("raya", &["link"]);
        town.json("saro", &["add", link[0]["link"].as_str().expect("a link")]);
        let requests = town.json("raya", &["requests"]);
        town.json(
            "raya",
            &["accept", requests[0]["request"].as_str().expect("an id")],
        );
        town
    }
}

fn objects(text: &str) -> Vec<Value> {
    let object = |line| serde_json::from_str(line).expect("one object a line");
    text.lines().map(object).collect()
}
