use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use cf_core::{InstanceId, Result, Routed, Router, RoutingTag, Tag};

use super::envelope;
use crate::Error;

/// The expected tags. The hash is seeded, so that nobody can choose tags that
/// collide.
#[derive(Debug, Default)]
pub(super) struct TagMap {
    expected: HashMap<RoutingTag, Expected>,
}

/// Who expects a tag, and as what: an instance may expect the same bytes as
/// both kinds, and then forgets them one by one.
#[derive(Debug)]
struct Expected {
    instance: InstanceId,
    single_use: bool,
    standing: bool,
}

impl Expected {
    fn kind(&mut self, tag: Tag) -> &mut bool {
        match tag {
            Tag::SingleUse(_) => &mut self.single_use,
            Tag::Standing(_) => &mut self.standing,
        }
    }
}

impl Router for TagMap {
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> Result<()> {
        let expected = self.expected.entry(*tag.tag()).or_insert(Expected {
            instance,
            single_use: false,
            standing: false,
        });
        if expected.instance != instance {
            return Err(Error::TagTaken.into());
        }
        *expected.kind(tag) = true;
        Ok(())
    }

    fn forget(&mut self, tag: Tag, instance: InstanceId) {
        let Entry::Occupied(mut entry) = self.expected.entry(*tag.tag()) else {
            return;
        };
        let expected = entry.get_mut();
        if expected.instance != instance {
            return;
        }
        *expected.kind(tag) = false;
        if !expected.single_use && !expected.standing {
            entry.remove();
        }
    }

    fn route(&self, payload: &Bytes) -> Result<Routed> {
        let (tag, body) = envelope::decode(payload)?;
        let expected = self.expected.get(&tag);
        Ok(Routed {
            instance: expected.map(|expected| expected.instance),
            tag,
            body,
        })
    }
}
