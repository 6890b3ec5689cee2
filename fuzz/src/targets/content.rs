//! Content frames of any domain and the types of this one: what is read is
//! written so that it is read as the same.

use bytes::Bytes;
use cf_content::{Content, ContentFrame, DOMAIN};

use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let bytes = match script.byte() % 8 {
        7 => script.rest(),
        tag => ContentFrame {
            domain: DOMAIN,
            tag: u32::from(tag),
            payload: script.rest(),
        }
        .encode(),
    };
    check(&bytes);
}

fn check(bytes: &Bytes) {
    let frame = ContentFrame::decode(bytes);
    let content = Content::decode(bytes);
    if let Ok(frame) = frame {
        assert_eq!(ContentFrame::decode(&frame.encode()), Ok(frame));
    } else {
        assert!(content.is_err(), "a content is a frame");
    }
    if let Ok(content) = content {
        let again = content.encode().expect("what is read can be written");
        assert_eq!(Content::decode(&again), Ok(content));
    }
}
