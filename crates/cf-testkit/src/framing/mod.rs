//! The conformance suite of [`FramingStrategy`].

mod envelope;
pub mod law;
mod router;

use std::fmt;
use std::sync::Arc;

use cf_core::{Frame, FramingStrategy, InstanceId, Random, Router, RoutingTag, Tag};

pub use envelope::{
    a_body_of_the_limit_fits_and_one_byte_more_is_refused, an_empty_body_is_refused,
    encoding_is_deterministic, only_what_encode_makes_is_routed,
    what_is_encoded_is_routed_to_the_same_tag_and_body,
};
pub use router::{
    a_payload_goes_to_the_instance_that_expects_its_tag, routing_changes_nothing,
    the_first_instance_keeps_a_tag_until_it_forgets_it,
};

use crate::{SeededRandom, UnderTest};

/// Makes one test for each law of [`FramingStrategy`].
///
/// The factory gives a strategy: a value, a `Box<dyn FramingStrategy>` or an
/// `Arc<dyn FramingStrategy>`.
///
/// ```
/// # mod framing { pub fn mine() -> Box<dyn cf_core::FramingStrategy> { todo!() } }
/// cf_testkit::framing_tests!(my_framing, || framing::mine());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! framing_tests {
    ($name:ident, $factory:expr) => {
        $crate::law_tests! { $name, $factory, [$crate::framing],
            what_is_encoded_is_routed_to_the_same_tag_and_body
            encoding_is_deterministic
            a_body_of_the_limit_fits_and_one_byte_more_is_refused
            an_empty_body_is_refused
            only_what_encode_makes_is_routed
            a_payload_goes_to_the_instance_that_expects_its_tag
            the_first_instance_keeps_a_tag_until_it_forgets_it
            routing_changes_nothing
        }
    };
}

/// A framing strategy to test.
#[derive(Clone)]
pub struct FramingUnderTest {
    strategy: Arc<dyn FramingStrategy>,
}

impl UnderTest for FramingUnderTest {
    type Contract = dyn FramingStrategy;

    fn of(strategy: Arc<dyn FramingStrategy>) -> Self {
        Self { strategy }
    }
}

impl fmt::Debug for FramingUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramingUnderTest({})", self.strategy.id())
    }
}

impl FramingUnderTest {
    /// Which kinds of tags the strategy routes by: single-use, standing.
    fn kinds(&self) -> (bool, bool) {
        let frame = Frame {
            tag: RoutingTag([1; 16]),
            standing: RoutingTag([2; 16]),
            body: "a body".into(),
        };
        let finds = |tag| {
            let mut router = self.strategy.router();
            let payload = self.strategy.encode(&frame, usize::MAX).ok()?;
            router.expect(tag, InstanceId(1)).ok()?;
            router.route(&payload).ok()?.instance
        };
        let single_use = finds(Tag::SingleUse(frame.tag)).is_some();
        (single_use, finds(Tag::Standing(frame.standing)).is_some())
    }

    /// Whether the standing tag is in a payload, blinded.
    fn is_blinded(&self) -> bool {
        let encode = |standing: u8| {
            let frame = Frame {
                tag: RoutingTag([1; 16]),
                standing: RoutingTag([standing; 16]),
                body: "a body".into(),
            };
            self.strategy.encode(&frame, usize::MAX).ok()
        };
        encode(2) != encode(3)
    }

    /// A router that expects the tags of this frame.
    fn router_for(&self, frame: &Frame) -> Box<dyn Router> {
        let mut router = self.strategy.router();
        for tag in [Tag::SingleUse(frame.tag), Tag::Standing(frame.standing)] {
            // A strategy may refuse what it does not use.
            let _ = router.expect(tag, InstanceId(1));
        }
        router
    }
}

/// A frame with a body of `len` random bytes; half of the frames have one tag
/// for all.
fn frame(random: &mut SeededRandom, len: usize) -> Frame {
    let mut draw = || {
        let mut tag = [0; 16];
        random.fill(&mut tag);
        RoutingTag(tag)
    };
    let (tag, other) = (draw(), draw());
    let mut body = vec![0; len];
    random.fill(&mut body);
    Frame {
        tag,
        standing: if random.chance(50) { tag } else { other },
        body: body.into(),
    }
}
