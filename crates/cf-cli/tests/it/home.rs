//! One owner at a time, and the next when it is gone.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Town;

fn first_line(child: &mut Child) -> (Value, BufReader<std::process::ChildStdout>) {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    (serde_json::from_str(&line).expect("an object"), lines)
}

#[test]
fn a_sender_goes_through_the_reader_and_the_next_takes_over() {
    let town = Town::with_two();
    let follow = ["--json", "read", "--follow"];
    let mut first = town.spawn("saro", &follow);
    let (event, _lines) = first_line(&mut first);
    assert_eq!(event["seq"], 1);
    let owner = |town: &Town| town.json("saro", &["status"])[0]["owner"].as_u64();
    assert_eq!(owner(&town), Some(u64::from(first.id())));
    // Its own events were not confirmed yet, or they were: both may be told.
    let mut second = town.spawn("saro", &["--json", "read", "--follow", "--since", "0"]);
    let (event, mut lines) = first_line(&mut second);
    assert_eq!(event["seq"], 1);
    let sent = town.json("saro", &["send", "Raya", "through the owner"]);
    assert_eq!(sent[0]["state"], "accepted");

    first.kill().expect("it is ours");
    let killed = Instant::now();
    first.wait().expect("it is ours");
    loop {
        let now = owner(&town);
        if now == Some(u64::from(second.id())) {
            break;
        }
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "nobody took over: {now:?}"
        );
    }
    let took = killed.elapsed();
    eprintln!("took over after {took:?}");
    town.json("raya", &["send", "Saro", "to the next owner"]);
    let told = std::iter::from_fn(|| {
        let mut line = String::new();
        lines.read_line(&mut line).ok().filter(|read| *read > 0)?;
        serde_json::from_str::<Value>(&line).ok()
    });
    let mut messages = told.filter(|event| event["event"] == "message");
    assert_eq!(
        messages.next().expect("a message")["text"],
        "to the next owner"
    );
    second.kill().expect("it is ours");
    second.wait().expect("it is ours");
}

#[test]
fn a_home_is_made_once_and_opens_with_its_passphrase() {
    let town = Town::new();
    let error = |who: &str, arguments: &[&str], passphrase: Option<&str>| {
        let mut command = town.command(who, arguments);
        if let Some(passphrase) = passphrase {
            command.env("CF_PASSPHRASE", passphrase);
        }
        let output = command.output().expect("it was built");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, says) = error("saro", &["status"], None);
    assert_eq!(code, Some(1));
    assert!(says.contains("cf init"), "{says}");
    town.json("saro", &["init", "--name", "Saro"]);
    let (code, says) = error("saro", &["init", "--name", "Saro"], None);
    assert_eq!(code, Some(1));
    assert!(says.contains("already"), "{says}");

    let secret = Some("tea with Raya");
    let (code, says) = error("raya", &["init", "--name", "Raya", "--passphrase"], secret);
    assert_eq!(code, Some(0), "{says}");
    assert!(!town.path("raya").join("key").exists());
    assert_eq!(error("raya", &["status"], secret).0, Some(0));
    let (code, says) = error("raya", &["status"], Some("coffee"));
    assert_eq!(code, Some(1));
    assert!(says.contains("passphrase"), "{says}");
    let (code, says) = error("raya", &["status"], None);
    assert_eq!(code, Some(1));
    assert!(says.contains("CF_PASSPHRASE"), "{says}");

    let (code, says) = error("saro", &["--ds", "carrier-pigeon:", "status"], None);
    assert_eq!(code, Some(1));
    assert!(says.contains("carrier-pigeon"), "{says}");
}
