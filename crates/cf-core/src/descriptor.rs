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

    /// The one encoding that a digest of the descriptor is over.
    ///
    /// First comes [`Self::CANONICAL`]. Then, for each component in the order of
    /// [`components`](Self::components): the name of its choice, its id, how many
    /// parameters it has, and each parameter's name and value, in the order of the
    /// names' bytes. A text is its length in bytes and its bytes; lengths and
    /// numbers are 4 bytes, the highest first.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_text(&mut bytes, Self::CANONICAL);
        for (choice, component) in self.components() {
            put_text(&mut bytes, choice);
            put_text(&mut bytes, component.id.as_str());
            put_len(&mut bytes, component.parameters.len());
            for (name, value) in &component.parameters {
                put_text(&mut bytes, name);
                put_text(&mut bytes, value);
            }
        }
        bytes
    }

    /// What every canonical encoding begins with.
    pub const CANONICAL: &str = "/cf/descriptor/1";
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

    /// Sets a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.parameters.insert(name.to_owned(), value.to_string());
        self
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_len(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Descriptors of more than 4 GiB don't exist.
fn put_len(bytes: &mut Vec<u8>, len: usize) {
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}
