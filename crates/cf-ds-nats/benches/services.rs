//! nats/1 beside bare async-nats on the same server, in turns within one run: the same
//! acknowledgement, the same window, message ids on both sides.
//!
//! `cargo bench -p cf-ds-nats --bench services` prints the tables of docs/benchmarks.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails shows where")]

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::{Context, stream};
use bytes::Bytes;
use cf_core::{
    BoxFuture, DeliveryAddress, DeliveryService, Outcome, PayloadId, PublishRequest, Start,
    Subscription,
};
use cf_ds_nats::NatsService;
use cf_testkit::servers::NatsServer;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

const SIZES: [(&str, usize); 2] = [("256 B", 256), ("16 KiB", 16 * 1024)];
/// How many publishes are not acknowledged at most.
const WINDOW: usize = 256;
/// How often both take turns.
const TURNS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = NatsServer::start();
        let (ours, bare) = (Ours::new(&server).await, Bare::new(&server).await);
        println!(
            "A second, medians of {TURNS} turns; the ratio is the median of the turns' ratios\n"
        );
        println!("| payload | what | bare | nats/1 | ratio |\n|---|---|---|---|---|");
        for (size, len) in SIZES {
            let count = 20_000 * 256 / len.max(1024) + 2000;
            for window in [1, WINDOW] {
                let count = if window == 1 { count / 4 } else { count };
                let work = async |way: &dyn Way, turn: u64| {
                    let start = Instant::now();
                    publish(way, turn, len, window, count).await;
                    rate(count, start)
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
            let work = async |way: &dyn Way, turn: u64| {
                let mut reader = way.read(turn).await;
                let start = Instant::now();
                let reading = async {
                    for _ in 0..count {
                        reader.next().await;
                    }
                };
                tokio::join!(reading, publish(way, turn, len, WINDOW, count));
                rate(count, start)
            };
            turns(
                size,
                &format!("published and delivered, {WINDOW} in flight"),
                &bare,
                &ours,
                work,
            )
            .await;
            let work = async |way: &dyn Way, turn: u64| {
                publish(way, turn, len, WINDOW, count).await;
                let start = Instant::now();
                let mut reader = way.read(turn).await;
                for _ in 0..count {
                    reader.next().await;
                }
                rate(count, start)
            };
            turns(size, "read from a backlog", &bare, &ours, work).await;
        }
        println!("\nFrom publish until it came, one at a time, µs, p50 / p99; ratio of the p50s\n");
        println!("| payload | bare | nats/1 | ratio |\n|---|---|---|---|");
        for (size, len) in SIZES {
            latencies(size, len, &bare, &ours).await;
        }
    });
}

fn rate(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

/// Both work in turns, at an address of its own each time.
async fn turns(
    size: &str,
    what: &str,
    bare: &Bare,
    ours: &Ours,
    work: impl AsyncFn(&dyn Way, u64) -> f64,
) {
    let (mut bares, mut ourses, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS as u64 {
        let turn = fresh(turn);
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
    let [bare, ours, ratio] = [bares, ourses, ratios].map(median);
    println!("| {size} | {what} | {bare:.0} | {ours:.0} | {ratio:.2} |");
}

/// A number that no turn had before.
fn fresh(turn: u64) -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) * 1000 + turn
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn latencies(size: &str, len: usize, bare: &Bare, ours: &Ours) {
    const ROUNDS: usize = 2000;
    let mut times = [Vec::new(), Vec::new()];
    let turn = fresh(0);
    let ways: [&dyn Way; 2] = [bare, ours];
    let mut readers = [bare.read(turn).await, ours.read(turn).await];
    let payload = Bytes::from(vec![7; len]);
    for round in 0..ROUNDS as u64 + 200 {
        for (one, way) in ways.iter().enumerate() {
            let start = Instant::now();
            way.publish(turn, round, payload.clone()).await;
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

async fn publish(way: &dyn Way, turn: u64, len: usize, window: usize, count: usize) {
    let payload = Bytes::from(vec![7; len]);
    let mut on_the_way = FuturesUnordered::new();
    for number in 0..count as u64 {
        if on_the_way.len() >= window {
            on_the_way.next().await;
        }
        on_the_way.push(way.publish(turn, number, payload.clone()));
    }
    while on_the_way.next().await.is_some() {}
}

/// Something that keeps payloads at an address, and gives them.
trait Way {
    /// Answers when the server has acknowledged it.
    fn publish(&self, turn: u64, number: u64, payload: Bytes) -> BoxFuture<'_, ()>;
    /// All that was published and will be, over another connection.
    fn read(&self, turn: u64) -> BoxFuture<'_, Box<dyn Reading>>;
}

trait Reading: Send {
    fn next(&mut self) -> BoxFuture<'_, ()>;
}

struct Ours {
    publisher: NatsService,
    reader: NatsService,
}

impl Ours {
    async fn new(server: &NatsServer) -> Self {
        let url = format!("{}/?max_bytes=4000000000", server.url());
        Self {
            publisher: NatsService::connect(&url).await.unwrap(),
            reader: NatsService::connect(&url).await.unwrap(),
        }
    }
}

fn address(turn: u64) -> DeliveryAddress {
    DeliveryAddress::new(format!("address {turn}")).unwrap()
}

impl Way for Ours {
    fn publish(&self, turn: u64, number: u64, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut request = PublishRequest::new(address(turn), payload);
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            request.id = Some(PayloadId(id));
            let outcome = self.publisher.publish(request).await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        })
    }

    fn read(&self, turn: u64) -> BoxFuture<'_, Box<dyn Reading>> {
        Box::pin(async move {
            let mut subscription = self.reader.subscribe().await.unwrap();
            subscription
                .add(address(turn), Start::Earliest)
                .await
                .unwrap();
            Box::new(OurReading(subscription)) as _
        })
    }
}

struct OurReading(Box<dyn Subscription>);

impl Reading for OurReading {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.next().await.unwrap();
        })
    }
}

struct Bare {
    publisher: Context,
    reader: Context,
}

impl Bare {
    async fn new(server: &NatsServer) -> Self {
        let connect = async || {
            let client = async_nats::connect(server.url()).await.unwrap();
            async_nats::jetstream::new(client)
        };
        let (publisher, reader) = (connect().await, connect().await);
        let config = stream::Config {
            name: "bare".into(),
            subjects: vec!["bare.*".into()],
            max_bytes: 4_000_000_000,
            duplicate_window: Duration::from_secs(120),
            ..stream::Config::default()
        };
        publisher.create_stream(config).await.unwrap();
        Self { publisher, reader }
    }
}

impl Way for Bare {
    fn publish(&self, turn: u64, number: u64, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", format!("{turn:016}{number:06}"));
            let subject = format!("bare.{turn:032}");
            let publishing = self
                .publisher
                .publish_with_headers(subject, headers, payload);
            publishing.await.unwrap().await.unwrap();
        })
    }

    fn read(&self, turn: u64) -> BoxFuture<'_, Box<dyn Reading>> {
        Box::pin(async move {
            let stream = self.reader.get_stream("bare").await.unwrap();
            let config = push::OrderedConfig {
                deliver_subject: self.reader.client().new_inbox(),
                filter_subject: format!("bare.{turn:032}"),
                deliver_policy: DeliverPolicy::All,
                ..push::OrderedConfig::default()
            };
            let consumer = stream.create_consumer(config).await.unwrap();
            Box::new(BareReading(consumer.messages().await.unwrap())) as _
        })
    }
}

struct BareReading(push::Ordered);

impl Reading for BareReading {
    fn next(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.next().await.unwrap().unwrap();
        })
    }
}
