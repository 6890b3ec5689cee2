//! People find each other on the local network: by real multicast, on the loopback
//! interface alone and at a port of the test's own.
//!
//! Where a machine has no multicast there, these tests fail and say so, as those of
//! cf-discovery-lan do.

use std::net::UdpSocket;
use std::process::{Child, Command, Output};

use serde_json::Value;

use crate::{Town, objects};

/// A town with a network of its own.
struct Street {
    town: Town,
    port: String,
    reading: Vec<Child>,
}

impl Drop for Street {
    fn drop(&mut self) {
        for child in &mut self.reading {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Street {
    fn new() -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        let port = socket.local_addr().expect("its address").port().to_string();
        let town = Town::new();
        let reading = Vec::new();
        Self {
            town,
            port,
            reading,
        }
    }

    fn command(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = self.town.command(who, arguments);
        command.env("CF_LAN_LOOPBACK", &self.port);
        command
    }

    fn run(&self, who: &str, arguments: &[&str]) -> Output {
        let output = self.command(who, arguments).output();
        output.expect("the program was built")
    }

    fn json(&self, who: &str, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(who, &[&["--json"], arguments].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        objects(&text)
    }

    /// Keeps a process at a home, so that it can be found.
    fn stays(&mut self, who: &str) {
        let reading = self.command(who, &["read", "--follow"]).spawn();
        self.reading.push(reading.expect("the program was built"));
    }

    /// Asks until it is answered so; how long that takes is up to the machine.
    fn until(&self, who: &str, arguments: &[&str], is_so: impl Fn(&Output) -> bool) -> Output {
        let mut last = None;
        for _ in 0..40 {
            let output = self.run(who, arguments);
            if is_so(&output) {
                return output;
            }
            last = Some(output);
        }
        panic!("{arguments:?} never was as it should be, last {last:?}: is there multicast here?");
    }
}

fn says(output: &Output, text: &str) -> bool {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).contains(text)
}

#[test]
fn two_processes_find_each_other_on_the_local_network() {
    let mut street = Street::new();
    for (who, name) in [
        ("saro", "Saro"),
        ("raya", "Raya Vance"),
        ("pat", "raya vance"),
    ] {
        street.json(who, &["init", "--name", name]);
    }
    let nobody = street.run("saro", &["add", "lan:Raya Vance"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(says(&nobody, "nobody on this network"), "{nobody:?}");

    let link = street.json("raya", &["link", "--lan"]).remove(0);
    assert_eq!(link["link"], "lan:Raya Vance");
    // Another process of hers goes on with it.
    street.stays("raya");
    street.until("saro", &["lan"], |seen| says(seen, "lan:Raya Vance"));
    let added = street.until("saro", &["--json", "add", "lan:raya vance"], |output| {
        output.status.success()
    });
    let added = objects(&String::from_utf8_lossy(&added.stdout)).remove(0);
    assert_eq!(added["name"], "Raya Vance");
    let asked = street.json("raya", &["requests"]).remove(0);
    assert_eq!(
        (&asked["name"], &asked["link"]),
        (&"Saro".into(), &link["id"])
    );

    // Somebody else says the same: nobody is chosen, and the fingerprints are shown.
    street.json("pat", &["link", "--lan"]);
    street.stays("pat");
    let two = street.until("saro", &["add", "lan:Raya Vance"], |output| {
        !output.status.success() && says(output, "2 clients claim this")
    });
    let fingerprints = ["raya", "pat"].map(|who| street.json(who, &["status"]).remove(0));
    for found in &fingerprints {
        assert!(
            says(&two, found["fingerprint"].as_str().expect("one")),
            "{two:?}"
        );
    }
    let start = &fingerprints[1]["fingerprint"].as_str().expect("one")[..16];
    let query = format!("lan:Raya Vance#{start}");
    let pat = street.until("saro", &["--json", "add", &query], |output| {
        output.status.success()
    });
    assert!(says(&pat, "\"raya vance\""), "{pat:?}");

    // Revoked, it is no longer announced.
    street.json("raya", &["revoke", link["id"].as_str().expect("an id")]);
    street.until("saro", &["--json", "lan"], |seen| {
        !says(seen, "lan:Raya Vance") && says(seen, "lan:raya vance")
    });
}
