//! How chunks are sealed.
//!
//! ```text
//! header = "cfbackup" ‖ 1 ‖ memory in KiB 4 ‖ passes 4 ‖ lanes 4 ‖ salt 16
//! key    = HKDF-SHA256(salt: header; Argon2id(passphrase; salt); "/cf/backup/1 key")
//! nonce  = number of the chunk 11 ‖ 1 if it is the last, else 0
//! chunk  = AES-256-GCM(key; nonce; plaintext; no additional data)
//! ```
//!
//! The nonces are those of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: *Online
//! authenticated encryption and its nonce-reuse misuse-resistance*, 2015): a chunk opens
//! only in its place, and the file only with its end. The key serves one file, since the
//! salt is drawn for it.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use argon2::{Algorithm, Argon2, Params, Version};
use cf_core::Secret;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::BackupError;

/// How many bytes a chunk holds, the last aside: 64 KiB.
pub const CHUNK_LEN: usize = 64 * 1024;
pub(crate) const SEALED_LEN: usize = CHUNK_LEN + 16;
pub(crate) const HEADER_LEN: usize = 37;
const MAGIC: &[u8; 8] = b"cfbackup";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"/cf/backup/1 key";

/// The parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Cost {
    /// The second choice that RFC 9106, section 4, recommends: 64 MiB, three passes,
    /// four lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

pub(crate) fn write_header(cost: Cost, salt: [u8; 16]) -> [u8; HEADER_LEN] {
    let numbers = [cost.memory_kib, cost.passes, cost.lanes];
    let numbers = numbers.map(u32::to_be_bytes).concat();
    let header = [MAGIC, &[VERSION][..], &numbers, &salt].concat();
    header.try_into().expect("its parts take 37 bytes")
}

/// Seals and opens the chunks of one file, in order.
pub(crate) struct Chunks {
    cipher: Aes256Gcm,
    number: u64,
}

impl Chunks {
    pub(crate) fn new(header: &[u8; HEADER_LEN], passphrase: &Secret) -> Result<Self, BackupError> {
        let (magic, rest) = header.split_at(8);
        if magic != MAGIC {
            return Err(BackupError::NoBackup);
        }
        let (version, rest) = rest.split_at(1);
        if version != [VERSION] {
            return Err(BackupError::Newer);
        }
        let (numbers, salt) = rest.split_at(12);
        let number = |at: usize| {
            let bytes = &numbers[4 * at..4 * at + 4];
            bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
        };
        let (memory, passes, lanes) = (number(0), number(1), number(2));
        let is_bearable = (8..=1024 * 1024).contains(&memory)
            && (1..=64).contains(&passes)
            && (1..=64).contains(&lanes);
        if !is_bearable {
            return Err(BackupError::Cost);
        }
        let params = Params::new(memory, passes, lanes, Some(32));
        let params = params.map_err(|_| BackupError::Cost)?;
        let mut stretched = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose(), salt, &mut *stretched)
            .map_err(|_| BackupError::Cost)?;
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(header), &*stretched)
            .expand(LABEL, &mut *key)
            .expect("32 bytes are shorter than 255 hashes");
        Ok(Self {
            cipher: Aes256Gcm::new((&*key).into()),
            number: 0,
        })
    }

    fn nonce(&mut self, is_last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        self.number += 1;
        nonce
    }

    pub(crate) fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) {
        let nonce = self.nonce(is_last);
        self.cipher
            .encrypt_in_place(&nonce.into(), b"", chunk)
            .expect("64 KiB are shorter than 64 GiB");
    }

    pub(crate) fn open(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), BackupError> {
        let is_first = self.number == 0;
        let nonce = self.nonce(is_last);
        let opened = self.cipher.decrypt_in_place(&nonce.into(), b"", chunk);
        opened.map_err(|_| match is_first {
            true => BackupError::Passphrase,
            false => BackupError::Damaged,
        })
    }
}
