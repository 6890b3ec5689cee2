//! `/cf/ds/segmented/1`: payloads larger than the service around which it is.

mod bounds;
mod conformance;
mod hostile;
mod resume;
mod vectors;

use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    DeliveryService, ErrorKind, Outcome, PublishRequest, Random, Resume, Start, Subscription,
};
use cf_ds::{MemoryOptions, MemoryService, Segmented, SegmentedOptions};
use cf_testkit::SeededRandom;

use crate::{address, read};

/// A service in memory that takes 4 KiB.
fn small() -> MemoryService {
    let options = MemoryOptions {
        max_payload_len: 4096,
        ..MemoryOptions::default()
    };
    MemoryService::with_options("small", options).unwrap()
}

fn around(inner: &MemoryService) -> Segmented {
    Segmented::new(Arc::new(inner.clone())).unwrap()
}

fn with(inner: &MemoryService, options: SegmentedOptions) -> Segmented {
    Segmented::with_options(Arc::new(inner.clone()), options).unwrap()
}

/// Random bytes.
fn payload(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes.into()
}

async fn publish(service: &dyn DeliveryService, payload: impl Into<Bytes>) {
    let request = PublishRequest::new(address("raya"), payload);
    let outcome = service.publish(request).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

/// The pieces of a payload, as the small service takes them.
async fn pieces(payload: &Bytes) -> Vec<Bytes> {
    let inner = small();
    let tap = inner.observe(1000);
    publish(&around(&inner), payload.clone()).await;
    tap.take().into_iter().map(|one| one.payload).collect()
}

async fn subscribed(service: &dyn DeliveryService, start: Start) -> Box<dyn Subscription> {
    let mut subscription = service.subscribe().await.unwrap();
    subscription.add(address("raya"), start).await.unwrap();
    subscription
}

fn payloads(subscription: &mut dyn Subscription) -> Vec<Bytes> {
    let read = read(subscription).into_iter();
    read.map(|delivery| delivery.payload).collect()
}

#[tokio::test]
async fn lengths_around_every_bound_pass_and_small_ones_take_one_piece() {
    let inner = small();
    let tap = inner.observe(10_000);
    let service = around(&inner);
    let mut subscription = subscribed(&service, Start::Earliest).await;
    for (len, count) in [
        (0, 1),
        (1, 1),
        (4095, 1),
        (4096, 2),
        (2 * 4027, 2),
        (2 * 4027 + 1, 3),
        (4 * 3995, 4),
        (4 * 3995 + 1, 5),
        (1024 * 1024, 279),
    ] {
        let sent = payload(len as u64, len);
        publish(&service, sent.clone()).await;
        let pieces = tap.take();
        assert_eq!(pieces.len(), count, "{len} bytes");
        assert!(pieces.iter().all(|piece| piece.payload.len() <= 4096));
        if count == 1 {
            assert_eq!(pieces[0].payload.len(), len + 1);
        }
        assert_eq!(payloads(&mut *subscription), [sent], "{len} bytes");
    }
    assert_eq!(service.counts(), Default::default());
}

#[tokio::test]
async fn what_is_declared_follows_from_the_inner_service() {
    let inner = small();
    let (own, given) = (around(&inner).capabilities(), inner.capabilities());
    assert_eq!(own.max_payload_len, 1024 * 1024);
    assert_eq!(own.retention, Some(SegmentedOptions::default().max_age));
    assert_eq!(own.resume, Resume::AnyCursor);
    assert!(!own.order && !own.conditional_publish);
    assert_eq!(own.linkable, given.linkable);
    let mut request = PublishRequest::new(address("raya"), "if");
    request.condition = Some(cf_core::Condition::Empty);
    let Outcome::Refused(error) = around(&inner).publish(request).await else {
        panic!("a condition is not kept");
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn the_locator_names_the_service_and_the_limit() {
    let locator = |name: &str, max_payload_len| {
        let inner = MemoryService::new(name).unwrap();
        let options = SegmentedOptions {
            max_payload_len,
            ..SegmentedOptions::default()
        };
        with(&inner, options).locator().clone()
    };
    assert_eq!(locator("town", 5000), locator("town", 5000));
    assert_ne!(locator("town", 5000), locator("town", 5001));
    assert_ne!(locator("town", 5000), locator("village", 5000));
    assert_eq!(locator("town", 5000).scheme(), "segmented");
}

#[tokio::test]
async fn a_service_for_which_pieces_are_too_many_is_misuse() {
    for (piece, span) in [(0, 8192), (1, 8192), (69, 8192), (300, 8192), (4096, 278)] {
        let options = MemoryOptions {
            max_payload_len: piece,
            ..MemoryOptions::default()
        };
        let inner = Arc::new(MemoryService::with_options("tiny", options).unwrap());
        let options = SegmentedOptions {
            max_span: span,
            ..SegmentedOptions::default()
        };
        let error = Segmented::with_options(inner, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse, "{piece}");
    }
}
