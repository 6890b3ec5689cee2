//! Records that are not what was stored: a typed error or a conversation, never a
//! panic.

use std::time::Duration;

use bytes::Bytes;
use cf_conversation::private;
use cf_core::{Env, ErrorKind, Input, Timestamp};
use cf_testkit::{RecordMap, SeededRandom};

use crate::pair::{CONVERSATION, Faults, Named, Pair};

/// The records of both sides in the middle of a conversation: with frames in
/// flight, contents held back, keys of frames that never came, contents in parts.
fn stored() -> ([RecordMap; 2], Timestamp) {
    let faults = Faults {
        loss: 40,
        longest_delay: 2_000,
        ..Faults::NONE
    };
    let lived = (31..).map(|seed| {
        let mut pair = Pair::new(&private(), faults, seed);
        for number in 0..12 {
            pair.send(number % 2, &number.to_string(), "something to say");
            pair.run_for(Duration::from_millis(300));
        }
        for from in [0, 1] {
            pair.send(from, "cut", vec![7; 40_000]);
            let now = pair.now;
            pair.sides[from].send_large("large", vec![7; 300_000], now);
            pair.publish(from);
        }
        pair.run_for(Duration::from_secs(5));
        (pair.sides.map(|side| side.records), pair.now)
    });
    let has_all = |records: &RecordMap| {
        let mut kinds = [
            &[1, b'h'],
            &[1, b's'],
            &[0, b'h'],
            &[0, b'u'],
            &[2, b'o'],
            &[2, b'i'],
        ]
        .into_iter();
        kinds.all(|kind| records.0.keys().any(|key| key.starts_with(kind)))
    };
    let mut lived = lived.take(100);
    let found = lived.find(|(records, _)| records.iter().all(has_all));
    found.expect("a seed with records of every kind on both sides")
}

/// What may have become of a record's bytes.
fn damages(value: &Bytes) -> Vec<Bytes> {
    let mut damages = vec![Bytes::new(), value.slice(..value.len() / 2)];
    damages.push([&value[..], &[0]].concat().into());
    // Every byte of a short record, and some of the bytes of a longer one.
    for at in (0..value.len()).step_by(1 + value.len() / 128) {
        // One byte, and the largest number of four and of eight bytes.
        for len in [1, 4, 8] {
            let mut bytes = value.to_vec();
            let end = bytes.len().min(at + len);
            bytes[at..end].fill(0xff);
            damages.push(bytes.into());
        }
        damages.push(
            [&value[..at], &[value[at] ^ 1], &value[at + 1..]]
                .concat()
                .into(),
        );
    }
    damages
}

/// Restores from records and goes on for a while; whether it could.
fn lives(records: &RecordMap, now: Timestamp) -> bool {
    let mut random = SeededRandom::new(1);
    let mut env = Env {
        now,
        random: &mut random,
        records,
    };
    let identity = Named::new("anybody");
    let mut conversation = match private().restore(CONVERSATION, identity, &mut env) {
        Ok(conversation) => conversation,
        Err(error) => {
            let kind = error.kind();
            let is_told = matches!(kind, ErrorKind::Other | ErrorKind::Unsupported);
            assert!(is_told, "{kind:?}: {error}");
            return false;
        }
    };
    for _ in 0..3 {
        env.now = env.now.after(Duration::from_secs(40));
        let content = cf_core::Content::Bytes("and on".into());
        for input in [Input::Send { id: None, content }, Input::Time] {
            // What is in a record that is read only now may still be damaged.
            let _ = conversation.handle(input, &mut env);
            while conversation.poll_output().is_some() {}
        }
    }
    true
}

#[test]
fn damaged_records_give_typed_errors() {
    let (stored, now) = stored();
    let (mut refused, mut taken) = (0, 0);
    for records in &stored {
        let mut kinds: Vec<_> = records.0.keys().map(|key| key[..2].to_vec()).collect();
        kinds.dedup();
        // One of each kind: the others are alike.
        for kind in kinds {
            let of_kind = records.0.iter().find(|(key, _)| key.starts_with(&kind));
            let (key, value) = of_kind.unwrap();
            for damaged in damages(value) {
                let mut records = records.clone();
                records.0.insert(key.clone(), damaged);
                match lives(&records, now) {
                    true => taken += 1,
                    false => refused += 1,
                }
            }
            let mut records = records.clone();
            records.0.remove(key);
            lives(&records, now);
            records.0.insert(key.slice(..key.len() - 1), value.clone());
            lives(&records, now);
        }
    }
    assert!(refused > 100 && taken > 100, "{refused} and {taken}");
}
