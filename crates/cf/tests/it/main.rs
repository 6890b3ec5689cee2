//! The library, as an application embeds it.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

mod golden;
mod homes;
mod kills;
