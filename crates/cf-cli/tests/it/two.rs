//! Two people meet and talk, by commands.

use serde_json::{Value, json};

use crate::Town;

fn texts(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect()
}

#[test]
fn they_meet_talk_and_read_on_where_they_stopped() {
    let town = Town::new();
    town.json("saro", &["init", "--name", "Saro"]);
    town.json("raya", &["init", "--name", "Raya"]);
    let link = town.json("raya", &["link"]).remove(0);
    let link = link["link"].as_str().expect("a link");
    assert!(link.len() < 100, "{link}");
    let added = town.json("saro", &["add", link]).remove(0);
    assert_eq!(added["added"], "now");
    town.json("saro", &["send", "Raya", "before you accept"]);
    let request = town.json("raya", &["requests"]).remove(0);
    assert_eq!(request["name"], "Saro");
    assert_eq!(
        request["conversation_protocol"],
        "/cf/conversation/private/2"
    );
    town.json(
        "raya",
        &["accept", request["request"].as_str().expect("an id")],
    );
    assert!(town.json("raya", &["requests"]).is_empty());

    assert_eq!(texts(&town.json("raya", &["read"])), ["before you accept"]);
    assert_eq!(texts(&town.json("raya", &["read"])), [""; 0]);
    let sent = town.json("raya", &["send", "saro", "hello", "--id", "one"]);
    assert_eq!(sent[0]["id"], "one");
    let again = town.json("raya", &["send", "saro", "hello", "--id", "one"]);
    assert!(["accepted", "delivered"].contains(&again[0]["state"].as_str().expect("a state")));
    let chats = town.json("saro", &["chats"]);
    assert_eq!(chats.len(), 1);
    let talk = chats[0]["conversation"].as_str().expect("an id");
    town.json("saro", &["send", talk, "by the conversation's id"]);
    let events = town.json("saro", &["read"]);
    assert_eq!(texts(&events), ["hello"]);
    let seq = events.last().expect("events")["seq"]
        .as_u64()
        .expect("a number");
    assert!(
        town.json("saro", &["read", "--since", &seq.to_string()])
            .is_empty()
    );
    assert_eq!(
        texts(&town.json("saro", &["read", "--since", "0"])),
        ["hello"]
    );
    assert_eq!(
        texts(&town.json("raya", &["read"])),
        ["by the conversation's id"]
    );
    let states = town.json("raya", &["read", "--since", "0"]);
    let delivered = |event: &&Value| event["state"] == "delivered" && event["id"] == "one";
    assert_eq!(states.iter().filter(delivered).count(), 1);

    // Who is known keeps the conversation, and nobody is asked.
    let chats = |who| town.json(who, &["chats"])[0]["conversation"].clone();
    let before = (chats("saro"), chats("raya"));
    let added = town.json("saro", &["add", link]).remove(0);
    assert_eq!(
        (&added["added"], &added["conversation"]),
        (&"again".into(), &before.0)
    );
    let own = town.run("raya", &["add", link]);
    assert_eq!(own.status.code(), Some(1));
    let link = town.json("saro", &["link", "--once", "--full"]).remove(0);
    let link = link["link"].as_str().expect("a link");
    assert_eq!(town.json("raya", &["add", link])[0]["added"], "again");
    town.json("saro", &["send", "Raya", "after it"]);
    assert_eq!(texts(&town.json("raya", &["read"])), ["after it"]);
    assert_eq!((chats("saro"), chats("raya")), before);
    assert_eq!(town.json("saro", &["chats"]).len(), 1);
    assert!(town.json("saro", &["requests"]).is_empty());
}

#[test]
fn who_has_asked_is_accepted_by_adding() {
    let town = Town::new();
    town.json("saro", &["init", "--name", "Saro"]);
    town.json("raya", &["init", "--name", "Raya"]);
    let links = ["saro", "raya"].map(|who| town.json(who, &["link"]).remove(0)["link"].clone());
    town.json("saro", &["add", links[1].as_str().expect("a link")]);
    let added = town.json("raya", &["add", links[0].as_str().expect("a link")]);
    assert_eq!(added[0]["added"], "by accepting");
    town.json("raya", &["send", "Saro", "one conversation"]);
    assert_eq!(texts(&town.json("saro", &["read"])), ["one conversation"]);
    assert_eq!(town.json("saro", &["chats"]).len(), 1);
    assert_eq!(town.json("raya", &["chats"]).len(), 1);
}

#[test]
fn lines_of_standard_input_are_messages() {
    let town = Town::with_two();
    let feed = |arguments: &[&str], input: &str| {
        let folder = town.path("input");
        std::fs::write(&folder, input).expect("a file");
        let mut command = town.command("saro", arguments);
        let file = std::fs::File::open(&folder).expect("a file");
        command.stdin(file).output().expect("it was built")
    };
    let output = feed(&["send", "Raya", "-"], "one\n\ntwo\n");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "queued\nqueued\n");
    let lines = [
        json!({ "id": "a", "text": "three" }),
        json!({ "text": "four\nlines" }),
        json!({ "id": "a", "text": "three" }),
    ];
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    let output = feed(&["--json", "send", "Raya", "-"], &lines.join("\n"));
    assert!(output.status.success());
    assert_eq!(
        crate::objects(&String::from_utf8_lossy(&output.stdout)).len(),
        3
    );
    let output = feed(
        &["--json", "send", "Raya", "-"],
        "{\"id\": \"b\", \"text\": \"five\"}\nnonsense\n",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 2"));
    let read = town.json("raya", &["read"]);
    assert_eq!(texts(&read), ["one", "two", "three", "four\nlines", "five"]);
    let shown = town.run("raya", &["read", "--since", "0"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Saro: four\n    lines"));
}

#[test]
fn an_author_learns_what_was_read_unless_the_reader_keeps_it() {
    let town = Town::with_two();
    let state = |id: &str, text: &str| {
        town.json("raya", &["read"]);
        town.json("saro", &["read"]);
        let again = town.json("saro", &["send", "Raya", text, "--id", id]);
        again[0]["state"].as_str().expect("a state").to_owned()
    };
    town.json("saro", &["send", "Raya", "for you", "--id", "one"]);
    assert_eq!(state("one", "for you"), "read");
    let set = town.json("raya", &["config", "read-receipts", "off"]);
    assert_eq!(set[0]["read_receipts"], false);
    town.json("saro", &["send", "Raya", "and this", "--id", "two"]);
    assert_eq!(state("two", "and this"), "delivered");
    let set = town.json("raya", &["config", "read-receipts"]);
    assert_eq!(set[0]["read_receipts"], false, "it is kept");
}
