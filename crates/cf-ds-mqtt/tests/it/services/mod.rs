//! Tests that need a broker.

use std::sync::Arc;

use cf_core::{Connector, ErrorKind};
use cf_ds_mqtt::{MqttConnector, MqttService};
use cf_testkit::DeliveryUnderTest;
use cf_testkit::servers::{Certificates, Mosquitto, Proxy, free_port};

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

/// Only a broker that the authority vouches for is talked to, and only whoever has the
/// password gets in; where both are is the user's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_vouches_for_the_broker() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let passwords = certificates.folder().join("passwords");
    std::fs::write(&passwords, "raya:secret\n").unwrap();
    let hashed = std::process::Command::new("mosquitto_passwd")
        .arg("-U")
        .arg(&passwords)
        .status();
    assert!(hashed.unwrap().success());
    let port = free_port();
    let file = |name: &str| certificates.folder().join(name).display().to_string();
    let _broker = Mosquitto::configured(port, |_| {
        format!(
            "listener {port} 127.0.0.1\nuser root\nallow_anonymous false\npassword_file {}\ncertfile {}\nkeyfile {}\n",
            file("passwords"),
            file("cert.pem"),
            file("key.pem")
        )
    });
    let credentials = certificates.folder().join("credentials");
    std::fs::write(&credentials, "raya:secret\n").unwrap();
    let credentials = format!("credentials={}", credentials.display());
    let connector = MqttConnector::default();
    let ca = |of: &Certificates| format!("ca={}", of.authority().display());
    let (ours, theirs) = (ca(&certificates), ca(&others));
    for (who, settings, expected) in [
        ("", format!("{credentials}&{ours}"), Ok(())),
        ("raya:secret@", ours.clone(), Ok(())),
        ("raya:wrong@", ours.clone(), Err(ErrorKind::Rejected)),
        ("", ours, Err(ErrorKind::Rejected)),
        (
            "",
            format!("{credentials}&{theirs}"),
            Err(ErrorKind::Unavailable),
        ),
        ("", credentials, Err(ErrorKind::Unavailable)),
        ("", "ca=/no/such/file".to_owned(), Err(ErrorKind::Other)),
    ] {
        let url = format!("mqtts://{who}127.0.0.1:{port}/?{settings}");
        let service = connector.connect(&url).await;
        if let Ok(service) = &service {
            assert_eq!(
                service.locator().as_str(),
                format!("mqtts://127.0.0.1:{port}")
            );
        }
        let found = service.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(found, expected, "{url}");
    }
}

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
