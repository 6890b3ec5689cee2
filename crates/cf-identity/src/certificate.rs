//! Certificates of agreement keys.

use std::time::Duration;

use cf_core::{AgreementKey, Timestamp};

use crate::{IdentityError, SCHEME};

/// The longest time that a certificate may be valid.
pub const MAX_VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How far the clock of a certificate's owner may be ahead.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// The label of a certificate's signature.
pub(crate) fn label() -> String {
    format!("{SCHEME} agreement key")
}

/// What a certificate signs: key ‖ not before ‖ not after.
pub(crate) fn signed_bytes(
    public: &[u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..32].copy_from_slice(public);
    bytes[32..40].copy_from_slice(&not_before.0.to_be_bytes());
    bytes[40..].copy_from_slice(&not_after.0.to_be_bytes());
    bytes
}

/// Checks everything about a certificate's times.
pub(crate) fn check_times(key: &AgreementKey, now: Timestamp) -> Result<(), IdentityError> {
    let (start, end) = (key.not_before, key.not_after);
    if end <= start || end.since(start) > MAX_VALIDITY {
        return Err(IdentityError::BadValidity);
    }
    if start > now.after(CLOCK_SKEW) || now > end {
        return Err(IdentityError::NotValidNow);
    }
    Ok(())
}
