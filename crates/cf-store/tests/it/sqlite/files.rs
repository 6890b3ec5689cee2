use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cf_core::{Batch, Error, ErrorKind, Secret, Store};
use cf_store::{KeyFile, PassphraseCost, SqliteOptions, SqliteStore, Unlock};
use tempfile::TempDir;

use super::{create, key, open};

/// A store with one entry, closed.
fn closed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = create(&path);
    let mut batch = Batch::default();
    for number in 0..100_u8 {
        batch.put("n", vec![number], vec![number; 500]);
    }
    store.commit(&batch).unwrap();
    (folder, path)
}

/// Opening gives this kind and words, and leaves every byte as it was.
fn refused(path: &Path, unlock: &Unlock, kind: ErrorKind, says: &str) {
    let before = fs::read(path).unwrap();
    let error = SqliteStore::open(path, unlock, SqliteOptions::default()).unwrap_err();
    check(&error, kind, says);
    assert!(
        fs::read(path).unwrap() == before,
        "the file was changed: {says}"
    );
}

fn check(error: &Error, kind: ErrorKind, says: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn read_back(path: &Path) {
    let store = open(path).unwrap();
    assert_eq!(store.get(b"n", &[9]).unwrap().unwrap(), [9; 500][..]);
}

#[test]
fn a_wrong_key_opens_nothing() {
    let (_folder, path) = closed();
    refused(&path, &key(8), ErrorKind::Rejected, "key or passphrase");
    let passphrase = Unlock::Passphrase(Secret::from(&b"tea"[..]));
    refused(&path, &passphrase, ErrorKind::Misuse, "opens with a key");
    read_back(&path);
}

#[test]
fn a_passphrase_opens_what_it_closed_and_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let passphrase = |text: &str| Unlock::Passphrase(Secret::from(text.as_bytes()));
    let mut options = SqliteOptions {
        passphrase_cost: PassphraseCost {
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        },
        ..SqliteOptions::default()
    };
    let store = SqliteStore::create(&path, &passphrase("tea"), options.clone()).unwrap();
    let mut batch = Batch::default();
    batch.put("n", "key", "value");
    store.commit(&batch).unwrap();
    drop(store);
    refused(
        &path,
        &passphrase("coffee"),
        ErrorKind::Rejected,
        "key or passphrase",
    );
    refused(&path, &key(7), ErrorKind::Misuse, "opens with a passphrase");
    let store = SqliteStore::open(&path, &passphrase("tea"), options.clone()).unwrap();
    store.change_unlock(&passphrase("coffee")).unwrap();
    drop(store);
    let store = SqliteStore::open(&path, &passphrase("coffee"), options.clone()).unwrap();
    assert_eq!(store.get(b"n", b"key").unwrap().unwrap(), "value");
    drop(store);
    refused(
        &path,
        &passphrase("tea"),
        ErrorKind::Rejected,
        "key or passphrase",
    );
    options.passphrase_cost.memory_kib = 1 << 30;
    let other = SqliteStore::create(&folder.path().join("other.db"), &passphrase("tea"), options);
    check(&other.unwrap_err(), ErrorKind::Misuse, "1 GiB");
}

#[test]
fn other_files_are_told_apart() {
    let (folder, path) = closed();
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 20_000, "the store fits in one page");
    let path = folder.path().join("other.db");
    let cut = |len: usize| fs::write(&path, &whole[..len]).unwrap();
    cut(whole.len() - 5_000);
    refused(&path, &key(7), ErrorKind::Other, "damaged");
    cut(2_000);
    refused(&path, &key(7), ErrorKind::Other, "damaged");
    cut(0);
    refused(&path, &key(7), ErrorKind::Misuse, "not a store");
    fs::write(&path, "Dear diary, ").unwrap();
    refused(&path, &key(7), ErrorKind::Misuse, "not a store");
    let create = SqliteStore::create(&path, &key(7), SqliteOptions::default());
    check(&create.unwrap_err(), ErrorKind::Misuse, "not a store");
    fs::remove_file(&path).unwrap();
    check(&open(&path).unwrap_err(), ErrorKind::Other, "No such file");

    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TABLE tea (leaves)")
        .unwrap();
    drop(connection);
    refused(&path, &key(7), ErrorKind::Misuse, "not a store");
    fs::write(&path, &whole).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    refused(&path, &key(7), ErrorKind::Unsupported, "newer version");
}

#[test]
fn a_changed_or_moved_entry_does_not_open() {
    let (folder, path) = closed();
    let whole = fs::read(&path).unwrap();
    for change in [
        "UPDATE entries SET entry = zeroblob(600)",
        "UPDATE entries SET entry = x''",
        "UPDATE entries SET entry = (SELECT entry FROM entries ORDER BY place DESC LIMIT 1)",
    ] {
        let path = folder.path().join("changed.db");
        fs::write(&path, &whole).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        let store = open(&path).unwrap();
        let failed = (0..100_u8).filter_map(|number| store.get(b"n", &[number]).err());
        let failed: Vec<_> = failed.collect();
        assert!(failed.len() >= 99, "{change}");
        check(&failed[0], ErrorKind::Other, "not authentic");
    }
}

#[test]
fn a_second_owner_is_told_that_it_is_busy() {
    let (_folder, path) = closed();
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();
    check(&error, ErrorKind::Unavailable, "another process");
    drop(first);
    read_back(&path);
}

#[test]
fn a_full_disk_takes_no_part_of_a_batch() {
    let (_folder, path) = closed();
    let options = SqliteOptions {
        max_bytes: Some(128 * 1024),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&path, &key(7), options).unwrap();
    let large = |count: u8| {
        let mut batch = Batch::default();
        for number in 0..count {
            batch.put("large", vec![number], vec![number; 16 * 1024]);
        }
        batch.delete("n", vec![9]);
        batch
    };
    check(
        &store.commit(&large(20)).unwrap_err(),
        ErrorKind::Other,
        "no room",
    );
    assert!(
        store.get(b"n", &[9]).unwrap().is_some(),
        "half a batch was applied"
    );
    assert!(store.get(b"large", &[0]).unwrap().is_none());
    store.commit(&large(1)).expect("a smaller one fits");
    drop(store);
    let store = open(&path).unwrap();
    store.commit(&large(20)).expect("there is room again");
}

#[test]
fn a_key_file_is_private_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let made = KeyFile::open(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(KeyFile::open(&path).unwrap().expose(), made.expose());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    fs::write(&path, "short").unwrap();
    check(
        &KeyFile::open(&path).unwrap_err(),
        ErrorKind::Misuse,
        "32 bytes",
    );
}

const READER: &str = "CF_STORE_READER";

/// Not a test of its own: what runs as a user who may only read.
#[test]
fn the_process_that_may_only_read() {
    let Some(path) = std::env::var_os(READER) else {
        return;
    };
    let error = open(Path::new(&path)).unwrap_err();
    check(&error, ErrorKind::Other, "can't be written");
}

#[test]
fn a_file_that_may_only_be_read_is_said_to_be_so() {
    let (folder, path) = closed();
    let whole = fs::read(&path).unwrap();
    // Nobody can start the test where it was built.
    let program = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&program, 0o555);
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    // First nothing can be made beside it, then the lock can be had.
    for folder_mode in [0o555, 0o777] {
        mode(&path, 0o444);
        for beside in ["store.db.lock", "store.db-wal", "store.db-shm"] {
            let _ = fs::remove_file(folder.path().join(beside));
        }
        mode(folder.path(), folder_mode);
        let mut reader = Command::new(&program);
        reader
            .args(["--exact", "sqlite::files::the_process_that_may_only_read"])
            .env(READER, &path);
        if is_root {
            reader.uid(65_534).gid(65_534);
        }
        // Another test's process may hold the copy open until it has begun.
        let output = loop {
            match reader.output() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                output => break output.unwrap(),
            }
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    mode(folder.path(), 0o755);
    assert!(fs::read(&path).unwrap() == whole, "the file was changed");
}
