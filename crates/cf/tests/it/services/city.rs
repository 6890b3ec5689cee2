use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cf::core::DeliveryService;
use cf_ds_nats::NatsService;
use cf_testkit::servers::{NatsServer, Proxy};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::bare::Bare;
use super::talk::Talk;
use super::{random, setting, while_it_lasts};

/// How many messages both write together in a second. On a machine that is busy with
/// other tests servers take long to be there again, and 256 messages wait for one
/// before, no more.
fn rate() -> u32 {
    setting("CF_RATE", 50) as u32
}

/// Connects, for as long as it takes the servers to make the streams.
async fn connect(url: &str) -> Arc<dyn DeliveryService> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match NatsService::connect(url).await {
            Ok(service) => return Arc::new(service),
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Three servers, three replicas, one of them killed at random at a time, each current
/// again before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_three_servers_that_are_killed_one_at_a_time() {
    let mut servers = NatsServer::cluster(3);
    let hosts: Vec<_> = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port()))
        .collect();
    let others = hosts.join(",");
    let url = |first: &str| format!("nats://{first}/city?replicas=3&servers={others}");
    // Both name the service alike, since the locator is the first host.
    let talk = Talk::begin(
        [
            connect(&url(&hosts[0])).await,
            connect(&url(&hosts[0])).await,
        ],
        rate(),
    )
    .await;
    let bare = Bare::start(&others, 3).await;
    let servers = talk.survives(move || {
        let mut random = random();
        let kills = while_it_lasts(|| {
            sleep(Duration::from_millis(random.below(500)));
            let server = &mut servers[random.below(3) as usize];
            server.kill();
            sleep(Duration::from_millis(random.below(500)));
            server.run();
            server.wait_until_current();
        });
        (kills, servers)
    });
    let _servers = servers.await;
    bare.report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_a_server_that_is_killed_and_started_on_its_data() {
    let mut server = NatsServer::start();
    let url = server.url();
    let talk = Talk::begin([connect(&url).await, connect(&url).await], rate()).await;
    let bare = Bare::start(&format!("127.0.0.1:{}", server.port()), 1).await;
    let server = talk.survives(move || {
        let mut random = random();
        let kills = while_it_lasts(|| {
            sleep(Duration::from_millis(200 + random.below(800)));
            server.kill();
            sleep(Duration::from_millis(random.below(300)));
            server.run();
        });
        (kills, server)
    });
    let _server = server.await;
    bare.report().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_connections_that_are_cut_every_second() {
    let server = NatsServer::start();
    let proxy = Proxy::start(server.port()).await;
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let talk = Talk::begin([connect(&url).await, connect(&url).await], rate()).await;
    let (cutter, runtime) = (proxy.cutter(), Handle::current());
    let cuts = talk.survives(move || {
        let cuts = while_it_lasts(|| {
            sleep(Duration::from_secs(1));
            runtime.block_on(cutter.cut());
        });
        (cuts, ())
    });
    cuts.await;
}

/// A server that loses all that it acknowledged, which the bare client shows: the
/// stream is made again, and the conversation makes up for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_over_a_server_that_loses_what_it_acknowledged() {
    let mut server = NatsServer::start();
    let url = server.url();
    let talk = Talk::begin([connect(&url).await, connect(&url).await], rate()).await;
    let bare = Bare::start(&format!("127.0.0.1:{}", server.port()), 1).await;
    let server = talk.survives(move || {
        for _ in 0..2 {
            sleep(Duration::from_secs(1));
            server.wipe();
        }
        sleep(Duration::from_secs(1));
        (2, server)
    });
    let _server = server.await;
    let lost = timeout(Duration::from_secs(30), bare.report())
        .await
        .unwrap();
    assert!(
        lost > 0,
        "the bare client lost nothing: the server was not emptied"
    );
}
