use cf_core::{Connector, ErrorKind, Start};
use cf_ds::{LocalConnector, LocalService};
use tempfile::TempDir;

use super::{all, next, publish, subscribe};

#[tokio::test]
async fn a_url_is_a_path_or_the_default_or_a_locator() {
    let directory = TempDir::new().unwrap();
    let default = directory.path().join("data/delivery.db");
    let connector = LocalConnector::new(&default);
    assert!(
        !default.parent().unwrap().exists(),
        "nothing is touched yet"
    );
    let unknown = format!("local:{}", "0".repeat(32));
    let error = connector.connect(&unknown).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!default.exists());

    let one = connector.connect("local:").await.unwrap();
    let other = directory.path().join("other.db");
    let other = connector
        .connect(&format!("local:{}", other.display()))
        .await
        .unwrap();
    assert_ne!(one.locator(), other.locator());
    assert_eq!(one.id().as_str(), "/cf/ds/local/1");
    for service in [&one, &other] {
        let url = service.locator().as_str();
        let same = connector.clone().connect(url).await.unwrap();
        assert_eq!(same.locator(), service.locator());
    }
    // Later, another connector finds the default file by its locator.
    let url = one.locator().as_str().to_owned();
    drop((one, other));
    let later = LocalConnector::new(&default);
    assert_eq!(later.connect(&url).await.unwrap().locator().as_str(), url);
}

#[tokio::test]
async fn other_urls_are_refused_by_kind() {
    let directory = TempDir::new().unwrap();
    let connector = LocalConnector::new(directory.path().join("delivery.db"));
    std::fs::write(directory.path().join("file"), "").unwrap();
    let below_a_file = format!("local:{}/file/town.db", directory.path().display());
    let a_directory = format!("local:{}", directory.path().display());
    for (url, kind) in [
        ("nats://chat.example", ErrorKind::Unsupported),
        ("memory:town", ErrorKind::Unsupported),
        ("local", ErrorKind::Malformed),
        ("local:no/such/..", ErrorKind::Malformed),
        (&below_a_file, ErrorKind::Other),
        (&a_directory, ErrorKind::Other),
    ] {
        let error = connector.connect(url).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{url}: {error}");
    }
}

#[tokio::test]
async fn one_path_is_one_service_while_it_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("delivery.db");
    let connector = LocalConnector::new(&path);
    let one = connector.service(&path).unwrap();
    let same = connector.service(directory.path().join("./delivery.db"));
    publish(&one, "a", "payload").await;
    drop(one);
    assert_eq!(all(&same.unwrap(), "a").await.len(), 1);
    let again = connector.service(&path).unwrap();
    assert_eq!(all(&again, "a").await.len(), 2);
}

/// Several values on one file in one process are as good as several processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_opened_several_times_in_one_process_works() {
    const PAYLOADS: u64 = 50;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("delivery.db");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4u8 {
        let path = path.clone();
        tasks.spawn(async move {
            let service = LocalService::open(&path).unwrap();
            let mut subscription = subscribe(&service, "a", Start::Earliest).await;
            for _ in 0..PAYLOADS {
                publish(&service, "a", vec![n]).await;
                // Closing one must not take the locks of the others.
                drop(LocalService::open(&path).unwrap());
            }
            let mut read = Vec::new();
            while read.len() as u64 != 4 * PAYLOADS {
                read.push(next(&mut *subscription).await);
            }
            read
        });
    }
    let mut logs = tasks.join_all().await;
    let first = logs.pop().unwrap();
    assert!(logs.iter().all(|log| *log == first), "one order for all");
    super::check_integrity(&path);
}
