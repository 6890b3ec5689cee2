//! A peer that says anything where the segments of private/1 are expected: what is
//! refused changes nothing, and what is told is what its parts were.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::{Ratchet, Reliable, private};
use cf_core::{
    Content, ContentId, ConversationEvent, ConversationProtocol, Incoming, Input, ProtocolId,
};
use prost::Message;

use crate::pair::{Pair, Side};
use crate::script::Script;

#[derive(Clone, PartialEq, Message)]
struct Segment {
    #[prost(bytes = "vec", tag = "1")]
    content_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    len: u64,
    #[prost(uint64, tag = "3")]
    offset: u64,
    #[prost(bytes = "vec", tag = "4")]
    part: Vec<u8>,
    #[prost(bool, tag = "5")]
    large: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Subject {
    #[prost(bytes = "vec", tag = "1")]
    content_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Frame {
    #[prost(bytes = "vec", optional, tag = "16")]
    content: Option<Vec<u8>>,
    #[prost(message, optional, tag = "17")]
    segment: Option<Segment>,
    #[prost(message, optional, tag = "18")]
    whole: Option<Subject>,
    #[prost(message, optional, tag = "19")]
    refused: Option<Subject>,
    #[prost(message, optional, tag = "20")]
    cancelled: Option<Subject>,
}

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let id = ProtocolId::from_static("/cf/conversation/reliable/1");
    let reliable: Arc<dyn ConversationProtocol> =
        Arc::new(Reliable::new(id, Arc::new(Ratchet::new())));
    let mut pair = Pair::new(&reliable, &private());
    exchange(&mut pair);
    for number in 0..60 {
        if script.is_over() {
            break;
        }
        match script.byte() % 8 {
            0 => drop(pair.send(1, script.below(40_000))),
            1 => drop(pair.send_large(1, 1 + script.below(60_000))),
            2 => pair.sides[1].restart(pair.now).expect("its own records"),
            3 => {
                let pauses = [1, 50, 2_000, 31_000, 31 * 24 * 3_600_000];
                let pause = pauses[script.below(pauses.len())];
                pair.now = pair.now.after(Duration::from_millis(pause));
                for who in [0, 1] {
                    if pair.sides[who].wake <= pair.now {
                        let woken = pair.sides[who].handle(Input::Time, pair.now);
                        woken.expect("time is no error");
                    }
                }
            }
            4 => say(&mut pair, number, script.part()),
            _ => {
                let frame = frame(&pair, &mut script);
                say(&mut pair, number, frame.encode_to_vec().into());
            }
        }
        exchange(&mut pair);
    }
    pair.sides[1].restart(pair.now).expect("its own records");
}

fn frame(pair: &Pair, script: &mut Script<'_>) -> Frame {
    let mut frame = Frame::default();
    let choice = script.byte();
    if choice & 7 < 5 {
        frame.segment = Some(segment(script));
    }
    if choice & 7 > 3 {
        let subject = Some(Subject {
            content_id: name(pair, script),
        });
        match script.byte() % 4 {
            0 => frame.whole = subject,
            1 => frame.refused = subject,
            2 => frame.cancelled = subject,
            _ => frame.content = Some(script.part().to_vec()),
        }
    }
    frame
}

/// A part of one of a few contents, which often fits those before it.
fn segment(script: &mut Script<'_>) -> Segment {
    let content = script.below(4);
    let lens = [64, 640, 100_000, 64 * 1024 * 1024];
    let len = match script.byte() {
        0 => u64::MAX,
        1 => u64::from(script.byte()),
        _ => lens[content],
    };
    let part = match script.byte() {
        0 => script.part().to_vec(),
        1 => vec![content as u8; script.below(70_000)],
        _ => vec![content as u8; 32],
    };
    let offset = match script.byte() {
        0xf0 => u64::MAX - u64::from(script.byte()),
        0xf1 => len.wrapping_sub(u64::from(script.byte())),
        small => u64::from(small) * 32,
    };
    Segment {
        content_id: vec![content as u8; script.below(3)],
        len,
        offset,
        part,
        large: content % 2 == 1 && script.byte() != 0,
    }
}

/// The id of a content, of the victim's or of its own.
fn name(pair: &Pair, script: &mut Script<'_>) -> Vec<u8> {
    let sent = &pair.sent[1];
    match script.byte() % 4 {
        0 => script.part().to_vec(),
        1 => vec![script.byte() % 4; script.below(3)],
        _ => match sent.get(script.below(sent.len())) {
            Some((id, _)) => id.as_bytes().to_vec(),
            None => Vec::new(),
        },
    }
}

/// The hostile peer says something.
fn say(pair: &mut Pair, number: usize, bytes: Bytes) {
    let id = ContentId::new(format!("{number}")).ok();
    let content = Content::Bytes(bytes);
    // What is too long for a frame is not said.
    let _ = pair.sides[0].handle(Input::Send { id, content }, pair.now);
}

/// Each hears what the other says.
fn exchange(pair: &mut Pair) {
    for publish in std::mem::take(&mut pair.sides[0].outbox) {
        let incoming = Incoming {
            point: publish.points[0].clone(),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body,
        };
        let victim = &mut pair.sides[1];
        let (records, wake) = (victim.records.clone(), victim.wake);
        if victim.handle(Input::Frame(incoming), pair.now).is_err() {
            assert!(
                victim.records == records,
                "a refused frame changed something"
            );
            assert_eq!(victim.wake, wake);
        }
        check(victim);
    }
    check(&mut pair.sides[1]);
    pair.settle(1);
    for incoming in std::mem::take(&mut pair.lines[0]) {
        let heard = pair.sides[0].handle(Input::Frame(incoming), pair.now);
        heard.expect("the victim is honest");
    }
    pair.sides[0].events.clear();
}

/// A large content that was told has all its parts.
fn check(victim: &mut Side) {
    for event in std::mem::take(&mut victim.events) {
        if let ConversationEvent::Content { id, content, .. } = event
            && let Content::Large { len } = content
        {
            assert_eq!(victim.take_joined(&id).len() as u64, len);
        }
    }
}
