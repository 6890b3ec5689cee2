//! A delivery service in one SQLite file that the processes of a machine share.

mod alarm;
mod connector;
mod cursor;
mod file;
mod lookup;
mod options;
mod queue;
mod reader;
mod schema;
mod service;
mod session;
mod state;
mod subscriber;
mod subscription;
mod tail;
mod thread;
mod transaction;
mod writer;

pub use connector::LocalConnector;
pub use options::{Durability, LocalOptions};
pub use service::LocalService;
