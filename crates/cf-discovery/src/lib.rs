//! Discovery protocols: how a Sender learns of other clients. The contract is
//! [`cf_core::DiscoveryProtocol`].
//!
//! | id | protocol | needs |
//! |---|---|---|
//! | `/cf/discovery/link/1` | [`Link`]: the bundles themselves as text | nothing |
//! | `/cf/discovery/short-link/1` | [`ShortLink`]: a text that says where they lie | a service that retains |
//! | `/cf/discovery/directory/1` | [`Directory`]: who claims a name | a service that retains |
//! | `/cf/discovery/static/1` | [`StaticTable`]: names that are known beforehand | nothing |

mod canonical;
mod directory;
mod error;
mod link;
mod reading;
mod seal;
mod services;
mod short_link;
mod static_table;

pub use directory::Directory;
pub use error::Error;
pub use link::Link;
pub use short_link::ShortLink;
pub use static_table::StaticTable;
