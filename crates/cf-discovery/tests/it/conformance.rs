//! The laws of [`cf_core::DiscoveryProtocol`].

use std::sync::Arc;
use std::time::Duration;

use cf_core::{DeliveryAddress, DeliveryService, DiscoveryProtocol, PublishRequest};
use cf_discovery::{Directory, Link, ShortLink, StaticTable};
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_testkit::{DiscoveryUnderTest, SeededRandom};

cf_testkit::discovery_tests!(link, || Link);
cf_testkit::discovery_tests!(short_link, short_links);
cf_testkit::discovery_tests!(directory, directories);
cf_testkit::discovery_tests!(static_table, || {
    let saro = StaticTable::new();
    let raya = saro.named("raya").unwrap();
    DiscoveryUnderTest::new(Arc::new(raya), Arc::new(saro))
});

/// Two clients on one service, and a link whose place is full of rubbish.
async fn short_links() -> DiscoveryUnderTest {
    let service = MemoryService::new("town").unwrap();
    let [raya, saro] = [1, 2].map(|seed| {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap();
        let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service.clone())];
        let discovery = ShortLink::new(Arc::new(identity), services);
        Arc::new(discovery.with_patience(Duration::from_secs(1))) as Arc<dyn DiscoveryProtocol>
    });
    // From docs/spec/vectors/discovery-short-link-1.json, without its payload.
    let (link, address) = hostile();
    for length in 0..2000 {
        let request = PublishRequest::new(address.clone(), vec![7; length]);
        service.publish(request).await;
    }
    DiscoveryUnderTest::new(raya, saro).hostile([link])
}

/// Two clients on one service, and a name whose place is full of rubbish and of what
/// another name's owner said.
async fn directories() -> DiscoveryUnderTest {
    let service = MemoryService::new("town").unwrap();
    let [raya, saro] = [1, 2].map(|seed| {
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap();
        let services: Vec<Arc<dyn DeliveryService>> = vec![Arc::new(service.clone())];
        Directory::new(Arc::new(identity), services).with_patience(Duration::from_secs(1))
    });
    // From docs/spec/vectors/discovery-directory-1.json: what lies at the place of a
    // name and may not count.
    let text = include_str!("../../../../docs/spec/vectors/discovery-directory-1.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let hex = |value: &serde_json::Value| {
        let text = value.as_str().unwrap();
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    };
    let refused = &vectors["refused"];
    let address = DeliveryAddress::new(hex(&refused["address"])).unwrap();
    for payload in refused["payloads"].as_array().unwrap() {
        let request = PublishRequest::new(address.clone(), hex(&payload["payload"]));
        service.publish(request).await;
    }
    for length in 0..2000 {
        let request = PublishRequest::new(address.clone(), vec![7; length]);
        service.publish(request).await;
    }
    let raya = raya.named("Another").unwrap();
    let hostile = refused["query"].as_str().unwrap().to_owned();
    DiscoveryUnderTest::new(Arc::new(raya), Arc::new(saro)).hostile([hostile])
}

fn hostile() -> (String, DeliveryAddress) {
    let text = include_str!("../../../../docs/spec/vectors/discovery-short-link-1.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let field = |name: &str| vectors[0][name].as_str().unwrap().to_owned();
    let address = data_encoding::HEXLOWER.decode(field("address").as_bytes());
    (
        field("link"),
        DeliveryAddress::new(address.unwrap()).unwrap(),
    )
}
