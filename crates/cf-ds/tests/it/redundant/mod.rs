//! `/cf/ds/redundant/1`: several services as one.

mod bounds;
mod conformance;
mod fragile;
mod publishing;
mod reading;

use std::sync::Arc;

use cf_core::{
    DeliveryService, ErrorKind, Linkable, Outcome, PublishRequest, Resume, Start, Subscription,
};
use cf_ds::{MemoryOptions, MemoryService, Redundant, RedundantOptions};

use crate::address;

fn memory(name: &str) -> MemoryService {
    MemoryService::new(name).unwrap()
}

/// One service of memory services with these names.
fn of(names: &[&str]) -> Redundant {
    let services = names.iter().map(|name| Arc::new(memory(name)) as _);
    Redundant::new(services.collect()).unwrap()
}

async fn publish(service: &dyn DeliveryService, payload: impl Into<bytes::Bytes>) -> Outcome {
    service
        .publish(PublishRequest::new(address("raya"), payload))
        .await
}

async fn subscribed(service: &dyn DeliveryService, start: Start) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(address("raya"), start).await.unwrap();
    subscription
}

#[test]
fn the_locator_names_the_set() {
    assert_eq!(of(&["a", "b"]).locator(), of(&["b", "a"]).locator());
    assert_ne!(of(&["a", "b"]).locator(), of(&["a", "c"]).locator());
    assert_ne!(of(&["a", "b"]).locator(), of(&["a"]).locator());
    assert_eq!(of(&["a"]).locator().scheme(), "redundant");
    // SHA-256("/cf/ds/redundant/1 locator" ‖ 00 ‖ "memory:a" ‖ 00 ‖ "memory:b")
    assert_eq!(
        of(&["b", "a"]).locator().as_str(),
        "redundant:4fd20d7e557484ff8659209c086f9bba"
    );
}

#[test]
fn too_few_too_many_and_the_same_twice_are_misuse() {
    let names: Vec<_> = (0..=Redundant::MAX_SERVICES)
        .map(|n| n.to_string())
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    of(&names[..Redundant::MAX_SERVICES]);
    for wrong in [&names[..], &[], &["a", "b", "a"]] {
        let services = wrong.iter().map(|name| Arc::new(memory(name)) as _);
        let error = Redundant::new(services.collect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_declared_is_what_all_declare() {
    let own = of(&["a", "b"]).capabilities();
    let given = memory("a").capabilities();
    assert_eq!(
        (own.max_payload_len, own.retention, own.resume),
        (given.max_payload_len, given.retention, Resume::AnyCursor)
    );
    assert_eq!(own.linkable, given.linkable);
    assert!(!own.order && !own.conditional_publish);
    let small = MemoryOptions {
        max_payload_len: 100,
        retention: std::time::Duration::from_secs(60),
        ..MemoryOptions::default()
    };
    let small = MemoryService::with_options("small", small).unwrap();
    let void = fragile::Void::default();
    let mixed = Redundant::new(vec![Arc::new(memory("a")), Arc::new(small.clone())]).unwrap();
    assert_eq!(mixed.capabilities().max_payload_len, 100);
    assert_eq!(
        mixed.capabilities().retention,
        small.capabilities().retention
    );
    let mixed = Redundant::new(vec![Arc::new(memory("a")), Arc::new(void)]).unwrap();
    let own = mixed.capabilities();
    assert_eq!((own.retention, own.resume), (None, Resume::No));
    assert_eq!(own.linkable, Linkable::ALL);
    let mut request = PublishRequest::new(address("raya"), "if");
    request.condition = Some(cf_core::Condition::Empty);
    let Outcome::Refused(error) = of(&["a"]).publish(request).await else {
        panic!("a condition is not kept");
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn with(services: &[&fragile::Fragile], options: RedundantOptions) -> Redundant {
    let services = services.iter().map(|one| Arc::new((*one).clone()) as _);
    Redundant::with_options(services.collect(), options).unwrap()
}
