use std::path::Path;

use bytes::Bytes;
use cf_core::{Condition, Cursor, DeliveryService, Outcome, PublishRequest};
use cf_ds::LocalService;
use tempfile::TempDir;

use super::process::{Process, say};
use super::{LocalOptions, all, open};
use crate::address;

const PROCESSES: usize = 4;
const WRITERS: usize = 2;
const STEPS: usize = 40;

/// Every payload names the cursor that its writer saw last: if conditions are
/// kept across processes, the payloads are one chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_linearizable_across_processes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("chain.db");
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| Process::start("chain", &path, ""))
        .collect();
    let conflicts: u64 = processes
        .into_iter()
        .flat_map(Process::wait)
        .map(|line| line.parse::<u64>().unwrap())
        .sum();
    assert!(conflicts > 0, "the writers never met");
    let mut before = Bytes::new();
    let chain = all(&open(&path, LocalOptions::default()), "chain").await;
    assert_eq!(chain.len(), PROCESSES * WRITERS * STEPS);
    for delivery in chain {
        assert_eq!(delivery.payload, before);
        before = Bytes::copy_from_slice(delivery.cursor.unwrap().as_bytes());
    }
}

/// What each process does.
pub(super) async fn write(path: &Path) {
    let service = LocalService::open(path).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(append(service.clone()));
    }
    let conflicts: u64 = writers.join_all().await.into_iter().sum();
    say(&conflicts.to_string());
}

async fn append(service: LocalService) -> u64 {
    let mut last: Option<Cursor> = None;
    let (mut steps, mut conflicts) = (0, 0);
    while steps < STEPS {
        let named = last.as_ref().map_or(&[][..], Cursor::as_bytes).to_vec();
        let mut request = PublishRequest::new(address("chain"), named);
        request.condition = Some(last.take().map_or(Condition::Empty, Condition::LastIs));
        match service.publish(request).await {
            Outcome::Accepted { cursor } => {
                last = cursor;
                steps += 1;
            }
            Outcome::Conflict { current } => {
                last = current;
                conflicts += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    conflicts
}
