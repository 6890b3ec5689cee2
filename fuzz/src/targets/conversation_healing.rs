//! As `conversation_session`, of private/2 in which one exchange follows the other.

use std::sync::Arc;

use cf_conversation::{HealingSettings, PRIVATE_2, Ratchet, Reliable, Segments};
use cf_core::{ConversationProtocol, ProtocolId};

use super::conversation_session::live;

pub(super) fn run(data: &[u8]) {
    live(&restless(), data);
}

/// private/2 that begins an exchange every few frames.
pub(super) fn restless() -> Arc<dyn ConversationProtocol> {
    let settings = HealingSettings {
        frames: 4,
        ..HealingSettings::default()
    };
    let inner = ProtocolId::from_static("/cf/conversation/reliable/1");
    let reliable = Reliable::new(inner, Arc::new(Ratchet::with_healing(settings)));
    Arc::new(Segments::new(PRIVATE_2, Arc::new(reliable)))
}
