use std::time::Duration;

use cf_core::{AgreementKey, ErrorKind, Identity};

use super::law::{AGREEMENT, CERTIFICATE, CONTRIBUTION, EXPIRY, FOREIGN_KEY, VALIDITY};
use super::{IdentitiesUnderTest, NOW};
use crate::law::ensure;
use crate::{Law, Verdict};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);

fn key(law: &Law, identity: &dyn Identity) -> Verdict<AgreementKey> {
    law.needs("an agreement key", identity.agreement_key(NOW))
}

/// Saro and Raya get the same 32 bytes, and other ones than with Oscar.
///
/// # Errors
/// The violation, if there is one.
pub fn both_sides_agree_on_one_secret_that_others_do_not_have(at: IdentitiesUnderTest) -> Verdict {
    let law = &AGREEMENT;
    let (saro, raya) = (key(law, &*at.saro)?.public, key(law, &*at.raya)?.public);
    let oscar = key(law, &*at.oscar)?.public;
    let one = law.needs("agreeing", at.saro.agree(&saro, &raya))?;
    let other = law.needs("agreeing", at.raya.agree(&raya, &saro))?;
    ensure!(
        law,
        one.expose() == other.expose(),
        "the two sides have different secrets"
    );
    ensure!(
        law,
        one.expose().len() == 32,
        "the secret has {} bytes",
        one.expose().len()
    );
    let third = law.needs("agreeing", at.saro.agree(&saro, &oscar))?;
    ensure!(
        law,
        one.expose() != third.expose(),
        "two peers share one secret"
    );
    Ok(())
}

/// Keys of low order are refused: everybody knows their result.
///
/// # Errors
/// The violation, if there is one.
pub fn a_key_without_contribution_is_refused(at: IdentitiesUnderTest) -> Verdict {
    let law = &CONTRIBUTION;
    let own = key(law, &*at.saro)?.public;
    let mut one = [0; 32];
    one[0] = 1;
    // The prime minus one, zero and plus one, little-endian.
    let near_prime = [0xec, 0xed, 0xee].map(|low| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (low, 0x7f);
        key
    });
    for peer in [[0; 32], one].into_iter().chain(near_prime) {
        let kind = at.saro.agree(&own, &peer).err().map(|error| error.kind());
        ensure!(
            law,
            kind == Some(ErrorKind::Rejected),
            "{peer:02x?} gave {kind:?}"
        );
    }
    Ok(())
}

/// An own key that this identity never had is misuse.
///
/// # Errors
/// The violation, if there is one.
pub fn a_key_of_another_identity_is_misuse(at: IdentitiesUnderTest) -> Verdict {
    let law = &FOREIGN_KEY;
    let (raya, oscar) = (key(law, &*at.raya)?.public, key(law, &*at.oscar)?.public);
    key(law, &*at.saro)?;
    for own in [raya, [9; 32], [0; 32]] {
        let kind = at.saro.agree(&own, &oscar).err().map(|error| error.kind());
        ensure!(
            law,
            kind == Some(ErrorKind::Misuse),
            "agreeing as {own:02x?} gave {kind:?}"
        );
    }
    Ok(())
}

/// A certificate is refused for another owner, another key, another time, or
/// with a bit changed.
///
/// # Errors
/// The violation, if there is one.
pub fn a_certificate_holds_for_its_owner_key_and_time_only(at: IdentitiesUnderTest) -> Verdict {
    let law = &CERTIFICATE;
    let key = key(law, &*at.saro)?;
    let other = self::key(law, &*at.oscar)?.public;
    let owner = at.saro.id();
    let held = at.raya.verify_agreement_key(owner, &key, NOW);
    law.needs("verifying a certified key", held)?;
    let mut flipped = key.certificate.to_vec();
    flipped[0] ^= 1;
    let later = key.not_after.after(MILLISECOND);
    let changed = [
        (
            "of another key",
            AgreementKey {
                public: other,
                ..key.clone()
            },
        ),
        (
            "with a longer validity",
            AgreementKey {
                not_after: later,
                ..key.clone()
            },
        ),
        (
            "with a flipped bit",
            AgreementKey {
                certificate: flipped.into(),
                ..key.clone()
            },
        ),
        (
            "that is empty",
            AgreementKey {
                certificate: "".into(),
                ..key.clone()
            },
        ),
    ];
    let changed = changed
        .iter()
        .map(|(what, key)| (*what, at.raya.verify_agreement_key(owner, key, NOW)));
    let others = [
        (
            "of another owner",
            at.raya.verify_agreement_key(at.raya.id(), &key, NOW),
        ),
        (
            "that has expired",
            at.raya.verify_agreement_key(owner, &key, later),
        ),
    ];
    for (what, held) in changed.chain(others) {
        let kind = held.err().map(|error| error.kind());
        let rejected = Some(ErrorKind::Rejected);
        ensure!(law, kind == rejected, "a certificate {what} gave {kind:?}");
    }
    Ok(())
}

/// A key is valid when it is given out, and for 90 days at most.
///
/// # Errors
/// The violation, if there is one.
pub fn a_certified_key_is_valid_for_at_most_90_days(at: IdentitiesUnderTest) -> Verdict {
    let law = &VALIDITY;
    for day in 0..100 {
        let now = NOW.after(DAY * day);
        let key = law.needs("an agreement key", at.saro.agreement_key(now))?;
        let is_valid = key.not_before <= now && now < key.not_after;
        ensure!(
            law,
            is_valid,
            "on day {day}, a key is not valid when it is given out"
        );
        let days = key.not_after.since(key.not_before);
        ensure!(law, days <= DAY * 90, "a key is valid for {days:?}");
    }
    Ok(())
}

/// Until it expires a key agrees, also when a later one was given out; then it
/// does no more.
///
/// # Errors
/// The violation, if there is one.
pub fn a_certified_key_agrees_until_it_expires(at: IdentitiesUnderTest) -> Verdict {
    let law = &EXPIRY;
    let (own, peer) = (key(law, &*at.saro)?, key(law, &*at.raya)?.public);
    let shared = law.needs("agreeing", at.saro.agree(&own.public, &peer))?;
    law.needs("an agreement key", at.saro.agreement_key(own.not_after))?;
    let then = law.needs(
        "agreeing at the last moment",
        at.saro.agree(&own.public, &peer),
    )?;
    ensure!(
        law,
        shared.expose() == then.expose(),
        "the secret is another one then"
    );
    let late = own.not_after.after(MILLISECOND);
    law.needs("an agreement key", at.saro.agreement_key(late))?;
    let kind = at
        .saro
        .agree(&own.public, &peer)
        .err()
        .map(|error| error.kind());
    ensure!(
        law,
        kind == Some(ErrorKind::Misuse),
        "an expired key gave {kind:?}"
    );
    Ok(())
}
