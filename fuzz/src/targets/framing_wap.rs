//! The envelope of wap/1, raw and as a hostile carrier changes a real one: what
//! finds its instance encodes to the same bytes again.

use bytes::Bytes;
use cf_core::{Frame, FramingStrategy, InstanceId, RoutingTag, Tag};
use cf_framing::Wap;

use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let standing = [RoutingTag([1; 16]), RoutingTag([2; 16])];
    let mut router = Wap.router();
    for (tag, instance) in standing.iter().zip(0..) {
        let expected = router.expect(Tag::Standing(*tag), InstanceId(instance));
        expected.expect("nobody else expects it");
    }
    let payload = match script.byte() % 4 {
        0 => script.rest(),
        changed => {
            let frame = Frame {
                tag: RoutingTag([script.byte(); 16]),
                standing: standing[usize::from(script.byte() % 2)],
                body: [&[1], &script.part()[..]].concat().into(),
            };
            let real = Wap.encode(&frame, 70_000).expect("it has room");
            match changed {
                1 => real,
                _ => script.mutated(&real),
            }
        }
    };
    check(&*router, &payload, &standing);
}

fn check(router: &dyn cf_core::Router, payload: &Bytes, standing: &[RoutingTag; 2]) {
    let Ok(routed) = router.route(payload) else {
        return;
    };
    let Some(InstanceId(instance)) = routed.instance else {
        return;
    };
    let frame = Frame {
        tag: routed.tag,
        standing: standing[instance as usize],
        body: routed.body,
    };
    let again = Wap.encode(&frame, payload.len() + 8);
    assert_eq!(again.expect("it came so"), payload);
}
