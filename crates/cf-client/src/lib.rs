//! The client: carries values from one component of a chat protocol to the next.
//!
//! It holds components as `Arc<dyn …>` and names none: every decision of a
//! protocol is the component's, and every value that passes between two of them
//! passes through here.
//!
//! - [`Driver`] is the synchronous core: inputs in, [`Commit`]s out. Its file
//!   `way.rs` shows the way of a message from top to bottom.
//! - [`Client`] runs a driver on tokio.
//!
//! # The crash rule
//! For every input one commit: the records that components put out, the payloads
//! to be sent, the events, and the cursor of the delivery that caused it. Only
//! when it is durable is anything published, told, answered or acknowledged.
//!
//! # The truth rule
//! Every content sent has a state, and none is told before it is true.

mod client;
mod compare;
mod components;
mod declared;
mod driver;
mod event;
#[cfg(feature = "faults")]
pub mod fault;
#[cfg(not(feature = "faults"))]
mod fault;
mod finding;
mod large;
mod link;
mod lint;
mod names;
mod overlay;
mod pipeline;
mod portable;
mod records;
mod service;
mod shell;

pub use client::{Client, Events, MAX_SIGNALS};
pub use compare::Common;
pub use components::{Components, Counters, Profile};
pub use driver::limits;
pub use driver::{
    Commit, ConversationInfo, Driver, Effect, confirmed_events, event, events_after, read_large,
};
pub use event::{Event, EventKind, Request};
pub use finding::Found;
pub use link::{Begun, Blocked, LinkId, LinkInfo, LinkOptions, LinkState, Publication};
pub use lint::{Finding, Severity, lint};
pub use names::seen_as;
pub use pipeline::{Pipeline, Released};
pub use portable::{Importer, Portable, export};
