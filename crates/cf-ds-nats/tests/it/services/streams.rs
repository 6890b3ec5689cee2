use std::time::Duration;

use cf_core::{Connector, DeliveryService, ErrorKind, Start};
use cf_ds_nats::{NatsConnector, NatsOptions, NatsService};
use cf_testkit::servers::NatsServer;

use super::{next, publish, subscribe};

/// Sharded by prefix, every address still is in one place, for clients that were
/// told another number of streams as well.
#[tokio::test]
async fn shards_are_what_the_first_client_made_them() {
    let server = NatsServer::start();
    let url = format!("{}/city?shards=4&retention=2h", server.url());
    let saro = NatsService::connect(&url).await.unwrap();
    let raya = NatsService::connect(&format!("{}/city", server.url()))
        .await
        .unwrap();
    assert_eq!(saro.locator(), raya.locator());
    assert_eq!(
        raya.capabilities().retention,
        Some(Duration::from_secs(2 * 60 * 60))
    );
    for number in 0..50 {
        let to = format!("raya {number}");
        let mut subscription = subscribe(&raya, &to, Start::Latest).await;
        let cursor = publish(&saro, &to, number).await;
        assert_eq!(next(&mut *subscription).await.cursor, Some(cursor));
    }
    // Another name is another service.
    let other = NatsService::connect(&server.url()).await.unwrap();
    assert_ne!(other.locator(), raya.locator());
    publish(&other, "raya 0", 1000).await;
    let mut subscription = subscribe(&raya, "raya 0", Start::Earliest).await;
    assert_eq!(next(&mut *subscription).await.payload, "0");
    let more = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn credentials_are_of_the_url_or_a_file_and_never_in_the_locator() {
    let server = NatsServer::with_configuration(
        "authorization { users: [ { user: saro, password: \"se/cret\" } ] }",
    );
    let connector = NatsConnector::default();
    let error = connector.connect(&server.url()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    let port = server.port();
    let path = server.folder().join("credentials");
    std::fs::write(&path, "saro:se/cret\n").unwrap();
    for url in [
        format!("nats://saro:se%2Fcret@127.0.0.1:{port}"),
        format!("nats://127.0.0.1:{port}/?credentials={}", path.display()),
    ] {
        let service = connector.connect(&url).await.unwrap();
        assert_eq!(
            service.locator().as_str(),
            format!("nats://127.0.0.1:{port}")
        );
        assert!(!format!("{:?}", NatsService::connect(&url).await.unwrap()).contains("cret"));
    }
}

/// At each bound the oldest payloads go, and what is left is read.
#[tokio::test]
async fn an_address_keeps_its_newest_payloads() {
    let server = NatsServer::start();
    let options = NatsOptions {
        max_payloads_per_address: 3,
        ..NatsOptions::default()
    };
    let service = NatsService::with_options(&server.url(), options)
        .await
        .unwrap();
    let mut slow = subscribe(&service, "raya", Start::Earliest).await;
    for number in 0..10 {
        publish(&service, "raya", number).await;
    }
    let mut subscription = subscribe(&service, "raya", Start::Earliest).await;
    for number in 7..10 {
        assert_eq!(next(&mut *subscription).await.payload, number.to_string());
    }
    while next(&mut *slow).await.payload != "9" {}
}

/// Who is far behind reads in batches, in order, over what goes on coming; no consumer
/// is left. Who may not have batches reads one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_backlog_is_read_in_order() {
    const BEFORE: u64 = 1000;
    const ALL: u64 = 1300;
    let server = NatsServer::with_configuration(
        "authorization { users: [ { user: saro, password: saro }, { user: raya, password: raya,
           permissions: { publish: { deny: [\"$JS.API.CONSUMER.>\"] } } } ] }",
    );
    let connect = async |who: &str| {
        let options = NatsOptions {
            timeout: Duration::from_millis(500),
            ..NatsOptions::default()
        };
        let url = format!("nats://{who}:{who}@127.0.0.1:{}", server.port());
        NatsService::with_options(&url, options).await.unwrap()
    };
    let (saro, raya) = (connect("saro").await, connect("raya").await);
    for number in 0..BEFORE {
        publish(&saro, "raya", number).await;
    }
    let read = async |service: &NatsService| {
        let mut subscription = subscribe(service, "raya", Start::Earliest).await;
        for number in 0..ALL {
            assert_eq!(next(&mut *subscription).await.payload, number.to_string());
        }
    };
    let more = async {
        for number in BEFORE..ALL {
            publish(&saro, "raya", number).await;
        }
    };
    tokio::join!(read(&saro), read(&raya), more);
    let client = async_nats::ConnectOptions::with_user_and_password("saro".into(), "saro".into());
    let client = client.connect(server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(client);
    let mut names = futures_util::StreamExt::boxed(streams.stream_names());
    let name = futures_util::StreamExt::next(&mut names)
        .await
        .unwrap()
        .unwrap();
    let mut stream = streams.get_stream(name).await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.consumer_count, 0);
}
