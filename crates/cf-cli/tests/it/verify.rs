//! Comparing safety numbers, and other keys under a known name.

use serde_json::{Value, json};

use crate::Town;

fn number(town: &Town, who: &str, of: &str) -> String {
    let shown = town.json(who, &["verify", of]).remove(0);
    shown["safety_number"]
        .as_str()
        .expect("a number")
        .to_owned()
}

fn verified(town: &Town, who: &str) -> Vec<Value> {
    let chats = town.json(who, &["chats"]);
    chats.iter().map(|chat| chat["verified"].clone()).collect()
}

#[test]
fn two_compare_their_numbers() {
    let town = Town::with_two();
    let (mine, theirs) = (number(&town, "saro", "Raya"), number(&town, "raya", "Saro"));
    assert_eq!(mine, theirs);
    let groups: Vec<_> = mine.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5));

    let digits = mine.replace(' ', "");
    let wrong = format!("{}{}", &digits[1..], &digits[..1]);
    let differs = town.run("saro", &["verify", "Raya", &wrong]);
    assert!(!differs.status.success());
    let errors = String::from_utf8_lossy(&differs.stderr).into_owned();
    assert!(errors.contains("THE NUMBERS DIFFER"), "{errors}");
    let differs = town.run("saro", &["--json", "verify", "Raya", &wrong]);
    assert!(!differs.status.success());
    let told: Value = serde_json::from_slice(&differs.stdout).expect("an object");
    assert_eq!(told["matches"], false);
    let short = town.run("saro", &["verify", "Raya", "12345"]);
    assert!(!short.status.success());
    assert_eq!(
        verified(&town, "saro"),
        [json!(false)],
        "nothing was marked"
    );

    // As it is shown: twelve words.
    town.json("saro", &[&["verify", "Raya"], &groups[..]].concat());
    assert_eq!(verified(&town, "saro"), [json!(true)]);
    assert_eq!(
        verified(&town, "raya"),
        [json!(false)],
        "each for themselves"
    );
    town.json("raya", &["verify", "Saro", &digits]);
    let chats = town.run("raya", &["chats"]);
    assert!(String::from_utf8_lossy(&chats.stdout).contains("  verified"));

    let undone = town.run("raya", &["verify", "Saro", "--undo"]);
    assert!(String::from_utf8_lossy(&undone.stdout).contains("not verified any more"));
    assert_eq!(verified(&town, "raya"), [json!(false)]);

    // Scanned: one shows the code, the other has a picture of it.
    let code = town.path("code.png").display().to_string();
    town.json("saro", &["verify", "Raya", "--png", &code]);
    town.json("raya", &["verify", "Saro", &code]);
    assert_eq!(verified(&town, "raya"), [json!(true)]);
}

#[test]
fn the_number_is_shown_as_a_code() {
    let town = Town::with_two();
    let shown = town.run("saro", &["verify", "Raya", "--qr"]);
    let text = String::from_utf8(shown.stdout).expect("text");
    let code: Vec<_> = text.lines().filter(|line| line.contains('█')).collect();
    assert!(code.len() > 12, "{text}");
    let width = code[0].chars().count();
    assert!(
        code.iter().all(|line| line.chars().count() == width),
        "{text}"
    );
}

#[test]
fn another_key_under_a_known_name_is_shown_loudly() {
    let town = Town::with_two();
    let theirs = number(&town, "raya", "Saro");
    town.json("raya", &["verify", "Saro", &theirs]);
    town.json("raya", &["read"]);
    town.json("mallory", &["init", "--name", "saro"]);
    let link = town.json("raya", &["link"]);
    town.json(
        "mallory",
        &["add", link[0]["link"].as_str().expect("a link")],
    );
    let requests = town.json("raya", &["requests"]);
    let shown = town.run("raya", &["read", "--since", "0"]);
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.contains("*** WARNING"), "{text}");
    assert!(text.contains("this one is NOT verified"), "{text}");
    let events = town.json("raya", &["read"]);
    let told = events.iter().find(|event| event["event"] == "other_key");
    let told = told.expect("it is told");
    assert_eq!(told["was_verified"], true);
    assert_eq!(told["from"], requests[0]["from"]);

    let id = requests[0]["request"].as_str().expect("an id");
    town.json("raya", &["accept", id]);
    let mut marks = verified(&town, "raya");
    marks.sort_by_key(|mark| mark.as_bool());
    assert_eq!(marks, [json!(false), json!(true)], "a mark is of a key");
}
