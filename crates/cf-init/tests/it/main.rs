//! The initializations from outside: their laws, their rules, hostile bytes, and
//! the vectors.

#![allow(clippy::unwrap_used)]

mod conformance;
mod handshake;
mod hostile;
mod misuse;
mod psk;
mod restore;
mod rules;
mod vectors;
mod world;
