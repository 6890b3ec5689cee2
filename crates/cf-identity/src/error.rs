use cf_core::{Error, ErrorKind};

/// What went wrong with an identity, and by whose fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The caller's: a seed of another length.
    #[error("a seed takes 32 bytes, not {0}")]
    SeedLength(usize),
    /// The caller's: a label with a zero byte, which would end it early.
    #[error("a label holds no zero byte")]
    ZeroInLabel,
    /// The caller's: a label under the scheme's own id.
    #[error("labels under the scheme's id are its own; use one under your protocol's id")]
    ReservedLabel,
    /// The caller's: no agreement key of this identity that is valid now.
    #[error("not an agreement key of this identity, or an expired one")]
    UnknownAgreementKey,
    /// The peer's: not an Ed25519 public key.
    #[error("the participant id is not an identity key of this scheme")]
    NotAnIdentityKey,
    /// The peer's: a signature that does not hold.
    #[error("the signature does not hold")]
    BadSignature,
    /// The peer's: a certificate for longer than the scheme allows, or for no time.
    #[error("the certificate's validity is not 1 ms to 90 days")]
    BadValidity,
    /// The peer's: a certificate outside of its time.
    #[error("the certificate is not valid at this time")]
    NotValidNow,
    /// The peer's: a key of low order, with which everybody could agree.
    #[error("the peer's key does not contribute to the result")]
    NotContributory,
}

impl From<IdentityError> for Error {
    fn from(error: IdentityError) -> Self {
        let kind = match error {
            IdentityError::SeedLength(_)
            | IdentityError::ZeroInLabel
            | IdentityError::ReservedLabel
            | IdentityError::UnknownAgreementKey => ErrorKind::Misuse,
            _ => ErrorKind::Rejected,
        };
        Self::from_source(kind, error)
    }
}
