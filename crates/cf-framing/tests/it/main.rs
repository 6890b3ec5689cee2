//! The framing strategies against their laws, an independent decoder and the
//! vectors of their specifications.
#![allow(clippy::unwrap_used)]

mod conformance;
mod envelope;
mod router;
mod vectors;
mod wap;

/// The generated message. The crate reads and writes the envelope by hand, to
/// share the body's memory; here the protobuf library is the judge.
#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "../../src/generated/cf_framing_tagged.rs"]
mod wire;
