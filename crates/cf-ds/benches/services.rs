//! Each service beside the bare engine that it stands on, in one run: memory/1
//! beside a tokio channel, local/1 beside rusqlite with the same durability.
//!
//! `cargo bench -p cf-ds --features local` prints the tables of docs/benchmarks.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(
    clippy::async_yields_async,
    reason = "a listener is subscribed first, and listens later"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cf_core::{
    BoxFuture, DeliveryAddress, DeliveryService, Outcome, PublishRequest, Start, Subscription,
};
use cf_ds::{LocalService, MemoryService};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

const SIZES: [(&str, usize); 2] = [("256 B", 256), ("16 KiB", 16 * 1024)];
const SUBSCRIBERS: [usize; 3] = [1, 10, 1000];
/// How many publishes are in flight for the rates.
const WINDOW: usize = 256;
const RATE_PAYLOADS: usize = 40_000;

/// Makes this binary the other process, that echoes what is in the named file.
const ECHO: &str = "CF_DS_BENCH_ECHO";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Some(path) = std::env::var_os(ECHO) {
        return runtime.block_on(echo(path.as_ref()));
    }
    runtime.block_on(async {
        println!("From publish to the last subscriber, µs, p50 / p99; ratio of the p50s\n");
        println!(
            "| payload | subscribers | channel | memory/1 | ratio | rusqlite | local/1 | ratio |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for (size, len) in SIZES {
            for subscribers in SUBSCRIBERS {
                latencies(size, len, subscribers).await;
            }
        }
        println!("\nPublishes a second, one at a time and {WINDOW} in flight, no subscriber\n");
        println!("| payload | in flight | memory/1 | rusqlite | local/1 | rusqlite / local/1 |");
        println!("|---|---|---|---|---|---|");
        for (size, len) in SIZES {
            for window in [1, WINDOW] {
                rates(size, len, window).await;
            }
        }
        println!("\nlocal/1 while nothing happens\n");
        println!("| what | figure |\n|---|---|");
        for subscriptions in [0, 1, 1000] {
            idle(subscriptions).await;
        }
        between_processes().await;
    });
}

// ---- latency ---------------------------------------------------------------------

async fn latencies(size: &str, len: usize, subscribers: usize) {
    let rounds = if subscribers > 100 { 300 } else { 3000 };
    let folder = TempDir::new().expect("a folder");
    let channel = measure(&Channel::new(), len, subscribers, rounds).await;
    let memory = MemoryService::new("bench").expect("a name");
    let memory = measure(&Service(Arc::new(memory)), len, subscribers, rounds).await;
    let bare = measure(&Bare::new(&folder), len, subscribers, rounds).await;
    let local = LocalService::open(folder.path().join("local.db")).expect("a file");
    let local = measure(&Service(Arc::new(local)), len, subscribers, rounds).await;
    let show = |(half, most): (f64, f64)| format!("{half:.1} / {most:.1}");
    println!(
        "| {size} | {subscribers} | {} | {} | {:.2} | {} | {} | {:.2} |",
        show(channel),
        show(memory),
        memory.0 / channel.0,
        show(bare),
        show(local),
        local.0 / bare.0
    );
}

/// Something that carries payloads to everybody who listens.
trait Way {
    fn publish(&self, payload: Bytes) -> BoxFuture<'_, ()>;
    /// Calls `received` for each payload, until it is dropped.
    fn listen(&self, received: Arc<Received>) -> BoxFuture<'_, BoxFuture<'static, ()>>;
}

/// Counts until everybody has a payload.
struct Received {
    missing: AtomicUsize,
    all: Notify,
}

impl Received {
    fn one(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all.notify_one();
        }
    }
}

/// p50 and p99, in microseconds.
async fn measure(way: &dyn Way, len: usize, subscribers: usize, rounds: usize) -> (f64, f64) {
    let received = Arc::new(Received {
        missing: AtomicUsize::new(0),
        all: Notify::new(),
    });
    let mut listeners = JoinSet::new();
    for _ in 0..subscribers {
        listeners.spawn(way.listen(received.clone()).await);
    }
    let payload = Bytes::from(vec![7; len]);
    let mut taken = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 10 {
        received.missing.store(subscribers, Ordering::Release);
        let start = Instant::now();
        way.publish(payload.clone()).await;
        received.all.notified().await;
        if round >= rounds / 10 {
            taken.push(start.elapsed());
        }
    }
    taken.sort_unstable();
    let micros = |at: usize| taken[at.min(rounds - 1)].as_secs_f64() * 1e6;
    (micros(rounds / 2), micros(rounds * 99 / 100))
}

struct Service(Arc<dyn DeliveryService>);

fn address() -> DeliveryAddress {
    DeliveryAddress::new("bench").expect("an address")
}

impl Way for Service {
    fn publish(&self, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let outcome = self
                .0
                .publish(PublishRequest::new(address(), payload))
                .await;
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        })
    }

    fn listen(&self, received: Arc<Received>) -> BoxFuture<'_, BoxFuture<'static, ()>> {
        Box::pin(async move {
            let mut subscription = self.0.subscribe().await.expect("a subscription");
            subscription
                .add(address(), Start::Latest)
                .await
                .expect("an address");
            let listening = async move {
                while subscription.next().await.is_ok() {
                    received.one();
                }
            };
            Box::pin(listening) as _
        })
    }
}

/// A tokio channel, and nothing else.
struct Channel(broadcast::Sender<Bytes>);

impl Channel {
    fn new() -> Self {
        Self(broadcast::Sender::new(1024))
    }
}

impl Way for Channel {
    fn publish(&self, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.0.send(payload)) })
    }

    fn listen(&self, received: Arc<Received>) -> BoxFuture<'_, BoxFuture<'static, ()>> {
        let mut channel = self.0.subscribe();
        Box::pin(async move {
            let listening = async move {
                while channel.recv().await.is_ok() {
                    received.one();
                }
            };
            Box::pin(listening) as _
        })
    }
}

/// A row inserted in a transaction of its own and read back, then a channel.
struct Bare {
    database: Mutex<Connection>,
    channel: Channel,
}

impl Bare {
    fn new(folder: &TempDir) -> Self {
        Self {
            database: Mutex::new(database(folder)),
            channel: Channel::new(),
        }
    }
}

fn database(folder: &TempDir) -> Connection {
    let database = Connection::open(folder.path().join("bare.db")).expect("a file");
    database
        .pragma_update(None, "journal_mode", "WAL")
        .expect("a setting");
    database
        .pragma_update(None, "synchronous", "NORMAL")
        .expect("a setting");
    let schema = "CREATE TABLE IF NOT EXISTS payloads (id INTEGER PRIMARY KEY, payload BLOB)";
    database.execute(schema, []).expect("a table");
    database
}

const INSERT: &str = "INSERT INTO payloads (payload) VALUES (?)";

impl Way for Bare {
    fn publish(&self, payload: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let database = self.database.lock();
            database.execute(INSERT, [&payload[..]]).expect("a row");
            let select = "SELECT payload FROM payloads WHERE id = ?";
            let id = [database.last_insert_rowid()];
            let read: Vec<u8> = database
                .query_row(select, id, |row| row.get(0))
                .expect("a row");
            drop(self.channel.0.send(read.into()));
        })
    }

    fn listen(&self, received: Arc<Received>) -> BoxFuture<'_, BoxFuture<'static, ()>> {
        self.channel.listen(received)
    }
}

// ---- rate ------------------------------------------------------------------------

async fn rates(size: &str, len: usize, window: usize) {
    let count = if len > 1024 {
        RATE_PAYLOADS / 10
    } else {
        RATE_PAYLOADS
    };
    let count = if window == 1 { count / 4 } else { count };
    let folder = TempDir::new().expect("a folder");
    let memory = rate(
        &MemoryService::new("bench").expect("a name"),
        len,
        window,
        count,
    )
    .await;
    let bare = bare_rate(&folder, len, window, count);
    let local = LocalService::open(folder.path().join("local.db")).expect("a file");
    let local = rate(&local, len, window, count).await;
    println!(
        "| {size} | {window} | {memory:.0} | {bare:.0} | {local:.0} | {:.2} |",
        bare / local
    );
}

fn per_second(count: usize, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}

async fn rate(service: &dyn DeliveryService, len: usize, window: usize, count: usize) -> f64 {
    let payload = Bytes::from(vec![7; len]);
    let start = Instant::now();
    let mut publishing = FuturesUnordered::new();
    for _ in 0..count {
        if publishing.len() >= window {
            let outcome = publishing.next().await;
            assert!(
                matches!(outcome, Some(Outcome::Accepted { .. })),
                "{outcome:?}"
            );
        }
        publishing.push(service.publish(PublishRequest::new(address(), payload.clone())));
    }
    while publishing.next().await.is_some() {}
    per_second(count, start.elapsed())
}

/// As many rows in each transaction as the service has in flight.
fn bare_rate(folder: &TempDir, len: usize, window: usize, count: usize) -> f64 {
    let mut database = database(folder);
    let payload = vec![7; len];
    let start = Instant::now();
    for _ in 0..count / window {
        let transaction = database.transaction().expect("a transaction");
        {
            let mut insert = transaction.prepare_cached(INSERT).expect("a statement");
            for _ in 0..window {
                insert.execute([&payload]).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
    }
    per_second(count / window * window, start.elapsed())
}

// ---- a quiet service ---------------------------------------------------------------

/// What so many subscriptions that wait cost.
async fn idle(subscriptions: usize) {
    const LENGTH: Duration = Duration::from_secs(2);
    let folder = TempDir::new().expect("a folder");
    let service = LocalService::open(folder.path().join("local.db")).expect("a file");
    let mut waiting = JoinSet::new();
    for _ in 0..subscriptions {
        let mut subscription = subscription(&service, "quiet").await;
        waiting.spawn(async move { drop(subscription.next().await) });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = processor_time();
    tokio::time::sleep(LENGTH).await;
    let taken = (processor_time() - before).as_secs_f64() / LENGTH.as_secs_f64();
    println!(
        "| {subscriptions} subscriptions wait | {:.2} % of a core |",
        taken * 100.0
    );
}

/// What all threads of this process have taken; only Linux says so.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanos = threads.flatten().filter_map(|thread| {
        let times = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// From a process to another one that was idle, and back: half of that.
async fn between_processes() {
    const ROUNDS: usize = 400;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("local.db");
    let service = Service(Arc::new(LocalService::open(&path).expect("a file")));
    let mut answers = subscription(&*service.0, "back").await;
    let mut other = std::process::Command::new(std::env::current_exe().expect("a path"))
        .env(ECHO, &path)
        .spawn()
        .expect("a process");
    answers.next().await.expect("the other is ready");
    let mut taken = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS as u64 {
        tokio::time::sleep(Duration::from_micros(8_000 + round * 37 % 5_000)).await;
        let start = Instant::now();
        service.publish(Bytes::from_static(b"there")).await;
        answers.next().await.expect("an answer");
        taken.push(start.elapsed() / 2);
    }
    other.kill().and_then(|()| other.wait()).expect("its end");
    taken.sort_unstable();
    let millis = |at: usize| taken[at].as_secs_f64() * 1e3;
    println!(
        "| from one idle process to another, p50 / p99 | {:.1} / {:.1} ms |",
        millis(ROUNDS / 2),
        millis(ROUNDS * 99 / 100)
    );
}

async fn echo(path: &std::path::Path) {
    let service = LocalService::open(path).expect("a file");
    let mut subscription = subscription(&service, "bench").await;
    loop {
        let back = DeliveryAddress::new("back").expect("an address");
        let outcome = service.publish(PublishRequest::new(back, "echo")).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        subscription.next().await.expect("a payload");
    }
}

async fn subscription(service: &dyn DeliveryService, to: &'static str) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.expect("a subscription");
    let address = DeliveryAddress::new(to).expect("an address");
    let added = subscription.add(address, Start::Latest).await;
    added.expect("an address");
    subscription
}
