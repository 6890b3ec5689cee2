//! Somebody who stole a state, once X25519 hides nothing any more.

use cf_core::{Frame, Random};
use cf_testkit::SeededRandom;

use crate::ratchet::body::Body;
use crate::ratchet::exchange::{Exchange, Stage};
use crate::ratchet::healing::HealingSettings;
use crate::ratchet::plaintext::Plaintext;
use crate::ratchet::session::{Session, Step};
use crate::ratchet::window::NumberedChain;

use super::two::{MAX_BODY, OFTEN, Side, Two};

/// Whoever stole a state, and computes every Diffie-Hellman result since: X25519
/// hides no secret from it. What ML-KEM hides it has only if it was stolen.
struct Thief {
    session: Session,
    exchange: Exchange,
    context: Vec<u8>,
}

/// A secret of X25519 that is known.
struct Known([u8; 32]);

impl Random for Known {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }
}

impl Thief {
    fn new(victim: &Side) -> Self {
        Self {
            session: victim.talk.session.clone(),
            exchange: victim.talk.healing.as_ref().unwrap().exchange.clone(),
            context: victim.talk.context.clone(),
        }
    }

    /// Whether it reads a frame that the victim has received; it then makes the
    /// step that the victim has made.
    fn reads_received(&mut self, frame: &Frame, victim: &Side) -> bool {
        let body = Body::split(&frame.body).unwrap();
        for chain in [NumberedChain::Current, NumberedChain::Next] {
            let Some(key) = self.session.header_key(chain).cloned() else {
                continue;
            };
            let Some(number) = (0..64).find(|number| key.tag(*number) == frame.tag) else {
                continue;
            };
            let shared = self.exchange.answered().cloned();
            let opened = (self.session).open(
                chain,
                number,
                &frame.tag,
                &body,
                &self.context,
                shared.as_ref(),
            );
            let Ok((text, step)) = opened else {
                return false;
            };
            if matches!(&step, Step::Next(step) if step.began.mixed) {
                self.exchange.mixed();
            }
            if let Some(heard) = Plaintext::decode(text).unwrap().healing {
                let _ = self.exchange.hear(&heard, &mut SeededRandom::new(0xbad));
            }
            match step {
                Step::Current { receive, .. } => self.session.receive = Some(receive),
                Step::Next(step) => {
                    let mut known = Known(*victim.talk.session.own.secret());
                    let shared = self.exchange.mix();
                    (self.session)
                        .commit_next(&step, &mut known, 0, shared.as_ref())
                        .unwrap();
                }
            }
            return true;
        }
        false
    }

    /// Whether it reads a frame that the victim has sent.
    fn reads_sent(&self, frame: &Frame) -> bool {
        let body = Body::split(&frame.body).unwrap();
        let mut chain = self.session.send.chain.clone();
        (0..64).any(|_| {
            let key = chain.advance();
            body.open(&key, &frame.tag, &self.context).is_ok()
        })
    }
}

/// With X25519 broken, whoever has a state reads on in both directions until a
/// secret is mixed that the state did not have, and nothing after.
#[test]
fn post_compromise_security_without_x25519_from_the_mixed_step_on() {
    let mut healed = 0;
    for victim in 0..2 {
        for stolen_after in (0..36).step_by(2) {
            let mut two = Two::often();
            let mut turns = SeededRandom::new(5);
            for _ in 0..stolen_after {
                two.pass(turns.below(2) as usize);
            }
            let exchange = two.exchange(victim).clone();
            // A secret that was drawn before does not help.
            let worthless = exchange.epoch + u64::from(!matches!(exchange.stage, Stage::Quiet));
            let mut thief = Thief::new(&two.sides[victim]);
            for _ in 0..36 {
                let from = turns.below(2) as usize;
                let (frame, _) = two.send(from);
                let expected = two.exchange(from).epoch <= worthless;
                two.receive(1 - from, &frame).unwrap();
                let reads = match from == victim {
                    true => thief.reads_sent(&frame),
                    false => thief.reads_received(&frame, &two.sides[victim]),
                };
                assert_eq!(reads, expected, "{victim}, {stolen_after}");
                healed += u32::from(!reads);
            }
        }
    }
    assert!(healed > 200, "{healed}");

    // Without exchanges it reads for ever: the healing of private/1 is of no use.
    let never = HealingSettings {
        frames: u64::MAX,
        ..OFTEN
    };
    let mut two = Two::new(never, MAX_BODY, 1);
    let mut thief = Thief::new(&two.sides[1]);
    for turn in 0..60 {
        let from = turn % 2;
        let frame = two.pass(from);
        assert!(match from {
            1 => thief.reads_sent(&frame),
            _ => thief.reads_received(&frame, &two.sides[1]),
        });
    }
}
