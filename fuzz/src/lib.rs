//! Fuzz targets for every decoder that takes bytes from outside: one function
//! and file each, which checks what has to hold for any bytes at all. What
//! can't be reached through a crate's public contracts is reached through the
//! layer above.

mod canned;
mod hostile;
mod meeting;
mod pair;
mod scene;
mod script;
mod seeds;
mod targets;
mod world;

pub use seeds::seeds;
pub use targets::{TARGETS, Target};
