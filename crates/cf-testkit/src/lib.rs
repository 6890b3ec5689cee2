//! What the tests of every component share: a seeded source of randomness, and
//! records that behave as a client keeps them.

mod random;
mod records;

pub use random::SeededRandom;
pub use records::RecordMap;
