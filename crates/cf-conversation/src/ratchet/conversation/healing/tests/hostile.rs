//! Peers that say what they like.

use bytes::Bytes;
use cf_core::ErrorKind;

use crate::ratchet::exchange::Stage;
use crate::ratchet::kem_key::{KEM_CIPHERTEXT_LEN, KEM_KEY_LEN, KemSecret};
use crate::wire::ratchet as wire;
use crate::wire::ratchet::healing::Said;

use super::two::Two;

fn key(epoch: u64, key: impl Into<Bytes>) -> wire::Healing {
    let said = Some(Said::Key(key.into()));
    wire::Healing { epoch, said }
}

fn answer(epoch: u64, ciphertext: impl Into<Bytes>) -> wire::Healing {
    let said = Some(Said::Ciphertext(ciphertext.into()));
    wire::Healing { epoch, said }
}

/// What is refused changes nothing, and the conversation goes on.
#[test]
fn forged_keys_and_answers_are_refused_and_change_nothing() {
    let public = KemSecret::new(&[8; 64]).public();
    let mut unreduced = public;
    // Two coefficients of 4,095, over the modulus.
    unreduced[..3].fill(0xff);
    let short = &public[..KEM_KEY_LEN - 1];
    let long = [&public[..], &[0]].concat();
    let (malformed, rejected) = (ErrorKind::Malformed, ErrorKind::Rejected);
    let nothing = wire::Healing {
        epoch: 1,
        said: None,
    };
    let to_responder = vec![
        ("quiet", key(1, unreduced.to_vec()), malformed),
        ("quiet", key(1, short.to_vec()), malformed),
        ("quiet", key(1, long), malformed),
        ("quiet", key(0, short.to_vec()), malformed),
        ("quiet", key(2, public.to_vec()), rejected),
        ("quiet", key(u64::MAX, public.to_vec()), rejected),
        ("quiet", answer(1, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("quiet", nothing.clone(), malformed),
        ("answering", key(1, public.to_vec()), rejected),
        ("answering", key(1, unreduced.to_vec()), rejected),
        ("answering", key(2, public.to_vec()), rejected),
    ];
    let to_initiator = vec![
        ("quiet", answer(1, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("quiet", key(1, public.to_vec()), rejected),
        ("asking", answer(1, vec![1; 1087]), malformed),
        ("asking", answer(1, vec![1; 1089]), malformed),
        ("asking", answer(0, vec![1; 1087]), malformed),
        ("asking", answer(2, vec![1; KEM_CIPHERTEXT_LEN]), rejected),
        ("asking", nothing, malformed),
    ];
    for (to, hostile) in [(1, to_responder), (0, to_initiator)] {
        for (stage, healing, kind) in hostile {
            let mut two = Two::often();
            two.pass(1);
            two.until(to, stage);
            let before = two.sides[to].state();
            let frame = two.sides[1 - to].says(healing.clone());
            let error = two.receive(to, &frame).unwrap_err();
            assert_eq!(error.kind(), kind, "{stage}: {error}");
            assert!(two.sides[to].state() == before, "{stage}: {error}");
            for turn in 0..40 {
                two.pass(turn % 2);
            }
            assert!(two.epochs()[1] >= 2);
        }
    }
}

/// A chain that claims a secret that nobody exchanged is refused, by private/1
/// and private/2.
#[test]
fn a_chain_that_mixes_without_an_exchange_is_refused() {
    let mut two = Two::often();
    two.pass(1);
    two.sides[0].talk.session.send.began.mixed = true;
    let before = two.sides[1].state();
    let (frame, _) = two.send(0);
    let error = two.receive(1, &frame).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(two.sides[1].state() == before);
    two.sides[0].talk.session.send.began.mixed = false;
    two.pass(0);
}

/// A peer that answers with a ciphertext of its own making breaks the
/// conversation for both, by errors and not before the mixed step.
#[test]
fn a_wrong_ciphertext_breaks_the_conversation_and_nothing_else() {
    let mut two = Two::often();
    two.pass(1);
    two.until(0, "asking");
    two.until(1, "answering");
    let healing = two.sides[1].talk.healing.as_mut().unwrap();
    let Stage::Answering { ciphertext, .. } = &mut healing.exchange.stage else {
        panic!("it answers");
    };
    *ciphertext = vec![7; KEM_CIPHERTEXT_LEN].into();
    two.pass(1);
    while two.epochs()[0] == 0 {
        two.pass(1);
    }
    let before = two.sides[1].state();
    let (frame, _) = two.send(0);
    let error = two.receive(1, &frame).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(two.sides[1].state() == before);
}

/// What is said again, and what is said late, is no error and changes nothing.
#[test]
fn replayed_keys_and_answers_change_nothing() {
    let mut two = Two::often();
    two.pass(1);
    two.until(0, "asking");
    let Stage::Asking { key: first, .. } = two.exchange(0).stage.clone() else {
        panic!("it asks");
    };
    two.until(1, "answering");
    let Stage::Answering { ciphertext, .. } = two.exchange(1).stage.clone() else {
        panic!("it answers");
    };
    for stage in ["answering", "quiet", "answering"] {
        two.until(1, stage);
        for (to, said) in [
            (1, key(1, first.clone())),
            (0, answer(1, ciphertext.clone())),
        ] {
            let before = two.exchange(to).clone();
            let frame = two.sides[1 - to].says(said);
            // Its sender has not sent it: what it sends next is another frame.
            let mut copy = Two::often();
            std::mem::swap(&mut copy, &mut two);
            let records = copy.sides[to].records.clone();
            copy.receive(to, &frame).unwrap();
            let after = copy.exchange(to);
            if to == 1 || before.epoch > 0 {
                assert_eq!(after.epoch, before.epoch);
                assert_eq!(format!("{:?}", after.stage), format!("{:?}", before.stage));
            }
            copy.sides[to].records = records;
            copy.restart(to);
            std::mem::swap(&mut copy, &mut two);
        }
    }
}
