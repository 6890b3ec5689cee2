//! Power cuts: what a process wrote without making it durable is dropped or torn.
//!
//! A process commits while a library that is loaded before libc (`power.c`) notes its
//! writes and syncs. Then files are made as a power cut leaves them at any moment: what
//! was synced is there; of each other write all, nothing, or some sectors; and the store
//! is opened on them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use cf_core::{Batch, Scan, Store};
use cf_store::{Durability, SqliteOptions, SqliteStore};
use cf_testkit::SeededRandom;

use super::key;

const CHILD: &str = "CF_POWER_CHILD";
const FOLDER: &str = "CF_POWER_FOLDER";
const NOTES: &str = "CF_POWER_LOG";
/// How many commits there are, and how long each is: in all some more than after how much
/// SQLite writes its log back.
const COMMITS: u64 = 60;
const LEN: usize = 100_000;
const SECTOR: usize = 512;
/// Where the process says up to which commit it was told.
const TOLD: &str = "told";

fn options(durability: &str) -> SqliteOptions {
    SqliteOptions {
        durability: match durability {
            "power" => Durability::Power,
            _ => Durability::Process,
        },
        ..SqliteOptions::default()
    }
}

fn value(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(LEN / 8)
}

/// Not a test of its own: what the process runs that loses its power.
#[test]
fn the_process_that_loses_its_power() {
    let Ok(durability) = std::env::var(CHILD) else {
        return;
    };
    let folder = std::env::var_os(FOLDER).unwrap();
    let path = Path::new(&folder).join("store.db");
    let store = SqliteStore::open(&path, &key(7), options(&durability)).unwrap();
    let mut told = fs::File::create(Path::new(&folder).join(TOLD)).unwrap();
    for number in 1..=COMMITS {
        let mut batch = Batch::default();
        batch.put("left", "counter", number.to_be_bytes().to_vec());
        batch.put("#log", number.to_be_bytes().to_vec(), value(number));
        batch.put("right", "counter", number.to_be_bytes().to_vec());
        store.commit(&batch).unwrap();
        told.write_all(&number.to_be_bytes()).unwrap();
    }
    // Nothing is closed.
    std::process::exit(0);
}

#[test]
fn a_store_that_promises_it_survives_power_cuts() {
    let lost = cuts("power");
    assert_eq!(lost, 0, "of what it said is durable, all is there");
}

/// Shows that the cuts are cuts; what is left is whole all the same.
#[test]
fn a_store_that_does_not_promise_it_loses_whole_commits_only() {
    let lost = cuts("process");
    assert!(lost > 0, "no cut lost anything");
}

/// Cuts the power at many moments; at how many of them a commit was lost that had been
/// told.
fn cuts(durability: &str) -> u64 {
    let setting = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let cuts: u64 = setting("CF_KILLS", 8);
    let random = &mut SeededRandom::new(setting("CF_FIRST_SEED", 0));
    let folder = tempfile::tempdir().unwrap();
    let home = fs::canonicalize(folder.path()).unwrap().join("home");
    fs::create_dir(&home).unwrap();
    drop(super::create(&home.join("store.db")));
    let before = fs::read(home.join("store.db")).unwrap();
    let notes = notes(folder.path(), &home, durability);
    let syncs = notes.iter().filter(|note| note.kind == b's').count();
    assert!(
        syncs > 2,
        "{durability}: {syncs} syncs of {} notes",
        notes.len()
    );
    let mut lost = 0;
    for cut in 0..cuts {
        let place = folder.path().join("cut");
        fs::create_dir(&place).unwrap();
        let moment = 1 + random.below(notes.len() as u64) as usize;
        let (files, told) = left(&before, &notes[..moment], random);
        for (name, bytes) in files {
            fs::write(place.join(name), bytes).unwrap();
        }
        let found = found(&place, &format!("{durability}, cut {cut} at note {moment}"));
        lost += u64::from(found < told);
        fs::remove_dir_all(place).unwrap();
    }
    println!("{durability}: {cuts} cuts, {lost} lost a commit that was told");
    lost
}

/// How many commits there are after a cut: all of the first ones, whole.
fn found(place: &Path, when: &str) -> u64 {
    let path = place.join("store.db");
    let store = SqliteStore::open(&path, &key(7), SqliteOptions::default())
        .unwrap_or_else(|error| panic!("{when}: {error}"));
    let counter = |namespace: &[u8]| {
        let found = store.get(namespace, b"counter").unwrap();
        found.map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().unwrap()))
    };
    let count = counter(b"left");
    assert_eq!(count, counter(b"right"), "{when}");
    let log = store.scan(b"#log", &Scan::prefix("")).unwrap();
    assert_eq!(log.len() as u64, count, "{when}");
    for (number, (_, bytes)) in (1..).zip(log) {
        assert!(
            bytes == value(number),
            "{when}: commit {number} is not whole"
        );
    }
    count
}

/// Something that the process did to a file.
struct Note {
    kind: u8,
    name: String,
    offset: usize,
    bytes: Vec<u8>,
}

/// Has the process run, and notes what it does.
fn notes(folder: &Path, home: &Path, durability: &str) -> Vec<Note> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sqlite/power.c");
    let (library, log) = (folder.join("power.so"), folder.join("notes"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("SQLite needs a C compiler as well");
    assert!(built.success());
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::power::the_process_that_loses_its_power"])
        .envs([(CHILD, durability)])
        .envs([(FOLDER, home), (NOTES, &log), (LOADED, &library)])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let all = fs::read(&log).unwrap();
    let mut rest = &all[..];
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len)?;
        rest = left;
        Some(taken.to_vec())
    };
    let mut notes = Vec::new();
    while let Some(kind) = take(1) {
        let name_len = take(1).unwrap()[0];
        let name = String::from_utf8(take(name_len.into()).unwrap()).unwrap();
        let mut number = || u64::from_ne_bytes(take(8).unwrap().try_into().unwrap()) as usize;
        let (offset, len) = (number(), number());
        notes.push(Note {
            kind: kind[0],
            name,
            offset,
            bytes: take(len).unwrap(),
        });
    }
    notes
}

/// By which variable a library is loaded before libc.
const LOADED: &str = "LD_PRELOAD";

/// The files that a cut after these notes leaves, and up to which commit it was told.
fn left(
    before: &[u8],
    notes: &[Note],
    random: &mut SeededRandom,
) -> (BTreeMap<String, Vec<u8>>, u64) {
    let mut durable = BTreeMap::from([("store.db".to_owned(), before.to_vec())]);
    let mut pending: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
    let mut told = 0;
    for note in notes {
        if note.name == TOLD {
            told = u64::from_be_bytes(note.bytes[..].try_into().unwrap());
        } else if note.kind == b's' {
            let file = durable.entry(note.name.clone()).or_default();
            for note in pending.remove(&*note.name).unwrap_or_default() {
                apply(file, note, |_| true);
            }
        } else {
            pending.entry(&note.name).or_default().push(note);
        }
    }
    for (name, notes) in pending {
        for note in notes {
            let fate = random.below(3);
            if fate > 0 {
                let file = durable.entry(name.to_owned()).or_default();
                apply(file, note, |_| fate == 1 || random.chance(50));
            }
        }
    }
    (durable, told)
}

/// Does to a file what a note says, as far as its sectors are written.
fn apply(file: &mut Vec<u8>, note: &Note, mut is_written: impl FnMut(usize) -> bool) {
    if note.kind == b't' {
        return file.resize(note.offset, 0);
    }
    for (index, sector) in note.bytes.chunks(SECTOR).enumerate() {
        if is_written(index) {
            let from = note.offset + index * SECTOR;
            let until = from + sector.len();
            file.resize(file.len().max(until), 0);
            file[from..until].copy_from_slice(sector);
        }
    }
}
