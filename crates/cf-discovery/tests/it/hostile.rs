use cf_core::{BundleSet, DiscoveryProtocol, ErrorKind, ProtocolId, Timestamp};
use cf_discovery::{Error, Link};
use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::{resolve, wire, wrong};

/// A link around any content, as its specification says.
fn link(content: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"/cf/discovery/link/1 checksum\0");
    hash.update(content);
    let length = (content.len() as u32).to_be_bytes();
    let packed = [&length, &hash.finalize()[..8], content].concat();
    format!("cfintro_1_{}", BASE64URL_NOPAD.encode(&packed))
}

/// What the specification accepts.
fn acceptable(content: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let read = wire::Content::decode(content).ok()?;
    let set: Vec<_> = read
        .bundles
        .iter()
        .map(|bundle| (bundle.protocol.clone(), bundle.bundle.to_vec()))
        .collect();
    let mut ids: Vec<_> = set.iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    let fits = (1..=16).contains(&set.len())
        && ids.len() == set.len()
        && ids.iter().all(|id| ProtocolId::parse(id).is_ok())
        && set
            .iter()
            .all(|(_, bundle)| (1..=65_536).contains(&bundle.len()));
    (fits && read.encode_to_vec() == content && read.expires_at > 0).then_some(set)
}

fn check(content: &[u8]) -> Result<(), TestCaseError> {
    match (resolve(&link(content), 0), acceptable(content)) {
        (Ok(set), Some(expected)) => {
            let set = set.iter().map(|(id, b)| (id.to_string(), b.to_vec()));
            prop_assert!(set.eq(expected));
        }
        (Err((kind, error)), None) => {
            let known = match kind {
                ErrorKind::Malformed => error == Error::Content,
                ErrorKind::Rejected => error == Error::Expired,
                _ => false,
            };
            prop_assert!(known, "{:?}", error);
        }
        (resolved, expected) => prop_assert!(false, "{:?} but {:?}", resolved, expected),
    }
    Ok(())
}

fn content() -> impl Strategy<Value = wire::Content> {
    let protocol = prop_oneof![
        4 => "/[a-c]/[0-9]", 1 => "[ -~]{0,8}", 1 => Just("/".repeat(200))
    ];
    let bundle = prop::collection::vec(any::<u8>(), 0..20);
    let bundles = prop::collection::vec((protocol, bundle), 0..20);
    (bundles, prop_oneof![Just(0), any::<u64>()]).prop_map(|(bundles, expires_at)| wire::Content {
        bundles: bundles
            .into_iter()
            .map(|(protocol, bundle)| wire::Bundle {
                protocol,
                bundle: bundle.into(),
            })
            .collect(),
        expires_at,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_text_gives_a_typed_error(text in any::<String>(), now in any::<u64>()) {
        for text in [text.clone(), format!("cfintro_1_{text}"), format!("cfintro_{text}")] {
            prop_assert!(resolve(&text, now).is_err());
            Link.recognizes(&text);
        }
    }

    #[test]
    fn any_characters_of_a_link_give_a_typed_error(text in "cfintro_1_[A-Za-z0-9_-]{0,200}") {
        let error = wrong(&text);
        let told = matches!(
            error, Error::Truncated { .. } | Error::Appended { .. } | Error::Damaged
        );
        prop_assert!(told, "{:?}", error);
    }

    #[test]
    fn any_content_is_judged_as_specified(
        content in content(), extra in prop::collection::vec(any::<u8>(), 1..20),
        at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let bytes = content.encode_to_vec();
        check(&bytes)?;
        check(&[&bytes[..], &extra].concat())?;
        check(&[&bytes[..], &bytes[..]].concat())?;
        check(&extra)?;
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            check(&bytes[..at])?;
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            check(&flipped)?;
        }
        // The expiry in front: the same fields in another order.
        let expiry = wire::Content { bundles: Vec::new(), ..content }.encode_to_vec();
        check(&[&expiry[..], &bytes[..bytes.len() - expiry.len()]].concat())?;
    }
}

/// A content of nothing but empty bundles: as many messages as a link can name.
#[test]
fn very_many_bundles_are_refused() {
    let content = [0x0a, 0x00].repeat(49_000);
    assert_eq!(wrong(&link(&content)), Error::Content);
}

#[test]
fn one_content_has_one_link() {
    let content = wire::Content {
        bundles: vec![wire::Bundle {
            protocol: "/a/1".into(),
            bundle: vec![1; 4].into(),
        }],
        expires_at: 1,
    }
    .encode_to_vec();
    let text = link(&content);
    assert!(resolve(&text, 0).is_ok());
    assert_eq!(
        (12 + content.len()) % 3,
        1,
        "the last character has spare bits"
    );
    let (rest, last) = text.split_at(text.len() - 1);
    let spare: Vec<char> = ('A'..='Z').collect();
    let same_byte = spare.iter().filter(|c| c.to_string() != last);
    for c in same_byte {
        assert_eq!(wrong(&format!("{rest}{c}")), Error::Damaged);
    }
}

#[test]
fn a_very_long_text_is_refused_at_once() {
    let text = format!("cfintro_1_{}", "A".repeat(10_000_000));
    assert!(matches!(wrong(&text), Error::TooLong { .. }));
    let error = pollster::block_on(Link.resolve(&text, Timestamp(0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().len() < 200);
}

#[test]
fn the_bounds_of_a_set_hold() {
    let content = |count: usize, len: usize| {
        let bundle = |n: usize| wire::Bundle {
            protocol: format!("/a/{n}"),
            bundle: vec![1; len].into(),
        };
        wire::Content {
            bundles: (0..count).map(bundle).collect(),
            expires_at: 1,
        }
        .encode_to_vec()
    };
    for (count, len, taken) in [
        (BundleSet::MAX_BUNDLES, 1, true),
        (BundleSet::MAX_BUNDLES + 1, 1, false),
        (1, BundleSet::MAX_BUNDLE_LEN, true),
        (1, BundleSet::MAX_BUNDLE_LEN + 1, false),
    ] {
        let resolved = resolve(&link(&content(count, len)), 0);
        assert_eq!(resolved.is_ok(), taken, "{count} of {len} bytes");
    }
}
