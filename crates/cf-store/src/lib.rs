//! Where a chat client keeps its state.
//!
//! A store takes opaque keys and values in namespaces, and changes them in
//! atomic batches; the contract is [`cf_core::Store`].
//!
//! | store | durable | for |
//! |---|---|---|
//! | [`MemoryStore`] | no: as long as the process | tests, demos, clients that forget |
#![cfg_attr(
    feature = "sqlite",
    doc = "| [`SqliteStore`] | yes, encrypted | clients that remember |"
)]
#![cfg_attr(
    not(feature = "sqlite"),
    doc = "| `SqliteStore`, with the feature `sqlite` | yes, encrypted | clients that remember |"
)]

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{
    Durability, KeyFile, PassphraseCost, SqliteError, SqliteOptions, SqliteStore, Unlock,
};
