//! Two live sessions of which any is superseded at any time, over a carrier that
//! does what it likes: every content arrives, or is given back once and whole.

use std::collections::HashSet;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{Content, ContentId, ErrorKind};

use super::conversation_session::step;
use crate::pair::Pair;
use crate::script::Script;

const MAX_STEPS: usize = 160;

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let protocol = private();
    let mut pair = Pair::new(&protocol, &protocol);
    pair.settle(1);
    for _ in 0..MAX_STEPS {
        if script.is_over() {
            break;
        }
        let choice = script.byte();
        let who = usize::from(choice >> 7);
        match choice & 0x7f {
            0 | 1 => pair.supersede(who),
            // Some of it is on its way when the session ends.
            2..8 => drop(pair.send_large(who, 1 + script.below(60_000))),
            8..12 => drop(pair.send(who, script.below(60_000))),
            _ => step(&mut pair, &mut script),
        }
        check(&pair);
    }
    pair.heal();
    check(&pair);
    for who in [0, 1] {
        if pair.is_superseded[who] {
            let late = pair.send(who, 1).expect_err("another instance sends");
            assert_eq!(late.kind(), ErrorKind::Misuse);
        }
    }
}

/// What was given back was sent, with these bytes, and comes back once, in order.
fn check(pair: &Pair) {
    for who in [0, 1] {
        let unsent = &pair.sides[who].unsent;
        assert!(unsent.is_empty() || pair.is_superseded[who]);
        let mut seen = HashSet::new();
        let mut last = 0;
        for (id, content) in unsent {
            assert!(seen.insert(id), "{id:?} was given back twice");
            let (place, bytes) = sent(pair, who, id);
            match content {
                Content::Bytes(content) => {
                    assert_eq!(content, bytes);
                    assert!(last <= place, "{id:?} is out of order");
                    last = place;
                }
                Content::Large { len } => assert_eq!(*len, bytes.len() as u64),
            }
        }
    }
}

fn sent<'a>(pair: &'a Pair, who: usize, id: &ContentId) -> (usize, &'a Bytes) {
    let mut all = pair.sent[who].iter().enumerate();
    let found = all.find(|(_, (other, _))| other == id);
    let (place, (_, bytes)) = found.expect("only what was sent is given back");
    (place, bytes)
}
