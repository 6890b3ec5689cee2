//! Where a chat client keeps its state.
//!
//! A store takes opaque keys and values in namespaces, and changes them in
//! atomic batches; the contract is [`cf_core::Store`].
//!
//! | store | durable | for |
//! |---|---|---|
//! | [`MemoryStore`] | no: as long as the process | tests, demos, clients that forget |

mod memory;

pub use memory::MemoryStore;
