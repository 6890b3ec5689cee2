//! What there is of each choice, and the document of all their compositions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use cf::conversation::{private, private_2};
use cf::core::{
    Connector, ConversationProtocol, DeliveryService, DiscoveryProtocol, FramingStrategy, Identity,
    InitializationProtocol, Secret,
};
use cf::discovery::{Directory, Link, ShortLink, StaticTable};
use cf::ds::{LocalConnector, MemoryOptions, MemoryService, Redundant, Segmented};
use cf::framing::{Tagged, Wap};
use cf::identity::SoftwareIdentity;
use cf::init::{InboxProtocol, PskProtocol};
use cf::{Components, Finding, Severity, lint};
use cf_testkit::SeededRandom;

/// The five choices.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    Framing,
    Discovery,
    Initialization,
    Conversation,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Service,
        Self::Framing,
        Self::Discovery,
        Self::Initialization,
        Self::Conversation,
    ];

    /// Its part of a protocol's id.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Service => "ds",
            Self::Framing => "framing",
            Self::Discovery => "discovery",
            Self::Initialization => "init",
            Self::Conversation => "conversation",
        }
    }
}

/// The longest payload of a service for short ones, in bytes.
const SHORT: usize = 2048;

fn memory(max_payload_len: Option<usize>, name: &str) -> Arc<dyn DeliveryService> {
    let default = MemoryOptions::default();
    let options = MemoryOptions {
        max_payload_len: max_payload_len.unwrap_or(default.max_payload_len),
        ..default
    };
    Arc::new(MemoryService::with_options(name, options).unwrap())
}

type MakeService = fn(&Path) -> Arc<dyn DeliveryService>;

/// Name, id, and how it is made; with files in a folder.
const SERVICES: [(&str, &str, MakeService); 5] = [
    ("memory", "/cf/ds/memory/1", |_| memory(None, "town")),
    ("memory, payloads up to 2 KiB", "/cf/ds/memory/1", |_| {
        memory(Some(SHORT), "town")
    }),
    ("segmented over 2 KiB", "/cf/ds/segmented/1", |_| {
        Arc::new(Segmented::new(memory(Some(SHORT), "town")).unwrap())
    }),
    ("redundant, of two", "/cf/ds/redundant/1", |_| {
        let two = vec![memory(None, "one"), memory(None, "two")];
        Arc::new(Redundant::new(two).unwrap())
    }),
    ("local", "/cf/ds/local/1", |folder| {
        let connector = LocalConnector::new(folder.join("service.db"));
        now(connector.connect("local:"))
    }),
];

/// Connects before there is a runtime.
fn now<T>(future: impl Future<Output = cf::core::Result<T>>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
        .unwrap()
}

type MakeFraming = fn() -> Arc<dyn FramingStrategy>;

const FRAMINGS: [(&str, MakeFraming); 2] = [
    ("/cf/framing/tagged/1", || Arc::new(Tagged)),
    ("/cf/framing/wap/1", || Arc::new(Wap)),
];

/// What a discovery is made of.
pub(super) struct Own<'a> {
    pub(super) identity: Arc<dyn Identity>,
    pub(super) service: Arc<dyn DeliveryService>,
    pub(super) table: &'a StaticTable,
    pub(super) name: &'a str,
}

type MakeDiscovery = fn(&Own<'_>) -> Arc<dyn DiscoveryProtocol>;

const DISCOVERIES: [(&str, MakeDiscovery); 4] = [
    ("/cf/discovery/link/1", |_| Arc::new(Link)),
    ("/cf/discovery/short-link/1", |own| {
        Arc::new(ShortLink::new(
            own.identity.clone(),
            vec![own.service.clone()],
        ))
    }),
    ("/cf/discovery/directory/1", |own| {
        let directory = Directory::new(own.identity.clone(), vec![own.service.clone()]);
        Arc::new(directory.named(own.name).unwrap())
    }),
    ("/cf/discovery/static/1", |own| {
        Arc::new(own.table.named(own.name).unwrap())
    }),
];

type MakeInitialization = fn() -> Arc<dyn InitializationProtocol>;

const INITIALIZATIONS: [(&str, MakeInitialization); 2] = [
    ("/cf/init/inbox/1", || Arc::new(InboxProtocol::default())),
    ("/cf/init/psk/1", || {
        Arc::new(PskProtocol::new(Secret::new(vec![7; 32])).unwrap())
    }),
];

type MakeConversation = fn() -> Arc<dyn ConversationProtocol>;

const CONVERSATIONS: [(&str, MakeConversation); 2] = [
    ("/cf/conversation/private/1", private),
    ("/cf/conversation/private/2", private_2),
];

/// What is no choice of its own here, and why.
const APART: [(&str, &str); 6] = [
    (
        "/cf/conversation/ratchet/1",
        "the innermost layer of private/1",
    ),
    (
        "/cf/conversation/ratchet/2",
        "the innermost layer of private/2",
    ),
    (
        "/cf/conversation/reliable/1",
        "a layer of both private protocols",
    ),
    (
        "/cf/discovery/lan/1",
        "needs a network with multicast: `cf-discovery-lan/tests/it/`",
    ),
    ("/cf/ds/mqtt/1", "needs a broker: `cf-ds-mqtt/tests/it/`"),
    ("/cf/ds/nats/1", "needs a server: `cf-ds-nats/tests/it/`"),
];

/// The ids of everything in the table and beside it.
pub(super) fn listed() -> BTreeSet<String> {
    let services = SERVICES.iter().map(|(_, id, _)| *id);
    let apart = APART.iter().map(|(id, _)| *id);
    let framings = FRAMINGS.iter().map(|(id, _)| *id);
    let discoveries = DISCOVERIES.iter().map(|(id, _)| *id);
    let initializations = INITIALIZATIONS.iter().map(|(id, _)| *id);
    let conversations = CONVERSATIONS.iter().map(|(id, _)| *id);
    let all = services.chain(apart).chain(framings).chain(discoveries);
    let all = all.chain(initializations).chain(conversations);
    all.map(str::to_owned).collect()
}

/// One of each.
#[derive(Clone, Copy)]
pub(super) struct Composition {
    service: usize,
    framing: usize,
    discovery: usize,
    initialization: usize,
    conversation: usize,
}

impl Composition {
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for service in 0..SERVICES.len() {
            for framing in 0..FRAMINGS.len() {
                for discovery in 0..DISCOVERIES.len() {
                    for initialization in 0..INITIALIZATIONS.len() {
                        for conversation in 0..CONVERSATIONS.len() {
                            all.push(Self {
                                service,
                                framing,
                                discovery,
                                initialization,
                                conversation,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    pub(super) fn name(&self) -> String {
        [
            SERVICES[self.service].0,
            FRAMINGS[self.framing].0,
            DISCOVERIES[self.discovery].0,
            INITIALIZATIONS[self.initialization].0,
            CONVERSATIONS[self.conversation].0,
        ]
        .join(" + ")
    }

    /// The service, with files in a folder.
    pub(super) fn service(&self, folder: &Path) -> Arc<dyn DeliveryService> {
        SERVICES[self.service].2(folder)
    }

    /// Whether time may be virtual: no file that others change is looked at.
    pub(super) fn lives_in_memory(&self) -> bool {
        SERVICES[self.service].1 != "/cf/ds/local/1"
    }

    /// A client's components; `service` may be one with faults around the discovery's.
    pub(super) fn components(
        &self,
        service: Arc<dyn DeliveryService>,
        own: &Own<'_>,
    ) -> Components {
        Components {
            services: vec![service],
            framings: vec![FRAMINGS[self.framing].1()],
            discoveries: vec![DISCOVERIES[self.discovery].1(own)],
            initializations: vec![INITIALIZATIONS[self.initialization].1()],
            conversations: vec![CONVERSATIONS[self.conversation].1()],
        }
    }

    /// The same with everything that there is, the newest conversation protocol first.
    pub(super) fn upgraded(&self, before: &Components) -> Components {
        let mut all = before.clone();
        for (_, make) in FRAMINGS {
            let made = make();
            if all.framings.iter().all(|one| one.id() != made.id()) {
                all.framings.push(made);
            }
        }
        all.conversations = CONVERSATIONS.iter().rev().map(|(_, make)| make()).collect();
        all
    }

    /// Why the linter refuses it.
    pub(super) fn refused(&self) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        let service = self.service(folder.path());
        let identity = SoftwareIdentity::generate(&mut SeededRandom::new(1)).unwrap();
        let own = Own {
            identity: Arc::new(identity),
            service: service.clone(),
            table: &StaticTable::new(),
            name: "saro",
        };
        let mut findings = lint(&self.components(service, &own).descriptor());
        findings.retain(|finding| finding.severity == Severity::Refuse);
        findings
    }
}

/// What `docs/compositions.md` says.
pub(super) fn document() -> String {
    let mut text = String::from(
        "# Compositions\n\nMade by `cargo xtask compositions`, which runs each of them; a test \
         fails when this page is not fresh.\n\nEvery delivery service with every framing, \
         discovery, initialization and conversation protocol of the workspace. *Yes*: two \
         clients find each other, talk, start again, talk, start again with every framing and \
         conversation protocol that there is, and talk, on a kind network and on one that \
         loses, repeats, delays and overtakes as far as what the composition needs allows \
         (`crates/cf/tests/it/compositions/`). Otherwise the linter refuses the composition, \
         and the reason is below.\n",
    );
    let mut reasons = BTreeMap::new();
    let all = Composition::all();
    for (service, (name, _, _)) in SERVICES.iter().enumerate() {
        let _ = write!(
            text,
            "\n## Delivery service: {name}\n\n| framing | discovery |"
        );
        let mut line = String::from("|---|---|");
        for (initialization, _) in INITIALIZATIONS {
            for (conversation, _) in CONVERSATIONS {
                let _ = write!(
                    text,
                    " {}, {} |",
                    short(initialization),
                    short(conversation)
                );
                line.push_str("---|");
            }
        }
        let _ = writeln!(text, "\n{line}");
        let of_service = all.iter().filter(|one| one.service == service);
        for (index, composition) in of_service.enumerate() {
            if index % (INITIALIZATIONS.len() * CONVERSATIONS.len()) == 0 {
                let framing = short(FRAMINGS[composition.framing].0);
                let discovery = short(DISCOVERIES[composition.discovery].0);
                let _ = write!(text, "| {framing} | {discovery} |");
            }
            let refused = composition.refused();
            let mut codes: Vec<_> = refused.iter().map(|finding| finding.code).collect();
            codes.dedup();
            for finding in refused {
                reasons.entry(finding.code).or_insert(finding.message);
            }
            match codes.is_empty() {
                true => text.push_str(" yes |"),
                false => {
                    let _ = write!(text, " {} |", codes.join(", "));
                }
            }
            if (index + 1) % (INITIALIZATIONS.len() * CONVERSATIONS.len()) == 0 {
                text.push('\n');
            }
        }
    }
    text.push_str(
        "\n## Why compositions are refused\n\nThe first of each kind, as the linter says it.\n\n",
    );
    for (code, message) in reasons {
        let _ = writeln!(text, "- `{code}`: {message}");
    }
    text.push_str("\n## What is apart\n\n");
    for (id, why) in APART {
        let _ = writeln!(text, "- `{id}`: {why}");
    }
    text
}

/// An id without what all of them have.
fn short(id: &str) -> String {
    let parts: Vec<_> = id.split('/').collect();
    parts[parts.len() - 2..].join("/")
}
