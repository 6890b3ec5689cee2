//! Whole frames of docs/spec/vectors/conversation-private-1.json and
//! conversation-private-2.json, through the public contract, with the vectors'
//! randomness.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{HealingSettings, Ratchet};
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

fn exchange(name: &str) -> Value {
    let path = format!(
        "{}/../../docs/spec/vectors/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    vectors["exchange"].clone()
}

#[test]
fn an_exchange_of_private_1_follows_the_vectors() {
    let vector = exchange("conversation-private-1");
    // A frame of a new chain makes its receiver draw a ratchet key.
    let received = vec![
        Bytes::new(),
        Bytes::new(),
        bytes(&vector["initiator_secrets"][1]),
        bytes(&vector["responder_secrets"][1]),
        Bytes::from_static(&[9; 32]),
    ];
    follows(&vector, &Ratchet::new(), &[], received);
}

#[test]
fn an_exchange_of_private_2_follows_the_vectors() {
    let vector = exchange("conversation-private-2");
    let key = |who: &str, number: usize| bytes(&vector[who][number]);
    // The key that is heard first is answered first.
    let answer = [
        bytes(&vector["kem_randomness"]),
        key("responder_secrets", 1),
    ];
    let received = vec![
        key("initiator_secrets", 1),
        answer.concat().into(),
        Bytes::new(),
        key("initiator_secrets", 2),
        Bytes::new(),
        key("responder_secrets", 2),
        Bytes::new(),
        key("initiator_secrets", 3),
        Bytes::from_static(&[9; 32]),
    ];
    // Due for once, since the conversation began before it.
    let protocol = Ratchet::with_healing(HealingSettings {
        interval: Duration::from_secs(100),
        frames: u64::MAX,
    });
    let sent = [(1, bytes(&vector["kem_seed"]))];
    follows(&vector, &protocol, &sent, received);
}

/// Both sides send and receive the vector's frames, each drawing what is given
/// for its number, and what it always draws.
fn follows(vector: &Value, protocol: &Ratchet, sent: &[(usize, Bytes)], received: Vec<Bytes>) {
    let mut script = Script::default();
    let mut now = Timestamp(1_799_999_000_000);
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
    let mut received = received.into_iter();
    let mut has_arrived = false;

    let frames = vector["frames"].as_array().unwrap();
    for (number, frame) in frames.iter().enumerate() {
        now = Timestamp(frame["sent_at"].as_u64().unwrap());
        let from = usize::from(frame["from"] == "responder");
        let to = 1 - from;
        let id = ContentId::new(bytes(&frame["content_id"])).unwrap();
        let content = bytes(&frame["content"]);
        for (_, drawn) in sent.iter().filter(|(at, _)| *at == number) {
            script.0.extend(drawn);
        }
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

        script.0.extend(received.next().unwrap());
        let input = Input::Frame(Incoming {
            // The responder says its points until a frame came to one of them.
            point: point(match has_arrived {
                false => "Raya's link",
                true => "Raya's point",
            }),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body,
        });
        sides[to].handle(input, &mut env(&mut script, now)).unwrap();
        has_arrived |= from == 1;
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

    for side in sides.iter().filter(|_| vector["export"].is_object()) {
        let secret = side.export(vector["export"]["label"].as_str().unwrap());
        assert_eq!(secret.unwrap().expose(), bytes(&vector["export"]["secret"]));
    }
}
