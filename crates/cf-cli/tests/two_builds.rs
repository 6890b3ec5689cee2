//! Two builds of the program at one home: `cf`, and this executable, which is an older
//! one. Its clients have no `/cf/conversation/private/2`.
//!
//! Started by the test as `cf` is started, it does what `cf` does; started by cargo it
//! is the test. So both builds share everything that they are built of.

#![allow(
    clippy::disallowed_methods,
    reason = "real processes live in real time"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Set where this executable is to be the older program.
const OLDER: &str = "CF_TEST_OLDER";
const NAME: &str = "an_invite_that_an_older_build_kept_is_accepted_by_the_newer_one";

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::var_os(OLDER).is_some() {
        return cf_cli::run(|builder| builder.conversation(cf::conversation::private())).await;
    }
    match asked_for() {
        Asked::List => println!("{NAME}: test"),
        Asked::Another => println!("test {NAME} ... filtered out"),
        Asked::This => {
            an_invite_that_an_older_build_kept_is_accepted_by_the_newer_one();
            println!("test {NAME} ... ok");
        }
    }
    ExitCode::SUCCESS
}

enum Asked {
    List,
    This,
    Another,
}

/// What the arguments of cargo's tests say.
fn asked_for() -> Asked {
    let (mut filters, mut arguments) = (Vec::new(), std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--list" => return Asked::List,
            "--skip" if arguments.next().is_some_and(|part| NAME.contains(&part)) => {
                return Asked::Another;
            }
            "--test-threads" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            _ => filters.push(argument),
        }
    }
    match filters.is_empty() || filters.iter().any(|filter| NAME.contains(&**filter)) {
        true => Asked::This,
        false => Asked::Another,
    }
}

fn an_invite_that_an_older_build_kept_is_accepted_by_the_newer_one() {
    let town = Town::new();
    let (newer, older) = (Build::Newer, Build::Older);
    town.json(newer, "saro", &["init", "--name", "Saro"]);
    town.json(newer, "raya", &["init", "--name", "Raya"]);
    let link = town.json(newer, "raya", &["link"]).remove(0);

    // Raya goes back to the older program; Saro asks with what the link names.
    let protocols = |build| town.run(build, "raya", &["describe", "--toml"]);
    assert!(protocols(newer).contains("/cf/conversation/private/2"));
    assert!(!protocols(older).contains("/cf/conversation/private/2"));
    town.json(newer, "saro", &["add", text(&link, "link")]);
    for number in 0..20 {
        town.json(
            newer,
            "saro",
            &["send", "Raya", &format!("meanwhile {number}")],
        );
    }
    let shown = town.run(older, "raya", &["requests"]);
    let expected =
        "wants to talk with /cf/conversation/private/2, which this version does not have";
    assert!(
        shown.contains("Saro") && shown.contains(expected),
        "{shown}"
    );
    let request = town.json(older, "raya", &["requests"]).remove(0);
    assert_eq!(request["supported"], false);
    assert!(!text(&request, "specification").is_empty());
    let id = text(&request, "request");
    let refused = town
        .command(older, "raya", &["accept", id])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("private/2"),
        "{said}"
    );
    assert!(
        town.run(older, "raya", &["read"]).lines().count() <= 2,
        "nothing is read of it"
    );

    // The newer one is there again: what was kept is a request as any other.
    let again = town.json(newer, "raya", &["requests"]);
    assert_eq!(again.len(), 1);
    assert_eq!(
        (&again[0]["request"], &again[0]["supported"]),
        (&request["request"], &true.into())
    );
    town.json(newer, "raya", &["accept", id]);
    let read = town.json(newer, "raya", &["read"]);
    let texts: Vec<_> = read
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    let sent: Vec<_> = (0..20)
        .map(|number| format!("meanwhile {number}"))
        .collect();
    assert_eq!(texts, sent, "in order, and each once");
    town.json(newer, "raya", &["send", "Saro", "hello"]);
    let read = town.json(newer, "saro", &["read"]);
    assert!(
        read.iter().any(|event| event["text"] == "hello"),
        "{read:?}"
    );

    // The older one opens that home and leaves alone what it does not know.
    town.json(newer, "saro", &["send", "Raya", "to the older one"]);
    assert!(town.json(older, "raya", &["chats"]).is_empty());
    let there = |event: &Value| event["text"] == "to the older one";
    assert!(!town.json(older, "raya", &["read"]).iter().any(there));
    let read = town.json(newer, "raya", &["read"]);
    assert!(read.iter().any(there), "{read:?}");
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text")
}

#[derive(Clone, Copy)]
enum Build {
    Newer,
    Older,
}

struct Town {
    folder: TempDir,
}

impl Town {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, build: Build, who: &str, arguments: &[&str]) -> Command {
        let this = std::env::current_exe().expect("this executable");
        let mut command = match build {
            Build::Newer => Command::new(Path::new(env!("CARGO_BIN_EXE_cf"))),
            Build::Older => Command::new(this),
        };
        if let Build::Older = build {
            command.env(OLDER, "1");
        }
        let service = format!("local:{}", self.path("service.db").display());
        command
            .env_remove("CF_PASSPHRASE")
            .env("HOME", self.folder.path())
            .env("CF_HOME", self.path(who))
            .env("CF_DS", service)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, build: Build, who: &str, arguments: &[&str]) -> String {
        let output = self.command(build, who, arguments).output();
        let output = output.expect("the program was built");
        let (text, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(text).expect("text")
    }

    fn json(&self, build: Build, who: &str, arguments: &[&str]) -> Vec<Value> {
        let text = self.run(build, who, &[&["--json"], arguments].concat());
        let object = |line| serde_json::from_str(line).expect("one object a line");
        text.lines().map(object).collect()
    }
}
