//! Whole clients of the stock components in virtual time.
//!
//! `CF_SEEDS` says how many lives each kind has, `CF_FIRST_SEED` which is the first;
//! `cargo xtask soak` runs them in a release build.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

#[cfg(feature = "faults")]
mod faults;
mod towns;

use std::sync::Arc;

use cf_core::Store;
use cf_sim::{Life, Soak, Summary, in_memory, live};
use cf_store::{KeyFile, SqliteOptions, SqliteStore, Unlock};

fn check(name: &str, seeds: u64, all: Summary) {
    println!("{name}: {all:?}");
    // A few lives may all be peaceful.
    if seeds >= 20 {
        assert!(all.deaths > 0, "nobody died");
        assert!(all.contents > seeds, "nothing was said");
    }
}

#[test]
fn stock() {
    let soak = Soak::from_env(25);
    let all = soak.run("stock", in_memory(towns::stock));
    check("stock", soak.seeds().count() as u64, all);
}

/// No protocol repeats anything: only the client keeps what was sent.
#[test]
fn bare() {
    let soak = Soak::from_env(25);
    let all = soak.run("bare", in_memory(towns::bare));
    check("bare", soak.seeds().count() as u64, all);
}

/// On the encrypted store in a file, which is opened anew after every death.
#[test]
fn sqlite() {
    let soak = Soak::from_env(4);
    let lives = |seed, traced| {
        let folder = tempfile::tempdir().unwrap();
        let store = |client: usize| -> Arc<dyn Store> {
            let path = |ending| folder.path().join(format!("{client}.{ending}"));
            let unlock = Unlock::Key(KeyFile::open(&path("key")).unwrap());
            let options = SqliteOptions::default();
            Arc::new(SqliteStore::open_or_create(&path("db"), &unlock, options).unwrap())
        };
        live(&Life {
            seed,
            town: &towns::stock,
            stores: Some(&store),
            traced,
        })
    };
    soak.run("sqlite", lives);
}

/// The same seed, the same life.
#[test]
fn a_life_is_lived_again() {
    let seed = Soak::from_env(1).seeds().start;
    for town in [towns::stock, towns::bare] {
        let [one, two] = [false, true].map(|traced| in_memory(town)(seed, traced).unwrap());
        assert_eq!(one, two);
    }
}
