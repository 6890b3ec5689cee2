//! One file for each target.

mod client_deliver;
mod client_restore;
mod content;
mod conversation_healing;
mod conversation_moves;
mod conversation_plaintext;
mod conversation_records;
mod conversation_sealed;
mod conversation_segments;
mod conversation_session;
mod conversation_setup;
mod conversation_superseding;
mod discovery_directory;
mod discovery_link;
mod discovery_short_link;
mod discovery_static;
mod ds_redundant;
mod ds_segmented;
mod framing_tagged;
mod framing_wap;
mod inbox_bundle;
mod inbox_invite;
mod init_records;
mod psk;

/// Takes any bytes; panics where something that has to hold does not.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("client_deliver", client_deliver::run),
    ("client_restore", client_restore::run),
    ("content", content::run),
    ("conversation_healing", conversation_healing::run),
    ("conversation_moves", conversation_moves::run),
    ("conversation_plaintext", conversation_plaintext::run),
    ("conversation_records", conversation_records::run),
    ("conversation_sealed", conversation_sealed::run),
    ("conversation_segments", conversation_segments::run),
    ("conversation_session", conversation_session::run),
    ("conversation_setup", conversation_setup::run),
    ("conversation_superseding", conversation_superseding::run),
    ("discovery_directory", discovery_directory::run),
    ("discovery_link", discovery_link::run),
    ("discovery_short_link", discovery_short_link::run),
    ("discovery_static", discovery_static::run),
    ("ds_redundant", ds_redundant::run),
    ("ds_segmented", ds_segmented::run),
    ("framing_tagged", framing_tagged::run),
    ("framing_wap", framing_wap::run),
    ("inbox_bundle", inbox_bundle::run),
    ("inbox_invite", inbox_invite::run),
    ("init_records", init_records::run),
    ("psk", psk::run),
];
