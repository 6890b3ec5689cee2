//! Files between two homes.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use cf_testkit::SeededRandom;
use serde_json::Value;

use crate::{Town, objects};

const MIB: usize = 1024 * 1024;

/// How long a file may take to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes a file of random bytes.
fn write(path: &Path, len: usize) -> Vec<u8> {
    use cf::core::Random;
    let mut bytes = vec![0; len];
    SeededRandom::new(len as u64).fill(&mut bytes);
    std::fs::write(path, &bytes).expect("written");
    bytes
}

/// The file that came last, and whether its bytes have come.
fn came(town: &Town, who: &str) -> Option<(Value, bool)> {
    let log = town.json(who, &["read", "--since", "0"]);
    let file = log.iter().rfind(|event| event["event"] == "attachment")?;
    let is_whole = log
        .iter()
        .any(|event| event["event"] == "large_content" && event["id"] == file["content"]);
    Some((file.clone(), is_whole))
}

fn wait_for(town: &Town, who: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        match came(town, who) {
            Some((file, true)) => return file,
            other => assert!(Instant::now() < until, "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn end(mut child: Child) {
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

/// Whether the other side has it; it may have read it already.
fn has_it(answer: &Value) -> bool {
    ["delivered", "read"].contains(&answer["state"].as_str().unwrap_or_default())
}

#[test]
fn a_file_arrives_although_its_sender_was_killed() {
    let town = Town::with_two();
    let path = town.path("report.pdf");
    let bytes = write(&path, 6 * MIB + 12_345);
    let reader = town.spawn("raya", &["--json", "read", "--follow"]);
    let arguments = ["send", "Raya", "the report", "--file"];
    let arguments = [
        &arguments[..],
        &[path.to_str().expect("text"), "--id", "report"],
    ]
    .concat();
    // Killed at several places: while the home takes the bytes, and while they go.
    for pause in [20, 120, 400] {
        let sender = town.spawn("saro", &arguments);
        std::thread::sleep(Duration::from_millis(pause));
        end(sender);
    }
    let sent = town.json("saro", &arguments);
    assert!(has_it(&sent[0]), "{sent:?}");
    let file = wait_for(&town, "raya");
    assert_eq!(file["file"], "report.pdf");
    assert_eq!(file["caption"], "the report");
    let seq = file["seq"].to_string();
    let folder = town.path("saved");
    std::fs::create_dir(&folder).expect("made");
    let to = folder.to_str().expect("text");
    // Through the reader's process, which owns the home.
    let saved = town.json("raya", &["save", &seq, to]);
    let path = folder.join("report.pdf");
    assert_eq!(saved[0]["saved"], path.to_str().expect("text"));
    assert!(std::fs::read(&path).expect("saved") == bytes, "other bytes");
    // Not over another file, unless that is wanted.
    std::fs::write(&path, "mine").expect("written");
    let refused = town.run("raya", &["save", &seq, to]);
    assert!(!refused.status.success());
    assert_eq!(std::fs::read(&path).expect("there"), b"mine");
    town.json("raya", &["save", &seq, to, "--force"]);
    assert!(std::fs::read(&path).expect("saved") == bytes);
    // Nothing else is left in the folder.
    assert_eq!(std::fs::read_dir(&folder).expect("there").count(), 1);
    let shown = town.run("raya", &["read", "--since", "0"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let line = format!("Saro: file report.pdf, 6.3 MB (the report): cf save {seq}");
    assert!(shown.contains(&line), "{shown}");
    end(reader);
    // As the owner itself, and the same again sends nothing.
    town.json("raya", &["save", &seq, to, "--force"]);
    let again = town.json("saro", &arguments);
    assert!(has_it(&again[0]), "{again:?}");
    let log = town.json("raya", &["read", "--since", "0"]);
    let files = log.iter().filter(|event| event["event"] == "attachment");
    assert_eq!(files.count(), 1);
}

#[test]
fn what_is_no_file_is_refused() {
    let town = Town::with_two();
    let empty = town.path("empty");
    write(&empty, 0);
    let sent = town.json(
        "saro",
        &["send", "Raya", "--file", empty.to_str().expect("text")],
    );
    assert_ne!(sent[0]["state"], "failed");
    town.json("raya", &["read"]);
    let (file, _) = came(&town, "raya").expect("it came");
    let (seq, to) = (file["seq"].to_string(), town.path("copy"));
    town.json("raya", &["save", &seq, to.to_str().expect("text")]);
    assert_eq!(std::fs::read(&to).expect("saved"), b"");
    for arguments in [
        ["send", "Raya", "--file", "/nowhere/at/all"],
        ["send", "Raya", "--file", "/tmp"],
        ["save", "1", "--force", "/tmp/never-made-by-cf"],
        ["save", "999", "--force", "/tmp/never-made-by-cf"],
    ] {
        let output = town.run("saro", &arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(objects(&String::from_utf8_lossy(&output.stdout)).is_empty());
    }
    assert!(!Path::new("/tmp/never-made-by-cf").exists());
}
