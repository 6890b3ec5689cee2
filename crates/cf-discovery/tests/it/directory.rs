//! `/cf/discovery/directory/1`: who claims a name, and what counts as a claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, Capabilities, DeliveryAddress,
    DeliveryService, DiscoveryProtocol, ErrorKind, Identity, Locator, Outcome, ProtocolId,
    PublishRequest, Random, Result, Secret, Subscription, Timestamp, Withdrawal,
};
use cf_discovery::Directory;
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_testkit::SeededRandom;
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::id;

const NOW: Timestamp = Timestamp(1_765_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn identity(seed: u64) -> Arc<dyn Identity> {
    Arc::new(SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap())
}

fn directory(seed: u64, service: &MemoryService) -> Directory {
    Directory::new(identity(seed), vec![Arc::new(service.clone())])
        .with_patience(Duration::from_millis(500))
}

fn bundles(text: &str) -> BundleSet {
    BundleSet::new(vec![(id("/example/init/1"), Bytes::from(text.to_owned()))]).unwrap()
}

fn seed(of: &str, at: Timestamp) -> [u8; 32] {
    let mut seed = [0; 32];
    let of: u64 = of.bytes().map(u64::from).sum();
    SeededRandom::new(of + at.0).fill(&mut seed);
    seed
}

async fn claim(
    directory: &Directory,
    text: &str,
    state: Option<Secret>,
    now: Timestamp,
) -> Result<Advertised> {
    let advertisement = Advertisement {
        bundles: bundles(text),
        expires_at: now.after(HOUR),
        generation: 1,
        state,
        now,
        seed: seed(text, now),
    };
    directory.advertise(advertisement).await
}

#[tokio::test]
async fn everybody_who_claims_a_name_is_found_and_nobody_else() {
    let service = MemoryService::new("town").unwrap();
    let later = NOW.after(Duration::from_secs(1));
    let raya = directory(1, &service).named("Raya").unwrap();
    let oscar = directory(3, &service).named("raya").unwrap();
    let first = claim(&raya, "first of Raya", None, NOW).await.unwrap();
    assert_eq!(first.query, "cfdir_1_raya@memory:town");
    claim(&oscar, "of Oscar", None, NOW).await.unwrap();
    // Another link of Raya's under the name, whose numbers start again.
    claim(&raya, "second of Raya", None, later).await.unwrap();
    let ana = directory(4, &service).named("ana").unwrap();
    claim(&ana, "of Ana", None, NOW).await.unwrap();

    let saro = directory(2, &service);
    let found = saro.resolve("cfdir_1_RAYA@memory:town", later).await;
    let both = [bundles("second of Raya"), bundles("of Oscar")];
    assert_eq!(found.unwrap(), both, "each claim once, and the latest");

    // Who takes a claim back is found no more.
    let withdrawal = Withdrawal {
        state: first.state.unwrap(),
        generation: 2,
        now: later,
        seed: [9; 32],
    };
    raya.withdraw(withdrawal).await.unwrap();
    let found = saro.resolve(&first.query, later).await.unwrap();
    assert_eq!(found, [bundles("of Oscar")]);
}

/// One that its operator takes back to an earlier state.
struct RolledBack([MemoryService; 2], AtomicUsize);

impl RolledBack {
    fn now(&self) -> &MemoryService {
        &self.0[self.1.load(Ordering::Relaxed)]
    }
}

impl DeliveryService for RolledBack {
    fn id(&self) -> &ProtocolId {
        self.now().id()
    }

    fn locator(&self) -> &Locator {
        self.now().locator()
    }

    fn capabilities(&self) -> Capabilities {
        self.now().capabilities()
    }

    fn publish(&self, request: PublishRequest) -> BoxFuture<'_, Outcome> {
        self.now().publish(request)
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        self.now().subscribe()
    }
}

/// A service that shows an earlier claim for a later one is noticed.
#[tokio::test]
async fn an_earlier_claim_does_not_come_back() {
    let services = [0, 1].map(|_| MemoryService::new("town").unwrap());
    let later = NOW.after(Duration::from_secs(1));
    let mut query = String::new();
    for (service, at) in services.iter().zip([later, NOW]) {
        let raya = directory(1, service).named("raya").unwrap();
        query = claim(&raya, "a bundle", None, at).await.unwrap().query;
    }
    let service = Arc::new(RolledBack(services, AtomicUsize::new(0)));
    let saro = Directory::new(identity(2), vec![service.clone()])
        .with_patience(Duration::from_millis(500));
    assert_eq!(saro.resolve(&query, later).await.unwrap().len(), 1);
    service.1.store(1, Ordering::Relaxed);
    let error = saro.resolve(&query, later).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains("older than before"), "{error}");
}

#[tokio::test]
async fn more_claims_than_an_answer_holds_are_cut() {
    let service = MemoryService::new("town").unwrap();
    for number in 0..Directory::MAX_CLAIMS as u64 + 5 {
        let crowd = directory(100 + number, &service).named("raya").unwrap();
        claim(&crowd, &number.to_string(), None, NOW).await.unwrap();
    }
    let saro = directory(2, &service);
    let found = saro.resolve("cfdir_1_raya@memory:town", NOW).await;
    let found = found.unwrap();
    assert_eq!(found.len(), Directory::MAX_CLAIMS);
    assert_eq!(found[0], bundles("0"), "the first stay");
}

#[tokio::test]
async fn each_wrong_query_has_its_own_answer() {
    let service = MemoryService::new("town").unwrap();
    let raya = directory(1, &service).named("raya").unwrap();
    let query = claim(&raya, "first", None, NOW).await.unwrap().query;
    let withdrawn = directory(5, &service).named("ana").unwrap();
    let state = claim(&withdrawn, "x", None, NOW).await.unwrap().state;
    let withdrawal = Withdrawal {
        state: state.unwrap(),
        generation: 2,
        now: NOW,
        seed: [9; 32],
    };
    withdrawn.withdraw(withdrawal).await.unwrap();
    let long = format!("cfdir_1_{}@memory:town", "a".repeat(65));
    let longer = format!("cfdir_1_raya@{}", "a".repeat(400));
    for (text, now, kind, says) in [
        (&*query, NOW.after(HOUR), ErrorKind::Rejected, "expired"),
        (
            "cfdir_1_ana@memory:town",
            NOW,
            ErrorKind::Rejected,
            "revoked",
        ),
        (
            "cfdir_1_bob@memory:town",
            NOW,
            ErrorKind::Unavailable,
            "nobody is called bob",
        ),
        (
            "cfdir_1_raya@memory:city",
            NOW,
            ErrorKind::Unsupported,
            "memory:city",
        ),
        (
            "cfdir_2_raya@memory:town",
            NOW,
            ErrorKind::Unsupported,
            "version 2",
        ),
        ("cfdir_1_raya", NOW, ErrorKind::Malformed, "which directory"),
        (
            "cfdir_1_raya@",
            NOW,
            ErrorKind::Malformed,
            "which directory",
        ),
        (
            "cfdir_1_raya@memory:to wn",
            NOW,
            ErrorKind::Malformed,
            "which directory",
        ),
        (
            "cfdir_1_@memory:town",
            NOW,
            ErrorKind::Malformed,
            "a name in a directory",
        ),
        (
            "cfdir_1_r ya@memory:town",
            NOW,
            ErrorKind::Malformed,
            "a name in a directory",
        ),
        (&long, NOW, ErrorKind::Malformed, "a name in a directory"),
        (&longer, NOW, ErrorKind::Malformed, "at most"),
        (
            "raya@memory:town",
            NOW,
            ErrorKind::Malformed,
            "no name in a directory",
        ),
    ] {
        let error = directory(2, &service).resolve(text, now).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
        let unknown = error.unknown_services();
        assert_eq!(unknown.is_empty(), !text.contains("city"), "{text}");
    }
    let nameless = claim(&directory(1, &service), "x", None, NOW).await;
    assert_eq!(nameless.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn claims_of_another_implementation_count() {
    let text = include_str!("../../../../docs/spec/vectors/discovery-directory-1.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    assert_eq!(vectors["protocol"], Directory::ID.as_str());
    let hex = |value: &Value| HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap();
    let found = vectors["found"].as_array().unwrap();
    assert_eq!(found.len(), 2);
    for vector in found {
        let service = MemoryService::new("town").unwrap();
        let address = DeliveryAddress::new(hex(&vector["address"])).unwrap();
        for payload in vector["payloads"].as_array().unwrap() {
            let request = PublishRequest::new(address.clone(), hex(payload));
            service.publish(request).await;
        }
        let now = Timestamp(vector["now"].as_u64().unwrap());
        let query = vector["query"].as_str().unwrap();
        let answer = directory(2, &service).resolve(query, now).await.unwrap();
        let bundle = |bundle: &Value| {
            let protocol = id(bundle["protocol"].as_str().unwrap());
            (protocol, hex(&bundle["bundle"]).into())
        };
        let set = |set: &Value| {
            BundleSet::new(set.as_array().unwrap().iter().map(bundle).collect()).unwrap()
        };
        let expected: Vec<_> = vector["answer"]
            .as_array()
            .unwrap()
            .iter()
            .map(set)
            .collect();
        assert_eq!(answer, expected);
    }
    let refused = &vectors["refused"];
    let address = DeliveryAddress::new(hex(&refused["address"])).unwrap();
    let now = Timestamp(refused["now"].as_u64().unwrap());
    for payload in refused["payloads"].as_array().unwrap() {
        let service = MemoryService::new("town").unwrap();
        let request = PublishRequest::new(address.clone(), hex(&payload["payload"]));
        service.publish(request).await;
        let query = refused["query"].as_str().unwrap();
        let answer = directory(2, &service).resolve(query, now).await;
        assert!(answer.is_err(), "{}", payload["why"]);
    }
}
