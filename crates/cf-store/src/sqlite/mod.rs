//! A store in one encrypted SQLite file. Its page is `docs/spec/store-sqlite-1.md`.

mod error;
mod file;
mod key_file;
mod master;
mod options;
mod place;
mod seal;
mod store;

pub use error::SqliteError;
pub use key_file::KeyFile;
pub use master::Unlock;
pub use options::{Durability, PassphraseCost, SqliteOptions};
pub use store::SqliteStore;
