//! Descriptions of protocols, by commands.

use serde_json::json;

use crate::Town;

#[test]
fn a_description_is_checked_and_compared() {
    let town = Town::new();
    town.json("saro", &["init", "--name", "Saro"]);
    let (mine, theirs) = (town.path("mine.toml"), town.path("theirs.json"));
    let toml = town.run("saro", &["describe", "--toml"]);
    assert!(toml.status.success());
    assert!(toml.stderr.is_empty(), "warnings do not disturb");
    std::fs::write(&mine, &toml.stdout).expect("written");
    let mut described = town.json("saro", &["describe"]).remove(0);
    assert_eq!(described["format"], "/cf/descriptor/1");
    assert_eq!(described["conversation"][0]["version"], 2);
    std::fs::write(&theirs, described.to_string()).expect("written");
    let (mine, theirs) = (mine.to_str().expect("text"), theirs.to_str().expect("text"));

    let same = town.json("saro", &["check", mine, theirs]).remove(0);
    assert_eq!(
        (&same["same"], &same["can_talk"]),
        (&json!(true), &json!(true))
    );
    let findings = town.json("nobody", &["check", mine]);
    assert!(findings.iter().all(|finding| finding["severity"] == "warn"));

    // Changed by hand, without the digest.
    described
        .as_object_mut()
        .expect("an object")
        .remove("digest");
    described["conversation"]
        .as_array_mut()
        .expect("an array")
        .remove(0);
    described["delivery_service"][0]["parameters"]["max_payload_len"] = json!(1024);
    std::fs::write(theirs, described.to_string()).expect("written");
    let common = town.json("saro", &["check", mine, theirs]).remove(0);
    assert_eq!(
        common["conversation"],
        json!(["/cf/conversation/private/1"])
    );
    let refused = town.run("saro", &["check", theirs]);
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(text.starts_with("refuse: "), "{text}");
    assert!(text.contains("(invite-too-long)"), "{text}");

    described["initialization"] = json!([{ "id": "/example/init/1" }]);
    std::fs::write(theirs, described.to_string()).expect("written");
    let apart = town.run("saro", &["check", mine, theirs]);
    assert!(!apart.status.success());
    let text = String::from_utf8_lossy(&apart.stdout).into_owned();
    assert!(
        text.contains("They can't talk: no initialization in common."),
        "{text}"
    );

    std::fs::write(theirs, "no description").expect("written");
    let wrong = town.run("saro", &["check", theirs]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains(theirs));
}
