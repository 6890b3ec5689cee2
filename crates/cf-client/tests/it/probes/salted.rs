//! A framing whose hint is a salted hash of the standing tag.

use std::collections::BTreeMap;

use bytes::Bytes;
use cf_core::{
    Error, Frame, FramingStrategy, InstanceId, ProtocolId, Result, Routed, Router, RoutingTag, Tag,
};
use sha2::{Digest, Sha256};

const ID: ProtocolId = ProtocolId::from_static("/probe/framing/salted/1");
const SALT_LEN: usize = 4;
const HINT_LEN: usize = 8;
const TAG_LEN: usize = 16;
const HEAD_LEN: usize = SALT_LEN + HINT_LEN + TAG_LEN;

/// `salt (4) ‖ SHA-256(salt ‖ standing tag) (8) ‖ tag (16) ‖ body`.
///
/// The salt comes from the body, so that an exact resend is the same payload.
pub(crate) struct Salted(ProtocolId);

impl Salted {
    pub(crate) fn new() -> Self {
        Self(ID)
    }
}

impl FramingStrategy for Salted {
    fn id(&self) -> &ProtocolId {
        &self.0
    }

    fn max_body_len(&self, max_payload_len: usize) -> usize {
        max_payload_len.saturating_sub(HEAD_LEN)
    }

    fn encode(&self, frame: &Frame, max_payload_len: usize) -> Result<Bytes> {
        if frame.body.is_empty() || frame.body.len() > self.max_body_len(max_payload_len) {
            return Err(Error::rejected("the body is empty or too long"));
        }
        let salt = salt(&frame.body);
        let hint = hint(&salt, &frame.standing);
        Ok([&salt[..], &hint, frame.tag.as_bytes(), &frame.body]
            .concat()
            .into())
    }

    fn router(&self) -> Box<dyn Router> {
        Box::new(Trial::default())
    }
}

/// Tries every standing tag that it knows: what a salted hint costs.
#[derive(Default)]
struct Trial(BTreeMap<RoutingTag, InstanceId>);

impl Router for Trial {
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
        let Tag::Standing(tag) = tag else {
            return Ok(());
        };
        match *self.0.entry(tag).or_insert(instance) == instance {
            true => Ok(()),
            false => Err(Error::rejected("another instance expects this tag")),
        }
    }

    fn forget(&mut self, tag: Tag, instance: InstanceId) {
        if let Tag::Standing(tag) = tag
            && self.0.get(&tag) == Some(&instance)
        {
            self.0.remove(&tag);
        }
    }

    fn route(&self, payload: &Bytes) -> Result<Routed> {
        if payload.len() <= HEAD_LEN {
            return Err(Error::malformed("shorter than the shortest payload"));
        }
        let (head, body) = (payload.slice(..HEAD_LEN), payload.slice(HEAD_LEN..));
        let (salt_found, rest) = head.split_at(SALT_LEN);
        let (hint_found, tag) = rest.split_at(HINT_LEN);
        if salt_found != salt(&body) {
            return Err(Error::malformed("the salt is not that of the body"));
        }
        let found = self
            .0
            .iter()
            .find(|(tag, _)| hint_found == hint(salt_found, tag));
        let instance = found.map(|(_, instance)| *instance);
        Ok(Routed {
            instance,
            tag: RoutingTag::from_slice(tag)?,
            body,
        })
    }
}

fn salt(body: &Bytes) -> [u8; SALT_LEN] {
    front(Sha256::digest(body).as_slice())
}

fn hint(salt: &[u8], standing: &RoutingTag) -> [u8; HINT_LEN] {
    front(Sha256::digest([salt, standing.as_bytes()].concat()).as_slice())
}

fn front<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut front = [0; N];
    front.copy_from_slice(&hash[..N]);
    front
}
