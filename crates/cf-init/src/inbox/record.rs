//! What an inbox stores: a record for each bundle, and one for each E.
//!
//! | key | value |
//! |---|---|
//! | `b` ‖ bundle id | version 1 ‖ state 1 ‖ keys ‖ the signed bundle |
//! | `e` ‖ bundle id ‖ E | version 1 |
//!
//! Keys: SPK 32 ‖ ML-KEM seed 64 ‖ OPK 32 if the bundle has one; none once it
//! is used up, or its time is over.

use bytes::Bytes;
use cf_core::{BundleId, RecordChange};
use zeroize::Zeroizing;

use super::bundle::Bundle;
use super::recipient::{Kept, PrivateKeys};
use crate::InitError;
use crate::crypto::{AgreementSecret, KemSecret};

/// The version of both records.
const VERSION: u8 = 1;

const LIVE: u8 = 0;
const LIVE_ONE_TIME: u8 = 1;
const USED_UP: u8 = 2;
const OVER: u8 = 3;

/// What the keys of all bundles' records start with.
pub(super) const BUNDLES: &[u8] = b"b";

/// What the keys of all ephemeral keys' records start with.
pub(super) const EPHEMERALS: &[u8] = b"e";

pub(super) fn put_bundle(bundle: &Kept) -> RecordChange {
    let exact = &bundle.exact;
    // With its whole length from the start, so that no copy of a key is left
    // behind where it grew.
    let mut value = Zeroizing::new(Vec::with_capacity(2 + 32 + 64 + 32 + exact.len()));
    value.push(VERSION);
    match &bundle.private {
        None if bundle.over => value.push(OVER),
        None => value.push(USED_UP),
        Some(keys) => {
            let one_time = keys.one_time_prekey.as_ref();
            value.push(if one_time.is_some() {
                LIVE_ONE_TIME
            } else {
                LIVE
            });
            value.extend_from_slice(keys.signed_prekey.as_bytes());
            value.extend_from_slice(keys.kem.as_bytes());
            if let Some(key) = one_time {
                value.extend_from_slice(key.as_bytes());
            }
        }
    }
    value.extend_from_slice(exact);
    RecordChange::Put {
        key: bundle_key(bundle.public.spec.id),
        value: Bytes::from_owner(value),
    }
}

pub(super) fn delete_bundle(id: BundleId) -> RecordChange {
    RecordChange::Delete {
        key: bundle_key(id),
    }
}

/// Reads a bundle's record.
pub(super) fn read_bundle(value: &Bytes) -> Result<Kept, InitError> {
    let (version, rest) = value.split_first().ok_or(InitError::DamagedRecord)?;
    if *version != VERSION {
        return Err(InitError::NewerRecord(*version));
    }
    read_version_1(rest).ok_or(InitError::DamagedRecord)
}

fn read_version_1(bytes: &[u8]) -> Option<Kept> {
    let (state, rest) = bytes.split_first()?;
    let (private, exact) = match *state {
        USED_UP | OVER => (None, rest),
        LIVE | LIVE_ONE_TIME => {
            let (signed_prekey, rest) = rest.split_first_chunk()?;
            let (kem, rest) = rest.split_first_chunk()?;
            let (one_time_prekey, rest) = if *state == LIVE_ONE_TIME {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(AgreementSecret::new(key)), rest)
            } else {
                (None, rest)
            };
            let private = PrivateKeys {
                signed_prekey: AgreementSecret::new(signed_prekey),
                kem: KemSecret::new(kem),
                one_time_prekey,
            };
            (Some(private), rest)
        }
        _ => return None,
    };
    let exact = Bytes::copy_from_slice(exact);
    Some(Kept {
        public: Bundle::decode(&exact).ok()?,
        exact,
        private,
        invites: 0,
        over: *state == OVER,
    })
}

/// The record that an ephemeral key was seen.
pub(super) fn put_ephemeral(bundle: BundleId, ephemeral: &[u8; 32]) -> RecordChange {
    RecordChange::Put {
        key: ephemeral_key(bundle, ephemeral),
        value: Bytes::from_static(&[VERSION]),
    }
}

/// The bundle for which an ephemeral key's record is.
pub(super) fn read_ephemeral(key: &[u8], value: &[u8]) -> Result<BundleId, InitError> {
    match value {
        [VERSION] => {}
        [version, ..] if *version != VERSION => return Err(InitError::NewerRecord(*version)),
        _ => return Err(InitError::DamagedRecord),
    }
    let id = key.get(1..17).filter(|_| key.len() == 1 + 16 + 32);
    id.and_then(|id| BundleId::from_slice(id).ok())
        .ok_or(InitError::DamagedRecord)
}

pub(super) fn ephemeral_key(bundle: BundleId, ephemeral: &[u8; 32]) -> Bytes {
    [EPHEMERALS, bundle.as_bytes(), ephemeral].concat().into()
}

/// What the keys of a bundle's ephemeral keys start with.
pub(super) fn ephemerals_of(bundle: BundleId) -> Bytes {
    [EPHEMERALS, bundle.as_bytes()].concat().into()
}

fn bundle_key(id: BundleId) -> Bytes {
    [BUNDLES, id.as_bytes()].concat().into()
}
