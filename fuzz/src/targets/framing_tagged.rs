//! The envelope of tagged/1: what is routed is what encode makes.

use bytes::Bytes;
use cf_core::{Frame, FramingStrategy, InstanceId, Tag};
use cf_framing::Tagged;

pub(super) fn run(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let mut router = Tagged.router();
    let Ok(routed) = router.route(&payload) else {
        return;
    };
    assert_eq!(routed.instance, None);
    let frame = Frame::new(routed.tag, routed.body.clone());
    let again = Tagged.encode(&frame, payload.len());
    assert_eq!(again.expect("it came so"), payload);
    let expected = router.expect(Tag::SingleUse(routed.tag), InstanceId(7));
    expected.expect("nobody else expects it");
    let found = router.route(&payload).expect("it was routed before");
    assert_eq!(found.instance, Some(InstanceId(7)));
}
