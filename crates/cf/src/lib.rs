//! The front door: presets and re-exports. The only place that names concrete
//! components together.
//!
//! The README has a program that embeds a client.
//! A component is swapped by naming another one to the [`Builder`].

mod backup;
mod builder;
mod chats;
mod connectors;
pub mod descriptor;
mod home;
mod random;

pub use builder::{Builder, builder};
pub use cf_client::{
    Blocked, Client, Common, Components, ConversationInfo, Counters, Event, EventKind, Events,
    Finding, LinkId, LinkInfo, LinkOptions, LinkState, Profile, Request, Severity, lint, seen_as,
};
pub use chats::Chats;
pub use connectors::{Connected, Connectors};
pub use home::Home;
pub use random::SystemRandom;

pub use cf_backup as backup_file;
pub use cf_client as client;
pub use cf_content as content;
pub use cf_conversation as conversation;
pub use cf_core as core;
pub use cf_discovery as discovery;
#[cfg(feature = "lan")]
pub use cf_discovery_lan as discovery_lan;
pub use cf_ds as ds;
#[cfg(feature = "mqtt")]
pub use cf_ds_mqtt as ds_mqtt;
#[cfg(feature = "nats")]
pub use cf_ds_nats as ds_nats;
pub use cf_framing as framing;
pub use cf_history as history;
pub use cf_identity as identity;
pub use cf_init as init;
pub use cf_store as store;

/// Takes a text as the id of a content.
///
/// # Errors
/// `Malformed` if it is empty or over 64 bytes.
pub fn content_id(text: &str) -> core::Result<core::ContentId> {
    core::ContentId::new(text.as_bytes().to_vec())
}

/// The README's program, compiled and run with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
