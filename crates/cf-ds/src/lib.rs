//! Delivery services of chat protocols: how payloads are routed and delivered
//! to a client. The contract is [`cf_core::DeliveryService`].
//!
//! | id | service | retains | order | conditional publish |
//! |---|---|---|---|---|
//! | `/cf/ds/memory/1` | [`MemoryService`]: in this process | yes, bounded | yes | yes |

mod error;
mod memory;

pub use error::Error;
pub use memory::{Clock, MemoryConnector, MemoryOptions, MemoryService, Tap};
