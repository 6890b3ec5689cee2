//! What a client must show, in one binary.
#![allow(clippy::unwrap_used)]

mod combinators;
mod large;
mod mixed;
mod observer;
mod probes;
mod rules;
mod shell;
mod world;
