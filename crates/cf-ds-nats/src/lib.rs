//! A delivery service over NATS JetStream: one server, or a cluster.
//!
//! The protocol is `/cf/ds/nats/1`; the contract is [`cf_core::DeliveryService`].
//! Payloads are kept in streams that the service makes. A subscription gets them
//! as the streams *republish* them, by one subscription of core NATS an address,
//! which costs the server next to nothing; a gap shows, since each says which one
//! it follows, and is filled by reading the stream: one message at a time, or in
//! batches where an address is far behind.
//!
//! | start reading at | for |
//! |---|---|
//! | `service.rs` | what a client sees |
//! | `stream.rs` | subjects, streams, and who is which incarnation |
//! | `publish.rs` | the truth of outcomes |
//! | `pump.rs`, `reader.rs`, `backlog.rs` | how a subscription loses nothing |

mod api;
mod backlog;
mod connection;
mod connector;
mod cursor;
mod error;
mod options;
mod place;
mod publish;
mod pump;
mod reader;
mod service;
mod stream;
mod subscription;

pub use connector::NatsConnector;
pub use error::Error;
pub use options::NatsOptions;
pub use service::NatsService;
