//! The protocol descriptor: the five choices as data.

use std::collections::BTreeMap;

use crate::ProtocolId;

/// A chat protocol, as the five choices that describe it fully. A client may
/// have several components for one choice; they stand in order of preference.
///
/// ```
/// use cf_core::{Component, ProtocolDescriptor, ProtocolId};
/// let part = |id| vec![Component::new(ProtocolId::from_static(id))];
/// let descriptor = ProtocolDescriptor {
///     delivery_services: part("/cf/ds/memory/1"),
///     framings: part("/cf/framing/tagged/1"),
///     discoveries: part("/cf/discovery/link/1"),
///     initializations: part("/cf/init/inbox/1"),
///     conversations: part("/cf/conversation/private/1"),
/// };
/// assert_eq!(descriptor.components().count(), 5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtocolDescriptor {
    /// How payloads are routed and delivered.
    pub delivery_services: Vec<Component>,
    /// How payloads are encoded, and which state machine decodes one.
    pub framings: Vec<Component>,
    /// How a Sender learns of other clients.
    pub discoveries: Vec<Component>,
    /// How a Recipient learns that a client wants to communicate.
    pub initializations: Vec<Component>,
    /// How participants exchange content.
    pub conversations: Vec<Component>,
}

impl ProtocolDescriptor {
    /// All components, each with the name of the choice that it is for.
    pub fn components(&self) -> impl Iterator<Item = (&'static str, &Component)> {
        [
            ("delivery service", &self.delivery_services),
            ("framing", &self.framings),
            ("discovery", &self.discoveries),
            ("initialization", &self.initializations),
            ("conversation", &self.conversations),
        ]
        .into_iter()
        .flat_map(|(choice, components)| components.iter().map(move |c| (choice, c)))
    }
}

/// One component of a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its id and version.
    pub id: ProtocolId,
    /// Its parameters and declared properties, by name.
    pub parameters: BTreeMap<String, String>,
}

impl Component {
    /// A component without parameters.
    pub fn new(id: ProtocolId) -> Self {
        Self {
            id,
            parameters: BTreeMap::new(),
        }
    }
}
