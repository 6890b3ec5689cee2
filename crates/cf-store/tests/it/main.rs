//! The laws of [`cf_core::Store`], against a model that does everything the
//! slow way.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

mod conformance;
mod laws;
#[cfg(feature = "sqlite")]
mod sqlite;
