//! Whether components keep together what each of them declares.
//!
//! The rules read a protocol descriptor and nothing else, so that a client's
//! components and a file say the same. What a component does not declare is not
//! held against it. `docs/spec/descriptor.md` lists the rules.

use std::fmt;

use cf_core::{Component, Error, ProtocolDescriptor, Result};

use crate::declared::{
    ADDRESS, AUTHENTICATED, BLINDS_STANDING_TAGS, CONDITIONAL_PUBLISH, CONFIDENTIAL, LOCATOR,
    MAX_PAYLOAD_LEN, MIN_BODY_LEN, MIN_BUNDLE_LEN, NEEDS_CONDITIONAL_PUBLISH, NEEDS_RETENTION, NO,
    ORDER, OVERHEAD, POST_QUANTUM, POST_QUANTUM_HEALING, PUBLISHER, RELIABLE, RESUME, RETENTION,
    SINGLE_USE_TAGS, STANDING_TAGS, SUBSCRIBER, UNLINKABLE, holds, links_by, number, text,
};

/// What is wrong with a composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule found it; stays the same from version to version.
    pub code: &'static str,
    /// Whether a client opens all the same.
    pub severity: Severity,
    /// What is wrong and what to do about it, as a sentence.
    pub message: String,
}

/// Whether a client opens in spite of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does not: something that is declared can never be kept.
    Refuse,
    /// It does: something is weaker than it may seem.
    Warn,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Finds what a composition can't keep of what its components declare; refusals
/// first.
///
/// ```
/// use cf_client::{Severity, lint};
/// let nothing = cf_core::ProtocolDescriptor::default();
/// let first = &lint(&nothing)[0];
/// assert_eq!((first.code, first.severity), ("no-delivery-service", Severity::Refuse));
/// ```
pub fn lint(descriptor: &ProtocolDescriptor) -> Vec<Finding> {
    let mut lint = Lint {
        descriptor,
        findings: Vec::new(),
    };
    lint.choices();
    lint.twice();
    lint.lengths();
    lint.bundles();
    lint.conditions();
    lint.tags();
    lint.services();
    lint.contents();
    lint.first_contact();
    let mut findings = lint.findings;
    findings.sort_by_key(|finding| finding.severity == Severity::Warn);
    findings
}

/// The findings of a composition that may be used; those that refuse it as one error.
pub(crate) fn checked(descriptor: &ProtocolDescriptor) -> Result<Vec<Finding>> {
    let findings = lint(descriptor);
    let refuses = |finding: &&Finding| finding.severity == Severity::Refuse;
    let refused: Vec<_> = findings
        .iter()
        .filter(refuses)
        .map(Finding::to_string)
        .collect();
    match refused.is_empty() {
        true => Ok(findings),
        false => Err(Error::misuse(refused.join("; "))),
    }
}

struct Lint<'a> {
    descriptor: &'a ProtocolDescriptor,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn refuse(&mut self, code: &'static str, message: impl Into<String>) {
        self.find(code, Severity::Refuse, message.into());
    }

    fn warn(&mut self, code: &'static str, message: impl Into<String>) {
        self.find(code, Severity::Warn, message.into());
    }

    fn find(&mut self, code: &'static str, severity: Severity, message: String) {
        self.findings.push(Finding {
            code,
            severity,
            message,
        });
    }

    /// Each choice has a component.
    fn choices(&mut self) {
        let all = self.descriptor;
        if all.delivery_services.is_empty() {
            self.refuse("no-delivery-service", "give the client a delivery service");
        }
        if all.framings.is_empty() {
            self.refuse("no-framing", "give the client a framing strategy");
        }
        if all.conversations.is_empty() {
            self.refuse("no-conversation", "give the client a conversation protocol");
        }
        if all.initializations.is_empty() {
            let message = "nobody can be asked into a conversation, and nobody can ask: \
                           give the client an initialization protocol";
            self.warn("no-initialization", message);
        }
        if all.discoveries.is_empty() {
            let message = "nobody is found by this client, and it is found by nobody: give it \
                           a discovery protocol, or hand its bundles over yourself";
            self.warn("no-discovery", message);
        }
    }

    /// What finds a component by its id or locator finds the first.
    fn twice(&mut self) {
        let all = self.descriptor;
        let choices = [
            ("framings", &all.framings),
            ("initializations", &all.initializations),
            ("conversation protocols", &all.conversations),
        ];
        for (what, components) in choices {
            for id in repeated(components.iter().map(|component| component.id.as_str())) {
                let message = format!(
                    "two {what} have the id {id}, and the second is never used: leave it out, \
                     or give it an id of its own"
                );
                self.refuse("same-id", message);
            }
        }
        let locators = all.delivery_services.iter();
        for locator in repeated(locators.filter_map(|service| text(service, LOCATOR))) {
            let message = format!(
                "two delivery services have the locator {locator}, and the second is never \
                 used: leave it out"
            );
            self.refuse("same-locator", message);
        }
    }

    /// The shortest frame of everything that is sent has room somewhere.
    fn lengths(&mut self) {
        for initialization in &self.descriptor.initializations {
            if let Some((body, room)) = self.no_room(initialization) {
                let message = format!(
                    "an invite of {} takes a body of {body} bytes, and the delivery services \
                     leave at most {room}: take one for larger payloads, or put one that cuts \
                     payloads around it",
                    initialization.id
                );
                self.refuse("invite-too-long", message);
            }
        }
        for conversation in &self.descriptor.conversations {
            if let Some((body, room)) = self.no_room(conversation) {
                let message = format!(
                    "the shortest frame of {} takes a body of {body} bytes, and framings and \
                     delivery services leave at most {room}: take a service for larger payloads, \
                     a framing that adds less, or put one that cuts payloads around it",
                    conversation.id
                );
                self.refuse("no-room-for-frames", message);
            }
        }
        for service in &self.descriptor.delivery_services {
            let fits = |component: &Component| {
                let body = number(component, MIN_BODY_LEN).unwrap_or_default();
                self.room(service).is_none_or(|room| room >= body)
            };
            let of = |all: &[Component]| all.is_empty() || all.iter().any(fits);
            if self.descriptor.delivery_services.len() > 1
                && !(of(&self.descriptor.initializations) && of(&self.descriptor.conversations))
            {
                let message = format!(
                    "the delivery service {} takes no payload of what this client sends: leave \
                     it out, or put one that cuts payloads around it",
                    named(service)
                );
                self.warn("service-too-small", message);
            }
        }
    }

    /// The body that a component needs and the most that there is, if that is less.
    fn no_room(&self, component: &Component) -> Option<(u64, u64)> {
        let body = number(component, MIN_BODY_LEN)?;
        let rooms = self.descriptor.delivery_services.iter();
        let rooms: Option<Vec<u64>> = rooms.map(|service| self.room(service)).collect();
        let room = rooms?.into_iter().max()?;
        (room < body).then_some((body, room))
    }

    /// The longest body that a framing leaves on a service; `None` if that is not
    /// declared.
    fn room(&self, service: &Component) -> Option<u64> {
        let payload = number(service, MAX_PAYLOAD_LEN)?;
        let overheads = self.descriptor.framings.iter();
        let overheads: Option<Vec<u64>> = overheads.map(|one| number(one, OVERHEAD)).collect();
        Some(payload.saturating_sub(overheads?.into_iter().min()?))
    }

    /// Bundles that are published have a service that takes and keeps them.
    fn bundles(&mut self) {
        let all = self.descriptor;
        let retaining = |service: &&Component| number(service, RETENTION).is_some();
        let retaining: Vec<_> = all.delivery_services.iter().filter(retaining).collect();
        let bundles = all.initializations.iter();
        let bundles: u64 = bundles.filter_map(|one| number(one, MIN_BUNDLE_LEN)).sum();
        let publishes = |one: &&Component| holds(one, NEEDS_RETENTION);
        for discovery in all.discoveries.iter().filter(publishes) {
            let id = &discovery.id;
            if retaining.is_empty() {
                let message = format!(
                    "{id} publishes bundles, and no delivery service retains them: take one that \
                     does, or a discovery that publishes nothing"
                );
                self.refuse("discovery-needs-retention", message);
                continue;
            }
            let needed = bundles + number(discovery, OVERHEAD).unwrap_or_default();
            let most = retaining.iter().map(|one| number(one, MAX_PAYLOAD_LEN));
            let most = most.collect::<Option<Vec<_>>>();
            let Some(most) = most.and_then(|all| all.into_iter().max()) else {
                continue;
            };
            if needed > most {
                let message = format!(
                    "{id} publishes bundles in at least {needed} bytes, and the delivery services \
                     that retain take at most {most}: take one for larger payloads, or \
                     a discovery that publishes nothing"
                );
                self.refuse("bundle-too-long", message);
            }
        }
    }

    /// Who needs conditional publish has it.
    fn conditions(&mut self) {
        let services = &self.descriptor.delivery_services;
        let has = |one: &Component| holds(one, CONDITIONAL_PUBLISH) && holds(one, ORDER);
        if services.iter().any(has) {
            return;
        }
        let needs = |one: &&Component| holds(one, NEEDS_CONDITIONAL_PUBLISH);
        for conversation in self.descriptor.conversations.iter().filter(needs) {
            let message = format!(
                "{} needs a delivery service with order and conditional publish, and there is \
                 none: add one, or leave the protocol out",
                conversation.id
            );
            self.refuse("no-conditional-publish", message);
        }
    }

    /// Framings route the tags that conversations use, and give none away that
    /// would link.
    fn tags(&mut self) {
        let all = self.descriptor;
        for conversation in &all.conversations {
            let uses = [SINGLE_USE_TAGS, STANDING_TAGS].map(|tags| holds(conversation, tags));
            for framing in &all.framings {
                let routes = [SINGLE_USE_TAGS, STANDING_TAGS].map(|tags| holds(framing, tags));
                let declared = uses != [false; 2] && routes != [false; 2];
                let common = (uses[0] && routes[0]) || (uses[1] && routes[1]);
                let (protocol, strategy) = (&conversation.id, &framing.id);
                if declared && !common {
                    let message = format!(
                        "{strategy} routes by none of the tags that {protocol} uses: take \
                         another framing"
                    );
                    self.refuse("tags-not-routed", message);
                }
                let shows = routes == [false, true] && !holds(framing, BLINDS_STANDING_TAGS);
                if shows && holds(conversation, UNLINKABLE) {
                    let message = format!(
                        "{strategy} shows one standing tag in every payload, so that {protocol} \
                         is not unlinkable as it declares: take a framing with single-use tags, \
                         or one that blinds them"
                    );
                    self.refuse("standing-tags-link", message);
                }
            }
        }
    }

    /// What a service shows or does not do.
    fn services(&mut self) {
        let all = self.descriptor;
        let unlinkable = all.conversations.iter().any(|one| holds(one, UNLINKABLE));
        for service in &all.delivery_services {
            let who = named(service);
            if unlinkable && links_by(service, ADDRESS) {
                let message = format!(
                    "whoever runs {who} links the payloads of one address: conversations are \
                     unlinkable as far as their addresses differ, so keep rotating them"
                );
                self.warn("linked-by-address", message);
            }
            let connections = [PUBLISHER, SUBSCRIBER].map(|what| links_by(service, what));
            if unlinkable && connections.contains(&true) {
                let message = format!(
                    "whoever runs {who} sees from which connection addresses are used, and may \
                     link them by it: reach it by a network that hides yours"
                );
                self.warn("linked-by-connection", message);
            }
            let retains = number(service, RETENTION).is_some();
            if retains && text(service, RESUME) == Some(NO) {
                let message = format!(
                    "{who} retains payloads, but a subscription starts with what comes next: who \
                     was away misses them; take a service that resumes"
                );
                self.warn("retained-for-nobody", message);
            }
            if text(service, MAX_PAYLOAD_LEN).is_none() {
                let message = format!(
                    "{who} does not declare its longest payload: nothing was checked against it"
                );
                self.warn("undeclared", message);
            }
        }
        let waits = |one: &Component| number(one, RETENTION).is_some();
        if !all.delivery_services.is_empty() && !all.delivery_services.iter().any(waits) {
            let message = "no delivery service retains payloads: what is sent arrives only while \
                           both are there; add one that retains";
            self.warn("nothing-waits", message);
        }
    }

    /// What a conversation protocol does not promise.
    fn contents(&mut self) {
        for conversation in &self.descriptor.conversations {
            let id = &conversation.id;
            if conversation.parameters.is_empty() {
                continue;
            }
            if !holds(conversation, CONFIDENTIAL) {
                let message =
                    format!("{id} is not confidential: say so to the user, or leave it out");
                self.warn("not-confidential", message);
            }
            if !holds(conversation, RELIABLE) {
                let message = format!(
                    "{id} may lose content without a word: put a reliable protocol around it"
                );
                self.warn("not-reliable", message);
            }
        }
    }

    /// What a conversation declares holds from the first contact on.
    fn first_contact(&mut self) {
        let all = self.descriptor;
        let weaker = [
            (
                AUTHENTICATED,
                AUTHENTICATED,
                "first-contact-unauthenticated",
                "who the other is",
            ),
            (
                POST_QUANTUM_HEALING,
                POST_QUANTUM,
                "first-contact-not-post-quantum",
                "secrecy against a quantum attacker",
            ),
        ];
        for (promised, needed, code, what) in weaker {
            let promises = |one: &&Component| holds(one, promised);
            for conversation in all.conversations.iter().filter(promises) {
                let lacks = |one: &&Component| !holds(one, needed);
                for initialization in all.initializations.iter().filter(lacks) {
                    let message = format!(
                        "{} promises {what}, and {} does not: a conversation that began by it \
                         is weaker until it was compared or has healed",
                        conversation.id, initialization.id
                    );
                    self.warn(code, message);
                }
            }
        }
    }
}

fn named(service: &Component) -> String {
    match text(service, LOCATOR) {
        Some(locator) => format!("{} ({locator})", service.id),
        None => service.id.to_string(),
    }
}

/// What is there more than once, each once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<_> = names.collect();
    all.sort_unstable();
    let mut twice: Vec<_> = all
        .windows(2)
        .filter(|two| two[0] == two[1])
        .map(|two| two[0])
        .collect();
    twice.dedup();
    twice
}
