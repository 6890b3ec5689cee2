//! `/cf/framing/wap/1`: docs/spec/vectors/framing-wap-1.json, made by the script
//! beside it, and what the other strategy's routing does not have.

use bytes::Bytes;
use cf_core::{ErrorKind, Frame, FramingStrategy, InstanceId, RoutingTag, Tag};
use cf_framing::Wap;
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors::{each, hex, number};

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../../../docs/spec/vectors/framing-wap-1.json"
    ))
    .unwrap()
}

fn tag(value: &Value) -> RoutingTag {
    RoutingTag::from_slice(&hex(value)).unwrap()
}

#[test]
fn envelopes() {
    let vectors = vectors();
    assert_eq!(vectors["protocol"], Wap::ID.as_str());
    for vector in each(&vectors, "envelopes") {
        let fill = hex(&vector["body_byte"])[0];
        let frame = Frame {
            tag: tag(&vector["tag"]),
            standing: tag(&vector["standing"]),
            body: vec![fill; number(&vector["body_len"])].into(),
        };
        let payload = Wap.encode(&frame, usize::MAX).unwrap();
        assert_eq!(payload.len(), number(&vector["payload_len"]));
        let head = hex(&vector["head"]);
        assert_eq!(payload[..head.len()], head);
        assert_eq!(payload[head.len()..], frame.body);
        let mut router = Wap.router();
        let standing = Tag::Standing(frame.standing);
        router.expect(standing, InstanceId(7)).unwrap();
        let routed = router.route(&payload).unwrap();
        assert_eq!(routed.instance, Some(InstanceId(7)));
        assert_eq!((routed.tag, routed.body), (frame.tag, frame.body));
    }
}

#[test]
fn limits() {
    for vector in each(&vectors(), "limits") {
        let max = Wap.max_body_len(number(&vector["max_payload_len"]));
        assert_eq!(max, number(&vector["max_body_len"]), "{vector}");
    }
}

#[test]
fn malformed_payloads() {
    for vector in each(&vectors(), "malformed") {
        let error = Wap.router().route(&hex(&vector["payload"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{}", vector["reason"]);
    }
}

/// The standing tag itself is nowhere, and two payloads have no hint in common.
#[test]
fn hints_of_one_conversation_differ() {
    let standing = RoutingTag([0x5a; 16]);
    let mut hints = std::collections::HashSet::new();
    for number in 0..500u32 {
        let frame = Frame {
            tag: RoutingTag([number as u8 & 0x0f; 16]),
            standing,
            body: number.to_be_bytes().to_vec().into(),
        };
        let payload = Wap.encode(&frame, 1024).unwrap();
        assert!(hints.insert(payload.slice(2..66)));
        let shows = |part: &[u8]| payload.windows(16).any(|window| window == part);
        assert!(!shows(standing.as_bytes()));
    }
}

proptest! {
    #[test]
    fn random_bytes_are_malformed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let error = Wap.router().route(&Bytes::from(bytes)).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}
