//! Where a publication lies on a service, and how it is sealed there. Each label
//! starts with the id of the protocol, so that one secret serves one protocol.
//!
//! ```text
//! address = HKDF(secret; "… address"), 32 bytes
//! payload = salt 32 ‖ AES-256-GCM(key; nonce; padded; address)
//! key 32 ‖ nonce 12 = HKDF(salt; secret; "… seal")
//! padded = length 4 ‖ publication ‖ zeros, as long as Padmé says
//! ```

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use bytes::Bytes;
use cf_core::padding::padded_len;
use cf_core::{DeliveryAddress, ProtocolId};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;

const SALT_LEN: usize = 32;
const SEAL_LEN: usize = 16;
const LENGTH_LEN: usize = 4;
/// What sealing adds to a publication, padding aside.
pub(super) const OVERHEAD: usize = SALT_LEN + LENGTH_LEN + SEAL_LEN;

/// Names a place and opens what lies there.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct PlaceSecret {
    secret: [u8; 16],
    #[zeroize(skip)]
    protocol: ProtocolId,
}

impl PlaceSecret {
    pub(crate) fn new(protocol: ProtocolId, secret: [u8; 16]) -> Self {
        Self { secret, protocol }
    }

    /// One that follows from other bytes: fresh random ones, or a name.
    pub(crate) fn derive(protocol: ProtocolId, from: &[u8]) -> Self {
        let secret = expand(None, from, &protocol, "secret");
        Self { secret, protocol }
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.secret
    }

    pub(crate) fn address(&self) -> DeliveryAddress {
        let address: [u8; 32] = expand(None, &self.secret, &self.protocol, "address");
        DeliveryAddress::new(address.to_vec()).expect("an address may have 32 bytes")
    }

    /// Seals a publication anew: `seed` is fresh each time.
    pub(crate) fn seal(
        &self,
        seed: &[u8; 32],
        publication: &[u8],
        max_payload_len: usize,
    ) -> Result<Bytes, Error> {
        let padded = padded_len(LENGTH_LEN + publication.len());
        let len = SALT_LEN + padded + SEAL_LEN;
        if len > max_payload_len {
            let max = max_payload_len;
            return Err(Error::TooLargeForService { len, max });
        }
        let mut text = Vec::with_capacity(padded + SEAL_LEN);
        let length = u32::try_from(publication.len()).expect("sixteen bundles are below 4 GiB");
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(publication);
        text.resize(padded, 0);
        let salt: [u8; SALT_LEN] = expand(None, seed, &self.protocol, "salt");
        let (cipher, nonce) = self.cipher(&salt);
        cipher
            .encrypt_in_place(&nonce.into(), self.address().as_bytes(), &mut text)
            .expect("a publication is below 64 GiB");
        Ok([&salt[..], &text].concat().into())
    }

    /// Opens what [`seal`](Self::seal) made; `None` for anything else.
    pub(crate) fn open(&self, payload: &[u8]) -> Option<Bytes> {
        let (salt, sealed) = payload.split_first_chunk::<SALT_LEN>()?;
        let (cipher, nonce) = self.cipher(salt);
        let mut text = sealed.to_vec();
        cipher
            .decrypt_in_place(&nonce.into(), self.address().as_bytes(), &mut text)
            .ok()?;
        let (length, rest) = text.split_first_chunk::<LENGTH_LEN>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (publication, zeros) = rest.split_at_checked(length)?;
        let is_padding =
            zeros.iter().all(|byte| *byte == 0) && text.len() == padded_len(LENGTH_LEN + length);
        is_padding.then(|| Bytes::copy_from_slice(publication))
    }

    fn cipher(&self, salt: &[u8; SALT_LEN]) -> (Aes256Gcm, [u8; 12]) {
        let out: Zeroizing<[u8; 44]> =
            Zeroizing::new(expand(Some(salt), &self.secret, &self.protocol, "seal"));
        let (key, nonce) = out.split_at(32);
        let cipher = Aes256Gcm::new_from_slice(key).expect("a key takes 32 bytes");
        (cipher, nonce.try_into().expect("12 bytes remain"))
    }
}

fn expand<const N: usize>(
    salt: Option<&[u8]>,
    secret: &[u8],
    protocol: &ProtocolId,
    word: &str,
) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(salt, secret)
        .expand(format!("{protocol} {word}").as_bytes(), &mut out)
        .expect("every output here is shorter than 255 hashes");
    out
}
