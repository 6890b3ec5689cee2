//! The laws of an identity, its scheme's limits, and the vectors.

mod laws;
mod vectors;
