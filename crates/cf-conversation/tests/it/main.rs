//! Tests of the conversation protocols through their public contracts.

#![allow(clippy::unwrap_used)]

mod conformance;
mod damaged;
mod delivery;
mod golden;
mod hostile;
mod limits;
mod losses;
mod moves;
mod pair;
mod pressure;
mod receipts;
mod security;
mod sessions;
mod soak;
mod stolen;
mod storm;
mod truth;
mod vectors;
mod wiretap;
