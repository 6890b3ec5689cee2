//! The configurations of `docs/operations.md`, started with the paths and ports of a
//! test.

use std::path::Path;
use std::process::Command;

use cf_testkit::servers::{Certificates, Mosquitto, NatsServer, free_port};

use crate::Town;

/// The block of the page whose first line names it.
fn configuration(name: &str) -> String {
    let page = include_str!("../../../../../docs/operations.md");
    let begin = format!("```text\n# {name}: ");
    let (_, block) = page.split_once(&begin).expect("the page has it");
    let (block, _) = block.split_once("```").expect("it ends");
    block.split_once('\n').expect("it has lines").1.to_owned()
}

/// Each of these texts has to be there.
fn with(mut text: String, changes: &[(&str, String)]) -> String {
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the page any more");
        text = text.replace(from, to);
    }
    text
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn they_talk(town: Town) -> Town {
    let town = town.met();
    town.json("saro", &["send", "Raya", "as on the page"]);
    let read = town.json("raya", &["read"]);
    let came = read.iter().any(|event| event["text"] == "as on the page");
    assert!(came, "{read:?}");
    town
}

fn town(service: String) -> Town {
    let mut town = Town::new();
    town.service = service;
    town
}

#[test]
fn one_machine() {
    let port = free_port();
    let _server = NatsServer::configured(port, free_port(), |folder| {
        let changes = [
            ("127.0.0.1:4222", format!("127.0.0.1:{port}")),
            ("/var/lib/nats", shown(folder)),
        ];
        with(configuration("one machine"), &changes)
    });
    they_talk(town(format!("nats://127.0.0.1:{port}")));
}

#[test]
fn a_team() {
    let (port, certificates) = (free_port(), Certificates::new());
    let server = NatsServer::configured(port, free_port(), |folder| {
        let changes = [
            ("0.0.0.0:4222", format!("127.0.0.1:{port}")),
            ("/var/lib/nats", shown(folder)),
            ("/etc/nats", shown(certificates.folder())),
        ];
        with(configuration("a team"), &changes)
    });
    let ca = shown(&certificates.authority());
    let credentials = server.folder().join("credentials");
    std::fs::write(&credentials, "team:and this\n").expect("the folder is ours");
    let member = format!(
        "tls://127.0.0.1:{port}/?create=no&credentials={}&ca={ca}",
        shown(&credentials)
    );
    // The streams are not there yet, and a member makes none.
    let early = town(member.clone()).run("saro", &["--json", "doctor"]);
    assert_eq!(early.status.code(), Some(1));
    let operator = format!("tls://operator:change%20this@127.0.0.1:{port}/?ca={ca}");
    assert_eq!(
        town(operator).json("operator", &["doctor"])[0]["reachable"],
        true
    );
    let town = they_talk(town(member));
    let found = &town.json("saro", &["doctor"])[0];
    let locator = format!("tls://127.0.0.1:{port}");
    assert_eq!(found["locator"], locator.as_str());
    assert!(found["round_trip_ms"].as_f64().is_some(), "{found}");
    let link = town.json("raya", &["link"]);
    let link = link[0]["link"].as_str().expect("a link");
    assert!(link.len() < 110 && !link.contains("team"), "{link}");
}

#[test]
fn a_city() {
    let ports = [(); 3].map(|()| free_port());
    let routes = [(); 3].map(|()| free_port());
    let mut servers: Vec<_> = (0..3)
        .map(|number| {
            let monitor = free_port();
            NatsServer::configuring(ports[number], monitor, |folder| {
                let route = |of: usize| {
                    (
                        format!("n{}.example:6222", of + 1),
                        format!("127.0.0.1:{}", routes[of]),
                    )
                };
                let all: Vec<_> = (0..3).map(route).collect();
                let mut changes: Vec<_> =
                    all.iter().map(|(from, to)| (&**from, to.clone())).collect();
                changes.extend([
                    ("server_name: n1", format!("server_name: n{}", number + 1)),
                    ("0.0.0.0:4222", format!("127.0.0.1:{}", ports[number])),
                    ("127.0.0.1:8222", format!("127.0.0.1:{monitor}")),
                    ("0.0.0.0:6222", format!("127.0.0.1:{}", routes[number])),
                    ("/var/lib/nats", shown(folder)),
                ]);
                with(configuration("a city"), &changes)
            })
        })
        .collect();
    servers.iter_mut().for_each(NatsServer::run);
    servers.iter().for_each(NatsServer::wait_until_current);
    let [first, second, third] = ports;
    let town = town(format!(
        "nats://city:change%20this@127.0.0.1:{first}/city?replicas=3&shards=4\
         &servers=127.0.0.1:{second},127.0.0.1:{third}"
    ));
    // Until the servers have agreed on who leads.
    while town.run("saro", &["doctor"]).status.code() != Some(0) {}
    let town = they_talk(town);
    for server in &mut servers {
        server.kill();
        server.run();
        server.wait_until_current();
    }
    town.json("raya", &["send", "Saro", "after all were restarted"]);
    let read = town.json("saro", &["read"]);
    let came = read
        .iter()
        .any(|event| event["text"] == "after all were restarted");
    assert!(came, "{read:?}");
}

#[test]
fn a_broker() {
    let (port, certificates) = (free_port(), Certificates::new());
    let passwords = certificates.folder().join("passwords");
    std::fs::write(&passwords, "").expect("the folder is ours");
    let mut command = Command::new("mosquitto_passwd");
    let added = command
        .arg("-b")
        .arg(&passwords)
        .args(["raya", "secret"])
        .status();
    assert!(added.expect("it comes with mosquitto").success());
    let broker = Mosquitto::configured(port, |folder| {
        let changes = [
            (
                "listener 8883",
                format!("listener {port} 127.0.0.1\nuser root"),
            ),
            ("/etc/mosquitto", shown(certificates.folder())),
            ("/var/lib/mosquitto", shown(folder)),
        ];
        with(configuration("a broker"), &changes)
    });
    let credentials = broker.folder().join("credentials");
    std::fs::write(&credentials, "raya:secret\n").expect("the folder is ours");
    they_talk(town(format!(
        "mqtts://127.0.0.1:{port}/?credentials={}&ca={}",
        shown(&credentials),
        shown(&certificates.authority())
    )));
}
