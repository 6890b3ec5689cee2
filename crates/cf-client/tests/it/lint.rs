//! The linter: each rule refuses its bad composition, or warns of it, and passes
//! the good one.

use std::collections::BTreeSet;
use std::sync::Arc;

use cf_client::{Client, Common, Components, Finding, Profile, Severity, lint};
use cf_core::{Component, ErrorKind, Identity, ProtocolDescriptor, ProtocolId};
use cf_ds::{MemoryOptions, MemoryService};
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

fn identity() -> Arc<dyn Identity> {
    let random = &mut SeededRandom::new(1);
    Arc::new(cf_identity::SoftwareIdentity::generate(random).unwrap())
}

fn components(max_payload_len: usize) -> Components {
    let options = MemoryOptions {
        max_payload_len,
        ..MemoryOptions::default()
    };
    let service = Arc::new(MemoryService::with_options("town", options).unwrap());
    Components {
        services: vec![service.clone()],
        framings: vec![Arc::new(cf_framing::Tagged), Arc::new(cf_framing::Wap)],
        discoveries: vec![
            Arc::new(cf_discovery::ShortLink::new(identity(), vec![service])),
            Arc::new(cf_discovery::Link),
        ],
        initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
        conversations: vec![cf_conversation::private_2(), cf_conversation::private()],
    }
}

fn open(components: Components) -> cf_core::Result<Client> {
    let profile = Profile {
        identity: identity(),
        display_name: "Saro".to_owned(),
    };
    let random = || Box::new(SeededRandom::new(7)) as _;
    Client::open(
        components,
        profile,
        Arc::new(MemoryStore::default()),
        random,
    )
}

/// The stock composition over a service that links nothing.
fn good() -> ProtocolDescriptor {
    let mut good = components(64 * 1024).descriptor();
    set(&mut good.delivery_services[0], "linkable", "time,size");
    good
}

fn set(component: &mut Component, name: &str, value: &str) {
    component
        .parameters
        .insert(name.to_owned(), value.to_owned());
}

fn unset(component: &mut Component, name: &str) {
    component.parameters.remove(name);
}

fn bare(id: &'static str) -> Component {
    Component::new(ProtocolId::from_static(id))
}

type Breaks = fn(&mut ProtocolDescriptor);

/// Each rule, and what breaks it.
const RULES: &[(&str, Severity, Breaks)] = &[
    ("no-delivery-service", Severity::Refuse, |d| {
        d.delivery_services.clear()
    }),
    ("no-framing", Severity::Refuse, |d| d.framings.clear()),
    ("no-conversation", Severity::Refuse, |d| {
        d.conversations.clear()
    }),
    ("no-initialization", Severity::Warn, |d| {
        d.initializations.clear()
    }),
    ("no-discovery", Severity::Warn, |d| d.discoveries.clear()),
    ("same-id", Severity::Refuse, |d| {
        d.initializations.push(d.initializations[0].clone());
    }),
    ("same-locator", Severity::Refuse, |d| {
        d.delivery_services.push(d.delivery_services[0].clone());
    }),
    // A service for 1 KiB: an invite takes 4 KiB and a bundle more than one.
    ("invite-too-long", Severity::Refuse, |d| {
        set(&mut d.delivery_services[0], "max_payload_len", "1024");
    }),
    ("bundle-too-long", Severity::Refuse, |d| {
        set(&mut d.delivery_services[0], "max_payload_len", "1024");
    }),
    ("no-room-for-frames", Severity::Refuse, |d| {
        set(&mut d.delivery_services[0], "max_payload_len", "512");
        set(&mut d.framings[0], "overhead", "173");
        set(&mut d.framings[1], "overhead", "400");
    }),
    ("service-too-small", Severity::Warn, |d| {
        let mut small = d.delivery_services[0].clone();
        set(&mut small, "locator", "memory:village");
        set(&mut small, "max_payload_len", "1024");
        d.delivery_services.push(small);
    }),
    ("no-conditional-publish", Severity::Refuse, |d| {
        set(&mut d.conversations[1], "needs_conditional_publish", "true");
        unset(&mut d.delivery_services[0], "conditional_publish");
    }),
    ("no-conditional-publish", Severity::Refuse, |d| {
        set(&mut d.conversations[1], "needs_conditional_publish", "true");
        unset(&mut d.delivery_services[0], "order");
    }),
    ("discovery-needs-retention", Severity::Refuse, |d| {
        unset(&mut d.delivery_services[0], "retention_ms");
    }),
    ("tags-not-routed", Severity::Refuse, |d| {
        unset(&mut d.conversations[0], "standing_tags");
    }),
    ("standing-tags-link", Severity::Refuse, |d| {
        unset(&mut d.framings[1], "blinds_standing_tags");
    }),
    ("linked-by-address", Severity::Warn, |d| {
        set(&mut d.delivery_services[0], "linkable", "address");
    }),
    ("linked-by-address", Severity::Warn, |d| {
        unset(&mut d.delivery_services[0], "linkable");
    }),
    ("linked-by-connection", Severity::Warn, |d| {
        set(&mut d.delivery_services[0], "linkable", "size,subscriber");
    }),
    ("retained-for-nobody", Severity::Warn, |d| {
        set(&mut d.delivery_services[0], "resume", "no");
    }),
    ("undeclared", Severity::Warn, |d| {
        unset(&mut d.delivery_services[0], "max_payload_len");
    }),
    ("nothing-waits", Severity::Warn, |d| {
        d.discoveries.remove(0);
        unset(&mut d.delivery_services[0], "retention_ms");
    }),
    ("not-confidential", Severity::Warn, |d| {
        unset(&mut d.conversations[1], "confidential");
    }),
    ("not-reliable", Severity::Warn, |d| {
        unset(&mut d.conversations[0], "reliable");
    }),
    ("first-contact-unauthenticated", Severity::Warn, |d| {
        d.initializations.push(bare("/example/init/1"));
    }),
    ("first-contact-not-post-quantum", Severity::Warn, |d| {
        unset(&mut d.initializations[0], "post_quantum");
    }),
];

#[test]
fn each_rule_finds_what_breaks_it_and_nothing_in_a_good_composition() {
    assert_eq!(lint(&good()), []);
    for (code, severity, breaks) in RULES {
        let mut bad = good();
        breaks(&mut bad);
        let findings = lint(&bad);
        let found = findings.iter().find(|finding| finding.code == *code);
        let found = found.unwrap_or_else(|| panic!("{code} is not in {findings:?}"));
        assert_eq!(found.severity, *severity, "{code}");
        assert!(found.message.len() > 20, "{code} says what to do");
    }
}

#[test]
fn the_page_lists_each_code() {
    let page = include_str!("../../../../docs/spec/descriptor.md");
    let listed: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, rest)| rest.starts_with("refuse |") || rest.starts_with("warn |"))
        .map(|(code, rest)| (code, rest.starts_with("refuse")))
        .collect();
    let rules = RULES.iter();
    let tested = rules.map(|(code, severity, _)| (*code, *severity == Severity::Refuse));
    assert_eq!(listed, tested.collect());
}

#[test]
fn what_is_exactly_enough_is_enough() {
    // The invite's body, and what tagged/1 adds to it.
    let codes = |max| -> Vec<_> {
        let findings = lint(&components(max).descriptor());
        findings.into_iter().map(|finding| finding.code).collect()
    };
    let most = components(4096).descriptor();
    let overhead: usize = most.framings[0].parameters["overhead"].parse().unwrap();
    let needed = cf_init::MIN_BODY_LEN + overhead;
    assert!(!codes(needed).contains(&"invite-too-long"));
    assert!(codes(needed - 1).contains(&"invite-too-long"));
}

#[tokio::test]
async fn a_client_is_refused_with_all_reasons_or_tells_its_warnings() {
    let error = open(components(1024)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    for code in ["invite-too-long", "bundle-too-long"] {
        assert!(error.to_string().contains(code), "{error}");
    }
    let client = open(components(64 * 1024)).unwrap();
    let codes: Vec<_> = client
        .findings()
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(codes, ["linked-by-address", "linked-by-connection"]);
    let same: Vec<Finding> = lint(&client.descriptor());
    assert_eq!(client.findings(), same);
}

/// What is declared as the least is a little less than what is there.
#[tokio::test]
async fn bundles_are_as_long_as_declared() {
    let client = open(components(64 * 1024)).unwrap();
    let bundles = client.make_bundles(Default::default()).await.unwrap();
    let (_, bundle) = bundles.iter().next().unwrap();
    let declared = &client.descriptor().initializations[0].parameters["min_bundle_len"];
    let least: usize = declared.parse().unwrap();
    assert!(least < bundle.len(), "{least} of {}", bundle.len());
    assert!(least > bundle.len() / 2, "{least} of {}", bundle.len());
}

#[test]
fn two_compositions_talk_by_what_they_share() {
    let first = good();
    let mut second = good();
    second.conversations.reverse();
    second.framings.remove(0);
    set(
        &mut second.delivery_services[0],
        "locator",
        "memory:village",
    );
    let common = Common::of(&first, &second);
    assert!(common.can_talk());
    assert_eq!(common.locators, [] as [&str; 0]);
    assert_eq!(common.framings, [cf_framing::Wap::ID]);
    let preferred = |common: Common| common.conversations[0].to_string();
    assert_eq!(preferred(common), "/cf/conversation/private/2");
    assert_eq!(
        preferred(Common::of(&second, &first)),
        "/cf/conversation/private/1"
    );

    second.initializations = vec![bare("/cf/init/psk/1")];
    second.framings.clear();
    let common = Common::of(&first, &second);
    assert!(!common.can_talk());
    assert_eq!(common.missing(), ["framing", "initialization"]);
}
