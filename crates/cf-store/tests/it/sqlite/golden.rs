use std::fs;
use std::path::Path;

use cf_core::{Batch, Scan, Secret, Store};
use cf_store::{PassphraseCost, SqliteOptions, SqliteStore, Unlock};

use super::key;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn unlocks() -> [(&'static str, Unlock); 2] {
    let passphrase = Unlock::Passphrase(Secret::from(&b"golden tea"[..]));
    [
        ("store-1-key.db", key(7)),
        ("store-1-passphrase.db", passphrase),
    ]
}

/// What every later build must still read. `CF_GOLDEN=make` makes a file that is
/// missing; one that is there is never made again.
#[test]
fn every_later_version_opens_the_stores_of_version_1() {
    for (name, unlock) in unlocks() {
        let golden = Path::new(FOLDER).join(name);
        if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !golden.exists() {
            make(&golden, &unlock);
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(name);
        fs::copy(&golden, &copy).unwrap();
        let store = SqliteStore::open(&copy, &unlock, SqliteOptions::default()).unwrap();
        assert_eq!(
            store.get(b"contacts", b"raya").unwrap().unwrap(),
            "likes tea"
        );
        assert_eq!(store.get(b"contacts", b"oscar").unwrap(), None);
        let log = store.scan(b"#log", &Scan::prefix("")).unwrap();
        assert_eq!(log.len(), 3);
        for (index, (number, value)) in log.iter().enumerate() {
            assert_eq!(number[..], (index as u64 + 1).to_be_bytes());
            assert_eq!(value.len(), index * 1000);
        }
    }
}

fn make(path: &Path, unlock: &Unlock) {
    let options = SqliteOptions {
        passphrase_cost: PassphraseCost {
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        },
        ..SqliteOptions::default()
    };
    let store = SqliteStore::create(path, unlock, options).unwrap();
    let mut batch = Batch::default();
    batch.put("contacts", "raya", "likes tea");
    batch.put("contacts", "oscar", "is gone");
    for index in 0..3_usize {
        let number = (index as u64 + 1).to_be_bytes().to_vec();
        batch.put("#log", number, vec![1; index * 1000]);
    }
    batch.delete("contacts", "oscar");
    store.commit(&batch).unwrap();
    drop(store);
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    fs::remove_file(lock).unwrap();
}
