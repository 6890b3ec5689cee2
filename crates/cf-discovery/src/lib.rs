//! Discovery protocols: how a Sender learns of other clients. The contract is
//! [`cf_core::DiscoveryProtocol`].
//!
//! | id | protocol | needs |
//! |---|---|---|
//! | `/cf/discovery/link/1` | [`Link`]: the bundles themselves as text | nothing |

mod error;
mod link;

pub use error::Error;
pub use link::Link;
