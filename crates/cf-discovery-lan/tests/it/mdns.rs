//! Real multicast, on the loopback interface of this machine and at a port of its own:
//! nothing leaves it, and nobody else hears it.
//!
//! It needs a machine where a program may join a multicast group on its loopback
//! interface. Where that is not so the test fails and says it: discovery on the local
//! network does not work there either.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use cf_core::{DiscoveryProtocol, ErrorKind, Withdrawal};
use cf_discovery_lan::{Announcement, Lan, Mdns, MdnsOptions, Network, names};
use cf_ds::MemoryService;

use crate::street::{NOW, advertisement, discoveries};

/// What mDNS sends to.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_find_each_other_by_multicast() {
    let port = needs_multicast();
    let options = MdnsOptions {
        port,
        loopback_only: true,
        patience: Duration::from_millis(500),
    };
    let town = MemoryService::new("town").unwrap();
    let network = || Arc::new(Mdns::new(options.clone()).unwrap());
    let (raya_network, saro_network) = (network(), network());
    let raya = Lan::new(raya_network.clone(), discoveries(1, Some(&town)));
    let raya = raya.named("Räya Vance").unwrap();
    let saro = Lan::new(saro_network.clone(), discoveries(2, Some(&town)));

    let advertised = raya.advertise(advertisement(1)).await.unwrap();
    let found = until_found(&saro, &advertised.query).await;
    assert_eq!(found, [advertisement(1).bundles]);

    // A full link, in as many strings as it takes.
    let long = Announcement::new("Long", &"a".repeat(Announcement::MAX_LINK_LEN)).unwrap();
    raya_network.announce(&long).unwrap();
    let heard = until(|| async {
        let heard = saro_network.browse().await.unwrap();
        let mut read = heard.iter().map(Announcement::decode);
        read.find_map(|it| it.ok().filter(|it| it.claims("long")))
    });
    assert_eq!(heard.await, long);

    let withdrawal = Withdrawal {
        state: advertised.state.unwrap(),
        generation: 2,
        now: NOW,
        seed: [3; 32],
    };
    raya.withdraw(withdrawal).await.unwrap();
    until(|| async {
        let error = saro.resolve("lan:Räya Vance", NOW).await.unwrap_err();
        (error.kind() == ErrorKind::Unavailable).then_some(())
    })
    .await;
    // Who leaves says so.
    drop((raya, raya_network));
    until(|| async {
        names(&*saro_network)
            .await
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
}

/// A free port, once a payload came back through the group on the loopback interface.
fn needs_multicast() -> u16 {
    let tried = || -> std::io::Result<u16> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let port = socket.local_addr()?.port();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.send_to(b"here?", (GROUP, port))?;
        socket.recv(&mut [0; 16])?;
        Ok(port)
    };
    match tried() {
        Ok(port) => port,
        Err(error) => panic!(
            "this machine has no multicast on its loopback interface ({error}): discovery on \
             the local network can't be shown to work here"
        ),
    }
}

async fn until_found(client: &Lan, query: &str) -> Vec<cf_core::BundleSet> {
    until(|| async {
        match client.resolve(query, NOW).await {
            Ok(found) => Some(found),
            Err(error) if error.is_retryable() => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await
}

/// Asks again until there is something; how long that takes is up to the machine.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..240 {
        if let Some(found) = ask().await {
            return found;
        }
    }
    panic!("nothing came within two minutes");
}
