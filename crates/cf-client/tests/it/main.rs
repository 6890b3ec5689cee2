//! What a client must show, in one binary.
#![allow(clippy::unwrap_used)]

mod combinators;
mod damaged;
mod mixed;
mod observer;
mod probes;
mod rules;
mod shell;
mod statistics;
mod unlinkable;
mod world;
