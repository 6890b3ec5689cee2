//! The key that all others come from, and the key or passphrase that opens it.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use argon2::{Algorithm, Argon2, Params, Version};
use cf_core::Secret;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::SqliteError;
use super::file::StoreFile;
use super::options::PassphraseCost;

/// What opens a store.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// 32 secret random bytes, as [`KeyFile`](crate::KeyFile) has them.
    Key(Secret),
    /// A passphrase, stretched by Argon2id.
    Passphrase(Secret),
}

impl Unlock {
    fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => KEY,
            Self::Passphrase(_) => PASSPHRASE,
        }
    }
}

pub(super) const KEY: &str = "key";
pub(super) const PASSPHRASE: &str = "passphrase";

const LABEL: &[u8] = b"/cf/store/sqlite/1 unlock";

/// The master key as the file holds it.
pub(super) struct Wrapped {
    /// `key` or `passphrase`.
    pub(super) unlock: String,
    pub(super) cost: PassphraseCost,
    pub(super) salt: Vec<u8>,
    /// Ciphertext and seal of the master key.
    pub(super) sealed: Vec<u8>,
}

/// 32 secret bytes.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Fills `bytes` from the system's generator.
pub(super) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has a generator");
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// A new master key.
pub(super) fn draw() -> Key {
    Zeroizing::new(random())
}

/// Wraps the master key for what is to open it, under a salt of its own.
pub(super) fn wrap(
    master: &Key,
    unlock: &Unlock,
    cost: PassphraseCost,
) -> Result<Wrapped, SqliteError> {
    if !cost.is_bearable() {
        return Err(SqliteError::PassphraseCost);
    }
    let salt = random::<16>().to_vec();
    let (cipher, nonce) = cipher(unlock, cost, &salt)?;
    let mut sealed = master.to_vec();
    cipher
        .encrypt_in_place(&nonce.into(), LABEL, &mut sealed)
        .expect("32 bytes are shorter than 64 GiB");
    Ok(Wrapped {
        unlock: unlock.name().to_owned(),
        cost,
        salt,
        sealed,
    })
}

/// Opens the master key.
pub(super) fn unwrap(
    wrapped: &Wrapped,
    unlock: &Unlock,
    file: &StoreFile,
) -> Result<Key, SqliteError> {
    let path = file.path().to_owned();
    if wrapped.unlock != unlock.name() {
        let needed = match &*wrapped.unlock {
            KEY => KEY,
            PASSPHRASE => PASSPHRASE,
            _ => return Err(file.damaged("what opens it is unknown")),
        };
        let given = unlock.name();
        return Err(SqliteError::OtherUnlock {
            path,
            needed,
            given,
        });
    }
    if !wrapped.cost.is_bearable() {
        return Err(file.damaged("its passphrase costs too much"));
    }
    let (cipher, nonce) = cipher(unlock, wrapped.cost, &wrapped.salt)?;
    let mut opened = Zeroizing::new(wrapped.sealed.clone());
    cipher
        .decrypt_in_place(&nonce.into(), LABEL, &mut *opened)
        .map_err(|_| SqliteError::WrongKey(path))?;
    let master = opened[..].try_into();
    Ok(Zeroizing::new(master.map_err(|_| {
        file.damaged("its master key has another length")
    })?))
}

/// The key and nonce that seal the master key: no salt serves twice.
fn cipher(
    unlock: &Unlock,
    cost: PassphraseCost,
    salt: &[u8],
) -> Result<(Aes256Gcm, [u8; 12]), SqliteError> {
    let stretched: Zeroizing<Vec<u8>> = match unlock {
        Unlock::Key(key) => Zeroizing::new(key.expose().to_vec()),
        Unlock::Passphrase(passphrase) => {
            let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
                .map_err(|_| SqliteError::PassphraseCost)?;
            let mut out = Zeroizing::new(vec![0; 32]);
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.expose(), salt, &mut out)
                .map_err(|_| SqliteError::PassphraseCost)?;
            out
        }
    };
    let mut out = Zeroizing::new([0; 44]);
    Hkdf::<Sha256>::new(Some(salt), &stretched)
        .expand(LABEL, &mut *out)
        .expect("44 bytes are shorter than 255 hashes");
    let (key, nonce) = out.split_at(32);
    let cipher = Aes256Gcm::new_from_slice(key).expect("a key takes 32 bytes");
    Ok((cipher, nonce.try_into().expect("12 bytes remain")))
}

/// A key for one purpose.
pub(super) fn derive(master: &Key, info: &[&[u8]]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::from_prk(&master[..])
        .expect("32 bytes are a whole hash")
        .expand_multi_info(info, &mut *key)
        .expect("32 bytes are shorter than 255 hashes");
    key
}
