//! What the protocol promises of secrecy and authenticity, against somebody who
//! sees and keeps every payload, steals states and puts in what he likes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_conversation::Ratchet;
use cf_core::{
    Content, Conversation, ConversationEvent, ConversationProtocol, Env, ErrorKind, Identity,
    Incoming, Input, OfferRequest, Output, Peer, PeerId, Publish, Secret, Setup, Timestamp,
};
use cf_testkit::{RecordMap, SeededRandom};

use crate::pair::{CONVERSATION, Faults, Named, Pair, encrypted, info, point};
use crate::soak::one_life;
use crate::wiretap::Wiretap;

fn incoming(publish: &Publish, to: usize) -> Incoming {
    Incoming {
        point: point(["Saro's point", "Raya's point"][to]),
        cursor: None,
        tag: publish.frame.tag,
        body: publish.frame.body.clone(),
    }
}

/// Has a side send, and the other receive: gives every payload and its recipient.
fn exchange(pair: &mut Pair, from: usize, id: &str) -> Vec<(usize, Publish)> {
    pair.sides[from]
        .send(id, format!("secret {id}"), pair.now)
        .unwrap();
    let mut payloads = Vec::new();
    // What it sends, and what is answered.
    for side in [from, 1 - from, from] {
        for publish in std::mem::take(&mut pair.sides[side].outbox) {
            let to = incoming(&publish, 1 - side);
            pair.sides[1 - side]
                .handle(Input::Frame(to), pair.now)
                .unwrap();
            payloads.push((1 - side, publish));
        }
    }
    pair.now = pair.now.after(Duration::from_millis(1));
    payloads
}

/// Whoever stole a side's records, and receives what the side receives.
struct Thief {
    conversation: Box<dyn Conversation>,
    records: RecordMap,
    random: SeededRandom,
    now: Timestamp,
}

impl Thief {
    fn new(protocol: &Arc<dyn ConversationProtocol>, stolen: &RecordMap, now: Timestamp) -> Self {
        // Randomness can't be stolen: what the side drew later is unknown.
        let mut random = SeededRandom::new(0xbad);
        let mut env = Env {
            now,
            random: &mut random,
            records: stolen,
        };
        let thief: Arc<dyn Identity> = Named::new("a thief");
        let conversation = protocol.restore(CONVERSATION, thief, &mut env).unwrap();
        Self {
            conversation,
            records: stolen.clone(),
            random,
            now,
        }
    }

    /// Whether this opens a payload, having searched for its tag.
    fn opens(&mut self, (to, publish): &(usize, Publish)) -> bool {
        let incoming = incoming(publish, *to);
        let miss = Input::Miss {
            cursor: None,
            point: incoming.point.clone(),
            tag: incoming.tag,
            budget: 500,
        };
        let mut has_content = false;
        for input in [miss, Input::Frame(incoming)] {
            let mut env = Env {
                now: self.now,
                random: &mut self.random,
                records: &self.records,
            };
            let handled = self.conversation.handle(input, &mut env);
            while let Some(output) = self.conversation.poll_output() {
                match output {
                    Output::Record(change) => self.records.apply(change),
                    Output::Event(event) => {
                        has_content |= matches!(event, ConversationEvent::Content { .. });
                    }
                    _ => {}
                }
            }
            if handled.is_err() {
                return false;
            }
        }
        has_content
    }
}

/// A conversation of many turns: the payloads, and before each the records.
struct Recorded {
    payloads: Vec<(usize, Publish)>,
    /// How many payloads there had been, and the records of both.
    states: Vec<(usize, [RecordMap; 2])>,
    now: Timestamp,
}

/// Turns of different lengths, each payload received before the next.
fn recorded(protocol: &Arc<dyn ConversationProtocol>) -> Recorded {
    let mut pair = Pair::new(protocol, Faults::NONE, 21);
    pair.run_for(Duration::from_secs(10));
    let mut recorded = Recorded {
        payloads: Vec::new(),
        states: Vec::new(),
        now: pair.now,
    };
    let turns = [0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0];
    for (number, from) in turns.into_iter().enumerate() {
        let sent = exchange(&mut pair, from, &number.to_string());
        recorded.payloads.extend(sent);
        let records = [0, 1].map(|side: usize| pair.sides[side].records.clone());
        recorded.states.push((recorded.payloads.len(), records));
    }
    recorded.now = pair.now;
    recorded
}

#[test]
fn forward_secrecy_a_stolen_state_opens_no_earlier_frame() {
    for protocol in encrypted() {
        let recorded = recorded(&protocol);
        for (earlier, records) in &recorded.states {
            for payload in &recorded.payloads[..*earlier] {
                // Neither what the recipient had nor what the sender has left.
                for stolen in records {
                    let mut thief = Thief::new(&protocol, stolen, recorded.now);
                    assert!(!thief.opens(payload));
                }
            }
        }
        // What is stolen is enough for what comes next.
        let (count, records) = &recorded.states[0];
        let next = &recorded.payloads[*count];
        let mut thief = Thief::new(&protocol, &records[next.0], recorded.now);
        assert!(thief.opens(next));
    }
}

#[test]
fn post_compromise_security_a_stolen_state_is_useless_after_an_exchange() {
    for protocol in encrypted() {
        for victim in 0..2 {
            let mut pair = Pair::new(&protocol, Faults::NONE, 22);
            pair.run_for(Duration::from_secs(10));
            exchange(&mut pair, 0, "a");
            exchange(&mut pair, 1, "b");
            // The thief reads along with the victim, and with its peer.
            let mut thieves = [victim, 1 - victim].map(|side: usize| {
                let stolen = pair.sides[victim].records.clone();
                (side, Thief::new(&protocol, &stolen, pair.now))
            });
            let mut read = [false; 12];
            for (number, read) in read.iter_mut().enumerate() {
                // Each draws a fresh key when a step of the other's arrives.
                let from = (victim + 1 + number) % 2;
                for payload in exchange(&mut pair, from, &format!("later {number}")) {
                    for (side, thief) in &mut thieves {
                        *read |= payload.0 == *side && thief.opens(&payload);
                    }
                }
            }
            assert!(read[0], "what was stolen is worth something");
            // One step of each side: the victim's with a key that was not stolen.
            assert_eq!(read[3..], [false; 9]);
        }
    }
}

/// Over whole lives, with processes that die between sealing and storing: the
/// wiretap looks at everything that was ever sealed.
#[test]
fn key_and_nonce_no_pair_seals_two_plaintexts_over_a_storm() {
    let (mut deaths, mut bodies) = (0, 0);
    for seed in 7_000..7_006 {
        let storm = one_life(seed);
        deaths += storm.deaths;
        bodies += storm.wiretap.len();
    }
    assert!(
        deaths > 10 && bodies > 500,
        "{deaths} deaths, {bodies} bodies"
    );
}

#[test]
fn key_and_nonce_a_pair_that_seals_twice_is_found() {
    let mut pair = Pair::new(&cf_conversation::private(), Faults::NONE, 28);
    let payloads = exchange(&mut pair, 0, "one");
    let (_, publish) = payloads.first().unwrap();
    let parts = [("salt", 0..16), ("header", 16..68), ("key stream", 0..0)];
    for (name, kept) in parts {
        // Another body that shares one part; the end is the key stream itself.
        let mut other = publish.clone();
        let mut body = other.frame.body.to_vec();
        let end = match name {
            "key stream" => body.len() - 32,
            _ => body.len(),
        };
        (0..end)
            .filter(|at| !kept.contains(at))
            .for_each(|at| body[at] ^= 0x55);
        other.frame.body = body.into();
        let found = std::panic::catch_unwind(|| {
            let mut wiretap = Wiretap::default();
            wiretap.sealed(publish);
            wiretap.sealed(&other);
        });
        let message = *found.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(message, format!("two bodies have one {name}"));
    }
}

/// What is put into a conversation is refused or is a duplicate; nothing is told
/// and nothing is stored, and the conversation goes on.
fn changes_nothing(pair: &mut Pair, to: usize, put_in: Incoming) {
    let now = pair.now;
    let side = &mut pair.sides[to];
    let (records, contents) = (side.records.clone(), side.contents());
    let miss = Input::Miss {
        cursor: None,
        point: put_in.point.clone(),
        tag: put_in.tag,
        budget: 64,
    };
    side.handle(miss, now).unwrap();
    let result = side.handle(Input::Frame(put_in), now);
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
    assert_eq!(side.contents(), contents);
    assert_eq!(side.records, records);
    side.outbox.clear();
}

#[test]
fn replay_no_frame_is_told_again() {
    for protocol in encrypted() {
        let mut pair = Pair::new(&protocol, Faults::NONE, 23);
        pair.run_for(Duration::from_secs(10));
        let mut payloads = Vec::new();
        for number in 0..60 {
            payloads.extend(exchange(&mut pair, number / 3 % 2, &number.to_string()));
        }
        for restarted in [false, true] {
            for (to, publish) in &payloads {
                if restarted {
                    pair.sides[*to].restart(pair.now);
                }
                let tag = publish.frame.tag;
                let told = pair.sides[*to].contents();
                let _ = pair.sides[*to].handle(Input::Frame(incoming(publish, *to)), pair.now);
                assert_eq!(pair.sides[*to].contents(), told, "{tag:?}");
                pair.sides[*to].outbox.clear();
            }
        }
        exchange(&mut pair, 0, "after");
        assert_eq!(pair.sides[1].contents().last().unwrap(), "secret after");
    }
}

#[test]
fn reflection_own_frames_are_refused() {
    for protocol in encrypted() {
        let mut pair = Pair::new(&protocol, Faults::NONE, 24);
        pair.run_for(Duration::from_secs(10));
        for number in 0..12 {
            let from = number / 2 % 2;
            for (to, publish) in exchange(&mut pair, from, &number.to_string()) {
                // Under its own tag, and under one that its sender expects.
                let mut reflected = incoming(&publish, 1 - to);
                changes_nothing(&mut pair, 1 - to, reflected.clone());
                for tag in pair.sides[1 - to].expected.clone().into_iter().take(40) {
                    reflected.tag = tag;
                    changes_nothing(&mut pair, 1 - to, reflected.clone());
                }
            }
        }
    }
}

#[test]
fn injection_frames_of_another_conversation_are_refused() {
    for protocol in encrypted() {
        let mut pair = Pair::new(&protocol, Faults::NONE, 25);
        // The same people, another secret.
        let mut other = Pair::new(&protocol, Faults::NONE, 26);
        pair.run_for(Duration::from_secs(10));
        other.run_for(Duration::from_secs(10));
        for number in 0..8 {
            let id = number.to_string();
            exchange(&mut pair, number % 2, &id);
            for (to, publish) in exchange(&mut other, number % 2, &id) {
                let mut injected = incoming(&publish, to);
                changes_nothing(&mut pair, to, injected.clone());
                for tag in pair.sides[to].expected.clone().into_iter().take(40) {
                    injected.tag = tag;
                    changes_nothing(&mut pair, to, injected.clone());
                }
            }
        }
    }
}

/// Whether Raya, who takes her peer for `peer` and is `own`, reads what Saro
/// sends to `sent_to`, and he what she sends; all secrets are the same.
fn they_talk(own: &'static str, peer: &'static str, sent_to: &'static str) -> [bool; 2] {
    let protocol: Arc<dyn ConversationProtocol> = Arc::new(Ratchet::new());
    let (saro, raya): (Arc<dyn Identity>, Arc<dyn Identity>) =
        (Named::new("Saro"), Named::new(own));
    let mut random = SeededRandom::new(27);
    let mut env = Env {
        now: Timestamp(1_800_000_000_000),
        random: &mut random,
        records: &cf_core::EmptyRecords,
    };
    let request = OfferRequest {
        identity: Arc::clone(&raya),
        expires_at: env.now.after(Duration::from_secs(1000)),
        one_time: true,
    };
    let made = protocol.make_offer(request, &mut env).unwrap().unwrap();
    let setup = |identity: &Arc<dyn Identity>, name, id| Setup {
        conversation: CONVERSATION,
        identity: Arc::clone(identity),
        peer: Some(Peer {
            id: PeerId(id),
            participant: Some(Named::new(name).id().clone()),
            offer: None,
            points: vec![info("the other's point")],
        }),
        exported: Some(Secret::new(vec![5; 32])),
        offer_secret: None,
        parameters: Bytes::new(),
        points: vec![info("an own point")],
        arrived_at: None,
    };
    let mut creating = setup(&saro, sent_to, 1);
    if let Some(peer) = &mut creating.peer {
        peer.offer = Some(made.offer);
    }
    let created = protocol.create(creating, &mut env).unwrap();
    let mut joining = setup(&raya, peer, 2);
    (joining.offer_secret, joining.parameters) = (Some(made.secret), created.parameters);
    let joined = protocol.join(joining, &mut env).unwrap();
    let mut sides = [created.conversation, joined];
    [0, 1].map(|from: usize| {
        let content = Content::Bytes("who are you?".into());
        let send = Input::Send { id: None, content };
        sides[from].handle(send, &mut env).unwrap();
        let mut outputs = std::iter::from_fn(|| sides[from].poll_output());
        let publish = outputs.find_map(|output| match output {
            Output::Publish(publish) => Some(publish),
            _ => None,
        });
        let mut frame = incoming(&publish.unwrap(), 1 - from);
        frame.point = point("an own point");
        let result = sides[1 - from].handle(Input::Frame(frame), &mut env);
        result.is_ok()
    })
}

#[test]
fn identity_binding_who_means_others_does_not_talk() {
    assert_eq!(they_talk("Raya", "Saro", "Raya"), [true; 2]);
    // Raya takes Saro's words for Oscar's; Saro means Oscar; they are swapped;
    // one boundary between two names is another.
    for (own, peer, sent_to) in [
        ("Raya", "Oscar", "Raya"),
        ("Raya", "Saro", "Oscar"),
        ("Saro", "Raya", "Raya"),
        ("oRaya", "Sar", "Raya"),
    ] {
        assert_eq!(they_talk(own, peer, sent_to), [false; 2], "{own}, {peer}");
    }
}
