//! What was said, looked at again.

use serde_json::Value;

use crate::Town;

fn texts(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| item["text"].as_str())
        .collect()
}

#[test]
fn what_was_said_is_shown_found_and_deleted() {
    let town = Town::with_two();
    for text in ["Good morning", "tea at five?", "or coffee"] {
        town.json("saro", &["send", "Raya", text]);
    }
    assert_eq!(town.json("raya", &["chats"])[0]["unread"], 3);
    town.json("raya", &["send", "Saro", "Tea, please!"]);
    let chats = town.json("raya", &["chats"]);
    assert_eq!(
        (&chats[0]["unread"], &chats[0]["last"]["text"]),
        (&3.into(), &"Tea, please!".into())
    );
    assert_eq!(texts(&town.json("raya", &["read"])).len(), 3);
    assert_eq!(town.json("raya", &["chats"])[0]["unread"], 0);

    let all = town.json("raya", &["history", "Saro"]);
    let said = ["Good morning", "tea at five?", "or coffee", "Tea, please!"];
    assert_eq!(texts(&all), said);
    let last = all.last().expect("items");
    assert_eq!(last["own"], true);
    let seq = |item: &Value| item["seq"].to_string();
    let before = town.json(
        "raya",
        &["history", "Saro", "--limit", "2", "--before", &seq(last)],
    );
    assert_eq!(texts(&before), said[1..3]);
    let after = town.json(
        "raya",
        &[
            "history",
            "Saro",
            "--limit",
            "1",
            "--after",
            &seq(&before[0]),
        ],
    );
    assert_eq!(texts(&after), said[2..3]);

    town.json("saro", &["read"]);
    let read = |items: &[Value]| items.iter().filter(|item| item["state"] == "read").count();
    let all_read = (0..20).any(|_| read(&town.json("saro", &["history", "Raya"])) == 3);
    assert!(all_read, "her client has said so");

    let found = town.json("saro", &["search", "TEA"]);
    assert_eq!(texts(&found), ["Tea, please!", "tea at five?"]);
    assert_eq!(
        texts(&town.json("saro", &["search", "tea", "five", "--within", "Raya"])),
        ["tea at five?"]
    );
    assert_eq!(town.run("saro", &["search", "?!"]).status.code(), Some(1));
    let one = town.json("saro", &["search", "tea", "--limit", "1"]);
    let more = one[1]["more_before"].to_string();
    assert_eq!(
        texts(&town.json("saro", &["search", "tea", "--before", &more])),
        ["tea at five?"]
    );

    let kept = town.json("saro", &["history", "Raya"]);
    town.json("saro", &["delete", "Raya", &seq(&found[1])]);
    assert!(town.json("saro", &["search", "five"]).is_empty());
    assert!(
        !town
            .json("saro", &["read", "--since", "0"])
            .iter()
            .any(|event| event.to_string().contains("five"))
    );
    let rest = town.json("saro", &["history", "Raya", "--rebuild"]);
    let kept: Vec<_> = kept
        .into_iter()
        .filter(|item| item["seq"] != found[1]["seq"])
        .collect();
    assert_eq!(rest, kept);

    town.json("saro", &["delete", "Raya", "--all"]);
    assert!(town.json("saro", &["history", "Raya"]).is_empty());
    assert_eq!(town.json("saro", &["contacts"])[0]["name"], "Raya");
    assert_eq!(town.json("saro", &["keep", "30"])[0]["keep_days"], 30);
    assert_eq!(texts(&town.json("raya", &["history", "Saro"])).len(), 4);
}
