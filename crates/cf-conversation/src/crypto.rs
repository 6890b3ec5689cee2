//! HKDF, HMAC and the AEAD as this crate uses them, and the 32 secret bytes
//! that most of its keys are. The primitives are those of RustCrypto.

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

/// The bytes that sealing adds.
pub(crate) const SEAL_LEN: usize = 16;

/// 32 secret bytes: overwritten on drop, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(32 bytes)")
    }
}

/// HKDF-SHA-256 after its extraction. An empty salt is RFC 5869's absent one.
pub(crate) struct Extracted(Hkdf<Sha256>);

impl Extracted {
    pub(crate) fn new(salt: &[u8], secret: &[u8]) -> Self {
        Self(Hkdf::new(Some(salt), secret))
    }

    /// Fills `out`, at most 8,160 bytes.
    pub(crate) fn expand(&self, info: &[&[u8]], out: &mut [u8]) {
        self.0
            .expand_multi_info(info, out)
            .expect("every output here is shorter than 255 hashes");
    }

    pub(crate) fn key(&self, label: &[u8]) -> Key {
        let mut key = Key([0; 32]);
        self.expand(&[label], &mut key.0);
        key
    }
}

/// HMAC-SHA-256 with its key in place, to be used many times.
#[derive(Clone)]
pub(crate) struct Authenticator(Hmac<Sha256>);

impl Authenticator {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(<Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key"))
    }

    pub(crate) fn code(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

/// Seals `buffer[from..]` in place with AES-256-GCM and appends the seal.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    additional: &[u8],
    buffer: &mut Vec<u8>,
    from: usize,
) {
    let cipher = Aes256Gcm::new(key.into());
    let inout = InOutBuf::from(&mut buffer[from..]);
    let tag = cipher
        .encrypt_inout_detached(nonce.into(), additional, inout)
        .expect("a frame is shorter than 64 GiB");
    buffer.extend_from_slice(&tag);
}

/// Opens what [`seal`] made, in place; `buffer` loses the seal.
pub(crate) fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    additional: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<(), Error> {
    let forged = Error::Rejected("the frame is not authentic");
    let Some(len) = buffer.len().checked_sub(SEAL_LEN) else {
        return Err(forged);
    };
    let (text, tag) = buffer.split_at_mut(len);
    let tag: &[u8; SEAL_LEN] = match (&*tag).try_into() {
        Ok(tag) => tag,
        Err(_) => return Err(forged),
    };
    let cipher = Aes256Gcm::new(key.into());
    cipher
        .decrypt_inout_detached(nonce.into(), additional, InOutBuf::from(text), tag.into())
        .map_err(|_| forged)?;
    buffer.truncate(len);
    Ok(())
}

#[cfg(test)]
mod tests;
