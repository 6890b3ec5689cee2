//! What tags reveal once a state is stolen, to somebody who recorded every
//! payload: the claims of docs/adr/0006, each against the records as they are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use cf_conversation::{Ratchet, private};
use cf_core::{ConversationProtocol, Incoming, Input, RoutingTag};
use cf_testkit::RecordMap;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::pair::{Faults, Pair, point};

const LABELS: &str = "/cf/conversation/private/1";

/// How many frames a side sends before the other does: more than the seen tags
/// that are kept.
const FRAMES: usize = 20;

/// The frame of each turn that is lost: its key is kept.
const LOST: usize = 7;

const TURNS: usize = 12;

/// A payload that was recorded.
struct Recorded {
    turn: usize,
    number: usize,
    tag: RoutingTag,
    standing: RoutingTag,
    body: Bytes,
}

/// Turns of the bare ratchet: each is one chain. Saro (0) has the even ones.
struct Life {
    payloads: Vec<Recorded>,
    /// The records of both after each turn.
    states: Vec<[RecordMap; 2]>,
}

fn life() -> Life {
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let mut pair = Pair::new(&protocol, Faults::NONE, 61);
    let mut life = Life {
        payloads: Vec::new(),
        states: Vec::new(),
    };
    for turn in 0..TURNS {
        let from = turn % 2;
        for number in 0..FRAMES {
            let id = format!("{turn} {number}");
            pair.sides[from].send(&id, "words", pair.now).unwrap();
            let publish = pair.sides[from].outbox.pop().unwrap();
            let (tag, standing) = (publish.frame.tag, publish.frame.standing);
            let body = publish.frame.body;
            if number != LOST {
                let incoming = Incoming {
                    point: point(["Saro's point", "Raya's point"][1 - from]),
                    cursor: None,
                    tag,
                    body: body.clone(),
                };
                let received = pair.sides[1 - from].handle(Input::Frame(incoming), pair.now);
                received.unwrap();
            }
            life.payloads.push(Recorded {
                turn,
                number,
                tag,
                standing,
                body,
            });
        }
        let records = [0, 1].map(|side: usize| pair.sides[side].records.clone());
        life.states.push(records);
    }
    life
}

/// The header keys of a stolen head record, whose layout stands in head.rs, and
/// what is needed to follow the next step of the peer's.
struct Stolen {
    root: [u8; 32],
    own: [u8; 32],
    next_send: [u8; 32],
    next_receive: [u8; 32],
    send: [u8; 32],
    receive: [u8; 32],
}

impl Stolen {
    fn new(head: &[u8]) -> Self {
        let at = |from: usize| head[from..from + 32].try_into().unwrap();
        Self {
            root: at(9),
            own: at(41),
            next_send: at(105),
            next_receive: at(137),
            send: at(201),
            receive: at(285),
        }
    }

    /// The header key of the peer's chain after its next one, which follows from
    /// the first frame of that next one.
    fn followed(&self, first: &Recorded) -> [u8; 32] {
        let header = open_header(&self.next_receive, first).unwrap();
        let peer: [u8; 32] = header[..32].try_into().unwrap();
        let own = StaticSecret::from(self.own);
        let agreed = own.diffie_hellman(&PublicKey::from(peer));
        let step: [u8; 96] = expand(Some(&self.root), agreed.as_bytes(), "ratchet");
        step[64..].try_into().unwrap()
    }
}

fn expand<const N: usize>(salt: Option<&[u8]>, secret: &[u8], purpose: &str) -> [u8; N] {
    let mut out = [0; N];
    let label = format!("{LABELS} {purpose}");
    let expanded = Hkdf::<Sha256>::new(salt, secret).expand(label.as_bytes(), &mut out);
    expanded.unwrap();
    out
}

/// The tags of a chain's first frames.
fn tags(header_key: &[u8; 32]) -> BTreeSet<RoutingTag> {
    let key: [u8; 32] = expand(None, header_key, "tag");
    let tag = |number: u32| {
        let mut code = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        code.update(&number.to_be_bytes());
        RoutingTag::from_slice(&code.finalize().into_bytes()[..16]).unwrap()
    };
    (0..FRAMES as u32).map(tag).collect()
}

fn open_header(header_key: &[u8; 32], payload: &Recorded) -> Option<Vec<u8>> {
    let key: [u8; 32] = expand(None, header_key, "header");
    let nonce: &[u8; 12] = payload.body[..12].try_into().unwrap();
    let sealed = Payload {
        msg: &payload.body[16..68],
        aad: payload.tag.as_bytes(),
    };
    Aes256Gcm::new((&key).into())
        .decrypt(nonce.into(), sealed)
        .ok()
}

/// The turns of which every payload, or none, has a tag that is told.
fn turns_told(life: &Life, told: &BTreeSet<RoutingTag>) -> Vec<usize> {
    let is_told = |turn: &usize| {
        let of_turn = life.payloads.iter().filter(|payload| payload.turn == *turn);
        let count = of_turn
            .filter(|payload| told.contains(&payload.tag))
            .count();
        assert!(count == 0 || count == FRAMES, "{count} of turn {turn}");
        count > 0
    };
    (0..TURNS).filter(is_told).collect()
}

/// Each side as the victim, after each turn with enough before and behind it, and
/// the first of the present chains.
fn victims(life: &Life, mut check: impl FnMut(&RecordMap, &Stolen, usize)) {
    for turn in 3..TURNS - 5 {
        for (side, records) in life.states[turn].iter().enumerate() {
            let stolen = Stolen::new(&records.0[&b"h"[..]]);
            let spoke_last = turn % 2 == side;
            // Who received last has made the step that answers, and so a new chain
            // of its own in which it has sent nothing.
            let first = match spoke_last {
                true => turn - 1,
                false => turn,
            };
            check(records, &stolen, first);
        }
    }
}

#[test]
fn a_stolen_state_tells_the_payloads_of_the_present_and_the_next_chains() {
    let life = life();
    victims(&life, |_, stolen, first| {
        let keys = [
            &stolen.send,
            &stolen.receive,
            &stolen.next_send,
            &stolen.next_receive,
        ];
        let told = keys.into_iter().flat_map(tags).collect();
        // Two chains of each side, each from its first frame: also those that were
        // received and whose message keys are gone.
        let expected: Vec<_> = (first..first + 4).collect();
        assert_eq!(turns_told(&life, &told), expected);
    });
}

#[test]
fn a_header_key_alone_tells_its_chain_without_any_tag() {
    let life = life();
    victims(&life, |_, stolen, first| {
        for payload in &life.payloads {
            let keys = [
                &stolen.send,
                &stolen.receive,
                &stolen.next_send,
                &stolen.next_receive,
            ];
            let opens = keys
                .into_iter()
                .any(|key| open_header(key, payload).is_some());
            assert_eq!(opens, (first..first + 4).contains(&payload.turn));
        }
    });
}

#[test]
fn a_stolen_state_tells_one_chain_of_the_peer_more_and_then_nothing() {
    let life = life();
    victims(&life, |_, stolen, first| {
        // Of the four chains the peer's next is the third.
        let next = first + 2;
        let begins = |payload: &&Recorded| payload.turn == next && payload.number == 0;
        let first_frame = life.payloads.iter().find(begins).unwrap();
        let told = tags(&stolen.followed(first_frame));
        assert_eq!(turns_told(&life, &told), [next + 2]);
    });
}

/// Every header key that 32 bytes in a row of any record could be.
fn candidates(records: &RecordMap) -> BTreeSet<[u8; 32]> {
    let values = records.0.iter().flat_map(|(key, value)| [key, value]);
    values
        .flat_map(|bytes| bytes.windows(32))
        .map(|window| window.try_into().unwrap())
        .collect()
}

/// The payloads whose tags stand in the records as they are.
fn stored<'a>(records: &RecordMap, payloads: impl Iterator<Item = &'a Recorded>) -> usize {
    let is_stored = |payload: &&Recorded| {
        let tag = payload.tag.as_bytes();
        let mut values = records.0.values();
        values.any(|value| value.windows(16).any(|window| window == tag))
    };
    payloads.filter(is_stored).count()
}

#[test]
fn of_older_chains_a_stolen_state_tells_sixteen_seen_and_the_skipped() {
    let life = life();
    victims(&life, |records, _, first| {
        let older = || life.payloads.iter().filter(|payload| payload.turn < first);
        let skipped = records.0.keys().filter(|key| key.starts_with(b"s")).count();
        let told = stored(records, older());
        assert!((16..=16 + skipped).contains(&told), "{told} and {skipped}");
    });
}

#[test]
fn nothing_that_is_stored_leads_back_to_an_older_chain() {
    let life = life();
    let turn = 6;
    for records in &life.states[turn] {
        let told: BTreeSet<_> = candidates(records).iter().flat_map(tags).collect();
        let turns = turns_told(&life, &told);
        assert!(turns.iter().all(|told| *told >= turn - 1), "{turns:?}");
        assert!(turns.contains(&turn), "the search finds what is there");
    }
}

/// What a framing makes of the standing tag is as linkable as that: it never
/// changes and is always stored.
#[test]
fn the_standing_tag_is_in_every_state_and_of_every_frame() {
    let life = life();
    let standing = life.payloads[0].standing;
    assert!(
        life.payloads
            .iter()
            .all(|payload| payload.standing == standing)
    );
    for records in life.states.iter().flatten() {
        let settled = &records.0[&b"c"[..]];
        assert!(
            settled
                .windows(16)
                .any(|window| window == standing.as_bytes())
        );
    }
}

#[test]
fn private_keeps_no_trace_of_what_was_acknowledged_before_some_steps() {
    let mut pair = Pair::new(&private(), Faults::NONE, 62);
    let mut earlier = Vec::new();
    for number in 0..30 {
        pair.send(number % 2, &number.to_string(), "words");
        pair.run_for(Duration::from_secs(10));
        if number == 8 {
            earlier = pair.payloads.keys().copied().collect();
        }
    }
    assert!(earlier.len() > 12);
    for side in &pair.sides {
        let told: BTreeSet<_> = candidates(&side.records).iter().flat_map(tags).collect();
        let is_told = |tag: &&RoutingTag| {
            let mut values = side.records.0.values();
            let is_stored =
                values.any(|value| value.windows(16).any(|window| window == tag.as_bytes()));
            is_stored || told.contains(tag)
        };
        // The seen tags are the last sixteen, and later ones have taken their place.
        assert_eq!(earlier.iter().filter(is_told).count(), 0);
        let all = pair.payloads.keys().filter(is_told).count();
        assert!(all > 0, "the last are told");
    }
}
