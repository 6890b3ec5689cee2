//! Payloads at an inbox of inbox/1: raw, changed, and honestly sealed invites
//! with a hostile sender's texts.

use std::sync::OnceLock;

use cf_core::{Frame, Invite, InviteId, Opened, RoutingTag};
use cf_init::MIN_BODY_LEN;
use cf_testkit::SeededRandom;

use crate::meeting::{Meeting, invite};
use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    static MEETING: OnceLock<Meeting> = OnceLock::new();
    let meeting = MEETING.get_or_init(Meeting::of_inbox);
    let mut script = Script::new(data);
    let mut records = meeting.records.clone();
    let mut inbox = meeting.inbox(&records).expect("its own records");
    for _ in 0..8 {
        if script.is_over() {
            break;
        }
        let real = &meeting.frames[script.below(3)];
        let mut frame = real.clone();
        match script.byte() % 5 {
            0 => frame = Frame::new(RoutingTag([script.byte(); 16]), script.part()),
            1 => {
                let mut body = script.part().to_vec();
                body.resize(MIN_BODY_LEN, script.byte());
                frame = Frame::new(real.tag, body);
            }
            2 => frame.tag.0[script.below(16)] ^= script.byte(),
            3 => frame.body = script.mutated(&real.body),
            _ => {
                let hostile = hostile(&mut script);
                let mut random = SeededRandom::new(u64::from(script.byte()));
                match meeting.seal(&hostile, &mut random) {
                    Ok(sealed) => frame = sealed,
                    Err(_) => continue,
                }
                let opened = meeting.receive(&mut *inbox, &mut records, &frame);
                let is_early = hostile.sent_at > crate::scene::NOW;
                let is_late = hostile.sent_at < invite(0).sent_at;
                let is_taken = matches!(opened, Some(Ok(_)));
                assert!(is_taken || is_early || is_late, "{opened:?}");
                continue;
            }
        }
        let opened = meeting.receive(&mut *inbox, &mut records, &frame);
        // With the head of one that was opened it may be taken for a repetition.
        if frame.body != real.body {
            let is_new = matches!(opened, Some(Ok(Opened::New(_))));
            assert!(!is_new, "a forgery was opened");
        }
    }
    meeting.check_honest(&mut *inbox, &mut records);
}

/// What a sender may write into an invite.
fn hostile(script: &mut Script<'_>) -> Invite {
    let text = |script: &mut Script<'_>| String::from_utf8_lossy(&script.part()).into_owned();
    let mut hostile = invite(0);
    hostile.id = InviteId([script.byte(); 16]);
    hostile.specification = text(script);
    hostile.display_name = text(script);
    hostile.parameters = script.part();
    let times = script.byte();
    hostile.points = vec![hostile.points[0].clone(); usize::from(times % 20)];
    hostile.offers = vec![hostile.offers[0].clone(); usize::from(times / 7)];
    hostile.sent_at = match script.byte() % 4 {
        0 => cf_core::Timestamp(u64::from(times)),
        1 => cf_core::Timestamp(u64::MAX - u64::from(times)),
        _ => hostile.sent_at,
    };
    hostile
}
