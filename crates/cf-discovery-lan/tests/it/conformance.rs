//! The laws of [`cf_core::DiscoveryProtocol`], over a network within the process: with
//! short links, and with full ones in many strings.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cf_ds::MemoryService;
use cf_testkit::DiscoveryUnderTest;

use crate::street::{Street, client};

cf_testkit::discovery_tests!(with_short_links, || with(Some(
    MemoryService::new("town").unwrap()
)));
cf_testkit::discovery_tests!(with_full_links, || with(None));

/// Two clients, names of which nothing good comes, and a street full of rubbish.
fn with(service: Option<MemoryService>) -> DiscoveryUnderTest {
    let street = Arc::new(Street::default());
    let raya = client("Raya", 1, &street, service.as_ref());
    let saro = client("Saro", 2, &street, service.as_ref());
    street.say_link("a", "Broken", "cfshort_1_rubbish");
    street.say_link("b", "Strange", "cfintro_9_AAAA");
    for number in 0..100 {
        street.say_link(
            &format!("c{number}"),
            "Crowd",
            &format!("cfintro_1_{number}"),
        );
        street.say(&format!("d{number}"), &[("n", &[0xff; 200])]);
    }
    let hostile = ["lan:Broken", "lan:Strange", "lan:Crowd"].map(str::to_owned);
    let asked = street.clone();
    DiscoveryUnderTest::new(Arc::new(raya), Arc::new(saro))
        .hostile(hostile)
        .contacts(Arc::new(move || asked.asked.load(Ordering::Relaxed)))
}
