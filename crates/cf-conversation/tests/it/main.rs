//! Tests of the conversation protocols through their public contracts.

mod delivery;
mod pair;
