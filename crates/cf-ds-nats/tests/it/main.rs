//! The laws of the contract on real servers, and what servers and networks do to
//! clients.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "real servers live in real time"
)]

mod services;
mod urls;
