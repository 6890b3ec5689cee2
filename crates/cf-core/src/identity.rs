//! The identity that an application gives its client.

use bytes::Bytes;

use crate::{ParticipantId, ProtocolId, Result, Secret, Timestamp};

/// Signs and agrees on secrets in a participant's name. The private keys may be
/// in hardware: no method gives one out.
///
/// # Laws
/// - `verify(id(), label, bytes, sign(label, bytes))` holds, and fails for any
///   other label, bytes or participant.
/// - A signature is over `label ‖ 0x00 ‖ bytes`; a label never holds a zero byte.
/// - `agree` refuses a peer key whose result would not be contributory.
/// - Certified agreement keys can be agreed with until they expire.
///
/// ```
/// use cf_core::*;
/// use bytes::Bytes;
///
/// /// An identity without secrets, for a component that signs nothing.
/// struct Nobody(ProtocolId, ParticipantId);
/// impl Identity for Nobody {
///     fn scheme(&self) -> &ProtocolId { &self.0 }
///     fn id(&self) -> &ParticipantId { &self.1 }
///     fn sign(&self, _: &str, _: &[u8]) -> Result<Bytes> {
///         Err(Error::unsupported("nobody signs nothing"))
///     }
///     fn verify(&self, _: &ParticipantId, _: &str, _: &[u8], _: &[u8]) -> Result<()> {
///         Err(Error::rejected("nobody trusts nobody"))
///     }
///     fn agreement_key(&self, _: Timestamp) -> Result<AgreementKey> {
///         Err(Error::unsupported("nobody agrees with nobody"))
///     }
///     fn agree(&self, _: &[u8; 32], _: &[u8; 32]) -> Result<Secret> {
///         Err(Error::unsupported("nobody agrees with nobody"))
///     }
///     fn verify_agreement_key(&self, _: &ParticipantId, _: &AgreementKey, _: Timestamp) -> Result<()> {
///         Err(Error::rejected("nobody trusts nobody"))
///     }
/// }
/// let nobody = Nobody(ProtocolId::parse("/example/identity/1")?, ParticipantId::new("nobody")?);
/// assert!(nobody.sign("/example/1 greeting", b"hello").is_err());
/// # Ok::<(), Error>(())
/// ```
pub trait Identity: Send + Sync {
    /// The scheme that keys and signatures follow.
    fn scheme(&self) -> &ProtocolId;

    /// The public identity key: who this participant is.
    fn id(&self) -> &ParticipantId;

    /// Signs bytes for one purpose, named by `label`.
    ///
    /// # Errors
    /// `Unavailable` if the key is out of reach, `Misuse` for a label with a
    /// zero byte.
    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes>;

    /// Verifies a signature of another participant of the same scheme.
    ///
    /// # Errors
    /// `Rejected` if it does not hold.
    fn verify(
        &self,
        signer: &ParticipantId,
        label: &str,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<()>;

    /// The X25519 key for agreements at this time, certified by the identity key.
    ///
    /// # Errors
    /// `Unavailable` if the key is out of reach.
    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey>;

    /// Agrees on 32 secret bytes between `own`, an agreement key of this
    /// identity named by its public part, and a peer's X25519 key.
    ///
    /// # Errors
    /// `Rejected` for a peer key without contribution, `Misuse` for an `own`
    /// that is not of this identity or has expired.
    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret>;

    /// Verifies that `owner` certified an agreement key that is valid at `now`.
    ///
    /// # Errors
    /// `Rejected` if it does not hold.
    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()>;
}

/// An X25519 key that an identity key certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementKey {
    /// The public key.
    pub public: [u8; 32],
    /// When it becomes valid.
    pub not_before: Timestamp,
    /// When it expires; at most 90 days later.
    pub not_after: Timestamp,
    /// The identity's signature over the three.
    pub certificate: Bytes,
}
