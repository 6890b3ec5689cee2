//! Whole frames of docs/spec/vectors/conversation-private-1.json, through the
//! public contract, with the vector's randomness.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cf_conversation::Ratchet;
use cf_core::{
    Content, ContentId, ConversationEvent, ConversationProtocol, EmptyRecords, Env, Identity,
    Incoming, Input, OfferRequest, Output, Peer, PeerId, Random, Secret, Setup, Timestamp,
};
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::pair::{CONVERSATION, Named, info, point};

/// Gives the bytes that it was given, in order.
#[derive(Default)]
struct Script(VecDeque<u8>);

impl Random for Script {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self
                .0
                .pop_front()
                .expect("more is drawn than the page says");
        }
    }
}

fn bytes(value: &Value) -> Bytes {
    HEXLOWER
        .decode(value.as_str().unwrap().as_bytes())
        .unwrap()
        .into()
}

fn env(script: &mut Script, now: Timestamp) -> Env<'_> {
    Env {
        now,
        random: script,
        records: &EmptyRecords,
    }
}

fn vectors() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/spec/vectors/conversation-private-1.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_exchange_follows_the_vectors() {
    let all = vectors();
    let vector = &all["exchange"];
    let mut script = Script::default();
    let mut now = Timestamp(1_799_999_999_999);
    let protocol = Ratchet::new();
    let saro: Arc<dyn Identity> = Named::new("Saro's identity key");
    let raya: Arc<dyn Identity> = Named::new("Raya's identity key");

    script.0.extend([0; 16]);
    script.0.extend(bytes(&vector["offer_secret"]));
    let request = OfferRequest {
        identity: raya.clone(),
        expires_at: Timestamp::NEVER,
        one_time: true,
    };
    let made = protocol
        .make_offer(request, &mut env(&mut script, now))
        .unwrap()
        .unwrap();
    assert_eq!(made.offer.public, bytes(&vector["offer"]));

    let setup = |identity: &Arc<dyn Identity>, peer: &Arc<dyn Identity>| Setup {
        conversation: CONVERSATION,
        identity: Arc::clone(identity),
        peer: Some(Peer {
            id: PeerId(1),
            participant: Some(peer.id().clone()),
            offer: Some(made.offer.clone()),
            points: vec![info("the peer's point")],
        }),
        exported: Some(Secret::new(bytes(&vector["exported"]).to_vec())),
        offer_secret: Some(made.secret.clone()),
        parameters: bytes(&vector["parameters"]),
        points: vec![info("Raya's point")],
        arrived_at: Some(info("Raya's link")),
    };
    script.0.extend(bytes(&vector["initiator_secrets"][0]));
    let created = protocol
        .create(setup(&saro, &raya), &mut env(&mut script, now))
        .unwrap();
    assert_eq!(created.parameters, bytes(&vector["parameters"]));
    script.0.extend(bytes(&vector["responder_secrets"][0]));
    let joined = protocol
        .join(setup(&raya, &saro), &mut env(&mut script, now))
        .unwrap();
    let mut sides = [created.conversation, joined];
    // A frame of a new chain makes its receiver draw a ratchet key.
    let mut drawn = VecDeque::from([
        Bytes::new(),
        Bytes::new(),
        bytes(&vector["initiator_secrets"][1]),
        bytes(&vector["responder_secrets"][1]),
        Bytes::from_static(&[9; 32]),
    ]);

    let frames = vector["frames"].as_array().unwrap();
    for (number, frame) in frames.iter().enumerate() {
        now = Timestamp(frame["sent_at"].as_u64().unwrap());
        let from = usize::from(frame["from"] == "responder");
        let to = 1 - from;
        let id = ContentId::new(bytes(&frame["content_id"])).unwrap();
        let content = bytes(&frame["content"]);
        script.0.extend(bytes(&frame["salt"]));
        let input = Input::Send {
            id: Some(id.clone()),
            content: Content::Bytes(content.clone()),
        };
        sides[from]
            .handle(input, &mut env(&mut script, now))
            .unwrap();
        let publish = std::iter::from_fn(|| sides[from].poll_output())
            .find_map(|output| match output {
                Output::Publish(publish) => Some(publish),
                _ => None,
            })
            .unwrap();
        assert_eq!(publish.frame.tag.as_bytes(), bytes(&frame["tag"]));
        assert_eq!(publish.frame.body, bytes(&frame["body"]));

        script.0.extend(drawn.pop_front().unwrap());
        let input = Input::Frame(Incoming {
            // The responder says its points until a frame came to one of them.
            point: point(if number < 2 {
                "Raya's link"
            } else {
                "Raya's point"
            }),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body,
        });
        sides[to].handle(input, &mut env(&mut script, now)).unwrap();
        let told = std::iter::from_fn(|| sides[to].poll_output()).find_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        });
        let expected = ConversationEvent::Content {
            id,
            from: Some([&saro, &raya][from].id().clone()),
            content: Content::Bytes(content),
            sent_at: Some(now),
        };
        assert_eq!(told, Some(expected));
        assert!(script.0.is_empty(), "all randomness is used");
    }

    for side in sides {
        let secret = side.export(vector["export"]["label"].as_str().unwrap());
        assert_eq!(secret.unwrap().expose(), bytes(&vector["export"]["secret"]));
    }
}
