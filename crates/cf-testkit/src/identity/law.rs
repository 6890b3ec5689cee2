//! The laws of [`cf_core::Identity`].

use crate::law::laws;

laws! {
    SIGNATURE = "Identity", "a signature holds for what was signed and nothing else",
        "`verify(id(), label, bytes, sign(label, bytes))` holds, and fails for any other label, bytes or participant.";
    LABEL = "Identity", "a label holds no zero byte",
        "A signature is over `label ‖ 0x00 ‖ bytes`; a label never holds a zero byte.";
    AGREEMENT = "Identity", "both sides agree on one secret that others do not have",
        "Agrees on 32 secret bytes between `own`, an agreement key of this identity named by its public part, and a peer's X25519 key.";
    CONTRIBUTION = "Identity", "a key without contribution is refused",
        "`agree` refuses a peer key whose result would not be contributory.";
    FOREIGN_KEY = "Identity", "a key of another identity is misuse",
        "`Rejected` for a peer key without contribution, `Misuse` for an `own` that is not of this identity or has expired.";
    CERTIFICATE = "Identity", "a certificate holds for its owner, key and time only",
        "Verifies that `owner` certified an agreement key that is valid at `now`.";
    VALIDITY = "AgreementKey", "a certified key is valid for at most 90 days",
        "When it expires; at most 90 days later.";
    EXPIRY = "Identity", "a certified key agrees until it expires",
        "Certified agreement keys can be agreed with until they expire.";
}
