//! The content types: the vectors of their page, any content, any bytes.

#![allow(clippy::unwrap_used, reason = "a test that fails shows where")]

use bytes::Bytes;
use cf_content::{
    Attachment, Content, ContentError, ContentFrame, DOMAIN, Delete, Edit, Reaction, Receipt,
    Reference, Text,
};
use cf_core::{ContentId, ParticipantId};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

fn id(text: &'static str) -> ContentId {
    ContentId::new(text.as_bytes()).unwrap()
}

fn saro() -> Reference {
    let author: Vec<u8> = (0..32).collect();
    Reference {
        author: Some(ParticipantId::new(author).unwrap()),
        id: id("m1"),
    }
}

fn anonymous() -> Reference {
    Reference {
        author: None,
        id: ContentId::new(vec![255]).unwrap(),
    }
}

fn named() -> Vec<(&'static str, Content)> {
    let reaction = |to, removed| {
        let reaction = "👍".to_owned();
        Content::Reaction(Reaction {
            to,
            reaction,
            removed,
        })
    };
    let unknown = |domain, tag, payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        Content::Unknown(ContentFrame {
            domain,
            tag,
            payload,
        })
    };
    vec![
        ("text", "Hello, Raya ☕".into()),
        (
            "reply",
            Content::Text(Text {
                text: "Yes".to_owned(),
                reply_to: Some(saro()),
            }),
        ),
        ("empty_text", "".into()),
        ("reaction", reaction(saro(), false)),
        ("reaction_removed", reaction(anonymous(), true)),
        (
            "edit",
            Content::Edit(Edit {
                id: id("m1"),
                text: "Hello, dear Raya".to_owned(),
            }),
        ),
        ("delete", Content::Delete(Delete { id: id("m1") })),
        (
            "receipt",
            Content::Receipt(Receipt {
                read: vec![saro(), anonymous()],
            }),
        ),
        (
            "attachment",
            Content::Attachment(Attachment {
                name: "map.png".to_owned(),
                media_type: "image/png".to_owned(),
                len: 70_000,
                digest: std::array::from_fn(|index| index as u8 + 100),
                content: id("m2"),
                caption: "The way".to_owned(),
            }),
        ),
        ("unknown_type", unknown(DOMAIN, 99, b"from a later version")),
        ("unknown_domain", unknown(0, 1, &[1, 2])),
    ]
}

#[test]
fn every_type_matches_the_vectors() {
    let text = include_str!("../../../../docs/spec/vectors/content.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let bytes =
        |value: &Value| Bytes::from(HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap());
    for (name, content) in named() {
        assert_eq!(content.encode().unwrap(), bytes(&vectors[name]), "{name}");
        assert_eq!(
            Content::decode(&bytes(&vectors[name])).unwrap(),
            content,
            "{name}"
        );
    }
    let later = Content::decode(&bytes(&vectors["text_of_a_later_version"])).unwrap();
    assert_eq!(
        later,
        "Hello".into(),
        "what a later version adds is skipped"
    );
    let refused = vectors["refused"].as_object().unwrap();
    assert!(refused.len() > 10);
    for (what, value) in refused {
        assert!(Content::decode(&bytes(value)).is_err(), "{what} was taken");
    }
}

#[test]
fn what_is_too_long_is_neither_sent_nor_taken() {
    let long = |len: usize| {
        Content::Text(Text {
            text: "x".repeat(len),
            reply_to: None,
        })
    };
    let max = Content::MAX_TEXT_LEN;
    Content::decode(&long(max).encode().unwrap()).unwrap();
    let error = long(max + 1).encode().unwrap_err();
    assert!(matches!(error, ContentError::TooLong { .. }), "{error}");
    let receipt = |count| {
        Content::Receipt(Receipt {
            read: vec![saro(); count],
        })
    };
    receipt(Content::MAX_RECEIPTS).encode().unwrap();
    assert!(receipt(Content::MAX_RECEIPTS + 1).encode().is_err());
    // Made by somebody who does not keep to it: a text, field 1, one byte too long.
    let mut payload = vec![0x0a, 0x81, 0x80, 0x10];
    payload.extend(vec![b'x'; max + 1]);
    let frame = ContentFrame {
        domain: DOMAIN,
        tag: 1,
        payload: payload.into(),
    };
    let error = Content::decode(&frame.encode()).unwrap_err();
    assert!(matches!(error, ContentError::TooLong { .. }), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_give_a_content_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        domain in prop_oneof![Just(DOMAIN), any::<u32>()],
        tag in 0u32..9,
    ) {
        let _ = Content::decode(&bytes.clone().into());
        let frame = ContentFrame { domain, tag, payload: bytes.into() };
        // What was taken says the same when it is written and read again.
        if let Ok(content) = Content::decode(&frame.encode()) {
            prop_assert_eq!(Content::decode(&content.encode().unwrap()).unwrap(), content);
        }
    }

    #[test]
    fn any_text_comes_back(text in ".*", author in prop::option::of("[a-z]{1,128}"), to in "[ -~]{1,64}") {
        let author = author.map(|author| ParticipantId::new(author.into_bytes()).unwrap());
        let reply_to = Some(Reference { author, id: ContentId::new(to.into_bytes()).unwrap() });
        let content = Content::Text(Text { text, reply_to });
        prop_assert_eq!(Content::decode(&content.encode().unwrap()).unwrap(), content);
    }
}
