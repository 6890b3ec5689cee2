//! Links and who is blocked, by commands.

use serde_json::Value;

use crate::Town;

fn id<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("an id")
}

#[test]
fn a_link_is_shown_bounds_who_asks_and_can_be_revoked() {
    let town = Town::new();
    for (who, name) in [
        ("raya", "Raya"),
        ("saro", "Saro"),
        ("oscar", "Oscar"),
        ("pat", "Pat"),
    ] {
        town.json(who, &["init", "--name", name]);
    }
    let link = [
        "link",
        "--label",
        "on the wall",
        "--quota",
        "1",
        "--days",
        "90",
    ];
    let wall = town.json("raya", &link).remove(0);
    let once = town.json("raya", &["link", "--once", "--full"]).remove(0);
    town.json("saro", &["add", id(&wall, "link")]);
    let asked = town.json("raya", &["requests"]);
    assert_eq!(
        (&asked[0]["label"], &asked[0]["link"]),
        (&"on the wall".into(), &wall["id"])
    );
    town.json("oscar", &["add", id(&wall, "link")]);
    assert_eq!(
        town.json("raya", &["requests"]).len(),
        1,
        "one is as many as may wait"
    );
    let links = town.json("raya", &["links"]);
    assert_eq!(links.len(), 2);
    for (shown, made) in links.iter().zip([&wall, &once]) {
        assert_eq!((&shown["id"], &shown["link"]), (&made["id"], &made["link"]));
    }
    assert_eq!(
        (&links[0]["pending"], &links[0]["state"]),
        (&1.into(), &"live".into())
    );
    assert!(links[0]["refused"].as_u64() >= Some(1), "{links:?}");
    assert_eq!(
        town.json("raya", &["status"])[0]["refused"],
        links[0]["refused"]
    );
    let shown = town.run("raya", &["requests"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("through on the wall"), "{shown}");
    assert!(
        shown.contains(&format!("cf revoke {}", &id(&wall, "id")[..8])),
        "{shown}"
    );

    // Revoked, it takes no further one; who waits can still be accepted.
    town.json("raya", &["revoke", &id(&wall, "id")[..8]]);
    assert_eq!(town.json("raya", &["links"]).len(), 1);
    assert_eq!(
        town.run("raya", &["revoke", id(&wall, "id")]).status.code(),
        Some(1)
    );
    assert_eq!(town.run("raya", &["revoke", ""]).status.code(), Some(2));
    town.json("raya", &["accept", id(&asked[0], "request")]);
    town.json(
        "saro",
        &["send", "Raya", "by an address that is no link's any more"],
    );
    let read = town.json("raya", &["read"]);
    assert!(
        read.iter().any(|event| event["text"].is_string()),
        "{read:?}"
    );
    let refused = town.run("pat", &["add", id(&wall, "link")]);
    assert_eq!(refused.status.code(), Some(1), "who resolves it learns it");
    assert!(town.json("raya", &["requests"]).is_empty());

    // A one-time link is used up.
    town.json("pat", &["add", id(&once, "link")]);
    assert_eq!(town.json("raya", &["requests"]).len(), 1);
    assert_eq!(town.json("raya", &["links"])[0]["state"], "used");

    // Nobody asks themselves.
    let own = town.json("raya", &["link"]).remove(0);
    let own = town.run("raya", &["add", id(&own, "link")]);
    assert_eq!(own.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&own.stderr).contains("your own"));
}

#[test]
fn who_is_blocked_is_not_shown() {
    let town = Town::with_two();
    let blocked = town.json("raya", &["block", "saro"]).remove(0);
    assert_eq!(
        (&blocked["name"], &blocked["blocked"]),
        (&"Saro".into(), &true.into())
    );
    town.json("raya", &["read"]);
    town.json("saro", &["send", "Raya", "hello?"]);
    assert!(town.json("raya", &["read"]).is_empty());
    assert_eq!(town.json("raya", &["blocked"])[0]["from"], blocked["from"]);
    assert_eq!(town.json("raya", &["chats"])[0]["blocked"], true);
    assert_eq!(
        town.run("raya", &["send", "Saro", "no"]).status.code(),
        Some(1)
    );
    town.json("raya", &["unblock", "saro"]);
    assert!(town.json("raya", &["blocked"]).is_empty());
    town.json("raya", &["send", "Saro", "yes"]);
    let read = town.json("saro", &["read"]);
    assert!(read.iter().any(|event| event["text"] == "yes"), "{read:?}");

    // By the id of a request, which is declined with it.
    town.json("oscar", &["init", "--name", "Oscar"]);
    let link = town.json("raya", &["link"]).remove(0);
    town.json("oscar", &["add", id(&link, "link")]);
    let request = town.json("raya", &["requests"]).remove(0);
    town.json("raya", &["block", &id(&request, "request")[..8]]);
    assert!(town.json("raya", &["requests"]).is_empty());
    assert_eq!(town.json("raya", &["blocked"])[0]["name"], "Oscar");
    assert_eq!(
        town.run("raya", &["unblock", "nobody"]).status.code(),
        Some(1)
    );
}

#[test]
fn who_declines_may_say_so_and_names_that_look_alike_are_shown() {
    let town = Town::with_two();
    let names = [("oscar", "Oscar"), ("saro-2", "S\u{0430}ro")];
    let link = town.json("raya", &["link"]).remove(0);
    for (who, name) in names {
        town.json(who, &["init", "--name", name]);
        town.json(who, &["add", id(&link, "link")]);
    }
    let asked = town.json("raya", &["requests"]);
    let by_name = |name| asked.iter().find(|it| it["name"] == name).expect("asked");
    assert_eq!(by_name("Oscar")["looks_like"], Value::Null);
    let alike = by_name(names[1].1);
    assert_eq!(alike["looks_like"], "Saro");
    let shown = town.run("raya", &["requests"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("It is NOT Saro, whom you know"), "{shown}");
    let read = town.run("raya", &["read"]);
    let read = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(read.contains("*** WARNING"), "{read}");

    let declined = town.json(
        "raya",
        &["decline", "--tell", id(by_name("Oscar"), "request")],
    );
    assert_eq!(declined[0]["told"], true);
    let told = town.json("oscar", &["read"]);
    assert!(
        told.iter().any(|event| event["event"] == "closed"),
        "{told:?}"
    );
    town.json("raya", &["accept", id(alike, "request")]);
    let shown = town.run("raya", &["chats"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("It is NOT"), "{shown}");
}
