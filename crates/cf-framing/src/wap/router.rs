use std::collections::BTreeMap;

use bytes::Bytes;
use cf_core::{InstanceId, Result, Routed, Router, RoutingTag, Tag};

use super::envelope;
use crate::Error;

/// The standing tags that are expected: each is tried for each payload.
#[derive(Debug, Default)]
pub(super) struct Trial {
    expected: BTreeMap<RoutingTag, InstanceId>,
}

impl Router for Trial {
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
        let Tag::Standing(tag) = tag else {
            return Ok(());
        };
        match *self.expected.entry(tag).or_insert(instance) == instance {
            true => Ok(()),
            false => Err(Error::TagTaken.into()),
        }
    }

    fn forget(&mut self, tag: Tag, instance: InstanceId) {
        if let Tag::Standing(tag) = tag
            && self.expected.get(&tag) == Some(&instance)
        {
            self.expected.remove(&tag);
        }
    }

    fn route(&self, payload: &Bytes) -> Result<Routed> {
        let envelope = envelope::decode(payload)?;
        let is_meant = |(tag, _): &(&RoutingTag, &InstanceId)| {
            envelope::hint(envelope.salt, tag) == envelope.hint
        };
        let found = self.expected.iter().find(is_meant);
        Ok(Routed {
            instance: found.map(|(_, instance)| *instance),
            tag: envelope.tag,
            body: envelope.body,
        })
    }
}
