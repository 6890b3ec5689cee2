//! mqtt/1 beside a bare MQTT client on the same broker, in turns within one run: QoS 1,
//! the same window.
//!
//! `cargo bench -p cf-ds-mqtt` prints the tables of docs/benchmarks.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails shows where")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use cf_core::{
    BoxFuture, DeliveryAddress, DeliveryService, Outcome, PublishRequest, Start, Subscription,
};
use cf_ds_mqtt::MqttService;
use cf_testkit::servers::Mosquitto;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rumqttc::{AsyncClient, Event, Packet, PublishOptions, QoS};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const SIZES: [(&str, usize); 2] = [("256 B", 256), ("16 KiB", 16 * 1024)];
/// How many publishes are not acknowledged at most.
const WINDOW: usize = 64;
/// How often both take turns.
const TURNS: usize = 7;
const ROUNDS: usize = 2000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Writing its sessions after every change would be all that is measured.
        let broker = Mosquitto::with_configuration("autosave_on_changes false");
        let (ours, bare) = (Ours::new(&broker).await, Bare::new(&broker));
        println!(
            "A second, medians of {TURNS} turns; the ratio is the median of the turns' ratios\n"
        );
        println!("| payload | what | bare | mqtt/1 | ratio |\n|---|---|---|---|---|");
        for (size, len) in SIZES {
            for window in [1, WINDOW] {
                let count = if window == 1 { 500 } else { 4000 };
                let work = async |way: &dyn Way, turn: usize| {
                    let start = Instant::now();
                    publish(way, turn, len, window, count).await;
                    count as f64 / start.elapsed().as_secs_f64()
                };
                turns(
                    size,
                    &format!("published, {window} in flight"),
                    &bare,
                    &ours,
                    work,
                )
                .await;
            }
            let work = async |way: &dyn Way, turn: usize| {
                let mut reader = way.read(turn).await;
                let start = Instant::now();
                let reading = async {
                    for _ in 0..4000 {
                        reader.next().await;
                    }
                };
                tokio::join!(reading, publish(way, turn, len, WINDOW, 4000));
                4000.0 / start.elapsed().as_secs_f64()
            };
            turns(
                size,
                &format!("published and delivered, {WINDOW} in flight"),
                &bare,
                &ours,
                work,
            )
            .await;
        }
        println!("\nFrom publish until it came, one at a time, µs, p50 / p99; ratio of the p50s\n");
        println!("| payload | bare | mqtt/1 | ratio |\n|---|---|---|---|");
        for (size, len) in SIZES {
            latencies(size, len, &bare, &ours).await;
        }
    });
}

/// Both work in turns, at an address of its own each time.
async fn turns(
    size: &str,
    what: &str,
    bare: &Bare,
    ours: &Ours,
    work: impl AsyncFn(&dyn Way, usize) -> f64,
) {
    let (mut bares, mut ourses, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let turn = fresh();
        // What one has written may hold up the next: neither is always the first.
        let (one, other) = if bares.len() % 2 == 0 {
            let one = work(bare, turn).await;
            (one, work(ours, turn).await)
        } else {
            let other = work(ours, turn).await;
            (work(bare, turn).await, other)
        };
        bares.push(one);
        ourses.push(other);
        ratios.push(one / other);
    }
    let [bare, ours, ratio] = [bares, ourses, ratios].map(|mut values| {
        values.sort_by(f64::total_cmp);
        values[TURNS / 2]
    });
    println!("| {size} | {what} | {bare:.0} | {ours:.0} | {ratio:.2} |");
}

/// A number that no turn had before.
fn fresh() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

async fn latencies(size: &str, len: usize, bare: &Bare, ours: &Ours) {
    let mut times = [Vec::new(), Vec::new()];
    let turn = fresh();
    let ways: [&dyn Way; 2] = [bare, ours];
    let mut readers = [bare.read(turn).await, ours.read(turn).await];
    let payload = Bytes::from(vec![7; len]);
    for round in 0..ROUNDS + 200 {
        for (one, way) in ways.iter().enumerate() {
            let start = Instant::now();
            way.publish(turn, payload.clone()).await;
            readers[one].next().await;
            if round >= 200 {
                times[one].push(start.elapsed());
            }
        }
    }
    let [bare, ours] = times.map(|mut times| {
        times.sort_unstable();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        (micros(times[ROUNDS / 2]), micros(times[ROUNDS * 99 / 100]))
    });
    let show = |(half, most): (f64, f64)| format!("{half:.0} / {most:.0}");
    println!(
        "| {size} | {} | {} | {:.2} |",
        show(bare),
        show(ours),
        ours.0 / bare.0
    );
}

async fn publish(way: &dyn Way, turn: usize, len: usize, window: usize, count: usize) {
    let payload = Bytes::from(vec![7; len]);
    let mut on_the_way = FuturesUnordered::new();
    for _ in 0..count {
        if on_the_way.len() >= window {
            on_the_way.next().await;
        }
        on_the_way.push(way.publish(turn, payload.clone()));
    }
    while on_the_way.next().await.is_some() {}
}

/// Something that delivers payloads at an address.
trait Way {
    /// Answers when the broker has acknowledged it.
    fn publish(&self, turn: usize, payload: Bytes) -> BoxFuture<'_, ()>;
    /// All that is published from now on, over another connection.
    fn read(&self, turn: usize) -> BoxFuture<'_, Box<dyn Reading>>;
}

trait Reading: Send {
    fn next(&mut self) -> BoxFuture<'_, ()>;
}

struct Ours {
    publisher: MqttService,
    reader: MqttService,
}

impl Ours {
    async fn new(broker: &Mosquitto) -> Self {
        let reader = format!("{}/?client=reader", broker.url());
        Self {
            publisher: MqttService::connect(&broker.url()).await.unwrap(),
            reader: MqttService::connect(&reader).await.unwrap(),
        }
    }
}

fn address(turn: usize) -> DeliveryAddress {
    DeliveryAddress::new(format!("address {turn}")).unwrap()
}

impl Way for Ours {
    fn publish(&self, turn: usize, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let outcome = self
                .publisher
                .publish(PublishRequest::new(address(turn), payload))
                .await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        })
    }

    fn read(&self, turn: usize) -> BoxFuture<'_, Box<dyn Reading>> {
        Box::pin(async move {
            let mut subscription = self.reader.subscribe().await.unwrap();
            subscription
                .add(address(turn), Start::Latest)
                .await
                .unwrap();
            Box::new(OurReading(subscription)) as _
        })
    }
}

struct OurReading(Box<dyn Subscription>);

impl Reading for OurReading {
    /// As a client does, it acknowledges what it has.
    fn next(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let delivery = self.0.next().await.unwrap();
            self.0
                .acknowledge(&delivery.address, &delivery.cursor.unwrap());
        })
    }
}

struct Bare {
    port: u16,
    publisher: AsyncClient,
    _task: JoinSet<()>,
}

fn connect(port: u16, name: &str) -> (AsyncClient, rumqttc::EventLoop) {
    let mut options = rumqttc::MqttOptions::new(name.to_owned(), ("127.0.0.1".to_owned(), port));
    options.set_keep_alive(10);
    options.set_incoming_packet_size_limit(rumqttc::IncomingPacketSizeLimit::Bytes(1 << 20));
    options.set_receive_maximum(Some(4096));
    AsyncClient::builder(options).capacity(1024).build()
}

impl Bare {
    fn new(broker: &Mosquitto) -> Self {
        let port = broker.port();
        let (publisher, mut events) = connect(port, "bare");
        let mut task = JoinSet::new();
        task.spawn(async move { while events.poll().await.is_ok() {} });
        Self {
            port,
            publisher,
            _task: task,
        }
    }
}

impl Way for Bare {
    fn publish(&self, turn: usize, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (topic, options) = (
                format!("bare/{turn:032}"),
                PublishOptions::new(QoS::AtLeastOnce),
            );
            let notice = self
                .publisher
                .publish_tracked(topic, payload, options)
                .await
                .unwrap();
            notice.wait_async().await.unwrap();
        })
    }

    fn read(&self, turn: usize) -> BoxFuture<'_, Box<dyn Reading>> {
        Box::pin(async move {
            let (client, mut events) = connect(self.port, &format!("reader {turn}"));
            let (sender, came) = mpsc::channel(4096);
            let mut task = JoinSet::new();
            task.spawn(async move {
                while let Ok(event) = events.poll().await {
                    if let Event::Incoming(Packet::Publish(publish)) = event {
                        let _ = sender.send(publish.payload).await;
                    }
                }
            });
            let topic = format!("bare/{turn:032}");
            let notice = client
                .subscribe_tracked(topic, QoS::AtLeastOnce)
                .await
                .unwrap();
            notice.wait_async().await.unwrap();
            Box::new(BareReading {
                came,
                _client: client,
                _task: task,
            }) as _
        })
    }
}

struct BareReading {
    came: mpsc::Receiver<Bytes>,
    _client: AsyncClient,
    _task: JoinSet<()>,
}

impl Reading for BareReading {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.came.recv().await.unwrap();
        })
    }
}
