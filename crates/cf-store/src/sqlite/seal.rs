//! How an entry is sealed.
//!
//! ```text
//! entry     = nonce 12 ‖ AES-256-GCM(namespace key; nonce; plaintext; place)
//! plaintext = length of key 4 ‖ length of value 4 ‖ key ‖ value ‖ zeros
//! ```
//!
//! Its length is a multiple of 32 bytes. The place is the additional data, so
//! that an entry that was moved does not open.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use bytes::Bytes;
use zeroize::Zeroizing;

use super::master::{self, Key};

const LABEL: &[u8] = b"/cf/store/sqlite/1 entry ";
const NONCE_LEN: usize = 12;
const SEAL_LEN: usize = 16;
const STEP: usize = 32;

/// Seals and opens the entries of one namespace.
pub(super) struct Sealer(Aes256Gcm);

impl Sealer {
    pub(super) fn new(master: &Key, namespace: &[u8]) -> Self {
        let key = master::derive(master, &[LABEL, namespace]);
        Self(Aes256Gcm::new((&*key).into()))
    }

    /// Seals a key and its value for a place.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        place: &[u8],
        key: &[u8],
        value: &[u8],
    ) -> Vec<u8> {
        let len = (8 + key.len() + value.len()).next_multiple_of(STEP);
        let mut entry = Vec::with_capacity(NONCE_LEN + len + SEAL_LEN);
        entry.extend_from_slice(&nonce);
        for part in [key, value] {
            let len = u32::try_from(part.len()).expect("an entry is shorter than 4 GiB");
            entry.extend_from_slice(&len.to_be_bytes());
        }
        entry.extend_from_slice(key);
        entry.extend_from_slice(value);
        entry.resize(NONCE_LEN + len, 0);
        let plaintext = InOutBuf::from(&mut entry[NONCE_LEN..]);
        let seal = self
            .0
            .encrypt_inout_detached(&nonce.into(), place, plaintext)
            .expect("an entry is shorter than 64 GiB");
        entry.extend_from_slice(&seal);
        entry
    }

    /// Opens what [`seal`](Self::seal) made for this place: the key and value.
    pub(super) fn open(&self, place: &[u8], entry: &[u8]) -> Option<(Bytes, Bytes)> {
        let (nonce, rest) = entry.split_first_chunk::<NONCE_LEN>()?;
        let (sealed, seal) = rest.split_last_chunk::<SEAL_LEN>()?;
        let mut plaintext = Zeroizing::new(sealed.to_vec());
        self.0
            .decrypt_inout_detached(
                nonce.into(),
                place,
                InOutBuf::from(&mut plaintext[..]),
                seal.into(),
            )
            .ok()?;
        let (key_len, rest) = plaintext.split_first_chunk::<4>()?;
        let (value_len, _) = rest.split_first_chunk::<4>()?;
        let key_len = u32::from_be_bytes(*key_len) as usize;
        let value_len = u32::from_be_bytes(*value_len) as usize;
        let value_at = 8usize.checked_add(key_len)?;
        let end = value_at.checked_add(value_len)?;
        if end > plaintext.len() {
            return None;
        }
        let opened = Bytes::from_owner(plaintext);
        Some((opened.slice(8..value_at), opened.slice(value_at..end)))
    }
}
