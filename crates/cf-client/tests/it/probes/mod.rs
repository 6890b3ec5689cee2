//! The contract probes: components that are nothing like the stock ones, and
//! nothing like each other, carried by the same driver.

mod bench;
pub(crate) mod classical;
mod codec;
mod conformance;
mod conversations;
mod initializations;
pub(crate) mod psk;
pub(crate) mod public_channel;
pub(crate) mod salted;
pub(crate) mod static_discovery;
pub(crate) mod toy_group;
