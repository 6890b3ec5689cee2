//! The program over a server. Each test here needs one.

mod kills;
mod operations;

use cf_testkit::servers::{Mosquitto, NatsServer};

use crate::Town;

#[test]
fn two_people_talk_over_a_nats_server_and_the_doctor_knows_it() {
    let server = NatsServer::with_configuration(
        "authorization { users: [ { user: town, password: secret } ] }",
    );
    let port = server.port();
    let mut town = Town::new();
    town.service = format!("nats://town:secret@127.0.0.1:{port}/city");
    let town = town.met();
    town.json("saro", &["send", "Raya", "by a server"]);
    let read = town.json("raya", &["read"]);
    assert!(
        read.iter().any(|event| event["text"] == "by a server"),
        "{read:?}"
    );

    let shown = format!("nats://127.0.0.1:{port}/city");
    let found = town.json("saro", &["doctor"]).remove(0);
    assert_eq!(found["service"], shown.as_str());
    assert_eq!(found["reachable"], true);
    assert_eq!(found["protocol"], "/cf/ds/nats/1");
    assert!(
        found["server"]
            .as_str()
            .is_some_and(|server| server.starts_with("nats-server 2."))
    );
    assert!(
        found["round_trip_ms"]
            .as_f64()
            .is_some_and(|time| time > 0.0)
    );
    let status = town.json("saro", &["status"]).remove(0);
    assert_eq!(status["service"], shown.as_str());
    for arguments in [&["doctor"][..], &["status"], &["-vv", "chats"]] {
        let output = town.run("raya", arguments);
        let all = [output.stdout, output.stderr].concat();
        assert!(
            !String::from_utf8_lossy(&all).contains("secret"),
            "{arguments:?}"
        );
    }
    drop(server);
    let away = town.run("saro", &["--json", "doctor"]);
    assert_eq!(away.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&away.stdout).contains("\"reachable\":false"));
}

/// One of two services is lost, and what is said comes by the other.
#[test]
fn several_services_are_used_at_once() {
    let mut servers = [NatsServer::start(), NatsServer::start()];
    let mut town = Town::new();
    town.service = servers.each_ref().map(NatsServer::url).join(" ");
    let town = town.met();
    town.json("saro", &["send", "Raya", "one"]);
    assert_eq!(town.json("saro", &["doctor"]).len(), 2);
    let mut reader = town.spawn("raya", &["--json", "read", "--follow"]);
    let mut sender = town.command("saro", &["send", "Raya", "-"]);
    let mut sender = sender
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut input = sender.stdin.take().expect("a pipe");
    std::thread::sleep(std::time::Duration::from_millis(500));
    servers[0].kill();
    std::io::Write::write_all(&mut input, b"two\n").expect("it reads");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        reader.stdout.take().expect("a pipe"),
    ));
    let came = lines.any(|line| line.is_ok_and(|line| line.contains("\"text\":\"two\"")));
    let _ = reader.kill();
    let _ = reader.wait();
    let _ = sender.kill();
    let _ = sender.wait();
    assert!(came);
}

/// A broker keeps no log: the link is a long one, and each side has a process that
/// stays subscribed.
#[test]
fn two_people_talk_over_a_broker() {
    let broker = Mosquitto::start();
    let mut town = Town::new();
    town.service = broker.url();
    let mut readers = Vec::new();
    for (who, name) in [("saro", "Saro"), ("raya", "Raya")] {
        town.json(who, &["init", "--name", name]);
        readers.push(town.spawn(who, &["--json", "read", "--follow"]));
    }
    let pause = || std::thread::sleep(std::time::Duration::from_millis(500));
    pause();
    let link = town.json("raya", &["link"]);
    pause();
    town.json("saro", &["add", link[0]["link"].as_str().expect("a link")]);
    pause();
    let requests = town.json("raya", &["requests"]);
    let request = requests[0]["request"].as_str().expect("an id");
    town.json("raya", &["accept", request]);
    for number in 0..3 {
        town.json("saro", &["send", "Raya", &format!("number {number}")]);
    }
    pause();
    let read = town.json("raya", &["read", "--since", "0"]);
    let texts: Vec<_> = read
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    assert_eq!(texts, ["number 0", "number 1", "number 2"]);
    let found = town.json("raya", &["doctor"]);
    assert_eq!(found[0]["protocol"], "/cf/ds/mqtt/1");
    let server = found[0]["server"].as_str().expect("a version");
    assert!(server.starts_with("mosquitto version "), "{server}");
    for mut reader in readers {
        let _ = reader.kill();
        let _ = reader.wait();
    }
}
