//! `/cf/discovery/short-link/1`: what lies on the service, and who may change it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Advertised, Advertisement, BundleSet, Delivery, DeliveryAddress, DeliveryService,
    DiscoveryProtocol, ErrorKind, Identity, PublishRequest, Random, Secret, Timestamp,
};
use cf_discovery::ShortLink;
use cf_ds::{MemoryService, Tap};
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::id;

const NOW: Timestamp = Timestamp(1_765_000_000_000);

fn identity(seed: u64) -> Arc<dyn Identity> {
    Arc::new(SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap())
}

fn discovery(seed: u64, service: &MemoryService) -> ShortLink {
    ShortLink::new(identity(seed), vec![Arc::new(service.clone())])
        .with_patience(Duration::from_millis(500))
}

fn bundles(text: &str) -> BundleSet {
    BundleSet::new(vec![(id("/example/init/1"), Bytes::from(text.to_owned()))]).unwrap()
}

async fn advertise(
    discovery: &ShortLink,
    text: &str,
    generation: u64,
    state: Option<Secret>,
) -> Advertised {
    let mut seed = [0; 32];
    SeededRandom::new(generation + text.len() as u64).fill(&mut seed);
    let advertisement = Advertisement {
        bundles: bundles(text),
        expires_at: NOW.after(Duration::from_secs(3600)),
        generation,
        state,
        now: NOW,
        seed,
    };
    discovery.advertise(advertisement).await.unwrap()
}

fn seen(tap: &Tap) -> Vec<Delivery> {
    tap.take()
}

async fn put(service: &MemoryService, address: &DeliveryAddress, payload: impl Into<Bytes>) {
    service
        .publish(PublishRequest::new(address.clone(), payload))
        .await;
}

#[tokio::test]
async fn a_link_is_short_and_the_service_sees_nothing() {
    let service = MemoryService::new("b757411a3893f361d8f05a0f2e4f511b").unwrap();
    let tap = service.observe(10);
    let raya = discovery(1, &service);
    let first = advertise(&raya, "a bundle of Raya", 1, None).await;
    assert!(first.query.len() < 100, "{} characters", first.query.len());
    let again = advertise(&raya, "a bundle of Raya", 2, first.state.clone()).await;
    assert_eq!(first.query, again.query);
    assert!(again.refresh_at.unwrap() > NOW);
    let seen = seen(&tap);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].address, seen[1].address);
    let parts = |payload: &Bytes| payload.windows(8).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (one, two) = (parts(&seen[0].payload), parts(&seen[1].payload));
    assert!(
        one.iter().all(|part| !two.contains(part)),
        "two publications share bytes"
    );
    let raya = identity(1);
    for secret in [
        b"a bundle".as_slice(),
        b"/example",
        &raya.id().as_bytes()[..8],
    ] {
        assert!(one.iter().all(|part| part != secret));
    }
    let found = discovery(2, &service)
        .resolve(&again.query, NOW)
        .await
        .unwrap();
    assert_eq!(found, [bundles("a bundle of Raya")]);
}

/// Whoever has the link can put things there: not as the owner, and not so many
/// that the owner is not found.
#[tokio::test]
async fn nobody_but_the_owner_is_found() {
    let service = MemoryService::new("town").unwrap();
    let tap = service.observe(1000);
    let raya = discovery(1, &service);
    let link = advertise(&raya, "first", 1, None).await;
    let place = seen(&tap).remove(0);
    for round in 0..400_u32 {
        put(&service, &place.address, round.to_be_bytes().to_vec()).await;
        put(&service, &place.address, vec![round as u8; 500]).await;
    }
    // Oscar has the link, and so its secret: he signs as himself.
    let oscar = discovery(3, &service);
    advertise(&oscar, "of Oscar", 9, link.state.clone()).await;
    advertise(&raya, "second", 2, link.state.clone()).await;
    put(&service, &place.address, place.payload.clone()).await;
    let mut changed = place.payload.to_vec();
    changed[100] ^= 1;
    put(&service, &place.address, changed).await;
    let saro = discovery(2, &service);
    assert_eq!(
        saro.resolve(&link.query, NOW).await.unwrap(),
        [bundles("second")]
    );
}

#[tokio::test]
async fn an_older_publication_is_not_shown_for_a_newer_one() {
    let (before, after) = (
        MemoryService::new("town").unwrap(),
        MemoryService::new("town").unwrap(),
    );
    let tap = before.observe(10);
    let raya = discovery(1, &before);
    let link = advertise(&raya, "first", 1, None).await;
    let old = seen(&tap).remove(0);
    advertise(&raya, "second", 2, link.state.clone()).await;
    let services: [Arc<dyn DeliveryService>; 1] = [Arc::new(before)];
    let saro = ShortLink::new(identity(2), services.to_vec());
    assert_eq!(
        saro.resolve(&link.query, NOW).await.unwrap(),
        [bundles("second")]
    );

    // A service of the same name that has only the old one.
    put(&after, &old.address, old.payload).await;
    let fresh = discovery(2, &after);
    assert_eq!(
        fresh.resolve(&link.query, NOW).await.unwrap(),
        [bundles("first")]
    );
    advertise(&discovery(1, &after), "second", 2, link.state.clone()).await;
    assert_eq!(
        fresh.resolve(&link.query, NOW).await.unwrap(),
        [bundles("second")]
    );
}

#[tokio::test]
async fn each_wrong_text_has_its_own_answer() {
    let service = MemoryService::new("town").unwrap();
    let raya = discovery(1, &service);
    let link = advertise(&raya, "first", 1, None).await.query;
    let saro = discovery(2, &service);
    let wrong = async |text: &str, now: Timestamp| {
        let error = saro.resolve(text, now).await.unwrap_err();
        (error.kind(), error.to_string())
    };
    let other = MemoryService::new("elsewhere").unwrap();
    let elsewhere = advertise(&discovery(1, &other), "first", 1, None)
        .await
        .query;
    let lost = MemoryService::new("town").unwrap();
    let nothing = advertise(&discovery(1, &lost), "x", 1, None).await.query;
    let mut typed = link.clone().into_bytes();
    typed[20] = if typed[20] == b'A' { b'B' } else { b'A' };
    let typed = String::from_utf8(typed).unwrap();
    let late = NOW.after(Duration::from_secs(3600));
    for (text, now, kind, says) in [
        ("cfintro_1_AAAA", NOW, ErrorKind::Malformed, "no short link"),
        ("cfshort_2_AAAA", NOW, ErrorKind::Unsupported, "version 2"),
        (&link[..40], NOW, ErrorKind::Malformed, "cut off"),
        (
            &link[..link.len() - 1],
            NOW,
            ErrorKind::Malformed,
            "changed",
        ),
        (&typed, NOW, ErrorKind::Malformed, "changed"),
        (&link, late, ErrorKind::Rejected, "expired"),
        (&elsewhere, NOW, ErrorKind::Unsupported, "memory:elsewhere"),
        (&nothing, NOW, ErrorKind::Unavailable, "nothing lies"),
        (
            &"cfshort_1_".repeat(100),
            NOW,
            ErrorKind::Malformed,
            "at most",
        ),
    ] {
        let (found, sentence) = wrong(text, now).await;
        assert_eq!(found, kind, "{text}: {sentence}");
        assert!(sentence.contains(says), "{text}: {sentence}");
    }
}

#[tokio::test]
async fn who_resolves_a_revoked_link_is_told_so() {
    let service = MemoryService::new("town").unwrap();
    let raya = discovery(1, &service);
    let link = advertise(&raya, "first", 1, None).await;
    // Oscar has the link, and can't revoke it.
    let withdrawal = |generation| cf_core::Withdrawal {
        state: link.state.clone().unwrap(),
        generation,
        now: NOW,
        seed: [generation as u8; 32],
    };
    let oscar = discovery(3, &service);
    oscar.withdraw(withdrawal(9)).await.unwrap();
    let saro = discovery(2, &service);
    let found = saro.resolve(&link.query, NOW).await;
    assert_eq!(found.unwrap(), [bundles("first")]);
    raya.withdraw(withdrawal(2)).await.unwrap();
    let error = saro.resolve(&link.query, NOW).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[tokio::test]
async fn links_of_another_implementation_resolve() {
    let text = include_str!("../../../../docs/spec/vectors/discovery-short-link-1.json");
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(vectors.len(), 2);
    let hex = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
    for vector in vectors {
        let service = MemoryService::new("town").unwrap();
        assert_eq!(service.locator().as_str(), vector["locator"]);
        let address = DeliveryAddress::new(hex(&vector["address"])).unwrap();
        put(&service, &address, hex(&vector["payload"])).await;
        let found = discovery(2, &service)
            .resolve(vector["link"].as_str().unwrap(), NOW)
            .await;
        let bundle = |bundle: &Value| {
            (
                id(bundle["protocol"].as_str().unwrap()),
                hex(&bundle["bundle"]).into(),
            )
        };
        let expected = vector["bundles"]
            .as_array()
            .unwrap()
            .iter()
            .map(bundle)
            .collect();
        assert_eq!(found.unwrap(), [BundleSet::new(expected).unwrap()]);
    }
}

#[tokio::test]
async fn an_owner_who_is_crowded_out_learns_it_and_is_found_once_there_is_room() {
    let town = MemoryService::new("town").unwrap();
    let (raya, saro) = (discovery(1, &town), discovery(2, &town));
    let tap = town.observe(10);
    let link = advertise(&raya, "first", 1, None).await;
    let address = seen(&tap)[0].address.clone();
    for number in 0..ShortLink::MAX_PAYLOADS {
        put(&town, &address, vec![7; number % 50 + 1]).await;
    }
    let again = |text: &str, generation| Advertisement {
        bundles: bundles(text),
        expires_at: NOW.after(Duration::from_secs(3600)),
        generation,
        state: link.state.clone(),
        now: NOW,
        seed: [generation as u8; 32],
    };
    let error = raya.advertise(again("second", 2)).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("rubbish"),
        "{error}"
    );
    // What lies in front of the rubbish is found until it expires.
    assert_eq!(
        saro.resolve(&link.query, NOW).await.unwrap(),
        [bundles("first")]
    );
    let room = MemoryService::new("town").unwrap();
    let (raya, saro) = (discovery(1, &room), discovery(2, &room));
    raya.advertise(again("third", 3)).await.unwrap();
    assert_eq!(
        saro.resolve(&link.query, NOW).await.unwrap(),
        [bundles("third")]
    );
}
