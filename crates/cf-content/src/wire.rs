//! The messages on the wire, made from `proto/cf-content`.

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_content.rs"]
mod generated;

pub(crate) use generated::*;
