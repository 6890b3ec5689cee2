//! Two live sessions of private/1, and a carrier that delivers, drops, repeats,
//! reorders, changes and forges: nothing panics, what is refused changes nothing,
//! and honest contents arrive once.

use std::sync::Arc;
use std::time::Duration;

use cf_conversation::private;
use cf_core::{ConversationEvent, ConversationProtocol, Incoming, Input, RoutingTag};

use crate::pair::Pair;
use crate::scene::{NOW, point};
use crate::script::Script;

/// How much a script does at most.
const MAX_STEPS: usize = 160;

/// After this time contents may expire.
const SURE_FOR: Duration = Duration::from_secs(10 * 24 * 3600);

/// What fits into a frame with room to spare.
const MAX_CONTENT: usize = 15_000;

const PAUSES: [Duration; 6] = [
    Duration::from_millis(10),
    Duration::from_millis(60),
    Duration::from_secs(3),
    Duration::from_secs(31),
    Duration::from_secs(3600),
    Duration::from_secs(30 * 3600),
];

pub(super) fn run(data: &[u8]) {
    live(&private(), data);
}

pub(super) fn live(protocol: &Arc<dyn ConversationProtocol>, data: &[u8]) {
    let mut script = Script::new(data);
    let mut pair = Pair::new(protocol, protocol);
    pair.settle(1);
    for _ in 0..MAX_STEPS {
        if script.is_over() {
            break;
        }
        step(&mut pair, &mut script);
    }
    pair.heal();
    let exported = [0, 1].map(|who: usize| pair.sides[who].conversation.export("fuzz"));
    let [Ok(saro), Ok(raya)] = exported else {
        panic!("both export");
    };
    assert_eq!(saro.expose(), raya.expose());
}

/// What anybody may do, and a carrier.
pub(super) fn step(pair: &mut Pair, script: &mut Script<'_>) {
    let choice = script.byte();
    let who = usize::from(choice >> 7);
    match choice & 0x0f {
        0 | 1 => {
            let len = script.below(200);
            let sent = pair.send(who, len);
            assert!(sent.is_ok() || may_refuse(pair, who), "{sent:?}");
        }
        2 => {
            let sent = pair.send(who, script.below(MAX_CONTENT));
            assert!(sent.is_ok() || may_refuse(pair, who), "{sent:?}");
        }
        3 | 4 if !pair.lines[who].is_empty() => {
            let at = script.below(pair.lines[who].len());
            let incoming = pair.lines[who].remove(at);
            let delivered = pair.deliver(who, incoming);
            assert!(!matches!(delivered, Some(Err(_))), "{delivered:?}");
        }
        5 if !pair.lines[who].is_empty() => {
            let at = script.below(pair.lines[who].len());
            pair.lines[who].remove(at);
        }
        6 if !pair.lines[who].is_empty() => {
            let at = script.below(pair.lines[who].len());
            let incoming = pair.lines[who][at].clone();
            pair.lines[who].push(incoming);
        }
        7 | 8 => {
            if let Some(forged) = forged(pair, script, who) {
                hostile(pair, who, forged);
            }
        }
        9 | 10 => {
            let pause = PAUSES[script.below(PAUSES.len())];
            if pair.now.after(pause) < NOW.after(SURE_FOR) {
                pair.pass(pause);
            }
        }
        11 => pair.restart(who),
        12 => pair.deliver_all(),
        13 => pair.refuses = script.byte() == 0x80,
        14 => {
            let input = match script.byte() % 4 {
                0 => match pair.told(who) {
                    Some(content) => Input::Read {
                        from: None,
                        content,
                    },
                    None => Input::Time,
                },
                1 => Input::Typing(script.byte().is_multiple_of(2)),
                2 => Input::Miss {
                    point: point("elsewhere"),
                    cursor: None,
                    tag: RoutingTag([script.byte(); 16]),
                    budget: u32::from(script.byte()),
                },
                _ => Input::Time,
            };
            let _ = pair.sides[who].handle(input, pair.now);
            pair.settle(who);
        }
        _ if script.byte() == 0x80 => {
            pair.is_sure = false;
            let _ = pair.sides[who].handle(Input::Close, pair.now);
            pair.settle(who);
        }
        _ => {}
    }
}

/// Whether a side takes no content, perhaps: it was closed, or is superseded.
fn may_refuse(pair: &Pair, who: usize) -> bool {
    !pair.is_sure || pair.is_superseded[who]
}

/// What a carrier makes of what it has seen, for one side.
fn forged(pair: &Pair, script: &mut Script<'_>, who: usize) -> Option<Incoming> {
    let from = usize::from(script.byte() % 4 == 3) ^ who;
    let line = &pair.lines[from];
    let real = line.get(script.below(line.len()))?;
    let mut forged = Incoming {
        // A frame that is reflected comes to a place of its sender's.
        point: pair.sides[who].listening.iter().min()?.clone(),
        ..real.clone()
    };
    match script.byte() % 4 {
        0 => forged.body = script.mutated(&real.body),
        1 => forged.tag.0[script.below(16)] ^= 1 | script.byte(),
        2 => {
            let mut expected: Vec<_> = pair.sides[who].expected.iter().copied().collect();
            expected.sort_unstable();
            forged.tag = *expected.get(script.below(expected.len()))?;
        }
        _ => {
            let body = script.part();
            forged.body = body;
        }
    }
    let is_changed = forged.body != real.body || forged.tag != real.tag || from != who;
    is_changed.then_some(forged)
}

/// A forged frame is refused and changes nothing, or its tag was seen before: that
/// is answered with an acknowledgement at most. It tells nothing.
fn hostile(pair: &mut Pair, who: usize, forged: Incoming) {
    let side = &mut pair.sides[who];
    if !side.expected.contains(&forged.tag) {
        return;
    }
    let (records, wake, told) = (side.records.clone(), side.wake, contents(&side.events));
    let result = side.handle(Input::Frame(forged), pair.now);
    assert_eq!(
        contents(&side.events),
        told,
        "a forged frame told something"
    );
    if result.is_err() {
        assert_eq!((&side.records, side.wake), (&records, wake));
    }
    let answers = side.outbox.iter();
    let answers = answers.filter(|publish| publish.content.is_some());
    assert_eq!(answers.count(), 0, "a forged frame moved a content");
    pair.settle(who);
}

fn contents(events: &[ConversationEvent]) -> usize {
    let is_content =
        |event: &&ConversationEvent| matches!(event, ConversationEvent::Content { .. });
    events.iter().filter(is_content).count()
}
