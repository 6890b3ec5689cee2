//! A home is lost, and comes back from its backup.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::Town;

fn texts(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect()
}

fn with_passphrase(town: &Town, who: &str, arguments: &[&str], passphrase: &str) -> Output {
    let mut command = town.command(who, arguments);
    command.env("CF_BACKUP_PASSPHRASE", passphrase);
    command.output().expect("the program was built")
}

/// What somebody reads until a text comes, while the other one looks in now and then.
fn until(town: &Town, who: &str, last: &str) -> Vec<String> {
    let mut came = Vec::new();
    let other = if who == "saro" { "raya" } else { "saro" };
    for round in 0..40 {
        if round > 0 {
            town.json(other, &["chats"]);
        }
        let events = town.json(who, &["read"]);
        came.extend(texts(&events).iter().map(|text| (*text).to_owned()));
        if came.iter().any(|text| text == last) {
            return came;
        }
    }
    panic!("{who} has not got {last:?}: {came:?}");
}

#[test]
fn a_home_that_was_destroyed_comes_back_and_talks_on() {
    let town = Town::with_two();
    town.json("saro", &["send", "Raya", "one"]);
    assert_eq!(until(&town, "raya", "one"), ["one"]);
    town.json("raya", &["send", "Saro", "two"]);
    assert_eq!(until(&town, "saro", "two"), ["two"]);
    // Nobody has it before the backup is made, and it is not lost.
    town.json("saro", &["send", "Raya", "three"]);
    let before = town.json("saro", &["history", "Raya"]);
    let file = town.path("saro.backup");
    let path = file.to_str().expect("a path");
    let made = with_passphrase(&town, "saro", &["backup", path], "tea at five");
    assert!(made.status.success(), "{made:?}");
    let again = with_passphrase(&town, "saro", &["backup", path], "tea at five");
    assert_eq!(again.status.code(), Some(1), "a file is not replaced");
    town.json("saro", &["send", "Raya", "after the backup"]);

    let refused = with_passphrase(&town, "saro", &["restore", path], "tea at five");
    assert_eq!(refused.status.code(), Some(1), "a home is not replaced");
    fs::remove_dir_all(town.path("saro")).expect("it was there");
    let wrong = with_passphrase(&town, "saro", &["restore", path], "tea at six");
    assert_eq!(wrong.status.code(), Some(1));
    let whole = fs::read(&file).expect("a file");
    fs::write(town.path("cut"), &whole[..whole.len() - 1]).expect("a file");
    let cut = town.path("cut");
    let damaged = with_passphrase(
        &town,
        "saro",
        &["restore", cut.to_str().expect("a path")],
        "tea at five",
    );
    assert_eq!(damaged.status.code(), Some(1));
    assert!(!town.path("saro").exists() && !town.path("saro.restoring").exists());
    let restored = with_passphrase(&town, "saro", &["restore", path], "tea at five");
    assert!(restored.status.success(), "{restored:?}");

    // She writes to a session that is gone.
    town.json("raya", &["send", "Saro", "are you there?"]);
    assert_eq!(until(&town, "saro", "are you there?"), ["are you there?"]);
    town.json("saro", &["send", "Raya", "I am back"]);
    let came = until(&town, "raya", "I am back");
    let count = |text: &str| came.iter().filter(|came| *came == text).count();
    assert_eq!(
        (
            count("three"),
            count("after the backup"),
            count("I am back")
        ),
        (1, 1, 1),
        "{came:?}"
    );
    town.json("raya", &["send", "Saro", "good"]);
    until(&town, "saro", "good");

    let after = town.json("saro", &["history", "Raya", "--limit", "1000"]);
    let kept: Vec<_> = after
        .iter()
        .filter(|item| item["seq"].as_u64() <= before.last().expect("items")["seq"].as_u64())
        .collect();
    let ids = |items: &[&Value]| {
        items
            .iter()
            .map(|item| item["id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&kept), ids(&before.iter().collect::<Vec<_>>()));
    assert_eq!(town.json("saro", &["chats"]).len(), 1);
    assert_eq!(texts(&town.json("saro", &["search", "two"])), ["two"]);
}
