//! What components declare, as the parameters of a protocol descriptor.
//!
//! `docs/spec/descriptor.md` lists the names. A parameter that is not there is not
//! declared.

use std::time::Duration;

use cf_core::{
    Capabilities, Component, ConversationProtocol, DeliveryService, DiscoveryProtocol,
    FramingStrategy, InitializationProtocol, Linkable, Resume,
};

/// The payload that a framing's overhead is told for, in bytes.
const FRAMED: usize = 4096;

pub(crate) const LOCATOR: &str = "locator";
pub(crate) const MAX_PAYLOAD_LEN: &str = "max_payload_len";
pub(crate) const RETENTION: &str = "retention_ms";
pub(crate) const RESUME: &str = "resume";
pub(crate) const ORDER: &str = "order";
pub(crate) const CONDITIONAL_PUBLISH: &str = "conditional_publish";
const DUPLICATE_SUPPRESSION: &str = "duplicate_suppression_ms";
pub(crate) const LINKABLE: &str = "linkable";
pub(crate) const OVERHEAD: &str = "overhead";
pub(crate) const SINGLE_USE_TAGS: &str = "single_use_tags";
pub(crate) const STANDING_TAGS: &str = "standing_tags";
pub(crate) const BLINDS_STANDING_TAGS: &str = "blinds_standing_tags";
pub(crate) const NEEDS_RETENTION: &str = "needs_retention";
const REFRESHES: &str = "refreshes";
pub(crate) const AUTHENTICATED: &str = "authenticated";
const HIDES_SENDER: &str = "hides_sender";
pub(crate) const FORWARD_SECRET: &str = "forward_secret";
pub(crate) const POST_QUANTUM: &str = "post_quantum";
pub(crate) const MIN_BUNDLE_LEN: &str = "min_bundle_len";
pub(crate) const MIN_BODY_LEN: &str = "min_body_len";
pub(crate) const CONFIDENTIAL: &str = "confidential";
const POST_COMPROMISE_SECURE: &str = "post_compromise_secure";
pub(crate) const POST_QUANTUM_HEALING: &str = "post_quantum_healing";
const DENIABLE: &str = "deniable";
pub(crate) const UNLINKABLE: &str = "unlinkable";
pub(crate) const RELIABLE: &str = "reliable";
const BIDIRECTIONAL: &str = "bidirectional";
const MAX_PARTICIPANTS: &str = "max_participants";
pub(crate) const NEEDS_CONDITIONAL_PUBLISH: &str = "needs_conditional_publish";

/// What a parameter says of a thing that a payload's observer can link.
pub(crate) const ADDRESS: &str = "address";
pub(crate) const PUBLISHER: &str = "publisher";
pub(crate) const SUBSCRIBER: &str = "subscriber";
/// What [`RESUME`] says where nothing is to be resumed.
pub(crate) const NO: &str = "no";

/// A component with the properties that hold; what does not hold is not named.
struct Declaring(Component);

impl Declaring {
    fn flag(self, name: &str, holds: bool) -> Self {
        match holds {
            true => Self(self.0.with(name, true)),
            false => self,
        }
    }

    fn number(self, name: &str, value: usize) -> Self {
        match value {
            0 => self,
            value => Self(self.0.with(name, value)),
        }
    }

    fn time(self, name: &str, time: Option<Duration>) -> Self {
        match time {
            Some(time) => Self(self.0.with(name, time.as_millis())),
            None => self,
        }
    }
}

pub(crate) fn service(service: &dyn DeliveryService) -> Component {
    let Capabilities {
        max_payload_len,
        retention,
        resume,
        order,
        conditional_publish,
        duplicate_suppression,
        linkable,
    } = service.capabilities();
    let component = Component::new(service.id().clone())
        .with(LOCATOR, service.locator())
        .with(MAX_PAYLOAD_LEN, max_payload_len)
        .with(RESUME, resume_name(resume))
        .with(LINKABLE, linkable_names(linkable));
    Declaring(component)
        .time(RETENTION, retention)
        .flag(ORDER, order)
        .flag(CONDITIONAL_PUBLISH, conditional_publish)
        .time(DUPLICATE_SUPPRESSION, duplicate_suppression)
        .0
}

pub(crate) fn framing(framing: &dyn FramingStrategy) -> Component {
    let properties = framing.properties();
    let overhead = FRAMED.saturating_sub(framing.max_body_len(FRAMED));
    Declaring(Component::new(framing.id().clone()).with(OVERHEAD, overhead))
        .flag(SINGLE_USE_TAGS, properties.single_use_tags)
        .flag(STANDING_TAGS, properties.standing_tags)
        .flag(BLINDS_STANDING_TAGS, properties.blinds_standing_tags)
        .0
}

pub(crate) fn discovery(discovery: &dyn DiscoveryProtocol) -> Component {
    let properties = discovery.properties();
    Declaring(Component::new(discovery.id().clone()))
        .flag(NEEDS_RETENTION, properties.needs_retention)
        .number(OVERHEAD, properties.publish_overhead)
        .flag(REFRESHES, properties.refreshes)
        .0
}

pub(crate) fn initialization(initialization: &dyn InitializationProtocol) -> Component {
    let properties = initialization.properties();
    Declaring(Component::new(initialization.id().clone()))
        .flag(AUTHENTICATED, properties.authenticated)
        .flag(HIDES_SENDER, properties.hides_sender)
        .flag(FORWARD_SECRET, properties.forward_secret)
        .flag(POST_QUANTUM, properties.post_quantum)
        .number(MIN_BUNDLE_LEN, properties.min_bundle_len)
        .number(MIN_BODY_LEN, properties.min_body_len)
        .0
}

pub(crate) fn conversation(conversation: &dyn ConversationProtocol) -> Component {
    let properties = conversation.properties();
    let participants = properties.max_participants.unwrap_or_default();
    Declaring(Component::new(conversation.id().clone()))
        .flag(CONFIDENTIAL, properties.confidential)
        .flag(AUTHENTICATED, properties.authenticated)
        .flag(FORWARD_SECRET, properties.forward_secret)
        .flag(POST_COMPROMISE_SECURE, properties.post_compromise_secure)
        .flag(POST_QUANTUM_HEALING, properties.post_quantum_healing)
        .flag(DENIABLE, properties.deniable)
        .flag(UNLINKABLE, properties.unlinkable)
        .flag(RELIABLE, properties.reliable)
        .flag(BIDIRECTIONAL, properties.bidirectional)
        .number(MAX_PARTICIPANTS, participants as usize)
        .flag(
            NEEDS_CONDITIONAL_PUBLISH,
            properties.needs_conditional_publish,
        )
        .flag(SINGLE_USE_TAGS, properties.single_use_tags)
        .flag(STANDING_TAGS, properties.standing_tags)
        .number(MIN_BODY_LEN, properties.min_body_len)
        .0
}

fn resume_name(resume: Resume) -> &'static str {
    match resume {
        Resume::No => NO,
        Resume::WhereStopped => "where-stopped",
        Resume::AnyCursor => "any-cursor",
    }
}

/// What can be linked, in one order, with commas between.
fn linkable_names(linkable: &[Linkable]) -> String {
    let named = [
        (Linkable::Address, ADDRESS),
        (Linkable::Publisher, PUBLISHER),
        (Linkable::Subscriber, SUBSCRIBER),
        (Linkable::Time, "time"),
        (Linkable::Size, "size"),
    ];
    let held = named.iter().filter(|(what, _)| linkable.contains(what));
    let names: Vec<_> = held.map(|(_, name)| *name).collect();
    names.join(",")
}

/// A parameter that says yes.
pub(crate) fn holds(component: &Component, name: &str) -> bool {
    text(component, name) == Some("true")
}

/// A parameter that is a number.
pub(crate) fn number(component: &Component, name: &str) -> Option<u64> {
    text(component, name)?.parse().ok()
}

/// A parameter, as it is.
pub(crate) fn text<'a>(component: &'a Component, name: &str) -> Option<&'a str> {
    component.parameters.get(name).map(String::as_str)
}

/// Whether a service admits that it can link by this.
pub(crate) fn links_by(service: &Component, what: &str) -> bool {
    text(service, LINKABLE).is_none_or(|all| all.split(',').any(|one| one == what))
}
