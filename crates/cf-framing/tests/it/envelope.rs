use bytes::Bytes;
use cf_core::{ErrorKind, Frame, FramingStrategy, RoutingTag};
use cf_framing::Tagged;
use proptest::prelude::*;
use prost::Message;

use crate::wire::Envelope;

/// What the specification accepts: the one encoding of a tag and a body.
fn by_protobuf(payload: &[u8]) -> Option<(Bytes, Bytes)> {
    let envelope = Envelope::decode(payload).ok()?;
    let canonical = envelope.encode_to_vec() == payload;
    (canonical && envelope.tag.len() == 16 && !envelope.body.is_empty())
        .then_some((envelope.tag, envelope.body))
}

/// Routes a payload and compares with the protobuf library's judgement.
fn check(payload: impl Into<Bytes>) -> Result<bool, TestCaseError> {
    let payload = payload.into();
    let routed = Tagged.router().route(&payload);
    match by_protobuf(&payload) {
        Some((tag, body)) => {
            let routed = routed.unwrap();
            prop_assert_eq!(routed.tag.as_bytes(), tag);
            prop_assert_eq!(&routed.body, &body);
            prop_assert_eq!(routed.instance, None);
            let again = Tagged.encode(&Frame::new(routed.tag, body), usize::MAX);
            prop_assert_eq!(again.unwrap(), payload);
            Ok(true)
        }
        None => {
            prop_assert_eq!(routed.unwrap_err().kind(), ErrorKind::Malformed);
            Ok(false)
        }
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let len = prop_oneof![1usize..5, 120usize..140, 16_380usize..16_390, 0usize..2000];
    (any::<[u8; 16]>(), len, any::<u8>()).prop_map(|(tag, len, fill)| {
        let body: Vec<u8> = (0..len.max(1))
            .map(|n| fill.wrapping_add(n as u8))
            .collect();
        Frame::new(RoutingTag(tag), body)
    })
}

/// A length as a varint of `len` bytes: not minimal if a shorter one holds it.
fn varint(mut value: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..len {
        let more = if index + 1 < len { 0x80 } else { 0 };
        bytes.push((value & 0x7f) as u8 | more);
        value >>= 7;
    }
    bytes
}

/// One field, with a length in so many bytes that it may not be minimal.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        4 => Just(0x0au8), 4 => Just(0x12), 1 => Just(0x1a), 1 => Just(0x08), 1 => Just(0x10),
        1 => any::<u8>()
    ];
    let len = prop_oneof![4 => Just(16usize), 1 => 0usize..40, 1 => Just(128)];
    (key, len, 0usize..3, any::<u8>()).prop_map(|(key, len, more, fill)| {
        let minimal = if len < 128 { 1 } else { 2 };
        let mut field = vec![key];
        field.extend(varint(len as u64, minimal + more.saturating_sub(1)));
        field.extend(vec![fill; len]);
        field
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_encoded_is_routed(frame in frame()) {
        let payload = Tagged.encode(&frame, usize::MAX).unwrap();
        prop_assert_eq!(&payload, &Tagged.encode(&frame, payload.len()).unwrap());
        prop_assert!(check(payload.clone())?);
        let routed = Tagged.router().route(&payload).unwrap();
        prop_assert_eq!((routed.tag, &routed.body), (frame.tag, &frame.body));
        // The body is a part of the payload and not a copy.
        prop_assert_eq!(routed.body.as_ptr_range().end, payload.as_ptr_range().end);
    }

    #[test]
    fn random_bytes_are_judged_as_by_protobuf(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check(bytes)?;
    }

    #[test]
    fn any_fields_are_judged_as_by_protobuf(fields in prop::collection::vec(field(), 0..4)) {
        check(fields.concat())?;
    }

    #[test]
    fn a_damaged_payload_is_judged_as_by_protobuf(
        frame in frame(), at in any::<prop::sample::Index>(), flip in 1u8..,
        extra in prop::collection::vec(any::<u8>(), 1..8),
    ) {
        let payload = Tagged.encode(&frame, usize::MAX).unwrap();
        let at = at.index(payload.len());
        prop_assert!(!check(payload.slice(..at))?, "truncated");
        let mut changed = payload.to_vec();
        changed[at] ^= flip;
        check(changed)?;
        prop_assert!(!check([&payload[..], &extra].concat())?, "trailing");
        prop_assert!(!check([&payload[..], &payload[..]].concat())?, "repeated");
        prop_assert!(!check([&payload[..], &payload[..18]].concat())?, "repeated tag");
        prop_assert!(!check([&payload[18..], &payload[..18]].concat())?, "another order");
        let len = frame.body.len() as u64;
        for length_len in 1..=10 {
            let length = varint(len, length_len);
            let minimal = length == varint(len, prost::length_delimiter_len(frame.body.len()));
            let written = [&payload[..19], &length, &frame.body].concat();
            if length_len >= prost::length_delimiter_len(frame.body.len()) {
                prop_assert_eq!(check(written)?, minimal, "length in {} bytes", length_len);
            }
        }
    }
}

/// The lengths of payloads around each step of the length's own length.
#[test]
fn the_limit_is_exact() {
    for max_payload_len in (0..400).chain(16_300..16_500).chain(2_097_160..2_097_190) {
        let max = Tagged.max_body_len(max_payload_len);
        let encode = |len: usize| {
            let frame = Frame::new(RoutingTag([1; 16]), vec![2; len]);
            Tagged.encode(&frame, max_payload_len)
        };
        let refused = encode(max + 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Rejected);
        if max_payload_len < 21 {
            assert_eq!(max, 0);
            continue;
        }
        assert!(encode(max).unwrap().len() <= max_payload_len);
        let longer = Frame::new(RoutingTag([1; 16]), vec![2; max + 1]);
        let longer = Tagged.encode(&longer, usize::MAX).unwrap();
        assert!(longer.len() > max_payload_len, "{max_payload_len} has room");
    }
    assert_eq!(Tagged.max_body_len(usize::MAX), usize::MAX - 19 - 10);
}

/// A length that nobody could allocate.
#[test]
fn a_huge_length_allocates_nothing() {
    for length in [u64::MAX, u64::from(u32::MAX), 1 << 62] {
        let mut payload = vec![0x0a, 0x10];
        payload.extend([1; 16]);
        payload.push(0x12);
        payload.extend(varint(length, 10));
        payload.push(7);
        assert!(!check(payload).unwrap());
    }
}
