//! The library, as an application embeds it.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]
#![allow(
    clippy::disallowed_methods,
    reason = "real processes live in real time"
)]

mod backup;
mod compositions;
mod descriptors;
mod golden;
mod homes;
mod kills;
mod secrets;
mod services;
