//! Who claims a name, who is chosen, and what survives a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cf_core::{DiscoveryProtocol, ErrorKind, Withdrawal};
use cf_ds::MemoryService;

use crate::street::{NOW, Street, advertisement, client};

#[tokio::test]
async fn everybody_who_claims_a_name_is_found_and_nobody_while_one_is_out_of_reach() {
    let street = Arc::new(Street::default());
    let town = MemoryService::new("town").unwrap();
    let raya = client("Raya Vance", 1, &street, Some(&town));
    let other = client("raya vance", 2, &street, None);
    let saro = client("Saro", 3, &street, Some(&town));
    let first = raya.advertise(advertisement(1)).await.unwrap();
    assert_eq!(first.query, "lan:Raya Vance");
    let only = saro.resolve("lan:RAYA VANCE", NOW).await.unwrap();
    assert_eq!(only, [advertisement(1).bundles]);

    other.advertise(advertisement(2)).await.unwrap();
    let both = saro.resolve("lan:raya vance", NOW).await.unwrap();
    assert_eq!(both.len(), 2, "a claim is missing");

    // One more, on a service that Saro's client does not use: it may be the right one.
    let far = MemoryService::new("far").unwrap();
    let far_away = client("Raya Vance", 4, &street, Some(&far));
    let third = far_away.advertise(advertisement(3)).await.unwrap();
    let error = saro.resolve("lan:Raya Vance", NOW).await.unwrap_err();
    let unknown: Vec<_> = error.unknown_services().iter().collect();
    assert_eq!(unknown, [far_locator(&far)], "{error}");
    assert!(
        error.to_string().starts_with("3 on this network"),
        "{error}"
    );

    // What can't be looked up because it is broken or over is nobody's claim.
    far_away.withdraw(withdrawal(third.state)).await.unwrap();
    street.say_link("broken", "Raya Vance", "cfshort_1_rubbish");
    let both = saro.resolve("lan:Raya Vance", NOW).await.unwrap();
    assert_eq!(both.len(), 2);
    let later = NOW.after(Duration::from_secs(7200));
    let over = saro.resolve("lan:Raya Vance", later).await.unwrap_err();
    assert_eq!(over.kind(), ErrorKind::Rejected, "{over}");
}

fn far_locator(service: &MemoryService) -> &cf_core::Locator {
    cf_core::DeliveryService::locator(service)
}

fn withdrawal(state: Option<cf_core::Secret>) -> Withdrawal {
    Withdrawal {
        state: state.expect("a state"),
        generation: 9,
        now: NOW,
        seed: [9; 32],
    }
}

#[tokio::test]
async fn what_was_announced_is_announced_again_by_the_next_process_until_it_is_withdrawn() {
    let street = Arc::new(Street::default());
    let town = MemoryService::new("town").unwrap();
    let advertised = {
        let raya = client("Raya", 1, &street, Some(&town));
        raya.advertise(advertisement(1)).await.unwrap()
    };
    let saro = client("Saro", 2, &street, Some(&town));
    let said = std::mem::take(&mut *street.said.lock());
    let gone = saro.resolve("lan:Raya", NOW).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Unavailable, "{gone}");

    let state = advertised.state.clone().unwrap();
    // Under another name by now: what was given away stays as it was.
    let raya = client("Renamed", 1, &street, Some(&town));
    raya.resume(state.clone()).await.unwrap();
    assert_eq!(*street.said.lock(), said);
    let found = saro.resolve("lan:Raya", NOW).await.unwrap();
    assert_eq!(found, [advertisement(1).bundles]);

    raya.withdraw(withdrawal(Some(state))).await.unwrap();
    assert!(street.said.lock().is_empty());
    let revoked = saro.resolve(&link_of(&said), NOW).await;
    assert!(revoked.is_err(), "a link is no name");
    street.said.lock().extend(said);
    let revoked = saro.resolve("lan:Raya", NOW).await.unwrap_err();
    assert_eq!(revoked.kind(), ErrorKind::Rejected, "{revoked}");
}

fn link_of(said: &std::collections::BTreeMap<String, cf_discovery_lan::Heard>) -> String {
    let strings = &said.values().next().expect("one").strings;
    let (_, link) = strings.iter().find(|(key, _)| key == "0").expect("a link");
    String::from_utf8(link.clone()).expect("text")
}

#[tokio::test]
async fn nobody_is_asked_before_somebody_is_looked_up() {
    let street = Arc::new(Street::default());
    let raya = client("Raya", 1, &street, None);
    raya.advertise(advertisement(1)).await.unwrap();
    for query in [
        "Raya",
        "cfdir_1_raya@memory:town",
        "lan:",
        "lan: \t",
        "lan:a#b",
    ] {
        assert!(raya.resolve(query, NOW).await.is_err(), "{query}");
    }
    assert_eq!(street.asked.load(Ordering::Relaxed), 0);
}
