use bytes::Bytes;
use cf_core::{BundleSet, DiscoveryProtocol, ErrorKind};
use cf_discovery::{Error, Link};
use proptest::prelude::*;

use crate::{advertise, bundles, id, resolve, wrong};

proptest! {
    #[test]
    fn a_link_gives_the_same_bundles_until_it_expires(
        bundles in bundles(), expires_at in 1u64..,
        before in "[ \t\r\n\u{a0}]{0,3}", after in "[ \t\r\n\u{a0}]{0,3}",
    ) {
        let link = advertise(&bundles, expires_at, 0).unwrap();
        prop_assert_eq!(&link, &advertise(&bundles, expires_at, expires_at - 1).unwrap());
        let pasted = format!("{before}{link}{after}");
        prop_assert!(Link.recognizes(&pasted));
        for now in [0, expires_at - 1] {
            prop_assert_eq!(resolve(&pasted, now), Ok(bundles.clone()));
        }
        for now in [expires_at, u64::MAX] {
            prop_assert_eq!(resolve(&pasted, now), Err((ErrorKind::Rejected, Error::Expired)));
        }
        let made = advertise(&bundles, expires_at, expires_at).unwrap_err();
        prop_assert_eq!(made.kind(), ErrorKind::Misuse);
    }

    #[test]
    fn a_cut_off_link_is_told_as_such(bundles in bundles(), at in any::<prop::sample::Index>()) {
        let link = advertise(&bundles, 1_000, 0).unwrap();
        let len = at.index(link.len());
        match wrong(&link[..len]) {
            Error::NotALink => prop_assert!(len < Link::PREFIX.len()),
            Error::Truncated { len: told, expected } => {
                prop_assert_eq!(told, len);
                prop_assert!(len < expected && expected <= link.len());
                prop_assert!(len < 26 || expected == link.len());
            }
            other => prop_assert!(false, "{:?} after {} characters", other, len),
        }
    }

    #[test]
    fn a_typing_error_is_told_as_such(
        bundles in bundles(), at in any::<prop::sample::Index>(), typed in "[A-Za-z0-9_-]",
    ) {
        let link = advertise(&bundles, 1_000, 0).unwrap();
        let at = at.index(link.len());
        prop_assume!(link[at..=at] != typed);
        let error = wrong(&format!("{}{typed}{}", &link[..at], &link[at + 1..]));
        match at {
            0..10 => {
                let prefix = matches!(error, Error::NotALink | Error::NewerVersion { .. });
                prop_assert!(prefix, "{:?}", error);
            }
            // The length's characters, and two bits of what comes next.
            10..16 => {
                let of_length = matches!(
                    error, Error::Truncated { .. } | Error::Appended { .. } | Error::Damaged
                );
                prop_assert!(of_length, "{:?}", error);
            }
            _ => prop_assert_eq!(error, Error::Damaged),
        }
        let appended = Error::Appended { len: link.len() + 1, expected: link.len() };
        prop_assert_eq!(wrong(&format!("{link}{typed}")), appended);
    }

    #[test]
    fn a_character_that_no_link_has_is_pointed_at(
        bundles in bundles(), at in 10usize..40, typed in "[^A-Za-z0-9_-]",
    ) {
        let link = advertise(&bundles, 1_000, 0).unwrap();
        let error = wrong(&format!("{}{typed}{}", &link[..at], &link[at..]));
        prop_assert_eq!(error, Error::Character { position: at + 1 });
    }
}

#[test]
fn other_texts_are_told_apart() {
    let not_a_link = [
        "",
        " ",
        "cfintro",
        "cfintro_",
        "cfintro_1",
        "cfintro__x",
        "cfintro_0_x",
        "cfintro_01_x",
        "CFINTRO_1_x",
        "xcfintro_1_x",
        "cfintro_x_1",
        "cfintro_-2_x",
        "cfintro_²_x",
        "https://example.org",
        "cfintro_99999999999999999999_x",
        "\u{200b}cfintro_1_x",
    ];
    for text in not_a_link {
        assert_eq!(wrong(text), Error::NotALink, "{text:?}");
        assert!(!Link.recognizes(text));
    }
    for (text, version) in [("cfintro_2_", 2), (" cfintro_12_xyz! ", 12)] {
        let (kind, error) = resolve(text, 0).unwrap_err();
        assert_eq!(error, Error::NewerVersion { version });
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(
            !Link.recognizes(text),
            "a later version is another protocol"
        );
    }
}

fn one_bundle(len: usize) -> BundleSet {
    let bundle = Bytes::from(vec![7; len]);
    let half = BundleSet::MAX_BUNDLE_LEN / 2;
    BundleSet::new(vec![
        (id("/a/1"), bundle.slice(..half)),
        (id("/b/1"), bundle.slice(half..)),
    ])
    .unwrap()
}

#[test]
fn the_longest_link_is_taken_and_no_longer_one() {
    let mut longest = 98_000;
    let link = loop {
        match advertise(&one_bundle(longest + 1), 1_000, 0) {
            Ok(_) => longest += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Rejected);
                break advertise(&one_bundle(longest), 1_000, 0).unwrap();
            }
        }
    };
    assert!(link.len() <= Link::MAX_LEN && link.len() + 2 > Link::MAX_LEN);
    let pasted = format!("\n{link}\n");
    assert_eq!(resolve(&pasted, 0), Ok(one_bundle(longest)));
    let longer = link + "AAAA";
    let (len, max) = (longer.len(), Link::MAX_LEN);
    assert_eq!(wrong(&longer), Error::TooLong { len, max });
}
