use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use cf_core::{Cursor, DeliveryService, Start};
use cf_ds::LocalService;
use cf_testkit::SeededRandom;
use tempfile::TempDir;
use tokio::time::sleep;

use super::process::{Process, say};
use super::{LocalOptions, all, check_integrity, open, publish, sequence};
use crate::address;

const ADDRESSES: [&str; 3] = ["a", "b", "c"];
const KILLS: usize = 48;

/// Processes publish and subscribe and are killed at any time. What one was told
/// is accepted is there once, at the place that it was told, in order; what a
/// subscriber got across its lives is all of it, once and in order.
#[tokio::test]
async fn killed_processes_lose_nothing_and_harm_nobody() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("kill.db");
    let random = &mut SeededRandom::new(7);
    let publisher = |generation: usize| Process::start("publish", &path, &generation.to_string());
    let mut publishers: Vec<_> = (0..3).map(publisher).collect();
    let mut said = Vec::new();
    let mut got: Vec<String> = Vec::new();
    let mut subscriber = Process::start("subscribe", &path, "");
    for generation in 3..3 + KILLS {
        // Some die while they open the file, some while they write.
        sleep(Duration::from_millis(random.below(60))).await;
        if generation % 4 == 0 {
            got.extend(subscriber.kill());
            let read = ADDRESSES.map(|name| last_of(&got, name));
            subscriber = Process::start("subscribe", &path, &read.join(","));
        } else {
            let victim = random.below(3) as usize;
            let victim = std::mem::replace(&mut publishers[victim], publisher(generation));
            said.extend(victim.kill());
        }
    }
    said.extend(publishers.into_iter().flat_map(Process::kill));
    check_integrity(&path);
    let service = open(&path, LocalOptions::default());
    for name in ADDRESSES {
        let end = publish(&service, name, "end").await;
        while last_of(&got, name) != hex(&end) {
            got.push(subscriber.line());
        }
    }
    drop(subscriber);
    let mut accepted = 0;
    for name in ADDRESSES {
        let log = all(&service, name).await;
        let lines: Vec<_> = log
            .iter()
            .map(|delivery| {
                let payload = String::from_utf8_lossy(&delivery.payload).into_owned();
                format!(
                    "{name} {} {payload}",
                    hex(delivery.cursor.as_ref().unwrap())
                )
            })
            .collect();
        for (index, delivery) in log.iter().enumerate() {
            let sequence = sequence(delivery.cursor.as_ref().unwrap());
            assert_eq!(sequence, index as u64 + 1, "no gap");
        }
        let there: HashSet<_> = log.iter().map(|delivery| &delivery.payload).collect();
        assert_eq!(there.len(), log.len(), "each once");
        let lines_there: HashSet<_> = lines.iter().collect();
        for line in said.iter().filter(|line| line.starts_with(name)) {
            assert!(
                lines_there.contains(line),
                "{line} was accepted and is gone"
            );
            accepted += 1;
        }
        let mut last: HashMap<&str, u64> = HashMap::new();
        for line in &lines[..lines.len() - 1] {
            let (writer, number) = line.rsplit(' ').next().unwrap().split_once(':').unwrap();
            let number = number.parse().unwrap();
            let before = last.insert(writer, number);
            assert!(before < Some(number), "{line} is after {before:?}");
        }
        let got: Vec<_> = got.iter().filter(|line| line.starts_with(name)).collect();
        assert_eq!(
            got,
            lines.iter().collect::<Vec<_>>(),
            "what a subscriber got"
        );
    }
    println!("{KILLS} kills, {accepted} accepted, {} got", got.len());
    assert!(accepted > KILLS, "the processes hardly lived");
}

/// The cursor of the last line about an address.
fn last_of(lines: &[String], name: &str) -> String {
    let mut of_name = lines.iter().rev().filter(|line| line.starts_with(name));
    let line = of_name.next();
    line.map_or("", |line| line.split(' ').nth(1).unwrap())
        .to_owned()
}

/// A publisher: says what was accepted, and where.
pub(super) async fn publish_all(path: &Path, generation: &str) {
    let service = LocalService::open(path).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for name in ADDRESSES {
        let (service, generation) = (service.clone(), generation.to_owned());
        tasks.spawn(async move {
            for number in 0u64.. {
                let payload = format!("{generation}:{number}");
                let cursor = publish(&service, name, payload.clone()).await;
                say(&format!("{name} {} {payload}", hex(&cursor)));
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    tasks.join_all().await;
}

/// A subscriber: says what it got, and goes on where it was told.
pub(super) async fn subscribe_all(path: &Path, read: &str) {
    let service = LocalService::open(path).unwrap();
    let mut subscription = service.subscribe().await.unwrap();
    let mut read = read.split(',');
    for name in ADDRESSES {
        let start = match read.next() {
            None | Some("") => Start::Earliest,
            Some(cursor) => Start::After(unhex(cursor)),
        };
        subscription.add(address(name), start).await.unwrap();
    }
    loop {
        let delivery = subscription.next().await.unwrap();
        let name = String::from_utf8_lossy(delivery.address.as_bytes());
        let payload = String::from_utf8_lossy(&delivery.payload);
        say(&format!(
            "{name} {} {payload}",
            hex(&delivery.cursor.unwrap())
        ));
    }
}

fn hex(cursor: &Cursor) -> String {
    let bytes = cursor.as_bytes().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Cursor {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let bytes: Vec<_> = (0..text.len()).step_by(2).map(byte).collect();
    Cursor::new(bytes).unwrap()
}
