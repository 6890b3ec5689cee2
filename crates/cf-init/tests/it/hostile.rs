//! Hostile bytes into everything that takes bytes.

use bytes::Bytes;
use cf_core::*;
use cf_init::InboxProtocol;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::{NOW, Raya, Saro, point, spec};

fn read(raya: &Raya, bundle: &Bytes) -> Result<BundleInfo> {
    InboxProtocol::new().read(&*raya.identity, bundle, NOW)
}

/// What can be done to bytes.
#[derive(Clone, Debug)]
enum Harm {
    Flip(Index, u8),
    Truncate(Index),
    Trail(Vec<u8>),
    /// Repeats a part of the bytes in place.
    Repeat(Index, usize),
    Replace(Index, Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..64);
    prop_oneof![
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        any::<Index>().prop_map(Harm::Truncate),
        bytes().prop_map(Harm::Trail),
        (any::<Index>(), 1..64usize).prop_map(|(at, len)| Harm::Repeat(at, len)),
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Harm::Replace(at, bytes)),
    ]
}

fn harmed(bytes: &[u8], harm: &Harm) -> Bytes {
    let mut out = bytes.to_vec();
    match harm {
        Harm::Flip(at, bit) => out[at.index(bytes.len())] ^= 1 << bit,
        Harm::Truncate(at) => out.truncate(at.index(bytes.len())),
        Harm::Trail(more) => out.extend_from_slice(more),
        Harm::Repeat(at, len) => {
            let at = at.index(bytes.len());
            let end = (at + len).min(bytes.len());
            out.splice(end..end, bytes[at..end].to_vec());
        }
        Harm::Replace(at, with) => {
            let at = at.index(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            out[at..end].copy_from_slice(&with[..end - at]);
        }
    }
    out.into()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

/// The owner signs this, whatever it is.
pub(crate) fn signed(owner: &dyn Identity, inner: &[u8]) -> Bytes {
    let signature = owner.sign("/cf/init/inbox/1 bundle", inner).unwrap();
    let mut out = vec![0x0a];
    out.extend(varint(inner.len()));
    out.extend_from_slice(inner);
    out.push(0x12);
    out.extend(varint(signature.len()));
    out.extend_from_slice(&signature);
    out.into()
}

/// What the owner signed.
pub(crate) fn inner(bundle: &Bytes) -> Bytes {
    // Two bytes of length: every bundle here is between 128 and 16,383 bytes.
    let len = usize::from(bundle[1] & 0x7f) | usize::from(bundle[2]) << 7;
    bundle.slice(3..3 + len)
}

fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Malformed | ErrorKind::Rejected | ErrorKind::Unsupported
    )
}

proptest! {
    #[test]
    fn a_harmed_bundle_is_refused(harm in harm()) {
        let mut raya = Raya::new(2);
        let bundle = raya.bundle(spec(1));
        let bad = harmed(&bundle, &harm);
        prop_assume!(bad != bundle);
        prop_assert!(is_refusal(read(&raya, &bad).unwrap_err().kind()));
    }

    #[test]
    fn a_harmed_bundle_that_its_owner_signed_is_refused_or_read_as_it_is(harm in harm()) {
        let mut raya = Raya::new(2);
        let mut saro = Saro::new(1);
        let bad = harmed(&inner(&raya.bundle(spec(1))), &harm);
        let bad = signed(&*raya.identity, &bad);
        match read(&raya, &bad) {
            Ok(_) => {
                let _ = saro.start(&bad);
            }
            Err(error) => {
                prop_assert!(is_refusal(error.kind()));
                prop_assert!(saro.start(&bad).is_err());
            }
        }
    }

    #[test]
    fn rubbish_is_no_bundle(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let raya = Raya::new(2);
        let kind = read(&raya, &bytes.into()).unwrap_err().kind();
        prop_assert_eq!(kind, ErrorKind::Malformed);
    }

    #[test]
    fn a_harmed_body_is_not_opened_and_changes_nothing(
        harm in harm(),
        tag_bit in any::<Option<u8>>(),
    ) {
        let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
        let bundle = raya.bundle(spec(1));
        let frame = saro.invite(&bundle).0.frame;
        let before = raya.records.clone();
        let mut bad = frame.clone();
        bad.body = harmed(&frame.body, &harm);
        if let Some(bit) = tag_bit {
            bad.tag.0[usize::from(bit) / 16] ^= 1 << (bit % 8);
        }
        prop_assume!(bad != frame);
        if let Some(recognized) = raya.recognize(&bad) {
            let error = raya.open(recognized).unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Rejected);
        }
        prop_assert_eq!(&raya.records, &before);
        raya.receive_new(&frame);
    }

    #[test]
    fn a_harmed_head_in_an_authentic_seal_is_not_opened(harm in harm()) {
        let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
        let bundle = raya.bundle(spec(1));
        let frame = saro.invite(&bundle).0.frame;
        let recognized = raya.recognize(&frame).unwrap();
        let state = harmed(&recognized.state, &harm);
        prop_assume!(state != recognized.state);
        let error = raya.open(Recognized { state, ..recognized.clone() }).unwrap_err();
        prop_assert!(is_refusal(error.kind()));
        prop_assert_eq!(raya.outputs, 0);
        raya.open(recognized).unwrap();
        raya.receive(&frame).unwrap();
    }

    #[test]
    fn rubbish_is_not_recognized(
        body in proptest::collection::vec(any::<u8>(), 0..6000),
        exact in any::<bool>(),
        tag in any::<[u8; 16]>(),
    ) {
        let mut raya = Raya::new(2);
        raya.bundle(spec(1));
        let mut body = body;
        if exact {
            body.resize(4180, 7);
        }
        let found = raya.inbox.recognize(&point("link"), RoutingTag(tag), &body.into());
        prop_assert!(found.is_none());
    }

    #[test]
    fn rubbish_is_not_opened(
        state in proptest::collection::vec(any::<u8>(), 0..4200),
        known in any::<bool>(),
    ) {
        let mut raya = Raya::new(2);
        raya.bundle(spec(1));
        let mut state = state;
        if known && state.len() >= 48 {
            state[32..48].fill(1);
        }
        let recognized = Recognized {
            bundle: BundleId([1; 16]),
            point: point("link"),
            state: state.into(),
        };
        prop_assert!(is_refusal(raya.open(recognized).unwrap_err().kind()));
        prop_assert_eq!(raya.outputs, 0);
    }
}

#[test]
fn every_field_of_a_bundle_may_stand_once_only() {
    let mut raya = Raya::new(2);
    let inner = inner(&raya.bundle(spec(1)));
    assert!(read(&raya, &signed(&*raya.identity, &inner)).is_ok());
    let extra: [&[u8]; 4] = [
        &[0x08, 0x00],             // field 1 of another type
        &[0x70, 0x01],             // expiry again
        &[0xa2, 0x06, 0x01, 0x00], // an unknown field
        &[0x62, 0x80, 0x00],       // an empty name of non-minimal length
    ];
    for extra in extra {
        for bad in [[&inner, extra].concat(), [extra, &inner].concat()] {
            let error = read(&raya, &signed(&*raya.identity, &bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
        }
    }
}

#[test]
fn low_order_keys_in_a_bundle_are_refused() {
    let mut raya = Raya::new(2);
    let mut inner = inner(&raya.bundle(spec(1))).to_vec();
    // The ML-KEM key follows the signed prekey.
    let kem = inner
        .windows(3)
        .position(|w| w == [0x3a, 0xa0, 0x09])
        .unwrap();
    inner[kem - 32..kem].fill(0);
    let bundle = signed(&*raya.identity, &inner);
    let Err(error) = Saro::new(1).start(&bundle) else {
        panic!("the prekey is of low order");
    };
    assert!(error.to_string().contains("contribute"), "{error}");

    // And an ML-KEM key with a coefficient beyond the modulus.
    inner[kem + 3..kem + 6].fill(0xff);
    let error = read(&raya, &signed(&*raya.identity, &inner)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn a_low_order_ephemeral_key_is_refused() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let frame = saro.invite(&bundle).0.frame;
    let recognized = raya.recognize(&frame).unwrap();
    let mut state = recognized.state.to_vec();
    state[..32].fill(0);
    let low = Recognized {
        state: state.into(),
        ..recognized
    };
    let error = raya.open(low).unwrap_err();
    assert!(error.to_string().contains("contribute"), "{error}");
    raya.receive_new(&frame);
}
