//! Conversation protocols of chat protocols, and wrappers around any.
//!
//! | protocol | what it is |
//! |---|---|
//! | [`private()`] | `/cf/conversation/private/1`: two participants, confidential, reliable |
//! | [`private_2()`] | `/cf/conversation/private/2`: private/1 that heals against a quantum attacker too |
//! | [`Ratchet`] | the double ratchet within it, bare: confidential, not reliable |
//! | [`Reliable`] | a wrapper that adds sequence, acknowledgement and resending to any |
//! | [`Segments`] | a wrapper that carries contents of any length over any reliable one |
//!
//! The specifications are `docs/spec/conversation-private-1.md` and
//! `docs/spec/conversation-private-2.md`. The three layers
//! meet only in the contracts of [`cf_core`]:
//!
//! ```text
//! content → Segments (parts) → Reliable (sequence) → Ratchet (encryption, tag) → frame
//! content ← Segments (whole) ← Reliable (order)    ← Ratchet (tag, decryption) ← frame
//! ```

mod crypto;
mod error;
#[cfg(feature = "faults")]
pub mod fault;
#[cfg(not(feature = "faults"))]
mod fault;
mod fields;
mod label;
mod point;
mod ratchet;
mod reliable;
pub mod segments;
mod wire;

use std::sync::Arc;

use cf_core::{ConversationProtocol, ProtocolId};

pub use error::Error;
pub use ratchet::{HealingSettings, Ratchet};
pub use reliable::{Reliable, ReliableSettings};
pub use segments::Segments;

/// The id of the conversations that [`private()`] makes.
pub const PRIVATE: ProtocolId = ProtocolId::from_static("/cf/conversation/private/1");

/// The id of the conversations that [`private_2()`] makes.
pub const PRIVATE_2: ProtocolId = ProtocolId::from_static("/cf/conversation/private/2");

/// The id of what [`Segments`] wraps in them.
const RELIABLE: ProtocolId = ProtocolId::from_static("/cf/conversation/reliable/1");

/// Makes `/cf/conversation/private/1`: contents of any length, over reliability
/// around the double ratchet.
///
/// ```
/// use cf_core::ConversationProtocol;
/// let private = cf_conversation::private();
/// assert!(private.properties().reliable && private.properties().forward_secret);
/// ```
pub fn private() -> Arc<dyn ConversationProtocol> {
    segmented(PRIVATE, Ratchet::new())
}

/// Makes `/cf/conversation/private/2`: private/1 with post-quantum healing.
///
/// ```
/// use cf_core::ConversationProtocol;
/// let private = cf_conversation::private_2();
/// assert!(private.properties().reliable && private.properties().post_quantum_healing);
/// ```
pub fn private_2() -> Arc<dyn ConversationProtocol> {
    segmented(PRIVATE_2, Ratchet::healing())
}

fn segmented(id: ProtocolId, ratchet: Ratchet) -> Arc<dyn ConversationProtocol> {
    let reliable = Reliable::new(RELIABLE, Arc::new(ratchet));
    Arc::new(Segments::new(id, Arc::new(reliable)))
}
