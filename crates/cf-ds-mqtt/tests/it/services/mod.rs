//! Tests that need a broker.

use std::sync::Arc;

use cf_core::{Connector, ErrorKind};
use cf_ds_mqtt::{MqttConnector, MqttService};
use cf_testkit::DeliveryUnderTest;
use cf_testkit::servers::{Mosquitto, Proxy};

cf_testkit::delivery_service_tests!(named_clients, || async {
    let broker = Mosquitto::start();
    let proxy = Proxy::start(broker.port()).await;
    let url = format!("mqtt://127.0.0.1:{}/?client=saro", proxy.port());
    let service = MqttService::connect(&url).await.unwrap();
    let beside = format!("{}/?client=raya", broker.url());
    let beside = MqttService::connect(&beside).await.unwrap();
    let cutter = proxy.cutter();
    DeliveryUnderTest::new(Arc::new(service))
        .beside(Arc::new(beside))
        .reconnect(Arc::new(move || {
            let cutter = cutter.clone();
            Box::pin(async move { cutter.cut().await })
        }))
        .keeping((broker, proxy))
});

cf_testkit::delivery_service_tests!(nameless_clients, || async {
    let broker = Mosquitto::start();
    let service = MqttService::connect(&broker.url()).await.unwrap();
    let beside = MqttService::connect(&broker.url()).await.unwrap();
    DeliveryUnderTest::new(Arc::new(service))
        .beside(Arc::new(beside))
        .keeping(broker)
});

#[tokio::test]
async fn urls_are_refused_by_kind_and_locators_hold_no_secret() {
    let broker = Mosquitto::start();
    let connector = MqttConnector::default();
    let port = broker.port();
    let url = format!("mqtt://saro:se%2Fcret@127.0.0.1:{port}/town?client=saro");
    let service = connector.connect(&url).await.unwrap();
    let expected = format!("mqtt://127.0.0.1:{port}/town");
    assert_eq!(service.locator().as_str(), expected);
    for (url, kind) in [
        ("nats://host", ErrorKind::Unsupported),
        ("mqtt", ErrorKind::Malformed),
        ("mqtt://", ErrorKind::Malformed),
        ("mqtt://host/a/b", ErrorKind::Malformed),
        ("mqtt://host/?client=a.b", ErrorKind::Malformed),
        ("mqtt://host/?secret=1", ErrorKind::Malformed),
        ("mqtt://127.0.0.1:1", ErrorKind::Unavailable),
    ] {
        let error = connector.connect(url).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{url}: {error}");
    }
}
