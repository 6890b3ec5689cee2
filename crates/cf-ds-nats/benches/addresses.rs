//! One client with many addresses: how long it takes until it listens at all of them,
//! what they cost the server, and how fast what is published comes.
//!
//! `cargo bench -p cf-ds-nats --bench addresses -- 10000` prints the table of
//! docs/benchmarks.md.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails shows where")]

use std::path::Path;
use std::time::{Duration, Instant};

use cf_core::{DeliveryAddress, DeliveryService, Outcome, PublishRequest, Start, Subscription};
use cf_ds_nats::NatsService;
use cf_testkit::servers::NatsServer;
use futures_util::StreamExt;
use tokio::time::sleep;

/// How many publishes are not acknowledged at most.
const WINDOW: usize = 256;
const ROUNDS: usize = 2000;

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(10_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(count));
}

async fn measure(count: usize) {
    let server = NatsServer::start();
    let saro = NatsService::connect(&server.url()).await.unwrap();
    let raya = NatsService::connect(&server.url()).await.unwrap();
    println!("| {count} addresses of one client | |\n|---|---|");

    // One address before, on a server that is warm.
    let mut one = raya.subscribe().await.unwrap();
    one.add(address(0), Start::Earliest).await.unwrap();
    let alone = latencies(&saro, &mut *one, 1).await;
    drop(one);
    sleep(Duration::from_secs(2)).await;

    let memory = resident(&server);
    let mut subscription = raya.subscribe().await.unwrap();
    let start = Instant::now();
    for number in 0..count {
        subscription
            .add(address(number), Start::Latest)
            .await
            .unwrap();
    }
    let latest = start.elapsed();
    drop(subscription);
    let mut subscription = raya.subscribe().await.unwrap();
    let start = Instant::now();
    for number in 0..count {
        subscription
            .add(address(number), Start::Earliest)
            .await
            .unwrap();
    }
    let added = start.elapsed();
    // What is published now comes after all that was asked at the start.
    let last = publish(&saro, count - 1).await;
    while subscription.next().await.unwrap().cursor != Some(last.clone()) {}
    println!(
        "| set up, from the earliest payload: all told | {:.2} s |",
        added.as_secs_f64()
    );
    println!(
        "| and the last one heard | {:.2} s |",
        start.elapsed().as_secs_f64()
    );
    println!(
        "| set up, from the next payload, one after the other | {:.2} s |",
        latest.as_secs_f64()
    );
    sleep(Duration::from_secs(2)).await;
    let listening = resident(&server);
    println!(
        "| memory of the server, each | {:.2} KiB |",
        (listening - memory) / count as f64
    );

    // A payload for each.
    let start = Instant::now();
    let publishing = async {
        let publishes = (0..count).map(|number| publish(&saro, number));
        let mut publishes = futures_util::stream::iter(publishes).buffer_unordered(WINDOW);
        while publishes.next().await.is_some() {}
    };
    let reading = async {
        for _ in 0..count {
            subscription.next().await.unwrap();
        }
    };
    tokio::join!(publishing, reading);
    println!(
        "| a payload to each, all delivered | {:.2} s |",
        start.elapsed().as_secs_f64()
    );
    println!(
        "| memory with a payload at each, each | {:.2} KiB |",
        (resident(&server) - memory) / count as f64
    );
    println!(
        "| disk for each payload of 256 B | {:.2} KiB |",
        disk(server.folder()) as f64 / 1024.0 / count as f64
    );
    let all = latencies(&saro, &mut *subscription, count).await;
    println!(
        "| from publish until it came, p50 / p99 | {} µs |",
        show(all)
    );
    println!("| the same with one address | {} µs |", show(alone));
    // A client that starts again where it was: every address has something to ask.
    drop(subscription);
    let mut subscription = raya.subscribe().await.unwrap();
    let start = Instant::now();
    for number in 0..count {
        subscription
            .add(address(number), Start::Earliest)
            .await
            .unwrap();
    }
    for _ in 0..count {
        subscription.next().await.unwrap();
    }
    println!(
        "| set up, with a payload that waits at each, all delivered | {:.2} s |",
        start.elapsed().as_secs_f64()
    );
}

fn address(number: usize) -> DeliveryAddress {
    DeliveryAddress::new(format!("address {number}")).unwrap()
}

async fn publish(service: &NatsService, number: usize) -> cf_core::Cursor {
    let request = PublishRequest::new(address(number), vec![7; 256]);
    match service.publish(request).await {
        Outcome::Accepted { cursor } => cursor.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// p50 and p99 in microseconds, each time at another address.
async fn latencies(
    saro: &NatsService,
    subscription: &mut dyn Subscription,
    count: usize,
) -> (f64, f64) {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let start = Instant::now();
        let cursor = publish(saro, round * 7919 % count).await;
        while subscription.next().await.unwrap().cursor != Some(cursor.clone()) {}
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    (micros(times[ROUNDS / 2]), micros(times[ROUNDS * 99 / 100]))
}

fn show((half, most): (f64, f64)) -> String {
    format!("{half:.0} / {most:.0}")
}

/// What the blocks of messages in a folder take, in bytes.
fn disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let len = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => disk(&path),
        path if path.extension().is_some_and(|end| end == "blk") => entry.metadata().unwrap().len(),
        _ => 0,
    };
    entries.map(len).sum()
}

/// The server's resident memory, in KiB.
fn resident(server: &NatsServer) -> f64 {
    let status = format!("/proc/{}/status", server.pid().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
