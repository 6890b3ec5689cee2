//! A delivery service within one process.

mod connector;
mod options;
mod service;
mod state;
mod subscription;
mod tap;

pub use connector::MemoryConnector;
pub use options::{Clock, MemoryOptions};
pub use service::MemoryService;
pub use tap::Tap;
