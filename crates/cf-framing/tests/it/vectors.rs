//! docs/spec/vectors/framing-tagged-1.json, made by the script beside it.

use bytes::Bytes;
use cf_core::{ErrorKind, Frame, FramingStrategy, RoutingTag};
use cf_framing::Tagged;
use data_encoding::HEXLOWER;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../../../docs/spec/vectors/framing-tagged-1.json"
    ))
    .unwrap()
}

pub(crate) fn hex(value: &Value) -> Bytes {
    HEXLOWER
        .decode(value.as_str().unwrap().as_bytes())
        .unwrap()
        .into()
}

pub(crate) fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

pub(crate) fn each<'a>(vectors: &'a Value, of: &str) -> impl Iterator<Item = &'a Value> {
    let list = vectors[of].as_array().unwrap();
    assert!(!list.is_empty());
    list.iter()
}

#[test]
fn envelopes() {
    let vectors = vectors();
    assert_eq!(vectors["protocol"], Tagged::ID.as_str());
    for vector in each(&vectors, "envelopes") {
        let tag = RoutingTag::from_slice(&hex(&vector["tag"])).unwrap();
        let fill = hex(&vector["body_byte"])[0];
        let body = vec![fill; number(&vector["body_len"])];
        let frame = Frame::new(tag, body);
        let payload = Tagged.encode(&frame, usize::MAX).unwrap();
        assert_eq!(payload.len(), number(&vector["payload_len"]));
        let head = hex(&vector["head"]);
        assert_eq!(payload[..head.len()], head);
        assert_eq!(payload[head.len()..], frame.body);
        let routed = Tagged.router().route(&payload).unwrap();
        assert_eq!((routed.tag, routed.body), (tag, frame.body));
    }
}

#[test]
fn limits() {
    for vector in each(&vectors(), "limits") {
        let max = Tagged.max_body_len(number(&vector["max_payload_len"]));
        assert_eq!(max, number(&vector["max_body_len"]), "{vector}");
    }
}

#[test]
fn malformed_payloads() {
    for vector in each(&vectors(), "malformed") {
        let error = Tagged.router().route(&hex(&vector["payload"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{}", vector["reason"]);
    }
}
