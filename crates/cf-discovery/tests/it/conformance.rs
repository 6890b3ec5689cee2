//! The laws of [`cf_core::DiscoveryProtocol`].

use std::sync::Arc;
use std::time::Duration;

use cf_core::{DeliveryAddress, DeliveryService, DiscoveryProtocol, PublishRequest};
use cf_discovery::{Link, ShortLink, StaticTable};
use cf_ds::MemoryService;
use cf_identity::SoftwareIdentity;
use cf_testkit::{DiscoveryUnderTest, SeededRandom};

cf_testkit::discovery_tests!(link, || Link);
cf_testkit::discovery_tests!(short_link, short_links);
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
