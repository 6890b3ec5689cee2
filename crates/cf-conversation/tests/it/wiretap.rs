//! What somebody sees who records everything that was ever sealed.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cf_core::{Publish, RoutingTag};

const SALT: std::ops::Range<usize> = 0..16;
const HEADER: std::ops::Range<usize> = 16..68;

/// Checks that no key and nonce sealed two plaintexts.
///
/// A key and nonce show in what they sealed: short plaintexts end in zeros, so
/// that the ciphertext there is the key stream itself, which is the same for the
/// same key and nonce. Headers of one chain are equal, and so would be what one
/// key and nonce makes of them.
#[derive(Default)]
pub(crate) struct Wiretap {
    bodies: HashSet<Bytes>,
    seen: HashSet<(&'static str, Bytes)>,
    published: HashMap<RoutingTag, Bytes>,
}

impl Wiretap {
    /// How many different bodies there were.
    pub(crate) fn len(&self) -> usize {
        self.bodies.len()
    }

    /// A body was sealed, whether or not it ever left.
    pub(crate) fn sealed(&mut self, publish: &Publish) {
        let body = &publish.frame.body;
        if !self.bodies.insert(body.clone()) {
            return;
        }
        // The last block of the plaintext, before the seal's 16 bytes.
        let padding = body.len() - 32..body.len() - 16;
        let parts = [("salt", SALT), ("header", HEADER), ("key stream", padding)];
        for (name, range) in parts {
            let is_new = self.seen.insert((name, body.slice(range)));
            assert!(is_new, "two bodies have one {name}");
        }
    }

    /// A payload left: its tag, and so its message key, is of no other.
    pub(crate) fn published(&mut self, publish: &Publish) {
        self.sealed(publish);
        let (tag, body) = (publish.frame.tag, publish.frame.body.clone());
        let known = self.published.entry(tag).or_insert_with(|| body.clone());
        assert_eq!(*known, body, "a tag was used for two payloads");
    }
}
