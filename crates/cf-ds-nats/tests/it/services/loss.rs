use std::time::Duration;

use cf_core::{Cursor, DeliveryService, Start, Subscription};
use cf_ds_nats::NatsService;
use cf_testkit::servers::{NatsServer, Proxy};
use tokio::time::sleep;

use super::{next, publish, subscribe};

const PAYLOADS: u64 = 1000;

/// Reads `PAYLOADS`: each once and in order, at the cursor that its publisher was
/// told.
async fn read_all(subscription: &mut dyn Subscription) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for number in 0..PAYLOADS {
        let delivery = next(subscription).await;
        assert_eq!(delivery.payload, number.to_string());
        cursors.push(delivery.cursor.unwrap());
    }
    cursors
}

async fn publish_all(service: &NatsService) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for number in 0..PAYLOADS {
        cursors.push(publish(service, "raya", number).await);
        sleep(Duration::from_millis(1)).await;
    }
    cursors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_and_doubles_nothing() {
    let mut server = NatsServer::start();
    let saro = NatsService::connect(&server.url()).await.unwrap();
    let raya = NatsService::connect(&server.url()).await.unwrap();
    let mut subscription = subscribe(&raya, "raya", Start::Earliest).await;
    let killing = async {
        for _ in 0..4 {
            sleep(Duration::from_millis(400)).await;
            tokio::task::block_in_place(|| {
                server.kill();
                server.run();
            });
        }
    };
    let (published, read, ()) =
        tokio::join!(publish_all(&saro), read_all(&mut *subscription), killing);
    assert_eq!(published, read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    let server = NatsServer::start();
    let proxy = Proxy::start(server.port()).await;
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let saro = NatsService::connect(&url).await.unwrap();
    let raya = NatsService::connect(&url).await.unwrap();
    let mut subscription = subscribe(&raya, "raya", Start::Earliest).await;
    let cutting = async {
        for _ in 0..8 {
            sleep(Duration::from_millis(200)).await;
            proxy.cut().await;
        }
    };
    let (published, read, ()) =
        tokio::join!(publish_all(&saro), read_all(&mut *subscription), cutting);
    assert_eq!(published, read);
}

/// Cursors of a stream that the server lost are foreign, and a subscription goes on
/// with all that is in the one which is made in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_lost_is_made_again_and_old_cursors_are_foreign() {
    let mut server = NatsServer::start();
    let service = NatsService::connect(&server.url()).await.unwrap();
    let mut subscription = subscribe(&service, "raya", Start::Earliest).await;
    let mut old = None;
    for number in 0..5 {
        old = Some(publish(&service, "raya", number).await);
        next(&mut *subscription).await;
    }
    let old = old.unwrap();
    server.wipe();
    let new = publish(&service, "raya", 7).await;
    assert_ne!(old, new);
    let delivery = next(&mut *subscription).await;
    assert_eq!(
        (delivery.payload, delivery.cursor),
        ("7".into(), Some(new.clone()))
    );
    let mut again = service.subscribe().await.unwrap();
    let error = again
        .add(super::address("raya"), Start::After(old))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), cf_core::ErrorKind::Misuse);
    again
        .add(super::address("raya"), Start::After(new))
        .await
        .unwrap();
}
