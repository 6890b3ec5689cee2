//! What a client must show, in one binary.
#![allow(clippy::unwrap_used)]

mod combinators;
mod damaged;
mod deciding;
mod finding;
mod floods;
mod large;
mod links;
mod lint;
mod mixed;
mod moves;
mod observer;
mod probes;
mod roll;
mod rules;
mod sessions;
mod shell;
mod statistics;
mod trust;
mod unlinkable;
mod versions;
mod world;
