use cf_core::{ErrorKind, Identity, Random};

use super::IdentitiesUnderTest;
use super::law::{LABEL, SIGNATURE};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

const PURPOSE: &str = "/example/1 greeting";

/// A signature holds for everybody, and not for other bytes, labels,
/// participants, or if a bit of it is changed.
///
/// # Errors
/// The violation, if there is one.
pub fn a_signature_holds_for_what_was_signed_and_nothing_else(at: IdentitiesUnderTest) -> Verdict {
    let law = &SIGNATURE;
    let random = &mut SeededRandom::new(1);
    let (saro, raya) = (&at.saro, &at.raya);
    for len in [0, 1, 31, 32, 200, 5000] {
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        let signature = law.needs("signing", saro.sign(PURPOSE, &bytes))?;
        for verifier in [raya, saro] {
            let held = verifier.verify(saro.id(), PURPOSE, &bytes, &signature);
            law.needs("verifying what was signed", held)?;
        }
        let more = [&bytes[..], &[0]].concat();
        let mut flipped = signature.to_vec();
        let bit = random.below(flipped.len() as u64 * 8) as usize;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let cut = &signature[..signature.len() - 1];
        let verify = |signer: &dyn Identity, label: &str, bytes: &[u8], signature: &[u8]| {
            raya.verify(signer.id(), label, bytes, signature)
        };
        for (what, held) in [
            (
                "another participant",
                verify(&**raya, PURPOSE, &bytes, &signature),
            ),
            (
                "another label",
                verify(&**saro, "/example/1 greetings", &bytes, &signature),
            ),
            ("other bytes", verify(&**saro, PURPOSE, &more, &signature)),
            (
                "a flipped bit of it",
                verify(&**saro, PURPOSE, &bytes, &flipped),
            ),
            ("a part of it", verify(&**saro, PURPOSE, &bytes, cut)),
            ("nothing of it", verify(&**saro, PURPOSE, &bytes, b"")),
        ] {
            let kind = held.err().map(|error| error.kind());
            let rejected = Some(ErrorKind::Rejected);
            ensure!(
                law,
                kind == rejected,
                "a signature verified with {what} gave {kind:?}"
            );
        }
    }
    Ok(())
}

/// A label with a zero byte could stand for another label and more bytes.
///
/// # Errors
/// The violation, if there is one.
pub fn a_label_holds_no_zero_byte(at: IdentitiesUnderTest) -> Verdict {
    let law = &LABEL;
    for label in ["a\0b", "\0", "a\0"] {
        let kind = at
            .saro
            .sign(label, b"bytes")
            .err()
            .map(|error| error.kind());
        ensure!(
            law,
            kind == Some(ErrorKind::Misuse),
            "signing under {label:?} gave {kind:?}"
        );
    }
    let signature = law.needs("signing", at.saro.sign("a", b"b\0c"))?;
    let held = at.raya.verify(at.saro.id(), "a\0b", b"c", &signature);
    ensure!(
        law,
        held.is_err(),
        "the same bytes hold under a label with a zero byte"
    );
    Ok(())
}
