use std::fs;

use cf_core::{Batch, Store};

use super::{create, open};

#[test]
fn the_files_show_no_namespace_key_or_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let words = ["secret namespace", "secret key", "secret value"];
    let write = |store: &dyn Store, round: u8| {
        let mut batch = Batch::default();
        for number in 0..100_u8 {
            let key = [words[1].as_bytes(), &[number]].concat();
            let value = [words[2].as_bytes(), &[round; 300]].concat();
            batch.put(words[0], key, value);
            let key = u64::from(number).to_be_bytes().to_vec();
            batch.put("#secret log", key, words[2]);
        }
        store.commit(&batch).unwrap();
    };
    let shows = |what: &str| {
        let mut found: Vec<&str> = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let within = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
            found.extend(words.into_iter().filter(|word| within(word.as_bytes())));
            assert!(!within(b"#secret log") && !within(&[7; 32]), "{what}");
        }
        assert!(found.is_empty(), "{what}: {found:?}");
    };
    let store = create(&path);
    write(&store, 1);
    shows("while it is open");
    write(&store, 2);
    drop(store);
    shows("after it was closed");
    let store = open(&path).unwrap();
    let mut batch = Batch::default();
    batch.delete(words[0], [words[1].as_bytes(), &[1]].concat());
    store.commit(&batch).unwrap();
    shows("after a deletion");
}

/// Equal entries do not look alike, neither in two places nor in two versions.
#[test]
fn equal_values_share_no_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = create(&path);
    for _ in 0..2 {
        let mut batch = Batch::default();
        for number in 0..50_u8 {
            batch.put("n", vec![number], vec![0; 200]);
        }
        store.commit(&batch).unwrap();
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    let mut entries = connection.prepare("SELECT entry FROM entries").unwrap();
    let entries = entries
        .query_map([], |row| row.get::<_, Vec<u8>>(0))
        .unwrap();
    let mut seen = std::collections::HashSet::new();
    for entry in entries {
        for part in entry.unwrap().windows(8) {
            assert!(seen.insert(part.to_vec()), "bytes were repeated");
        }
    }
    assert!(seen.len() > 10_000);
}
