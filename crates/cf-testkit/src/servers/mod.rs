//! Servers for tests: each on a free port and in a temporary folder of its own,
//! stopped when it is dropped, and also when the test's process dies in any way.
//!
//! A test that starts one has `services::` in its path, so that
//! `cargo xtask test --no-services` leaves it out.

#![allow(
    clippy::disallowed_methods,
    reason = "real processes live in real time, and a proxy's tasks end with it"
)]

mod certificates;
mod mosquitto;
mod nats;
mod process;
mod proxy;

pub use certificates::Certificates;
pub use mosquitto::Mosquitto;
pub use nats::NatsServer;
pub use process::free_port;
pub use proxy::{Cutter, Proxy};
