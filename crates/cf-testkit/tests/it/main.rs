//! The proof of the kit: small correct implementations pass every law, and each
//! deliberately broken one is caught by the law that names its fault.
#![allow(clippy::unwrap_used)]

mod conversation;
mod delivery;
mod discovery;
mod faulty;
mod framing;
mod identity;
mod initialization;
mod quotes;
mod store;

use cf_testkit::{Law, Verdict};

/// Asserts that this law, and no other, is what is broken.
#[track_caller]
fn assert_broken(verdict: Verdict, law: Law) {
    match verdict {
        Ok(()) => panic!("not caught: {law}"),
        Err(violation) => assert_eq!(violation.law, law, "{violation}"),
    }
}
