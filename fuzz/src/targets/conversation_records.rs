//! Stored records of private/1 and private/2 that were damaged: a typed error or a conversation
//! that goes on without a panic.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cf_conversation::private;
use cf_core::{ConversationProtocol, ErrorKind, Incoming, Timestamp};
use cf_testkit::RecordMap;

use super::conversation_healing::restless;
use crate::pair::{Pair, Side};
use crate::script::Script;

/// What a conversation left behind: the records of both, and what is on its way.
struct Life {
    records: [RecordMap; 2],
    lines: [Vec<Incoming>; 2],
    now: Timestamp,
}

pub(super) fn run(data: &[u8]) {
    static LIVES: OnceLock<[Life; 2]> = OnceLock::new();
    let lives = LIVES.get_or_init(|| [life(&private()), life(&restless())]);
    let mut script = Script::new(data);
    let choice = script.below(4);
    let (who, life) = (choice % 2, &lives[choice / 2]);
    let protocol = [private(), restless()][choice / 2].clone();
    let mut pair = Pair::new(&protocol, &protocol);
    let side: &mut Side = &mut pair.sides[who];
    side.outbox.clear();
    side.records = life.records[who].clone();
    script.damage(&mut side.records);
    if let Err(error) = side.restart(life.now) {
        let is_told = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Other);
        return assert!(is_told, "{error:?}");
    }
    for incoming in &life.lines[who] {
        let _ = side.handle(cf_core::Input::Frame(incoming.clone()), life.now);
    }
    for pause in [0, 60, 40_000, 15 * 24 * 3_600_000, 1] {
        let content = cf_core::Content::Bytes("and on".into());
        let id = cf_core::ContentId::new(format!("later {pause}")).ok();
        let _ = side.handle(cf_core::Input::Send { id, content }, life.now);
        let _ = side.handle(
            cf_core::Input::Time,
            life.now.after(Duration::from_millis(pause)),
        );
        for publish in std::mem::take(&mut side.outbox) {
            let Some(point) = publish.points.first() else {
                continue;
            };
            let outcome = cf_core::Input::Outcome {
                publish: publish.id,
                point: point.clone(),
                outcome: cf_core::Outcome::Accepted { cursor: None },
            };
            let _ = side.handle(outcome, life.now);
        }
    }
}

/// A life with everything that is stored: frames in flight, contents held back,
/// keys of frames that never came, a queue.
fn life(protocol: &Arc<dyn ConversationProtocol>) -> Life {
    let mut pair = Pair::new(protocol, protocol);
    pair.settle(1);
    pair.deliver_all();
    for round in 0..4 {
        for from in [0, 1] {
            for _ in 0..3 {
                pair.send(from, 20).expect("it takes it");
            }
            // The first is lost, the rest comes in another order.
            if round > 0 {
                pair.lines[1 - from].remove(0);
            }
            pair.lines[1 - from].reverse();
            for incoming in pair.lines[1 - from].split_off(1) {
                pair.deliver(1 - from, incoming);
            }
        }
    }
    for number in 0..3 {
        pair.send(number % 2, 300).expect("it takes it");
        pair.send(number % 2, 40_000).expect("it takes it");
        pair.send_large(number % 2, 70_000).expect("it takes it");
    }
    let records = [0, 1].map(|who: usize| pair.sides[who].records.clone());
    Life {
        records,
        lines: pair.lines,
        now: pair.now,
    }
}
