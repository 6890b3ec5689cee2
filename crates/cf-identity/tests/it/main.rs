//! The laws of an identity, its scheme's limits, and the vectors.

#![allow(clippy::unwrap_used)]

mod conformance;
mod laws;
mod vectors;
