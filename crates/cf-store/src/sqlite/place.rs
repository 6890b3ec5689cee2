//! Where an entry stands in the file: nothing there names a namespace or a key.
//!
//! ```text
//! place = HMAC(place key; 0 ‖ namespace)[..12] ‖ name
//! name  = the key                                     in a numbered namespace
//!       = HMAC(place key; 1 ‖ namespace code ‖ key)[..16]           elsewhere
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cf_core::is_numbered;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use super::master::{self, Key};
use super::seal::Sealer;

const PLACE: &[u8] = b"/cf/store/sqlite/1 place";
const CODE_LEN: usize = 12;
const NAME_LEN: usize = 16;

/// How many namespaces' keys are kept ready.
const MAX_READY: usize = 1024;

/// The namespaces of a store, as their keys show them.
pub(super) struct Spaces {
    master: Key,
    place: Hmac<Sha256>,
    ready: Mutex<HashMap<Bytes, Arc<Space>>>,
}

/// One namespace.
pub(super) struct Space {
    code: [u8; CODE_LEN],
    numbered: bool,
    place: Hmac<Sha256>,
    pub(super) sealer: Sealer,
}

impl Spaces {
    pub(super) fn new(master: Key) -> Self {
        let place = Hmac::new_from_slice(&master::derive(&master, &[PLACE])[..]);
        Self {
            master,
            place: place.expect("HMAC takes any key"),
            ready: Mutex::default(),
        }
    }

    pub(super) fn space(&self, namespace: &[u8]) -> Arc<Space> {
        if let Some(space) = self.ready.lock().get(namespace) {
            return space.clone();
        }
        let code = self.place.clone().chain_update([0]).chain_update(namespace);
        let space = Arc::new(Space {
            code: first(code),
            numbered: is_numbered(namespace),
            place: self.place.clone(),
            sealer: Sealer::new(&self.master, namespace),
        });
        let mut ready = self.ready.lock();
        if ready.len() >= MAX_READY {
            ready.clear();
        }
        ready.insert(Bytes::copy_from_slice(namespace), space.clone());
        space
    }
}

impl Space {
    /// Where the entry of a key stands.
    pub(super) fn place(&self, key: &[u8]) -> Vec<u8> {
        if self.numbered {
            return [&self.code, key].concat();
        }
        let name = self.place.clone().chain_update([1]);
        let name = name.chain_update(self.code).chain_update(key);
        [&self.code[..], &first::<NAME_LEN>(name)].concat()
    }

    /// Whether places are in the order of keys.
    pub(super) fn is_numbered(&self) -> bool {
        self.numbered
    }

    /// What all places of the namespace start with.
    pub(super) fn code(&self) -> &[u8] {
        &self.code
    }
}

fn first<const N: usize>(code: Hmac<Sha256>) -> [u8; N] {
    let code: [u8; 32] = code.finalize().into_bytes().into();
    std::array::from_fn(|index| code[index])
}
