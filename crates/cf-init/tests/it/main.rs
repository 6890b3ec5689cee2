//! The inbox initialization from outside: its laws, its rules, hostile bytes,
//! and the vectors.

#![allow(clippy::unwrap_used)]

mod conformance;
mod handshake;
mod hostile;
mod restore;
mod rules;
mod vectors;
mod world;
