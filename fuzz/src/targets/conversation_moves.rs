//! Two live sessions that move to other places and say how they are asked into new
//! sessions, over a carrier that does what it likes: contents arrive once, and the
//! newest contact is the one that is known.

use std::time::Duration;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{BundleSet, Input, PointInfo, ProtocolId};

use super::conversation_session::step;
use crate::pair::Pair;
use crate::scene::{MAX_BODY, info};
use crate::script::Script;

const MAX_STEPS: usize = 160;

/// How often a side moves at most: more leave nothing to be sure of.
const MAX_MOVES: usize = 8;

/// What each side said last.
#[derive(Default)]
struct Said {
    contacts: [Option<BundleSet>; 2],
    moves: [usize; 2],
}

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let protocol = private();
    let mut pair = Pair::new(&protocol, &protocol);
    pair.settle(1);
    let mut said = Said::default();
    for _ in 0..MAX_STEPS {
        if script.is_over() {
            break;
        }
        match script.byte() {
            0..0x40 => own_step(&mut pair, &mut script, &mut said),
            _ => step(&mut pair, &mut script),
        }
    }
    pair.heal();
    if !pair.is_sure {
        return;
    }
    for _ in 0..64 {
        pair.deliver_all();
        pair.pass(Duration::from_secs(3600));
    }
    for who in [0, 1] {
        assert_eq!(pair.sides[1 - who].contact, said.contacts[who]);
    }
}

fn own_step(pair: &mut Pair, script: &mut Script<'_>, said: &mut Said) {
    let choice = script.byte();
    let who = usize::from(choice >> 7);
    let input = match choice & 3 {
        0 | 1 if said.moves[who] < MAX_MOVES => {
            said.moves[who] += 1;
            let points = 1 + script.below(3);
            Input::OwnPoints((0..points).map(|_| place(script, who)).collect())
        }
        2 => {
            let contact = contact(script);
            said.contacts[who] = Some(contact.clone());
            Input::Contact(contact)
        }
        3 => {
            // What a driver knows of where the peer is.
            let listening = pair.sides[1 - who].listening.iter();
            let mut points: Vec<_> = listening.cloned().collect();
            points.sort();
            points.truncate(8);
            let max_body_len = [MAX_BODY, 4_096, 1_024][script.below(3)];
            // What was taken before may be too long for the points now.
            pair.is_sure &= max_body_len == MAX_BODY;
            let info = |point| PointInfo {
                max_body_len,
                point,
                ..info("anywhere")
            };
            Input::PeerPoints {
                peer: None,
                points: points.into_iter().map(info).collect(),
            }
        }
        _ => return,
    };
    let taken = pair.sides[who].handle(input, pair.now);
    assert!(taken.is_ok() || !pair.is_sure, "{taken:?}");
    pair.settle(who);
}

/// One of a side's places.
fn place(script: &mut Script<'_>, who: usize) -> PointInfo {
    info(&format!("{who} at {}", script.below(4)))
}

fn contact(script: &mut Script<'_>) -> BundleSet {
    let mut bundle = |number| {
        let id = ProtocolId::parse(&format!("/example/init/{number}"));
        let bundle = vec![script.byte(); 1 + script.below(300)];
        (id.expect("an id"), Bytes::from(bundle))
    };
    let bundles = vec![bundle(0), bundle(1)];
    BundleSet::new(bundles).expect("two bundles")
}
