//! The laws of the contract on a real broker.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "real brokers live in real time"
)]

mod services;
