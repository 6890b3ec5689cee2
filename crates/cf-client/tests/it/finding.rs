//! What several discoveries say of one query.

use std::sync::Arc;

use cf_client::{Client, Components, Profile};
use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleSet, DiscoveryProtocol, Error, ErrorKind, Locator,
    ProtocolId, Result, Timestamp,
};
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

/// A discovery that says the same of every query.
struct Says(ProtocolId, fn() -> Result<Vec<BundleSet>>);

impl DiscoveryProtocol for Says {
    fn id(&self) -> &ProtocolId {
        &self.0
    }

    fn recognizes(&self, query: &str) -> bool {
        query.starts_with("raya")
    }

    fn advertise(&self, _: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async { Err(Error::unsupported("it only resolves")) })
    }

    fn resolve<'a>(
        &'a self,
        query: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        let said = match self.recognizes(query) {
            true => (self.1)(),
            false => Err(Error::malformed("this is no query")),
        };
        Box::pin(async move { said })
    }
}

fn locator(host: &str) -> Locator {
    Locator::parse(&format!("nats://{host}/")).expect("a locator")
}

fn client(says: &[fn() -> Result<Vec<BundleSet>>]) -> Client {
    let service = MemoryService::new("town").expect("a name");
    let says = says.iter().enumerate().map(|(number, says)| {
        let id = ProtocolId::parse(&format!("/test/discovery/says-{number}/1"));
        Arc::new(Says(id.expect("an id"), *says)) as Arc<dyn DiscoveryProtocol>
    });
    let components = Components {
        services: vec![Arc::new(service)],
        framings: vec![Arc::new(cf_framing::Tagged)],
        discoveries: says.collect(),
        initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
        conversations: vec![cf_conversation::private()],
    };
    let identity = SoftwareIdentity::generate(&mut SeededRandom::new(1)).expect("a seed");
    let profile = Profile {
        identity: Arc::new(identity),
        display_name: "Saro".to_owned(),
    };
    let store = Arc::new(MemoryStore::default());
    let random = || Box::new(SeededRandom::new(2)) as Box<dyn cf_core::Random>;
    Client::open(components, profile, store, random).expect("a client")
}

fn nobody() -> Result<Vec<BundleSet>> {
    Ok(Vec::new())
}

fn far() -> Result<Vec<BundleSet>> {
    Err(Error::unsupported("on a service that is new").for_services(vec![locator("far")]))
}

fn further() -> Result<Vec<BundleSet>> {
    let unknown = vec![locator("further"), locator("far")];
    Err(Error::rejected("on two that are new").for_services(unknown))
}

fn found() -> Result<Vec<BundleSet>> {
    let id = ProtocolId::parse("/test/init/1")?;
    Ok(vec![BundleSet::new(vec![(id, "bundle".into())])?])
}

#[tokio::test]
async fn if_nobody_is_found_the_error_has_what_each_discovery_said() {
    let client = client(&[nobody, far, further]);
    let error = client.search("raya").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "the first one's");
    let said = error.to_string();
    for part in [
        "/test/discovery/says-0/1: nobody was found",
        "; /test/discovery/says-1/1: on a service that is new",
        "; /test/discovery/says-2/1: on two that are new",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let unknown = ["far", "further"].map(locator);
    assert_eq!(error.unknown_services(), unknown);
    let other = client.search("saro").await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Unsupported);
    assert!(other.unknown_services().is_empty());
}

#[tokio::test]
async fn the_first_discovery_that_finds_somebody_answers() {
    let client = client(&[nobody, far, found, further]);
    let answer = client.search("raya").await.expect("found");
    assert_eq!(answer.discovery.as_str(), "/test/discovery/says-2/1");
    assert_eq!(answer.bundles.len(), 1);
}
