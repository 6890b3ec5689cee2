//! What a home and a service's file show to somebody without the key.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Town;

#[test]
fn the_home_and_the_service_show_nothing() {
    let town = Town::with_two();
    let text = "Meet me at the lighthouse at noon";
    town.json(
        "saro",
        &["send", "Raya", text, "--id", "lighthouse-message-1"],
    );
    town.json("raya", &["read"]);
    town.json(
        "raya",
        &[
            "send",
            "Saro",
            "I will be there, with a lantern",
            "--id",
            "lantern-message-2",
        ],
    );
    town.json("saro", &["read"]);
    // Killed, it leaves its log behind as it is.
    let mut reader = town.spawn("saro", &["--json", "read", "--follow"]);
    town.json(
        "raya",
        &[
            "send",
            "Saro",
            "The lantern is lit",
            "--id",
            "lantern-message-3",
        ],
    );
    while !town.path("saro").join("store.db-wal").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    reader.kill().expect("it is ours");
    reader.wait().expect("it is ours");
    let log = town.path("saro").join("store.db-wal");
    assert!(fs::metadata(&log).expect("a log").len() > 0);
    let log = fs::read(log).expect("a log");
    let status = |who: &str| town.json(who, &["status"]).remove(0);
    let chats = town.json("saro", &["chats"]);
    let field = |value: &Value, name: &str| value[name].as_str().expect("text").to_owned();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for word in ["lighthouse", "lantern", "noon", "Saro", "Raya", "/cf/"] {
        secrets.push(word.as_bytes().to_vec());
    }
    for hex in [
        field(&chats[0], "conversation"),
        field(&status("saro"), "fingerprint"),
        field(&status("raya"), "fingerprint"),
    ] {
        secrets.push(unhex(&hex));
        secrets.push(hex.into_bytes());
    }
    let keys =
        ["saro", "raya"].map(|who| fs::read(town.path(who).join("key")).expect("a key file"));
    secrets.extend(keys);
    for secret in &secrets {
        assert!(
            !log.windows(secret.len()).any(|part| part == secret),
            "the log shows something"
        );
    }
    let mut files = 0;
    for folder in ["saro", "raya", "."] {
        for entry in fs::read_dir(town.path(folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let is_key = entry.file_name() == "key";
            if entry.file_type().expect("a type").is_file() && !is_key {
                check(&entry.path(), &secrets);
                files += 1;
            }
        }
    }
    assert!(files >= 5, "only {files} files were looked at");
}

fn check(path: &Path, secrets: &[Vec<u8>]) {
    let bytes = fs::read(path).expect("a file");
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|part| part == secret);
        assert!(
            !found,
            "{} shows {:?}",
            path.display(),
            String::from_utf8_lossy(secret)
        );
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}
