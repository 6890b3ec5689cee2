use std::collections::HashMap;

use bytes::Bytes;
use cf_core::{ErrorKind, Frame, FramingStrategy, InstanceId, Router, RoutingTag, Tag};
use cf_framing::Tagged;
use proptest::prelude::*;

fn payload(tag: RoutingTag) -> Bytes {
    Tagged.encode(&Frame::new(tag, "body"), 1024).unwrap()
}

fn found(router: &dyn Router, tag: RoutingTag) -> Option<InstanceId> {
    router.route(&payload(tag)).unwrap().instance
}

fn tag() -> impl Strategy<Value = Tag> {
    (0u8..3, any::<bool>()).prop_map(|(byte, standing)| {
        let tag = RoutingTag([byte; 16]);
        if standing {
            Tag::Standing(tag)
        } else {
            Tag::SingleUse(tag)
        }
    })
}

proptest! {
    /// Against a model that keeps every expectation: (tag, instance) in order.
    #[test]
    fn the_first_instance_keeps_a_tag_until_it_forgets_it(
        steps in prop::collection::vec((tag(), 0u64..3, any::<bool>()), 0..60),
    ) {
        let mut router = Tagged.router();
        let mut expected: Vec<(Tag, InstanceId)> = Vec::new();
        let owner = |expected: &[(Tag, InstanceId)], tag: Tag| {
            let of_tag = |(other, _): &&(Tag, InstanceId)| other.tag() == tag.tag();
            expected.iter().find(of_tag).map(|(_, instance)| *instance)
        };
        for (tag, instance, expects) in steps {
            let instance = InstanceId(instance);
            if expects {
                let outcome = router.expect(tag, instance);
                match owner(&expected, tag) {
                    Some(other) if other != instance => {
                        prop_assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Rejected);
                    }
                    _ => {
                        outcome.unwrap();
                        expected.push((tag, instance));
                    }
                }
            } else {
                router.forget(tag, instance);
                expected.retain(|known| *known != (tag, instance));
            }
            for byte in 0..4 {
                let tag = RoutingTag([byte; 16]);
                let owner = owner(&expected, Tag::Standing(tag));
                prop_assert_eq!(found(&*router, tag), owner);
                prop_assert_eq!(found(&*router, tag), owner, "routing changed something");
            }
        }
    }
}

#[test]
fn a_tag_expected_as_both_kinds_is_forgotten_as_both() {
    let mut router = Tagged.router();
    let tag = RoutingTag([7; 16]);
    let (one, other) = (InstanceId(1), InstanceId(2));
    router.expect(Tag::SingleUse(tag), one).unwrap();
    router.expect(Tag::Standing(tag), one).unwrap();
    router.forget(Tag::SingleUse(tag), one);
    assert_eq!(found(&*router, tag), Some(one));
    assert!(router.expect(Tag::SingleUse(tag), other).is_err());
    router.forget(Tag::Standing(tag), other);
    assert_eq!(found(&*router, tag), Some(one));
    router.forget(Tag::Standing(tag), one);
    assert_eq!(found(&*router, tag), None);
    router.expect(Tag::SingleUse(tag), other).unwrap();
    assert_eq!(found(&*router, tag), Some(other));
}

#[test]
fn very_many_tags_are_told_apart() {
    const TAGS: u32 = 100_000;
    let tag = |n: u32| {
        let mut tag = [0; 16];
        tag[12..].copy_from_slice(&n.to_be_bytes());
        RoutingTag(tag)
    };
    let mut router = Tagged.router();
    let mut model = HashMap::new();
    for n in 0..TAGS {
        let instance = InstanceId(u64::from(n) / 16);
        router.expect(Tag::SingleUse(tag(n)), instance).unwrap();
        model.insert(n, instance);
    }
    for n in (0..TAGS).step_by(3) {
        router.forget(Tag::SingleUse(tag(n)), model.remove(&n).unwrap());
    }
    for n in 0..TAGS + 10 {
        assert_eq!(found(&*router, tag(n)), model.get(&n).copied());
    }
}
