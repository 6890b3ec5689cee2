//! Other processes: this test binary again, in a role.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use super::{chain, kill, latency};

/// A process in a role; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(role: &str, path: &Path, argument: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "local::process::role", "--nocapture"])
            .env("CF_DS_ROLE", role)
            .env("CF_DS_FILE", path)
            .env("CF_DS_ARGUMENT", argument)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix("> ") {
                    sender.send(line.to_owned()).unwrap();
                }
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
        }
    }

    /// What it says next.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(Duration::from_secs(30));
        line.expect("the process said nothing")
    }

    /// Sends it SIGKILL; gives what it said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "it ended by itself"
        );
        self.end();
        self.lines.try_iter().collect()
    }

    /// Waits until it ends well; gives what it said.
    pub(crate) fn wait(mut self) -> Vec<String> {
        assert!(self.child.wait().unwrap().success());
        self.end();
        self.lines.try_iter().collect()
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Says something to the process that started this one.
pub(crate) fn say(line: &str) {
    println!("\n> {line}");
}

/// What the other processes do; nothing if this is none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role() {
    let Ok(role) = env::var("CF_DS_ROLE") else {
        return;
    };
    let path = PathBuf::from(env::var_os("CF_DS_FILE").unwrap());
    let argument = env::var("CF_DS_ARGUMENT").unwrap();
    match role.as_str() {
        "chain" => chain::write(&path).await,
        "publish" => kill::publish_all(&path, &argument).await,
        "subscribe" => kill::subscribe_all(&path, &argument).await,
        "receive" => latency::receive(&path).await,
        other => panic!("{other} is no role"),
    }
}
