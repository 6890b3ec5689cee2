use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ContentState, Conversation, ConversationEvent, ConversationId,
    ConversationProtocol, Created, Env, Identity, Input, MadeOffer, OfferRequest, Output,
    Properties, ProtocolId, Result, Secret, Setup, Timestamp,
};
use cf_testkit::{NamedIdentity, RecordMap, SeededRandom};
use data_encoding::HEXLOWER;
use serde_json::Value;

use super::Segments;
use super::frame::{Frame, PartId, Segment};

fn vectors() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/spec/vectors/segments-1.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Bytes {
    let text = value.as_str().unwrap();
    HEXLOWER.decode(text.as_bytes()).unwrap().into()
}

fn id(value: &Value) -> ContentId {
    ContentId::new(hex(value)).unwrap()
}

#[test]
fn frames_follow_the_vectors() {
    let vectors = vectors();
    let list = |name: &str| vectors[name].as_array().unwrap().clone();
    for vector in list("contents") {
        let frame = Frame::decode(hex(&vector["encoded"])).unwrap();
        assert_eq!(frame, Frame::Content(hex(&vector["content"])));
    }
    let first = &list("contents")[0];
    let content = Frame::Content(hex(&first["content"]));
    assert_eq!(content.encode(), hex(&first["encoded"]));
    for vector in list("segments") {
        let frame = Frame::Segment(Segment {
            content: id(&vector["content_id"]),
            len: vector["len"].as_u64().unwrap(),
            offset: vector["offset"].as_u64().unwrap(),
            part: hex(&vector["part"]),
            large: vector["large"].as_bool().unwrap(),
        });
        assert_eq!(frame.encode(), hex(&vector["encoded"]));
        assert_eq!(Frame::decode(hex(&vector["encoded"])).unwrap(), frame);
    }
    for vector in list("subjects") {
        let content = id(&vector["content_id"]);
        let frame = match vector["kind"].as_str().unwrap() {
            "whole" => Frame::Whole(content),
            "refused" => Frame::Refused(content),
            _ => Frame::Cancelled(content),
        };
        assert_eq!(frame.encode(), hex(&vector["encoded"]));
        assert_eq!(Frame::decode(hex(&vector["encoded"])).unwrap(), frame);
    }
    let unknown = Frame::decode(hex(&vectors["unknown"]["encoded"])).unwrap();
    assert_eq!(unknown, Frame::Unknown(900));
    for vector in list("refused") {
        let decoded = Frame::decode(hex(&vector["encoded"]));
        assert!(decoded.is_err(), "{}", vector["why"]);
    }
    for vector in list("part_ids") {
        let number = |name: &str| vector[name].as_u64().unwrap();
        let part = PartId {
            number: number("number"),
            offset: number("offset") as u32,
            len: number("len") as u32,
        };
        assert_eq!(part.encode().unwrap(), id(&vector["id"]));
        assert_eq!(PartId::decode(&id(&vector["id"])), Some(part));
    }
}

/// Keeps what it is given, says nothing of it, and takes 300 bytes at once.
#[derive(Default)]
struct Silent {
    kept: Vec<(Option<ContentId>, Content)>,
    outputs: Vec<Output>,
}

impl Conversation for Silent {
    fn handle(&mut self, input: Input, _: &mut Env<'_>) -> Result<()> {
        match input {
            Input::Send { id, content } => {
                let Content::Bytes(bytes) = &content else {
                    return Err(cf_core::Error::misuse("in one piece"));
                };
                if bytes.len() > 300 {
                    return Err(cf_core::Error::misuse("too long"));
                }
                self.kept.push((id, content));
            }
            Input::Supersede => {
                let kept = std::mem::take(&mut self.kept).into_iter();
                let unsent =
                    kept.filter_map(|(id, content)| Some(Output::Unsent { id: id?, content }));
                self.outputs.extend(unsent);
            }
            Input::OwnPoints(_) => {
                // The first three are delivered.
                for (id, _) in self.kept.drain(..3) {
                    let state = ContentState::Delivered;
                    let event = ConversationEvent::State {
                        id: id.unwrap(),
                        state,
                    };
                    self.outputs.push(Output::Event(event));
                }
            }
            _ => {}
        }
        Ok(())
    }
    fn poll_output(&mut self) -> Option<Output> {
        (!self.outputs.is_empty()).then(|| self.outputs.remove(0))
    }
    fn export(&self, _: &str) -> Result<Secret> {
        Err(cf_core::Error::unsupported("no secret"))
    }
}

struct SilentProtocol(ProtocolId);

impl ConversationProtocol for SilentProtocol {
    fn id(&self) -> &ProtocolId {
        &self.0
    }
    fn specification(&self) -> &str {
        ""
    }
    fn properties(&self) -> Properties {
        Properties::default()
    }
    fn make_offer(&self, _: OfferRequest, _: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        Ok(None)
    }
    fn create(&self, _: Setup, _: &mut Env<'_>) -> Result<Created> {
        Ok(Created {
            conversation: Box::new(Silent::default()),
            parameters: Bytes::new(),
        })
    }
    fn join(&self, _: Setup, _: &mut Env<'_>) -> Result<Box<dyn Conversation>> {
        Ok(Box::new(Silent::default()))
    }
    fn restore(
        &self,
        _: ConversationId,
        _: Arc<dyn Identity>,
        _: &mut Env<'_>,
    ) -> Result<Box<dyn Conversation>> {
        Ok(Box::new(Silent::default()))
    }
}

#[test]
fn superseding_gives_every_content_back_once_whole_and_in_order() {
    let protocol = |name| ProtocolId::from_static(name);
    let inner = SilentProtocol(protocol("/example/silent/1"));
    let segments = Segments::new(protocol("/example/long/1"), Arc::new(inner));
    let setup = Setup {
        conversation: ConversationId([1; 16]),
        identity: Arc::new(NamedIdentity::new("Saro")),
        peer: None,
        exported: None,
        offer_secret: None,
        parameters: Bytes::new(),
        points: Vec::new(),
        arrived_at: None,
    };
    let (mut records, mut random) = (RecordMap::default(), SeededRandom::new(1));
    let mut run = |conversation: &mut dyn Conversation, input: Input| {
        let mut env = Env {
            now: Timestamp(1),
            random: &mut random,
            records: &records,
        };
        let result = conversation.handle(input, &mut env);
        let mut others = Vec::new();
        while let Some(output) = conversation.poll_output() {
            match output {
                Output::Record(change) => records.apply(change),
                other => others.push(other),
            }
        }
        (result, others)
    };
    let mut env_random = SeededRandom::new(2);
    let mut env = Env {
        now: Timestamp(1),
        random: &mut env_random,
        records: &cf_core::EmptyRecords,
    };
    let mut conversation = segments.create(setup, &mut env).unwrap().conversation;
    let contents = [
        ("first", Content::Bytes(vec![1; 100].into())),
        ("cut", Content::Bytes(vec![2; 1_000].into())),
        ("large", Content::Large { len: 5_000 }),
        ("waiting", Content::Large { len: 6_000 }),
        ("second", Content::Bytes(vec![3; 100].into())),
        ("cut too", Content::Bytes(vec![4; 700].into())),
    ];
    for (name, content) in contents.clone() {
        let id = Some(ContentId::new(name).unwrap());
        let (sent, outputs) = run(&mut *conversation, Input::Send { id, content });
        sent.unwrap();
        for output in outputs {
            if let Output::WantChunk {
                content,
                offset,
                len,
            } = output
            {
                let bytes = vec![5; len as usize].into();
                let chunk = Input::Chunk {
                    content,
                    offset,
                    bytes,
                };
                run(&mut *conversation, chunk).0.unwrap();
            }
        }
    }
    // The first content and some parts of the second are delivered.
    let conversation = &mut *conversation;
    run(conversation, Input::OwnPoints(Vec::new())).0.unwrap();
    let (result, outputs) = run(conversation, Input::Supersede);
    result.unwrap();
    let unsent = outputs.into_iter().filter_map(|output| match output {
        Output::Unsent { id, content } => Some((id, content)),
        _ => None,
    });
    let unsent: Vec<_> = unsent.collect();
    let expected = [1, 4, 5, 2, 3].map(|at| {
        let (name, content) = &contents[at];
        (ContentId::new(*name).unwrap(), content.clone())
    });
    assert_eq!(unsent, expected);
    let content = Content::Bytes("late".into());
    let id = Some(ContentId::new("late").unwrap());
    let (late, _) = run(conversation, Input::Send { id, content });
    assert_eq!(late.unwrap_err().kind(), cf_core::ErrorKind::Misuse);
    let (again, outputs) = run(conversation, Input::Supersede);
    again.unwrap();
    assert!(outputs.is_empty(), "{outputs:?}");
    // Nothing of them is kept.
    let kept = records.0.keys().filter(|key| key[1] != b'h');
    assert_eq!(kept.count(), 0);
}
