//! Contents of any length, as a wrapper around a reliable conversation protocol.

mod conversation;
mod frame;
mod incoming;
mod outgoing;
mod ranges;
mod receiving;
mod records;
mod restoring;
mod sending;
mod superseding;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cf_core::{
    Conversation, ConversationId, ConversationProtocol, Created, Env, Identity, MadeOffer,
    OfferRequest, Properties, ProtocolId, Result, Setup,
};

use crate::Error;

use conversation::{Origin, SegmentsConversation};

/// What bounds the contents that [`Segments`] carries.
pub mod limits {
    pub use super::frame::{MAX_CUT, MAX_LARGE, MAX_PART, MIN_PART};
    pub use super::incoming::{MAX_ENDED, MAX_INCOMPLETE, MAX_INCOMPLETE_BYTES, MAX_RANGES};
    pub use super::outgoing::{MAX_ACTIVE, MAX_OUTGOING, WINDOW_PARTS};
    pub use super::records::{CONFIRMED_WITHIN, INCOMPLETE_FOR};
}

/// Makes a conversation protocol of two participants carry contents that are
/// longer than its frames.
///
/// The wrapped protocol has to declare [`Properties::reliable`]: what it loses
/// in silence leaves a content without an end here. Its records keep their keys,
/// none of which may begin with the byte 2.
///
/// ```
/// use std::sync::Arc;
/// use cf_conversation::{Ratchet, Reliable, Segments};
/// use cf_core::{ConversationProtocol, ProtocolId};
/// let id = |id| ProtocolId::parse(id);
/// let sure = Reliable::new(id("/example/conversation/sure/1")?, Arc::new(Ratchet::new()));
/// let protocol = Segments::new(id("/example/conversation/long/1")?, Arc::new(sure));
/// assert!(protocol.properties().reliable);
/// # Ok::<(), cf_core::Error>(())
/// ```
pub struct Segments {
    id: ProtocolId,
    inner: Arc<dyn ConversationProtocol>,
}

impl Segments {
    /// Wraps a protocol; what results has an id of its own.
    pub fn new(id: ProtocolId, inner: Arc<dyn ConversationProtocol>) -> Self {
        Self { id, inner }
    }

    fn origin(&self, conversation: ConversationId, identity: &Arc<dyn Identity>) -> Origin {
        Origin {
            protocol: Arc::clone(&self.inner),
            conversation,
            identity: Arc::clone(identity),
        }
    }

    /// The setup as the wrapped protocol knows it.
    fn unwrapped(&self, mut setup: Setup) -> Setup {
        let offer = setup.peer.as_mut().and_then(|peer| peer.offer.as_mut());
        if let Some(offer) = offer.filter(|offer| offer.protocol == self.id) {
            offer.protocol = self.inner.id().clone();
        }
        setup
    }
}

impl ConversationProtocol for Segments {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn specification(&self) -> &str {
        self.inner.specification()
    }

    fn properties(&self) -> Properties {
        Properties {
            max_participants: Some(2),
            ..self.inner.properties()
        }
    }

    fn make_offer(&self, request: OfferRequest, env: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        let made = self.inner.make_offer(request, env)?;
        Ok(made.map(|mut made| {
            made.offer.protocol = self.id.clone();
            made
        }))
    }

    fn create(&self, setup: Setup, env: &mut Env<'_>) -> Result<Created> {
        let origin = self.origin(setup.conversation, &setup.identity);
        let created = self.inner.create(self.unwrapped(setup), env)?;
        let conversation = SegmentsConversation::new(origin, created.conversation);
        Ok(Created {
            conversation: Box::new(conversation),
            parameters: created.parameters,
        })
    }

    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let origin = self.origin(setup.conversation, &setup.identity);
        let inner = self.inner.join(self.unwrapped(setup), env)?;
        Ok(Box::new(SegmentsConversation::new(origin, inner)))
    }

    fn restore(
        &self,
        conversation: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let origin = self.origin(conversation, &identity);
        let restored = SegmentsConversation::restore(origin, env).map_err(Error::of_records)?;
        Ok(Box::new(restored))
    }
}
