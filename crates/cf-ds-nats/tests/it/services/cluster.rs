use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use cf_core::Start;
use cf_ds_nats::NatsService;
use cf_testkit::DeliveryUnderTest;
use cf_testkit::servers::NatsServer;
use tokio::time::sleep;

use super::{next, publish, subscribe};

/// A cluster of three for the laws that are tested at a time: each works at addresses
/// of its own.
fn cluster() -> Arc<Vec<NatsServer>> {
    static CLUSTER: Mutex<Weak<Vec<NatsServer>>> = Mutex::new(Weak::new());
    let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    cluster.upgrade().unwrap_or_else(|| {
        let servers = Arc::new(NatsServer::cluster(3));
        *cluster = Arc::downgrade(&servers);
        servers
    })
}

/// Connects, for as long as it takes the cluster to make the streams.
async fn connect(server: &NatsServer) -> NatsService {
    let url = format!("{}/city?replicas=3&shards=2", server.url());
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match NatsService::connect(&url).await {
            Ok(service) => return service,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

cf_testkit::delivery_service_tests!(three_servers, || async {
    let cluster = cluster();
    let service = connect(&cluster[0]).await;
    let beside = connect(&cluster[1]).await;
    DeliveryUnderTest::new(Arc::new(service))
        .beside(Arc::new(beside))
        .patience(Duration::from_secs(30), Duration::from_millis(200))
        .keeping(cluster)
});

/// While the servers of a cluster are killed one after the other, each current again
/// before the next, nothing is lost, nothing comes twice, and all in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_one_by_one_lose_and_double_nothing() {
    const PAYLOADS: u64 = 1500;
    let mut servers = NatsServer::cluster(3);
    let saro = connect(&servers[0]).await;
    let raya = connect(&servers[1]).await;
    let mut subscription = subscribe(&raya, "raya", Start::Earliest).await;
    let publishing = async {
        let mut cursors = Vec::new();
        for number in 0..PAYLOADS {
            cursors.push(publish(&saro, "raya", number).await);
            sleep(Duration::from_millis(4)).await;
        }
        cursors
    };
    let reading = async {
        let mut cursors = Vec::new();
        for number in 0..PAYLOADS {
            let delivery = next(&mut *subscription).await;
            assert_eq!(delivery.payload, number.to_string());
            cursors.push(delivery.cursor.unwrap());
        }
        cursors
    };
    let killing = async {
        for server in &mut servers {
            sleep(Duration::from_millis(500)).await;
            tokio::task::block_in_place(|| {
                server.kill();
                server.run();
                server.wait_until_current();
            });
        }
    };
    let (published, read, ()) = tokio::join!(publishing, reading, killing);
    assert_eq!(published, read);
}
