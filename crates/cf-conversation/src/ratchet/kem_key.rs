use std::fmt;

use ml_kem::kem::Decapsulate;
use ml_kem::{DecapsulationKey, EncapsulationKey, KeyExport, MlKem768};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::Key;

/// The length of an ML-KEM-768 encapsulation key, in bytes.
pub(crate) const KEM_KEY_LEN: usize = 1184;

/// The length of an ML-KEM-768 ciphertext, in bytes.
pub(crate) const KEM_CIPHERTEXT_LEN: usize = 1088;

/// An ML-KEM-768 decapsulation key, kept as the seed that it is made from: d ‖ z
/// of FIPS 203.
#[derive(Clone)]
pub(crate) struct KemSecret(Zeroizing<[u8; 64]>);

impl KemSecret {
    pub(crate) fn new(seed: &[u8; 64]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    pub(crate) fn seed(&self) -> &[u8; 64] {
        &self.0
    }

    pub(crate) fn public(&self) -> [u8; KEM_KEY_LEN] {
        self.expand().encapsulation_key().to_bytes().into()
    }

    /// Gives the secret in a ciphertext. One that was made for another key gives
    /// a secret that nobody else has: FIPS 203 rejects implicitly.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8; KEM_CIPHERTEXT_LEN]) -> Key {
        let mut shared = self.expand().decapsulate(ciphertext.into());
        let key = Key::new(shared.into());
        shared.zeroize();
        key
    }

    fn expand(&self) -> DecapsulationKey<MlKem768> {
        DecapsulationKey::from_seed((*self.0).into())
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSecret(64 bytes)")
    }
}

/// An ML-KEM-768 encapsulation key that passed the check of FIPS 203, section 7.2.
pub(crate) struct KemKey(EncapsulationKey<MlKem768>);

impl KemKey {
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = <&[u8; KEM_KEY_LEN]>::try_from(bytes).ok()?;
        EncapsulationKey::new(bytes.into()).ok().map(Self)
    }

    /// Encapsulates a secret with 32 fresh random bytes.
    pub(crate) fn encapsulate(&self, random: &[u8; 32]) -> ([u8; KEM_CIPHERTEXT_LEN], Key) {
        let (ciphertext, mut shared) = self.0.encapsulate_deterministic(random.into());
        let key = Key::new(shared.into());
        shared.zeroize();
        (ciphertext.into(), key)
    }
}
