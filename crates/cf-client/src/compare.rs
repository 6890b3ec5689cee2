//! Whether clients of two compositions can talk, and by which components.

use cf_core::{Component, ProtocolDescriptor, ProtocolId};

use crate::declared::{LOCATOR, text};

/// What two compositions have in common, in the first one's order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// The delivery services that both are connected to, by their locators.
    pub locators: Vec<String>,
    /// The protocols of delivery services that both have.
    pub delivery_services: Vec<ProtocolId>,
    /// The framing strategies.
    pub framings: Vec<ProtocolId>,
    /// The discovery protocols.
    pub discoveries: Vec<ProtocolId>,
    /// The initialization protocols.
    pub initializations: Vec<ProtocolId>,
    /// The conversation protocols.
    pub conversations: Vec<ProtocolId>,
}

impl Common {
    /// Compares two compositions.
    ///
    /// ```
    /// use cf_client::Common;
    /// use cf_core::ProtocolDescriptor;
    /// let nothing = ProtocolDescriptor::default();
    /// assert!(Common::of(&nothing, &nothing).missing().contains(&"framing"));
    /// ```
    pub fn of(first: &ProtocolDescriptor, second: &ProtocolDescriptor) -> Self {
        let locators = |all: &[Component]| -> Vec<String> {
            let all = all.iter().filter_map(|service| text(service, LOCATOR));
            all.map(str::to_owned).collect()
        };
        let theirs = locators(&second.delivery_services);
        let mut both = locators(&first.delivery_services);
        both.retain(|locator| theirs.contains(locator));
        Self {
            locators: both,
            delivery_services: shared(&first.delivery_services, &second.delivery_services),
            framings: shared(&first.framings, &second.framings),
            discoveries: shared(&first.discoveries, &second.discoveries),
            initializations: shared(&first.initializations, &second.initializations),
            conversations: shared(&first.conversations, &second.conversations),
        }
    }

    /// The choices for which nothing is common and without which nobody talks. A
    /// common discovery is none of them: a link can be handed over by other means,
    /// but the other client has to read it.
    pub fn missing(&self) -> Vec<&'static str> {
        let choices = [
            ("delivery service", self.delivery_services.is_empty()),
            ("framing", self.framings.is_empty()),
            ("initialization", self.initializations.is_empty()),
            ("conversation", self.conversations.is_empty()),
        ];
        let missing = choices.into_iter().filter(|(_, is_missing)| *is_missing);
        missing.map(|(choice, _)| choice).collect()
    }

    /// Whether clients of the two can talk, provided that each reaches a service of
    /// the other.
    pub fn can_talk(&self) -> bool {
        self.missing().is_empty()
    }
}

/// The ids that both have, in the first one's order, each once.
fn shared(first: &[Component], second: &[Component]) -> Vec<ProtocolId> {
    let mut both: Vec<ProtocolId> = Vec::new();
    for component in first {
        let is_theirs = second.iter().any(|other| other.id == component.id);
        if is_theirs && !both.contains(&component.id) {
            both.push(component.id.clone());
        }
    }
    both
}
