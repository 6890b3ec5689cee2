//! Tests of the discovery on the local network.

mod claims;
mod conformance;
mod hostile;
mod mdns;
mod street;
