//! Delivery services of chat protocols: how payloads are routed and delivered
//! to a client. The contract is [`cf_core::DeliveryService`].
//!
//! | id | service | feature | retains | order | conditional publish |
//! |---|---|---|---|---|---|
//! | `/cf/ds/memory/1` | [`MemoryService`]: in this process | | yes, bounded | yes | yes |
//! | `/cf/ds/local/1` | `LocalService`: in a file that the processes of a machine share | `local` | yes, bounded | yes | yes |
//! | `/cf/ds/segmented/1` | [`Segmented`]: around a service, payloads larger than it takes | | as the service, for a day | no | no |
//! | `/cf/ds/redundant/1` | [`Redundant`]: several services as one | | as all services | no | no |

mod digest;
mod error;
#[cfg(feature = "local")]
mod local;
mod memory;
mod redundant;
mod segmented;

pub use error::Error;
#[cfg(feature = "local")]
pub use local::{Durability, LocalConnector, LocalOptions, LocalService};
pub use memory::{Clock, MemoryConnector, MemoryOptions, MemoryService, Tap};
pub use redundant::{Answer, Redundant, RedundantOptions, ServiceHealth};
pub use segmented::{Segmented, SegmentedCounts, SegmentedOptions};
