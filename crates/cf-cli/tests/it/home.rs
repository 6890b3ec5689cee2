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

/// The next owner goes on with the service of the one before, and a home with the
/// one that it was first used with.
#[test]
fn a_service_stays_until_another_is_named() {
    let town = Town::with_two();
    let without = |arguments: &[&str]| {
        let mut command = town.command("saro", arguments);
        command.env_remove("CF_DS");
        command
    };
    let mut first = town.spawn("saro", &["--json", "read", "--follow"]);
    let (_, _lines) = first_line(&mut first);
    let mut second = without(&["--json", "read", "--follow", "--since", "0"])
        .spawn()
        .expect("built");
    let (_, mut lines) = first_line(&mut second);
    first.kill().expect("it is ours");
    first.wait().expect("it is ours");
    town.json("raya", &["send", "Saro", "on the same service"]);
    let mut line = String::new();
    while !line.contains("on the same service") {
        line.clear();
        assert!(
            lines.read_line(&mut line).expect("a line") > 0,
            "the reader ended"
        );
    }
    second.kill().expect("it is ours");
    second.wait().expect("it is ours");
    let output = without(&["send", "Raya", "by the home's own"])
        .output()
        .expect("built");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "accepted\n");

    // One that is not configured now is waited for: nothing is given up.
    let elsewhere = format!("local:{}", town.path("elsewhere.db").display());
    let away = town.json(
        "saro",
        &["--ds", &elsewhere, "send", "Raya", "later", "--id", "late"],
    );
    assert_eq!(away[0]["state"], "queued");
    let back = town.json("saro", &["send", "Raya", "later", "--id", "late"]);
    assert_eq!(back[0]["state"], "accepted");
    let read = town.json("raya", &["read"]);
    let texts: Vec<_> = read
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    assert_eq!(texts, ["by the home's own", "later"]);
}

#[test]
fn nobody_is_accepted_by_an_empty_id_and_a_stopped_owner_is_named() {
    let town = Town::with_two();
    for id in ["", "a", "12345"] {
        assert_eq!(town.run("saro", &["accept", id]).status.code(), Some(2));
    }
    let output = town.run("saro", &["send", "Raya", "-", "--id", "x"]);
    assert_eq!(output.status.code(), Some(2));
    let mut owner = town.spawn("saro", &["--json", "read", "--follow"]);
    let (_, _lines) = first_line(&mut owner);
    let signal = |name: &str| {
        let pid = owner.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(sent.expect("kill is everywhere").success());
    };
    signal("-STOP");
    let output = town.run("saro", &["chats"]);
    signal("-CONT");
    assert_eq!(output.status.code(), Some(1));
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(says.contains(&owner.id().to_string()), "{says}");
    assert_eq!(town.json("saro", &["chats"]).len(), 1);
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
}
