use bytes::Bytes;
use cf_core::{ErrorKind, Frame, InstanceId, Router, RoutingTag, Tag};

use super::FramingUnderTest;
use super::law::{FIRST_KEEPS, ROUTER, UNCHANGED};
use crate::law::ensure;
use crate::{Law, SeededRandom, Verdict};

/// Random expecting and forgetting by several instances, against a model that
/// keeps every expectation.
///
/// # Errors
/// The violation, if there is one.
pub fn a_payload_goes_to_the_instance_that_expects_its_tag(at: FramingUnderTest) -> Verdict {
    let law = &ROUTER;
    let (single_use, standing) = at.kinds();
    ensure!(law, single_use || standing, "neither kind of tag is used");
    for seed in 0..40 {
        let random = &mut SeededRandom::new(seed);
        let mut router = at.strategy.router();
        let mut model = Model::default();
        for _ in 0..60 {
            let tag = tag(random);
            let instance = InstanceId(random.below(3));
            if random.chance(60) {
                let expected = router.expect(tag, instance);
                let is_used = match tag {
                    Tag::SingleUse(_) => single_use,
                    Tag::Standing(_) => standing,
                };
                if model.expect(tag, instance) {
                    law.needs("expecting a tag", expected)?;
                } else if is_used {
                    let kind = expected.err().map(|error| error.kind());
                    ensure!(
                        law,
                        kind == Some(ErrorKind::Rejected),
                        "expecting another instance's tag gave {kind:?}"
                    );
                }
            } else {
                router.forget(tag, instance);
                model.forget(tag, instance);
            }
            check(&at, &*router, &model, (single_use, standing))?;
        }
    }
    Ok(())
}

/// Single-use tags are 0 to 3, standing ones 10 to 13, so that no tag is of
/// both kinds.
fn tag(random: &mut SeededRandom) -> Tag {
    let byte = random.below(3) as u8;
    match random.chance(50) {
        true => Tag::SingleUse(RoutingTag([byte; 16])),
        false => Tag::Standing(RoutingTag([10 + byte; 16])),
    }
}

fn check(
    at: &FramingUnderTest,
    router: &dyn Router,
    model: &Model,
    (single_use, standing): (bool, bool),
) -> Verdict {
    let law = &ROUTER;
    for one in 0..4 {
        for other in 10..14 {
            let (tag, always) = (RoutingTag([one; 16]), RoutingTag([other; 16]));
            let by_tag = model.owner(Tag::SingleUse(tag)).filter(|_| single_use);
            let by_standing = model.owner(Tag::Standing(always)).filter(|_| standing);
            let found = route(at, law, router, tag, always)?;
            let is_right = match (by_tag, by_standing) {
                (Some(one), Some(other)) => found == Some(one) || found == Some(other),
                (one, other) => found == one.or(other),
            };
            ensure!(
                law,
                is_right,
                "{tag:?} is of {by_tag:?} and {always:?} of {by_standing:?}, it went to {found:?}"
            );
        }
    }
    Ok(())
}

fn route(
    at: &FramingUnderTest,
    law: &Law,
    router: &dyn Router,
    tag: RoutingTag,
    standing: RoutingTag,
) -> Verdict<Option<InstanceId>> {
    let payload = encode(at, law, tag, standing)?;
    Ok(law.needs("routing", router.route(&payload))?.instance)
}

fn encode(
    at: &FramingUnderTest,
    law: &Law,
    tag: RoutingTag,
    standing: RoutingTag,
) -> Verdict<Bytes> {
    let body = Bytes::from_static(b"a body");
    let frame = Frame {
        tag,
        standing,
        body,
    };
    law.needs("encoding", at.strategy.encode(&frame, usize::MAX))
}

/// Every expectation: at most one instance for a tag.
#[derive(Default)]
struct Model(Vec<(Tag, InstanceId)>);

impl Model {
    fn owner(&self, tag: Tag) -> Option<InstanceId> {
        let found = self.0.iter().find(|(other, _)| *other == tag);
        found.map(|(_, instance)| *instance)
    }

    /// Whether the instance may expect the tag.
    fn expect(&mut self, tag: Tag, instance: InstanceId) -> bool {
        let owner = self.owner(tag);
        if owner.is_none() {
            self.0.push((tag, instance));
        }
        owner.is_none_or(|owner| owner == instance)
    }

    fn forget(&mut self, tag: Tag, instance: InstanceId) {
        self.0.retain(|expected| *expected != (tag, instance));
    }
}

/// A second instance neither gets a tag that is taken nor ends it by forgetting.
///
/// # Errors
/// The violation, if there is one.
pub fn the_first_instance_keeps_a_tag_until_it_forgets_it(at: FramingUnderTest) -> Verdict {
    let law = &FIRST_KEEPS;
    let (single_use, standing) = at.kinds();
    let (first, second) = (InstanceId(1), InstanceId(2));
    let (tag, always) = (RoutingTag([1; 16]), RoutingTag([2; 16]));
    let used = [
        (single_use, Tag::SingleUse(tag)),
        (standing, Tag::Standing(always)),
    ];
    for (_, expected) in used.into_iter().filter(|(is_used, _)| *is_used) {
        let mut router = at.strategy.router();
        for _ in 0..2 {
            law.needs("expecting a tag", router.expect(expected, first))?;
        }
        let kind = router
            .expect(expected, second)
            .err()
            .map(|error| error.kind());
        let rejected = Some(ErrorKind::Rejected);
        ensure!(
            law,
            kind == rejected,
            "expecting another instance's tag gave {kind:?}"
        );
        router.forget(expected, second);
        let found = route(&at, law, &*router, tag, always)?;
        ensure!(
            law,
            found == Some(first),
            "the tag went from its first instance to {found:?}"
        );
        router.forget(expected, first);
        let found = route(&at, law, &*router, tag, always)?;
        ensure!(law, found.is_none(), "a forgotten tag went to {found:?}");
        law.needs("expecting a free tag", router.expect(expected, second))?;
        let found = route(&at, law, &*router, tag, always)?;
        ensure!(
            law,
            found == Some(second),
            "the next instance's tag went to {found:?}"
        );
    }
    Ok(())
}

/// The same payload goes to the same instance again and again.
///
/// # Errors
/// The violation, if there is one.
pub fn routing_changes_nothing(at: FramingUnderTest) -> Verdict {
    let law = &UNCHANGED;
    let mut router = at.strategy.router();
    let (tag, always) = (RoutingTag([1; 16]), RoutingTag([2; 16]));
    for tag in [Tag::SingleUse(tag), Tag::Standing(always)] {
        law.needs("expecting a tag", router.expect(tag, InstanceId(1)))?;
    }
    for _ in 0..3 {
        for noise in [&b""[..], b"noise", &[0; 100]] {
            let _ = router.route(&Bytes::copy_from_slice(noise));
        }
        let found = route(&at, law, &*router, tag, always)?;
        ensure!(
            law,
            found == Some(InstanceId(1)),
            "it went to {found:?} then"
        );
        let stranger = RoutingTag([9; 16]);
        let found = route(&at, law, &*router, stranger, stranger)?;
        ensure!(
            law,
            found.is_none(),
            "what nobody expects went to {found:?}"
        );
    }
    Ok(())
}
