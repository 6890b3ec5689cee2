//! The run of `kills.rs`, over servers.

use cf_testkit::servers::{Mosquitto, NatsServer};

use crate::Town;
use crate::kills::{everything_survives, setting};

#[test]
fn a_thousand_messages_each_way_survive_every_process_over_a_server() {
    let server = NatsServer::start();
    let mut town = Town::new();
    town.service = server.url();
    everything_survives(&town.met(), setting("CF_KILLS", 10));
}

/// The commands by which they meet come and go one by one: what is sent meanwhile waits
/// in the sessions of the broker.
#[test]
fn a_thousand_messages_each_way_survive_every_process_over_a_broker() {
    let broker = Mosquitto::start();
    let mut town = Town::new();
    town.service = broker.url();
    everything_survives(&town.met(), setting("CF_KILLS", 10));
}
