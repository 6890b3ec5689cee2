//! The primitives that the protocols are made of, each in the one form they use.

use aes_gcm::aead::{Aead, AeadInOut, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use cf_core::Secret;
use hkdf::Hkdf;
use ml_kem::kem::Decapsulate;
use ml_kem::{DecapsulationKey, EncapsulationKey, KeyExport, MlKem768};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::InitError;

/// The length of an AES-GCM tag, in bytes.
pub(crate) const SEAL_LEN: usize = 16;

/// The length of an ML-KEM-768 encapsulation key, in bytes.
pub(crate) const KEM_KEY_LEN: usize = 1184;

/// The length of an ML-KEM-768 ciphertext, in bytes.
pub(crate) const KEM_CIPHERTEXT_LEN: usize = 1088;

/// Derives bytes with HKDF-SHA-256.
pub(crate) fn derive<const N: usize>(
    salt: &[u8],
    secret: &[u8],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives up to 8,160 bytes") };
    let mut out = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand_multi_info(info, &mut out[..])
        .expect("the length was checked");
    out
}

/// SHA-256 over `prefix`, then each part with its length in front.
pub(crate) fn transcript(prefix: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(prefix);
    for part in parts {
        // No part is longer than a payload.
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        hash.update(len.to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Seals one plaintext: an AES-256-GCM key and the nonce that was derived with
/// it. Taken by value, so that no second plaintext meets the same pair.
pub(crate) struct SealKey(Zeroizing<[u8; 44]>);

impl SealKey {
    pub(crate) fn derive(salt: &[u8], secret: &[u8], label: &str) -> Self {
        Self(derive(salt, secret, &[label.as_bytes()]))
    }

    pub(crate) fn seal(self, plaintext: &[u8], additional: &[u8]) -> Vec<u8> {
        let (key, nonce) = self.split();
        let payload = Payload {
            msg: plaintext,
            aad: additional,
        };
        Aes256Gcm::new(key.into())
            .encrypt(nonce.into(), payload)
            .expect("AES-GCM takes up to 64 GiB")
    }

    /// Seals a plaintext where it stands, so that no copy of it has to be overwritten.
    /// It has room for [`SEAL_LEN`] more bytes, or it would be moved.
    pub(crate) fn seal_in_place(self, text: &mut Vec<u8>, additional: &[u8]) {
        debug_assert!(text.capacity() - text.len() >= SEAL_LEN);
        let (key, nonce) = self.split();
        Aes256Gcm::new(key.into())
            .encrypt_in_place(nonce.into(), additional, text)
            .expect("AES-GCM takes up to 64 GiB");
    }

    pub(crate) fn open(self, sealed: &[u8], additional: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.open_with_room(sealed, additional, sealed.len())
    }

    /// Opens into memory that holds `capacity` bytes before it is moved.
    pub(crate) fn open_with_room(
        self,
        sealed: &[u8],
        additional: &[u8],
        capacity: usize,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (key, nonce) = self.split();
        let mut text = Vec::with_capacity(capacity);
        text.extend_from_slice(sealed);
        // What is not authentic stays as it came: nothing to overwrite.
        Aes256Gcm::new(key.into())
            .decrypt_in_place(nonce.into(), additional, &mut text)
            .ok()?;
        Some(Zeroizing::new(text))
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; 44] {
        &self.0
    }

    fn split(&self) -> (&[u8; 32], &[u8; 12]) {
        let (key, rest) = self.0.split_first_chunk().expect("44 bytes hold 32");
        let nonce = rest.first_chunk().expect("12 bytes are left");
        (key, nonce)
    }
}

/// An X25519 private key.
pub(crate) struct AgreementSecret(StaticSecret);

impl AgreementSecret {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    pub(crate) fn agree(&self, peer: &[u8; 32]) -> Result<Secret, InitError> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer));
        if !shared.was_contributory() {
            return Err(InitError::NotContributory);
        }
        Ok(Secret::from(&shared.as_bytes()[..]))
    }
}

/// An ML-KEM-768 private key, kept as the seed that it is made from.
pub(crate) struct KemSecret(Zeroizing<[u8; 64]>);

impl KemSecret {
    pub(crate) fn new(seed: &[u8; 64]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    pub(crate) fn public(&self) -> [u8; KEM_KEY_LEN] {
        self.expand().encapsulation_key().to_bytes().into()
    }

    pub(crate) fn decapsulate(&self, ciphertext: &[u8; KEM_CIPHERTEXT_LEN]) -> Secret {
        let mut shared = self.expand().decapsulate(ciphertext.into());
        let secret = Secret::from(&shared[..]);
        shared.zeroize();
        secret
    }

    fn expand(&self) -> DecapsulationKey<MlKem768> {
        DecapsulationKey::from_seed((*self.0).into())
    }
}

/// An ML-KEM-768 public key that passed the check of FIPS 203, section 7.2.
pub(crate) struct KemKey(EncapsulationKey<MlKem768>);

impl KemKey {
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = <&[u8; KEM_KEY_LEN]>::try_from(bytes).ok()?;
        EncapsulationKey::new(bytes.into()).ok().map(Self)
    }

    /// Encapsulates a secret with 32 fresh random bytes.
    pub(crate) fn encapsulate(&self, random: &[u8; 32]) -> ([u8; KEM_CIPHERTEXT_LEN], Secret) {
        let (ciphertext, mut shared) = self.0.encapsulate_deterministic(random.into());
        let secret = Secret::from(&shared[..]);
        shared.zeroize();
        (ciphertext.into(), secret)
    }
}

#[cfg(test)]
mod tests;
