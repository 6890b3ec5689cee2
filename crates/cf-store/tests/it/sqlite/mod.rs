//! The store in a file: the contract's laws, and what a file can be.

mod crash;
mod files;
mod golden;
mod hidden;
mod laws;
#[cfg(target_os = "linux")]
mod power;
mod vectors;

use std::path::Path;

use cf_core::Secret;
use cf_store::{SqliteOptions, SqliteStore, Unlock};

fn key(byte: u8) -> Unlock {
    Unlock::Key(Secret::new(vec![byte; 32]))
}

fn create(path: &Path) -> SqliteStore {
    SqliteStore::create(path, &key(7), SqliteOptions::default()).unwrap()
}

fn open(path: &Path) -> cf_core::Result<SqliteStore> {
    SqliteStore::open(path, &key(7), SqliteOptions::default())
}
