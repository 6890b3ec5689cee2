//! A network with faults, from a seed and in virtual time.
//!
//! Two ways to have it:
//!
//! - [`FaultyService`] wraps any delivery service. Its delays and stalls are of
//!   tokio's clock: in a test with `start_paused = true` they pass at once and in
//!   order, and the same seed gives the same run.
//! - [`Fates`] alone, for a simulator that is synchronous and has a clock of its
//!   own: it is asked for each payload what becomes of it.

mod fates;
mod network;
mod service;
mod subscription;

pub use fates::{Fates, Faults, Passage};
pub use service::{FaultCounts, FaultyService};
