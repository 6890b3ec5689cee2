//! Reliability as a wrapper around a conversation protocol of two participants.

mod acknowledging;
mod anew;
mod contact;
mod conversation;
mod flight;
mod frame;
mod order;
mod overlay;
mod queue;
mod receipts;
mod receiving;
mod records;
mod restoring;
mod sending;
mod superseding;
mod timing;
mod typing;

use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    Conversation, ConversationId, ConversationProtocol, Created, Env, Identity, MadeOffer,
    OfferRequest, Properties, ProtocolId, Result, Setup,
};

use crate::Error;

use conversation::{Origin, ReliableConversation};

/// Makes a conversation protocol of two participants reliable: content arrives
/// once and in order, or is reported as failed.
///
/// The wrapped protocol has to set [`Publish::content`](cf_core::Publish) and to
/// give contents with their ids. Its publish ids are those of the wrapper.
///
/// ```
/// use std::sync::Arc;
/// use cf_conversation::{Ratchet, Reliable};
/// use cf_core::{ConversationProtocol, ProtocolId};
/// let id = ProtocolId::parse("/example/conversation/sure/1")?;
/// let protocol = Reliable::new(id, Arc::new(Ratchet::new()));
/// assert!(protocol.properties().reliable);
/// # Ok::<(), cf_core::Error>(())
/// ```
pub struct Reliable {
    id: ProtocolId,
    inner: Arc<dyn ConversationProtocol>,
    settings: ReliableSettings,
}

/// How patient a reliable conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReliableSettings {
    /// How long content is resent before it is reported as failed.
    pub lifetime: Duration,
    /// When content is first sent again; doubles each time.
    pub first_resend: Duration,
    /// The longest time between two resends.
    pub longest_resend: Duration,
    /// How long content waits for what comes before it.
    pub hold: Duration,
    /// How long an acknowledgement waits for content to travel with.
    pub acknowledge_after: Duration,
}

impl Default for ReliableSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(14 * 24 * 3600),
            first_resend: Duration::from_secs(2),
            longest_resend: Duration::from_secs(3600),
            hold: Duration::from_secs(30),
            acknowledge_after: Duration::from_millis(50),
        }
    }
}

impl Reliable {
    /// Wraps a protocol; what results has an id of its own.
    pub fn new(id: ProtocolId, inner: Arc<dyn ConversationProtocol>) -> Self {
        Self::with_settings(id, inner, ReliableSettings::default())
    }

    /// Wraps a protocol with other times than the default ones. They are no part
    /// of the protocol: the two sides may differ.
    pub fn with_settings(
        id: ProtocolId,
        inner: Arc<dyn ConversationProtocol>,
        settings: ReliableSettings,
    ) -> Self {
        Self {
            id,
            inner,
            settings,
        }
    }

    fn origin(&self, conversation: ConversationId, identity: &Arc<dyn Identity>) -> Origin {
        Origin {
            protocol: Arc::clone(&self.inner),
            conversation,
            identity: Arc::clone(identity),
            settings: self.settings,
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

impl ConversationProtocol for Reliable {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn specification(&self) -> &str {
        self.inner.specification()
    }

    fn properties(&self) -> Properties {
        Properties {
            reliable: true,
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
        let conversation = ReliableConversation::new(origin, created.conversation, env);
        Ok(Created {
            conversation: Box::new(conversation),
            parameters: created.parameters,
        })
    }

    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        let origin = self.origin(setup.conversation, &setup.identity);
        let inner = self.inner.join(self.unwrapped(setup), env)?;
        let mut conversation = ReliableConversation::new(origin, inner, env);
        conversation.say_joined(env)?;
        Ok(Box::new(conversation))
    }

    fn restore(
        &self,
        conversation: ConversationId,
        identity: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        let origin = self.origin(conversation, &identity);
        let restored = ReliableConversation::restore(origin, env).map_err(Error::of_records)?;
        Ok(Box::new(restored))
    }
}
