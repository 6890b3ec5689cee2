//! What a client must show, in one binary.
#![allow(clippy::unwrap_used)]

mod combinators;
mod damaged;
mod large;
mod mixed;
mod moves;
mod observer;
mod probes;
mod rules;
mod sessions;
mod shell;
mod statistics;
mod unlinkable;
mod versions;
mod world;
