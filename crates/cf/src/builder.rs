use std::sync::Arc;

use cf_client::{Client, Components, Profile};
use cf_core::{
    ConversationProtocol, DeliveryService, DiscoveryProtocol, FramingStrategy, Identity,
    InitializationProtocol, Result, Resume, Store,
};

use cf_identity::SoftwareIdentity;

use crate::SystemRandom;

/// Starts a client with a name to show to others.
pub fn builder(display_name: &str) -> Builder {
    Builder {
        display_name: display_name.to_owned(),
        identity: None,
        store: None,
        components: Components::default(),
        #[cfg(feature = "lan")]
        network: None,
    }
}

/// Composes a client. For each of the five choices, what is named first is
/// preferred; a choice for which nothing is named gets the stock component.
///
/// | choice | stock component |
/// |---|---|
/// | framing | `/cf/framing/tagged/1` |
/// | discovery | `/cf/discovery/short-link/1` and `/cf/discovery/directory/1` (by the display name) where a service retains, and `/cf/discovery/link/1` |
/// | initialization | `/cf/init/inbox/1` |
/// | conversation | `/cf/conversation/private/2`, and `/cf/conversation/private/1` with who lacks it |
/// | delivery service | none: name at least one |
///
/// Without an identity and a store the client lives as long as its process.
#[must_use = "call `open`"]
pub struct Builder {
    display_name: String,
    identity: Option<Arc<dyn Identity>>,
    store: Option<Arc<dyn Store>>,
    components: Components,
    #[cfg(feature = "lan")]
    network: Option<Arc<dyn cf_discovery_lan::Network>>,
}

impl Builder {
    /// Sets who the client is.
    pub fn identity(mut self, identity: Arc<dyn Identity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Sets where the client keeps its state.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Adds a delivery service.
    pub fn service(self, service: impl DeliveryService + 'static) -> Self {
        self.shared_service(Arc::new(service))
    }

    /// Adds a delivery service, as a connector gives it.
    pub fn shared_service(mut self, service: Arc<dyn DeliveryService>) -> Self {
        self.components.services.push(service);
        self
    }

    /// Adds a framing strategy.
    pub fn framing(mut self, framing: impl FramingStrategy + 'static) -> Self {
        self.components.framings.push(Arc::new(framing));
        self
    }

    /// Adds a discovery protocol.
    pub fn discovery(mut self, discovery: impl DiscoveryProtocol + 'static) -> Self {
        self.components.discoveries.push(Arc::new(discovery));
        self
    }

    /// Adds `/cf/discovery/lan/1` after the other discoveries: by the display name, on
    /// this network. Nothing is announced before a link asks for it.
    #[cfg(feature = "lan")]
    pub fn lan(mut self, network: Arc<dyn cf_discovery_lan::Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Adds an initialization protocol.
    pub fn initialization(mut self, init: impl InitializationProtocol + 'static) -> Self {
        self.components.initializations.push(Arc::new(init));
        self
    }

    /// Adds a conversation protocol.
    pub fn conversation(mut self, conversation: Arc<dyn ConversationProtocol>) -> Self {
        self.components.conversations.push(conversation);
        self
    }

    /// Opens the client on the current tokio runtime.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open(self) -> Result<Client> {
        let Self {
            display_name,
            identity,
            store,
            mut components,
            #[cfg(feature = "lan")]
            network,
        } = self;
        if components.framings.is_empty() {
            components.framings.push(Arc::new(cf_framing::Tagged));
        }
        if components.initializations.is_empty() {
            components
                .initializations
                .push(Arc::new(cf_init::InboxProtocol::default()));
        }
        if components.conversations.is_empty() {
            components.conversations.push(cf_conversation::private_2());
            components.conversations.push(cf_conversation::private());
        }
        let identity = match identity {
            Some(identity) => identity,
            None => Arc::new(SoftwareIdentity::generate(&mut SystemRandom::default())?),
        };
        if components.discoveries.is_empty() {
            let services = &components.services;
            // Whoever resolves a link reads what was published before.
            let retains = |service: &Arc<dyn DeliveryService>| {
                let declared = service.capabilities();
                declared.retention.is_some() && declared.resume == Resume::AnyCursor
            };
            if services.iter().any(retains) {
                let short = cf_discovery::ShortLink::new(identity.clone(), services.clone());
                components.discoveries.push(Arc::new(short));
                let directory = || cf_discovery::Directory::new(identity.clone(), services.clone());
                // A name that no directory takes is claimed in none.
                let name = display_name.trim().replace(' ', "-");
                let named = directory().named(&name).unwrap_or_else(|_| directory());
                components.discoveries.push(Arc::new(named));
            }
            components.discoveries.push(Arc::new(cf_discovery::Link));
        }
        #[cfg(feature = "lan")]
        if let Some(network) = network {
            let others = components.discoveries.clone();
            let lan = || cf_discovery_lan::Lan::new(network.clone(), others.clone());
            let named = lan().named(&display_name).unwrap_or_else(|_| lan());
            components.discoveries.push(Arc::new(named));
        }
        let store = store.unwrap_or_else(|| Arc::new(cf_store::MemoryStore::default()));
        let profile = Profile {
            identity,
            display_name,
        };
        Client::open(components, profile, store, || {
            Box::new(SystemRandom::default())
        })
    }
}
