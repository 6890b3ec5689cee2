use std::time::Duration;

use cf_core::{AgreementKey, ErrorKind, Identity, ParticipantId, Secret, Timestamp};
use cf_identity::{CLOCK_SKEW, MAX_VALIDITY, PERIOD, SoftwareIdentity};
use cf_testkit::SeededRandom;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn identity(seed: u64) -> SoftwareIdentity {
    SoftwareIdentity::generate(&mut SeededRandom::new(seed)).unwrap()
}

fn kind<T: std::fmt::Debug>(result: cf_core::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Runs `change` on one bit of a copy.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

proptest! {
    #[test]
    fn a_signature_holds_for_nothing_else(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        bit in any::<usize>(),
    ) {
        let (saro, raya) = (identity(1), identity(2));
        let label = "/example/1 greeting";
        let signature = saro.sign(label, &bytes).unwrap();
        raya.verify(saro.id(), label, &bytes, &signature).unwrap();
        let refused = [
            raya.verify(raya.id(), label, &bytes, &signature),
            raya.verify(saro.id(), "/example/1 greetings", &bytes, &signature),
            raya.verify(saro.id(), label, &flipped(&bytes, bit), &signature),
            raya.verify(saro.id(), label, &bytes, &flipped(&signature, bit)),
            raya.verify(saro.id(), label, &bytes, &signature[1..]),
        ];
        for result in refused {
            prop_assert_eq!(kind(result), ErrorKind::Rejected);
        }
    }

    #[test]
    fn hostile_certificates_are_refused(
        owner in proptest::collection::vec(any::<u8>(), 1..=128),
        public in any::<[u8; 32]>(),
        not_before in any::<u64>(),
        not_after in any::<u64>(),
        certificate in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let key = AgreementKey {
            public,
            not_before: Timestamp(not_before),
            not_after: Timestamp(not_after),
            certificate: certificate.into(),
        };
        let owner = ParticipantId::new(owner).unwrap();
        let result = identity(1).verify_agreement_key(&owner, &key, NOW);
        prop_assert_eq!(kind(result), ErrorKind::Rejected);
    }

    #[test]
    fn certified_keys_agree_until_they_expire(start in 0..PERIOD.as_millis() as u64) {
        let (saro, raya) = (identity(1), identity(2));
        let now = Timestamp(NOW.0 + start);
        let (own, peer) = (saro.agreement_key(now).unwrap(), raya.agreement_key(now).unwrap());
        // Long enough for a month's link and a month's way.
        prop_assert!(own.not_after.since(now) >= 2 * PERIOD - Duration::from_millis(1));
        prop_assert!(own.not_after.since(own.not_before) <= MAX_VALIDITY);

        saro.agreement_key(own.not_after).unwrap();
        raya.verify_agreement_key(saro.id(), &own, own.not_after).unwrap();
        let shared = saro.agree(&own.public, &peer.public).unwrap();
        let same = raya.agree(&peer.public, &own.public).unwrap();
        prop_assert_eq!(same.expose(), shared.expose());

        let late = own.not_after.after(Duration::from_millis(1));
        saro.agreement_key(late).unwrap();
        prop_assert_eq!(kind(saro.agree(&own.public, &peer.public)), ErrorKind::Misuse);
        let result = raya.verify_agreement_key(saro.id(), &own, late);
        prop_assert_eq!(kind(result), ErrorKind::Rejected);
    }
}

#[test]
fn the_same_seed_agrees_right_after_a_restart() {
    let (saro, raya) = (identity(1), identity(2));
    let (own, peer) = (
        saro.agreement_key(NOW).unwrap(),
        raya.agreement_key(NOW).unwrap(),
    );
    let again = SoftwareIdentity::from_seed(saro.seed().clone()).unwrap();
    assert_eq!(again.id(), saro.id());
    let shared = again.agree(&own.public, &peer.public).unwrap();
    assert_eq!(
        shared.expose(),
        saro.agree(&own.public, &peer.public).unwrap().expose()
    );
    assert_eq!(
        kind(again.agree(&peer.public, &own.public)),
        ErrorKind::Misuse
    );
}

#[test]
fn a_certificate_is_refused_before_its_time_except_for_skew() {
    let (saro, raya) = (identity(1), identity(2));
    let key = saro.agreement_key(NOW).unwrap();
    let early = key.not_before.before(CLOCK_SKEW);
    raya.verify_agreement_key(saro.id(), &key, early).unwrap();
    let result = raya.verify_agreement_key(saro.id(), &key, early.before(Duration::from_millis(1)));
    assert_eq!(kind(result), ErrorKind::Rejected);
}

#[test]
fn a_longer_validity_is_refused_even_if_it_is_signed() {
    // A dishonest owner can sign what it likes; the label is not reserved for it.
    let raya = identity(2);
    let key = AgreementKey {
        public: [9; 32],
        not_before: NOW,
        not_after: NOW.after(MAX_VALIDITY + Duration::from_millis(1)),
        certificate: vec![0; 64].into(),
    };
    let error = raya.verify_agreement_key(raya.id(), &key, NOW).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate's validity is not 1 ms to 90 days"
    );
}

#[test]
fn labels_are_checked() {
    let saro = identity(1);
    assert_eq!(kind(saro.sign("a\0b", b"")), ErrorKind::Misuse);
    let certificates = "/cf/identity/ed25519/1 agreement key";
    assert_eq!(kind(saro.sign(certificates, &[0; 48])), ErrorKind::Misuse);
}

#[test]
fn a_seed_has_32_bytes_and_is_never_printed() {
    assert_eq!(
        kind(SoftwareIdentity::from_seed(Secret::new(vec![7; 31]))),
        ErrorKind::Misuse
    );
    let saro = SoftwareIdentity::from_seed(Secret::new(vec![7; 32])).unwrap();
    let text = format!("{saro:?}");
    assert!(
        text.starts_with("SoftwareIdentity { id: ParticipantId("),
        "{text}"
    );
    assert!(!text.contains("07") && !text.contains("7, 7"), "{text}");
}
