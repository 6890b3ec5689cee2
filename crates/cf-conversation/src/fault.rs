//! Seeded faults: mutations of one line each, by which a simulation shows that it can
//! fail. Without the feature `faults`, which nothing but its tests turns on, `fault!` is
//! `false` and nothing of this is compiled.

#[cfg(feature = "faults")]
use std::cell::Cell;

/// The faults of this crate.
#[cfg(feature = "faults")]
pub const ALL: &[&str] = &[
    "reuse-a-record",
    "forget-a-flight",
    "forget-what-is-held",
    "deliver-what-came-before",
    "delivered-when-accepted",
];

#[cfg(feature = "faults")]
thread_local! {
    static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Has this thread make a fault, or none, from now on.
#[cfg(feature = "faults")]
pub fn choose(fault: Option<&'static str>) {
    CHOSEN.set(fault);
}

/// Whether this thread makes a fault.
#[cfg(feature = "faults")]
pub(crate) fn is_chosen(fault: &str) -> bool {
    CHOSEN.get() == Some(fault)
}

#[cfg(feature = "faults")]
macro_rules! fault {
    ($name:literal) => {
        crate::fault::is_chosen($name)
    };
}

#[cfg(not(feature = "faults"))]
macro_rules! fault {
    ($name:literal) => {
        false
    };
}

pub(crate) use fault;
