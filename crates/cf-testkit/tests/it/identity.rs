use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use cf_testkit::NamedIdentity;
use cf_testkit::identity::*;

use crate::assert_broken;

cf_testkit::identity_tests!(a_value, || |number: u64| NamedIdentity::new(
    number.to_string()
));
cf_testkit::identity_tests!(boxed, || {
    |number: u64| Box::new(NamedIdentity::new(number.to_string())) as Box<dyn Identity>
});
cf_testkit::identity_tests!(shared, || {
    |number: u64| Arc::new(NamedIdentity::new(number.to_string())) as Arc<dyn Identity>
});

macro_rules! caught {
    ($($name:ident: $fault:ident by $law:ident in $check:ident;)+) => {$(
        #[test]
        fn $name() {
            let make = |number: u64| Broken {
                inner: NamedIdentity::new(number.to_string()),
                fault: Fault::$fault,
            };
            assert_broken($check(cf_testkit::suite::given(make)), law::$law);
        }
    )+};
}

caught! {
    ignoring_the_label: IgnoresTheLabel by SIGNATURE
        in a_signature_holds_for_what_was_signed_and_nothing_else;
    believing_every_signature: BelievesEverySignature by SIGNATURE
        in a_signature_holds_for_what_was_signed_and_nothing_else;
    taking_zero_in_labels: TakesZeroInLabels by LABEL in a_label_holds_no_zero_byte;
    agreeing_one_way: AgreesOneWay by AGREEMENT
        in both_sides_agree_on_one_secret_that_others_do_not_have;
    agreeing_without_contribution: AgreesWithoutContribution by CONTRIBUTION
        in a_key_without_contribution_is_refused;
    agreeing_as_anybody: AgreesAsAnybody by FOREIGN_KEY in a_key_of_another_identity_is_misuse;
    believing_every_certificate: BelievesEveryCertificate by CERTIFICATE
        in a_certificate_holds_for_its_owner_key_and_time_only;
    certifying_for_a_year: CertifiesForAYear by VALIDITY
        in a_certified_key_is_valid_for_at_most_90_days;
    agreeing_for_ever: AgreesAsAnybody by EXPIRY in a_certified_key_agrees_until_it_expires;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    IgnoresTheLabel,
    BelievesEverySignature,
    TakesZeroInLabels,
    AgreesOneWay,
    AgreesWithoutContribution,
    AgreesAsAnybody,
    BelievesEveryCertificate,
    CertifiesForAYear,
}

struct Broken {
    inner: NamedIdentity,
    fault: Fault,
}

impl Identity for Broken {
    fn scheme(&self) -> &ProtocolId {
        self.inner.scheme()
    }

    fn id(&self) -> &ParticipantId {
        self.inner.id()
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        match self.fault {
            Fault::IgnoresTheLabel => self.inner.sign("", bytes),
            Fault::TakesZeroInLabels => self.inner.sign(&label.replace('\0', ""), bytes),
            _ => self.inner.sign(label, bytes),
        }
    }

    fn verify(&self, who: &ParticipantId, label: &str, bytes: &[u8], found: &[u8]) -> Result<()> {
        match self.fault {
            Fault::IgnoresTheLabel => self.inner.verify(who, "", bytes, found),
            Fault::BelievesEverySignature => Ok(()),
            _ => self.inner.verify(who, label, bytes, found),
        }
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        let mut key = self.inner.agreement_key(now)?;
        if self.fault == Fault::CertifiesForAYear {
            key.not_after = key
                .not_before
                .after(Duration::from_secs(365 * 24 * 60 * 60));
        }
        Ok(key)
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        match self.inner.agree(own, peer) {
            Ok(secret) if self.fault == Fault::AgreesOneWay => Ok(Secret::new(
                [secret.expose(), self.id().as_bytes()].concat()[1..33].to_vec(),
            )),
            Err(error) if error.kind() == ErrorKind::Misuse => match self.fault {
                Fault::AgreesAsAnybody => Ok(Secret::new(vec![1; 32])),
                _ => Err(error),
            },
            Err(_) if self.fault == Fault::AgreesWithoutContribution => {
                Ok(Secret::new(vec![0; 32]))
            }
            other => other,
        }
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        match self.fault {
            Fault::BelievesEveryCertificate => Ok(()),
            _ => self.inner.verify_agreement_key(owner, key, now),
        }
    }
}
