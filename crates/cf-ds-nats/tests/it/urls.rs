use cf_core::{Connector, ErrorKind};
use cf_ds_nats::NatsConnector;

/// What can't be a service's URL is refused by kind, without contacting anybody,
/// and no error repeats what may be a secret.
#[tokio::test]
async fn other_urls_are_refused_by_kind() {
    let connector = NatsConnector::default();
    for (url, kind) in [
        ("mqtt://chat.example", ErrorKind::Unsupported),
        ("nats", ErrorKind::Malformed),
        ("nats:", ErrorKind::Malformed),
        ("nats://", ErrorKind::Malformed),
        ("nats://host/a/b", ErrorKind::Malformed),
        ("nats://host/a.b", ErrorKind::Malformed),
        ("nats://host/#secret", ErrorKind::Malformed),
        ("nats://host/?shards=3", ErrorKind::Malformed),
        ("nats://host/?shards=32", ErrorKind::Malformed),
        ("nats://host/?replicas=2", ErrorKind::Malformed),
        ("nats://host/?retention=0d", ErrorKind::Malformed),
        ("nats://host/?secret=1", ErrorKind::Malformed),
        ("nats://a:%zz@host/", ErrorKind::Malformed),
        ("nats://host/?credentials=/no/such/file", ErrorKind::Other),
        ("nats://saro:secret@127.0.0.1:1/", ErrorKind::Unavailable),
    ] {
        let error = connector.connect(url).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(
            !error.to_string().contains("secret=") && !format!("{error:?}").contains(":secret")
        );
    }
}
