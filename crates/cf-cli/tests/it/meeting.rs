//! Ways to be found: files, pictures, names, and services that are new.

use std::io::{Read, Write};
use std::process::ExitStatus;

use serde_json::Value;

use crate::Town;

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {value}"))
}

fn refusal(town: &Town, who: &str, arguments: &[&str]) -> String {
    let output = town.run(who, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn people(town: &Town, names: &[&str]) {
    for name in names {
        town.json(&name.to_lowercase(), &["init", "--name", name]);
    }
}

#[test]
fn a_link_travels_as_a_file_or_as_a_picture() {
    let town = Town::new();
    people(&town, &["Raya", "Saro", "Pax"]);
    let path = |name: &str| town.path(name).display().to_string();
    let (png, file) = (path("link.png"), path("link.txt"));
    town.json("raya", &["link", "--png", &png, "--out", &file]);
    for (who, file) in [("saro", &png), ("pax", &file)] {
        let added = town.json(who, &["add", file]);
        assert_eq!(text(&added[0], "name"), "Raya");
    }
    assert_eq!(town.json("raya", &["requests"]).len(), 2);
    let shown = town.run("raya", &["link", "--qr"]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(
        shown.contains('▀') && shown.contains("cfshort_1_"),
        "{shown}"
    );
    let nothing = path("nothing.png");
    std::fs::write(&nothing, b"\x89PNG\r\n\x1a\nrubbish").expect("a file");
    let error = refusal(&town, "saro", &["add", &nothing]);
    assert!(error.contains("picture can't be read"), "{error}");
}

#[test]
fn who_claims_a_name_is_shown_and_one_is_picked() {
    let town = Town::new();
    people(&town, &["Saro"]);
    town.json("raya", &["init", "--name", "Raya"]);
    town.json("oscar", &["init", "--name", "raya"]);
    let error = refusal(&town, "saro", &["add", "Raya"]);
    assert!(error.contains("nobody is called raya"), "{error}");
    let query = town.json("raya", &["link", "--directory"]);
    let query = text(&query[0], "link").to_owned();
    assert!(query.starts_with("cfdir_1_raya@local:"), "{query}");
    town.json("oscar", &["link", "--directory"]);
    let fingerprint = |who| text(&town.json(who, &["status"])[0], "fingerprint").to_owned();
    let (rayas, oscars) = (fingerprint("raya"), fingerprint("oscar"));
    for name in ["Raya", &query, &query["cfdir_1_".len()..]] {
        let error = refusal(&town, "saro", &["add", name]);
        assert!(error.contains(&rayas) && error.contains(&oscars), "{error}");
    }
    assert!(town.json("saro", &["chats"]).is_empty(), "nobody was asked");
    let error = refusal(&town, "saro", &["add", "raya#0000000000000000"]);
    assert!(error.contains("none of those found"), "{error}");
    let short = refusal(&town, "saro", &["add", &format!("raya#{}", &rayas[..12])]);
    assert!(short.contains("16 digits"), "{short}");
    town.json("saro", &["add", &format!("raya#{}", &rayas[..16])]);
    assert_eq!(town.json("raya", &["requests"]).len(), 1);
    assert!(town.json("oscar", &["requests"]).is_empty());
}

#[test]
fn a_service_that_is_new_is_asked_about_before_anything_contacts_it() {
    let town = Town::new();
    people(&town, &["Saro"]);
    // Raya is on this machine's own service, which Saro does not use.
    let raya = |arguments: &[&str]| {
        let mut command = town.command("raya", arguments);
        let output = command.env("CF_DS", "local:").output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}");
        crate::objects(&String::from_utf8(output.stdout).expect("text"))
    };
    raya(&["--json", "init", "--name", "Raya"]);
    let locator = text(&raya(&["--json", "status"])[0], "locator").to_owned();
    for full in [&["--json", "link"][..], &["--json", "link", "--full"]] {
        let link = text(&raya(full)[0], "link").to_owned();
        let error = refusal(&town, "saro", &["add", &link]);
        assert!(error.contains(&format!("--connect {locator}")), "{error}");
        let error = refusal(&town, "saro", &["add", &link, "--connect", "local:"]);
        assert!(error.contains(&format!("--connect {locator}")), "{error}");
        assert!(town.json("saro", &["chats"]).is_empty(), "nobody was asked");
    }
    let link = text(&raya(&["--json", "link"])[0], "link").to_owned();
    town.json("saro", &["add", &link, "--connect", &locator]);
    assert_eq!(raya(&["--json", "requests"]).len(), 1);
    // From now on.
    town.json("saro", &["add", &link]);
}

/// Somebody at a terminal is asked, and only a yes connects.
#[test]
fn a_person_is_asked_before_a_new_service_is_contacted() {
    let town = Town::new();
    people(&town, &["Saro"]);
    let raya = |arguments: &[&str]| {
        let mut command = town.command("raya", arguments);
        let output = command.env("CF_DS", "local:").output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}");
        crate::objects(&String::from_utf8(output.stdout).expect("text"))
    };
    raya(&["--json", "init", "--name", "Raya"]);
    let link = text(&raya(&["--json", "link"])[0], "link").to_owned();
    let locator = text(&raya(&["--json", "status"])[0], "locator").to_owned();
    for (answer, is_yes) in [
        ("n\n", false),
        ("\n", false),
        ("\x04", false),
        ("y\n", true),
    ] {
        let (said, status) = at_a_terminal(&town, "saro", &["add", &link], "[y/N] ", answer);
        assert!(
            said.contains(&format!("is reached through {locator}")),
            "{said}"
        );
        assert!(said.contains("will see your network address"), "{said}");
        assert_eq!(status.success(), is_yes, "{answer:?}: {said}");
        assert_eq!(town.json("saro", &["chats"]).len(), usize::from(is_yes));
    }
    assert_eq!(raya(&["--json", "requests"]).len(), 1);
}

/// Runs the program at a terminal, and answers once it has asked.
fn at_a_terminal(
    town: &Town,
    who: &str,
    arguments: &[&str],
    question: &str,
    answer: &str,
) -> (String, ExitStatus) {
    let (mut terminal, other_end) = pty_process::blocking::open().expect("a terminal");
    let command = town.command(who, arguments);
    let mut started = pty_process::blocking::Command::new(command.get_program());
    started = started.args(command.get_args());
    for (name, value) in command.get_envs() {
        started = match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    let mut child = started.spawn(other_end).expect("the program was built");
    let (mut said, mut answered, mut some) = (Vec::new(), false, [0; 1024]);
    // The end of it is an error: nobody holds the other end any more.
    while let Ok(len @ 1..) = terminal.read(&mut some) {
        said.extend(&some[..len]);
        if !answered && String::from_utf8_lossy(&said).ends_with(question) {
            terminal.write_all(answer.as_bytes()).expect("it reads");
            answered = true;
        }
    }
    let status = child.wait().expect("it ends");
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(answered, "it did not ask: {said}");
    (said, status)
}

#[test]
fn who_adds_by_a_revoked_link_is_told_so() {
    let town = Town::new();
    people(&town, &["Raya", "Saro"]);
    for arguments in [&["link"][..], &["link", "--directory"]] {
        let made = town.json("raya", arguments);
        let links = town.json("raya", &["links"]);
        town.json("raya", &["revoke", text(&links[0], "id")]);
        let error = refusal(&town, "saro", &["add", text(&made[0], "link")]);
        assert!(error.contains("revoked"), "{error}");
    }
}

#[test]
fn each_wrong_text_says_what_is_wrong() {
    let town = Town::new();
    people(&town, &["Raya", "Saro"]);
    let link = town.json("raya", &["link", "--full"]);
    let link = text(&link[0], "link");
    let changed = link.replacen('A', "B", 1);
    for (given, says) in [
        (&link[..link.len() / 2], "cut off"),
        (&changed, "changed on the way"),
        ("cfintro_2_AAAA", "version 2"),
        ("cfshort_2_AAAA", "version 2"),
        ("cfdir_2_raya@local:", "version 2"),
        ("cfshort_1_AAAA", "cut off"),
        ("https://example.org/raya", "this is no link"),
        ("", "this is no link"),
    ] {
        let error = refusal(&town, "saro", &["add", given]);
        assert!(error.contains(says), "{given}: {error}");
    }
}
