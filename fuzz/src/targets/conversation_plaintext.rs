//! A peer that says anything inside the encryption: the bare ratchet seals a
//! fuzzer's bytes where the reliable layer of private/1 expects its frames.

use std::sync::Arc;
use std::time::Duration;

use cf_conversation::{Ratchet, private};
use cf_core::{Content, ContentId, ConversationProtocol, Input};
use prost::Message;

use crate::pair::Pair;
use crate::script::Script;

/// As a peer of a later version may write it: any field at all.
#[derive(Clone, PartialEq, Message)]
struct Reliable {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    acknowledged: u64,
    #[prost(bytes = "vec", tag = "3")]
    bitmap: Vec<u8>,
    #[prost(uint64, repeated, tag = "4")]
    skipped: Vec<u64>,
    #[prost(uint64, tag = "5")]
    gone: u64,
    #[prost(bytes = "vec", optional, tag = "16")]
    content: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "17")]
    close: Option<Vec<u8>>,
    #[prost(message, optional, tag = "18")]
    receipt: Option<Receipt>,
    #[prost(bytes = "vec", optional, tag = "19")]
    typing: Option<Vec<u8>>,
    #[prost(message, optional, tag = "20")]
    contact: Option<Contact>,
}

#[derive(Clone, PartialEq, Message)]
struct Receipt {
    #[prost(bytes = "vec", repeated, tag = "1")]
    read: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Contact {
    #[prost(message, repeated, tag = "1")]
    bundles: Vec<Bundle>,
}

#[derive(Clone, PartialEq, Message)]
struct Bundle {
    #[prost(string, tag = "1")]
    protocol: String,
    #[prost(bytes = "vec", tag = "2")]
    bundle: Vec<u8>,
}

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let bare: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let mut pair = Pair::new(&bare, &private());
    // What the victim says is heard and ignored.
    pair.settle(1);
    for number in 0..40 {
        if script.is_over() {
            break;
        }
        match script.byte() % 8 {
            0 => drop(answer(&mut pair, usize::from(script.byte()))),
            1 => pair.sides[1].restart(pair.now).expect("its own records"),
            2 => {
                let pauses = [50, 2_000, 31_000, 3_600_000, 15 * 24 * 3_600_000];
                let pause = Duration::from_millis(pauses[script.below(pauses.len())]);
                pair.now = pair.now.after(pause);
                wake(&mut pair);
            }
            3 => say(&mut pair, number, script.part().to_vec()),
            _ => {
                let frame = frame(&mut script);
                say(&mut pair, number, frame.encode_to_vec());
            }
        }
        hear(&mut pair);
    }
    pair.sides[1].restart(pair.now).expect("its own records");
    pair.now = pair.now.after(Duration::from_secs(30 * 24 * 3600));
    wake(&mut pair);
}

fn frame(script: &mut Script<'_>) -> Reliable {
    let choice = script.byte();
    let number = |script: &mut Script<'_>| match script.byte() {
        small @ ..0xf0 => u64::from(small),
        0xf0 => u64::MAX,
        0xf1 => u64::MAX - u64::from(script.byte()),
        0xf2 => 16_384 + u64::from(script.byte()),
        _ => u64::from(script.byte()) << (script.byte() % 64),
    };
    Reliable {
        sequence: number(script),
        acknowledged: number(script),
        bitmap: match choice & 1 {
            1 => script.part().to_vec(),
            _ => Vec::new(),
        },
        skipped: match choice & 2 {
            2 => (0..script.below(70)).map(|_| number(script)).collect(),
            _ => Vec::new(),
        },
        gone: match choice & 0xc0 {
            0xc0 => number(script),
            _ => 0,
        },
        content: (choice & 12 == 4).then(|| script.part().to_vec()),
        close: (choice & 60 == 60).then(|| script.part().to_vec()),
        receipt: (choice & 60 == 8).then(|| receipt(script)),
        typing: (choice & 60 == 24).then(|| script.part().to_vec()),
        contact: (choice & 28 == 12).then(|| contact(script)),
    }
}

/// Contents of the victim's, and others.
fn receipt(script: &mut Script<'_>) -> Receipt {
    let read = (0..script.below(70)).map(|_| match script.byte() {
        0xff => script.part().to_vec(),
        number => format!("v {number}").into_bytes(),
    });
    Receipt {
        read: read.collect(),
    }
}

fn contact(script: &mut Script<'_>) -> Contact {
    let bundles = (0..script.below(10)).map(|number| Bundle {
        protocol: match script.byte() {
            0xff => String::from_utf8_lossy(&script.part()).into_owned(),
            _ => format!("/example/init/{number}"),
        },
        bundle: match script.byte() {
            0xff => vec![1; script.below(16_384)],
            len => vec![2; usize::from(len)],
        },
    });
    Contact {
        bundles: bundles.collect(),
    }
}

/// The hostile peer says something.
fn say(pair: &mut Pair, number: usize, bytes: Vec<u8>) {
    let id = ContentId::new(format!("{number}")).ok();
    let content = Content::Bytes(bytes.into());
    let sent = pair.sides[0].handle(Input::Send { id, content }, pair.now);
    if sent.is_err() {
        return;
    }
    for publish in std::mem::take(&mut pair.sides[0].outbox) {
        let incoming = cf_core::Incoming {
            point: publish.points[0].clone(),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body,
        };
        let victim = &mut pair.sides[1];
        let records = victim.records.clone();
        if victim.handle(Input::Frame(incoming), pair.now).is_err() {
            assert_eq!(victim.records, records, "a refused frame changed something");
        }
    }
}

/// The victim sends a content.
fn answer(pair: &mut Pair, len: usize) -> cf_core::Result<()> {
    let content = Content::Bytes(vec![b'v'; len].into());
    let id = ContentId::new(format!("v {}", pair.sides[1].events.len())).ok();
    pair.sides[1].handle(Input::Send { id, content }, pair.now)
}

fn wake(pair: &mut Pair) {
    if pair.sides[1].wake <= pair.now {
        let woken = pair.sides[1].handle(Input::Time, pair.now);
        woken.expect("time is no error");
    }
}

/// The peer gets what the victim says: its ratchet goes on.
fn hear(pair: &mut Pair) {
    for publish in std::mem::take(&mut pair.sides[1].outbox) {
        let Some(point) = publish.points.first() else {
            continue;
        };
        let incoming = cf_core::Incoming {
            point: point.clone(),
            cursor: None,
            tag: publish.frame.tag,
            body: publish.frame.body.clone(),
        };
        // Resends are known and dropped.
        let _ = pair.sides[0].handle(Input::Frame(incoming), pair.now);
        let outcome = Input::Outcome {
            publish: publish.id,
            point: point.clone(),
            outcome: cf_core::Outcome::Accepted { cursor: None },
        };
        let taken = pair.sides[1].handle(outcome, pair.now);
        taken.expect("an outcome of its own publish");
    }
    pair.sides[0].outbox.clear();
    pair.sides[0].events.clear();
}
