use std::fs;
use std::path::Path;
use std::time::Duration;

use cf_core::{Cursor, DeliveryService, PayloadId, PublishRequest, Start};
use cf_ds::{LocalOptions, LocalService};

use super::{next, open, publish, sequence, subscribe};
use crate::{accepted, address};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/local-1.db");
const LOCATOR: &str = "local:19da107ddc6c4b24044d5f43867c6c83";
/// The incarnation of the file, and the second payload at "raya".
const SECOND: &str = "8f20de817dcb88d60000000000000002";

/// What every later build must still open, with the cursors that were given out.
/// `CF_GOLDEN=make` makes the file if it is missing; one that is there is never
/// made again.
#[tokio::test]
async fn every_later_version_opens_the_file_of_version_1() {
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !Path::new(GOLDEN).exists() {
        make().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy.db");
    fs::copy(GOLDEN, &path).unwrap();
    // However old the payloads are.
    let long = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let options = LocalOptions {
        retention: long,
        duplicate_suppression: Some(long),
        ..LocalOptions::default()
    };
    let service = open(&path, options);
    assert_eq!(service.locator().as_str(), LOCATOR);
    let second: Vec<u8> = (0..SECOND.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&SECOND[at..at + 2], 16).unwrap())
        .collect();
    let second = Cursor::new(second).unwrap();
    let mut subscription = subscribe(&service, "raya", Start::After(second.clone())).await;
    subscription
        .add(address("saro"), Start::Earliest)
        .await
        .unwrap();
    let third = next(&mut *subscription).await;
    assert_eq!((third.payload.len(), third.payload[0]), (10_000, 3));
    assert_eq!(next(&mut *subscription).await.payload, "hello");
    let mut request = PublishRequest::new(address("raya"), "second, again");
    request.id = Some(PayloadId([2; 16]));
    assert_eq!(accepted(service.publish(request).await), second);
    let fourth = publish(&service, "raya", "fourth").await;
    assert_eq!(sequence(&fourth), 4);
    assert_eq!(next(&mut *subscription).await.cursor, Some(fourth));
}

async fn make() {
    let service = LocalService::open(GOLDEN).unwrap();
    publish(&service, "raya", "first").await;
    let mut request = PublishRequest::new(address("raya"), "second");
    request.id = Some(PayloadId([2; 16]));
    let second = accepted(service.publish(request).await);
    publish(&service, "raya", vec![3; 10_000]).await;
    publish(&service, "saro", "hello").await;
    println!("{} {:02x?}", service.locator(), second.as_bytes());
}
