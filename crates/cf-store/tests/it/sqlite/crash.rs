use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cf_core::{Batch, Scan, Store};
use cf_testkit::SeededRandom;

use super::{create, open};

const CHILD: &str = "CF_STORE_CHILD";
const KILLS: u64 = 20;

/// Not a test of its own: what the killed process runs.
#[test]
fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = open(Path::new(&path)).unwrap();
    let mut number = count(&store);
    loop {
        number += 1;
        let mut batch = Batch::default();
        let value = number.to_be_bytes().to_vec();
        batch.put("left", "counter", value.clone());
        batch.put("#log", value.clone(), vec![0; 300]);
        batch.put("right", "counter", value);
        store.commit(&batch).unwrap();
        println!("committed {number}");
    }
}

#[test]
fn a_killed_process_leaves_whole_commits_and_all_that_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("store.db");
    drop(create(&path));
    let random = &mut SeededRandom::new(3);
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sqlite::crash::the_process_that_is_killed",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = 0;
        let mut read = |lines: &mut dyn Iterator<Item = std::io::Result<String>>| {
            for line in lines {
                // A line may be cut off by the kill.
                let number = line
                    .unwrap()
                    .strip_prefix("committed ")
                    .and_then(|n| n.parse().ok());
                told = number.unwrap_or(told);
                if told > 0 {
                    return;
                }
            }
        };
        read(&mut lines);
        std::thread::sleep(Duration::from_millis(random.below(60)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            read(&mut std::iter::once(line));
        }
        let store = open(&path).unwrap();
        let last = count(&store);
        assert!(told > 0 && last >= told, "told {told}, found {last}");
        assert_eq!(
            store.get(b"right", b"counter").unwrap().unwrap(),
            last.to_be_bytes()[..]
        );
        let log = store.scan(b"#log", &Scan::prefix("")).unwrap();
        assert_eq!(log.len() as u64, last);
        assert_eq!(log.last().unwrap().0, last.to_be_bytes()[..]);
    }
}

fn count(store: &dyn Store) -> u64 {
    let counter = store.get(b"left", b"counter").unwrap();
    counter.map_or(0, |counter| {
        u64::from_be_bytes(counter[..].try_into().unwrap())
    })
}
