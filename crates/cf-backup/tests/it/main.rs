//! The tests of cf-backup.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

use std::path::Path;

use cf_backup::{CHUNK_LEN, Cost, Entry, Reader, Writer};
use cf_core::{ErrorKind, Random, Result, Secret};
use cf_testkit::SeededRandom;

const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn passphrase() -> Secret {
    Secret::from(&b"golden tea"[..])
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &passphrase(), CHEAP, [7; 16]).unwrap();
    entries
        .iter()
        .for_each(|entry| writer.write(entry).unwrap());
    writer.finish().unwrap()
}

fn read(file: &[u8], passphrase: &Secret) -> Result<Vec<Entry>> {
    let mut reader = Reader::new(file, passphrase)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

#[test]
fn what_was_written_is_read_at_every_length_around_a_chunk() {
    let around = [CHUNK_LEN - 13, CHUNK_LEN - 12, CHUNK_LEN - 11];
    for len in [0, 1, 3 * CHUNK_LEN + 5].into_iter().chain(around) {
        for count in 0..3 {
            let entries: Vec<_> = (0..count)
                .map(|n| Entry::new("", "", random(n, len)))
                .collect();
            assert_eq!(read(&write(&entries), &passphrase()).unwrap(), entries);
        }
    }
}

#[test]
fn a_file_that_was_changed_is_never_read_to_its_end() {
    let entries: Vec<_> = (0..10)
        .map(|n| Entry::new("log", vec![n], random(n.into(), 30_000)))
        .collect();
    let file = write(&entries);
    assert!(file.len() > 4 * CHUNK_LEN);
    for at in (0..file.len()).step_by(19_997).chain(0..60) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(read(&changed, &passphrase()).is_err(), "byte {at}");
        assert!(read(&file[..at], &passphrase()).is_err(), "cut at {at}");
    }
    let sealed = CHUNK_LEN + 16;
    let chunk = |n: usize| &file[37 + n * sealed..37 + (n + 1) * sealed];
    let swapped = [&file[..37], chunk(1), chunk(0), &file[37 + 2 * sealed..]].concat();
    assert!(read(&swapped, &passphrase()).is_err());
    let cut = &file[..37 + 3 * sealed];
    assert_eq!(
        read(cut, &passphrase()).unwrap_err().kind(),
        ErrorKind::Malformed
    );
    let longer = [&file[..], &[0]].concat();
    assert!(read(&longer, &passphrase()).is_err());
}

#[test]
fn errors_say_whose_fault_it_is() {
    let file = write(&[Entry::new("a", "b", "c")]);
    let wrong = Secret::from(&b"another"[..]);
    assert_eq!(read(&file, &wrong).unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(
        read(b"something else, of forty bytes or so....", &wrong)
            .unwrap_err()
            .kind(),
        ErrorKind::Malformed
    );
    let mut newer = file.clone();
    newer[8] = 2;
    assert_eq!(
        read(&newer, &passphrase()).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let mut dear = file.clone();
    dear[9] = 0xff;
    assert_eq!(
        read(&dear, &passphrase()).unwrap_err().kind(),
        ErrorKind::Misuse
    );
    assert!(file.windows(3).all(|window| window != b"abc"));
}

/// `CF_GOLDEN=make` makes the file if it is missing; one that is there is never made
/// again.
#[test]
fn every_later_version_reads_a_backup_of_version_1() {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/backup-1"
    ));
    let entries = [
        Entry::new("contacts", "raya", "likes tea"),
        Entry::new("log", vec![0, 1], random(1, CHUNK_LEN)),
    ];
    if std::env::var("CF_GOLDEN").is_ok_and(|what| what == "make") && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, write(&entries)).unwrap();
    }
    let file = std::fs::read(path).unwrap();
    assert_eq!(read(&file, &passphrase()).unwrap(), entries);
}
