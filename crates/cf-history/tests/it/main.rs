//! The tests of cf-history, on a toy log with a toy format of contents.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

mod durable;
mod golden;
mod laws;
mod shown;
mod world;
