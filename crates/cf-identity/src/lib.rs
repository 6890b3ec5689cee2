//! The stock identity: an Ed25519 key that certifies X25519 keys.
//!
//! [`SoftwareIdentity`] keeps its keys in memory and makes all of them from one
//! seed of 32 bytes, so that the seed is all that has to be stored. The scheme
//! is described in `docs/spec/identity.md`.
//!
//! ```
//! use cf_core::{Identity, Secret, Timestamp};
//! use cf_identity::SoftwareIdentity;
//!
//! let saro = SoftwareIdentity::from_seed(Secret::new(vec![7; 32]))?;
//! let signature = saro.sign("/example/1 greeting", b"hello")?;
//! saro.verify(saro.id(), "/example/1 greeting", b"hello", &signature)?;
//! assert!(saro.verify(saro.id(), "/example/1 farewell", b"hello", &signature).is_err());
//! # Ok::<(), cf_core::Error>(())
//! ```

mod certificate;
mod crypto;
mod error;
mod safety;
mod software;

pub use certificate::{CLOCK_SKEW, MAX_VALIDITY};
pub use error::IdentityError;
pub use safety::SafetyNumber;
pub use software::{PERIOD, SCHEME, SEED_LEN, SoftwareIdentity};
