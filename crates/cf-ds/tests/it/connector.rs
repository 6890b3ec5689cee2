use cf_core::{Connector, ErrorKind, PublishRequest, Start};
use cf_ds::{MemoryConnector, MemoryService};

use crate::{accepted, address, read};

#[tokio::test]
async fn one_name_is_one_service() {
    let connector = MemoryConnector::default();
    let one = connector.connect("memory:town").await.unwrap();
    let same = connector.clone().connect("memory:town").await.unwrap();
    let other = connector.connect("memory:village").await.unwrap();
    accepted(
        one.publish(PublishRequest::new(address("raya"), "hello"))
            .await,
    );
    for (service, payloads) in [(same, 1), (other, 0)] {
        let mut subscription = service.subscribe().await.unwrap();
        subscription
            .add(address("raya"), Start::Earliest)
            .await
            .unwrap();
        assert_eq!(read(&mut *subscription).len(), payloads);
    }
    assert_eq!(one.locator().as_str(), "memory:town");
    assert_eq!(one.id().as_str(), "/cf/ds/memory/1");
}

#[tokio::test]
async fn other_urls_are_refused_by_kind() {
    let connector = MemoryConnector::default();
    for (url, kind) in [
        ("nats://chat.example", ErrorKind::Unsupported),
        ("memory", ErrorKind::Malformed),
        ("memory://host", ErrorKind::Malformed),
        ("memory:a/b", ErrorKind::Malformed),
        ("memory:saro@town", ErrorKind::Malformed),
    ] {
        let error = connector.connect(url).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{url}");
    }
    let long = "x".repeat(300);
    assert_eq!(
        MemoryService::new(&long).unwrap_err().kind(),
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn services_are_bounded() {
    let connector = MemoryConnector::default();
    for n in 0..MemoryConnector::MAX_SERVICES {
        connector.service(&n.to_string()).unwrap();
    }
    let error = connector.service("more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    connector.service("0").unwrap();
}
