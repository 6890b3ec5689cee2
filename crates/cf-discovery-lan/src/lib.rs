//! `/cf/discovery/lan/1`: being found by name on the local network, by mDNS and
//! DNS-SD. The contract is [`cf_core::DiscoveryProtocol`]; the specification is
//! `docs/spec/discovery-lan-1.md`, which also says what everybody on the network
//! learns.
//!
//! [`Lan`] announces a name and the link of another discovery, which it was given
//! through the contract; who looks the name up hears all who claim it and resolves
//! their links by the same. It reaches the network through [`Network`]: [`Mdns`] is
//! the real one, and does nothing before it is used for the first time.

mod announcement;
mod error;
mod lan;
mod mdns;
mod network;
mod state;

pub use announcement::Announcement;
pub use error::Error;
pub use lan::Lan;
pub use mdns::{Mdns, MdnsOptions};
pub use network::{Heard, Network, names};
