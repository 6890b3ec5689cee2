//! What `cargo xtask codegen` made of `proto/cf-conversation/`.
#![allow(
    clippy::all,
    unreachable_pub,
    missing_docs,
    rustdoc::all,
    reason = "made by a program"
)]

#[path = "generated/cf_conversation_ratchet.rs"]
pub(crate) mod ratchet;
#[path = "generated/cf_conversation_reliable.rs"]
pub(crate) mod reliable;
#[path = "generated/cf_conversation_segments.rs"]
pub(crate) mod segments;
