//! docs/spec/vectors/ds-segmented-1.json, made by the script beside it.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::{DeliveryService, Start};
use cf_ds::{MemoryOptions, MemoryService, Segmented, SegmentedOptions};
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{payloads, publish, subscribed};

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../../../../docs/spec/vectors/ds-segmented-1.json"
    ))
    .unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// A service of this limit, and one around it.
fn services(name: &str, limit: usize, max_payload_len: usize) -> (MemoryService, Segmented) {
    let options = MemoryOptions {
        max_payload_len: limit,
        ..MemoryOptions::default()
    };
    let inner = MemoryService::with_options(name, options).unwrap();
    let options = SegmentedOptions {
        max_payload_len,
        ..SegmentedOptions::default()
    };
    let around = Segmented::with_options(Arc::new(inner.clone()), options).unwrap();
    (inner, around)
}

fn payload(seed: usize, len: usize) -> Bytes {
    let block = |n: u32| Sha256::digest([(seed as u32).to_be_bytes(), n.to_be_bytes()].concat());
    let mut bytes: Vec<u8> = (0..=len as u32 / 32).flat_map(block).collect();
    bytes.truncate(len);
    bytes.into()
}

#[tokio::test]
async fn payloads_are_cut_as_the_page_says() {
    for vector in vectors()["payloads"].as_array().unwrap() {
        let (inner, around) = services("vectors", number(&vector["limit"]), number(&vector["len"]));
        let tap = inner.observe(1000);
        let sent = payload(number(&vector["seed"]), number(&vector["len"]));
        publish(&around, sent).await;
        let pieces = tap.take();
        let hashes: Vec<_> = pieces
            .iter()
            .map(|piece| Value::from(HEXLOWER.encode(&Sha256::digest(&piece.payload))))
            .collect();
        assert_eq!(Value::from(hashes), vector["pieces"], "{vector}");
        if let Some(first) = vector["first"].as_str() {
            assert_eq!(HEXLOWER.encode(&pieces[0].payload), first);
        }
    }
}

#[tokio::test]
async fn hostile_pieces_are_dropped_and_counted() {
    for vector in vectors()["hostile"].as_array().unwrap() {
        let (inner, around) = services("vectors", 512, 1000);
        let mut subscription = subscribed(&around, Start::Earliest).await;
        let piece = HEXLOWER.decode(vector["piece"].as_str().unwrap().as_bytes());
        publish(&inner, piece.unwrap()).await;
        assert_eq!(payloads(&mut *subscription).len(), 0, "{vector}");
        let counts = around.counts();
        let counted = match vector["counted"].as_str() {
            Some("malformed") => (1, 0),
            _ => (0, 1),
        };
        assert_eq!((counts.malformed, counts.wrong), counted, "{vector}");
    }
}

#[test]
fn locators_are_as_the_page_says() {
    for vector in vectors()["locators"].as_array().unwrap() {
        let Some(name) = vector["inner"].as_str().unwrap().strip_prefix("memory:") else {
            continue;
        };
        let (_, around) = services(name, 4096, number(&vector["max_payload_len"]));
        assert_eq!(around.locator().as_str(), vector["locator"]);
    }
}
