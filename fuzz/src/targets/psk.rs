//! Bundles and invites of psk/1, raw and sealed by somebody who has the key:
//! what is behind the seal is also what inbox/1 has behind its own.

use std::sync::OnceLock;

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, padded_len};
use cf_core::{ConversationId, Frame, RoutingTag};
use cf_init::{MIN_BODY_LEN, PSK};
use cf_testkit::SeededRandom;
use sha2::{Digest, Sha256};

use crate::meeting::{Meeting, PSK_KEY, invite};
use crate::scene::{NOW, derive, env, seal};
use crate::script::Script;

const SALT: [u8; 32] = [4; 32];

pub(super) fn run(data: &[u8]) {
    static MEETING: OnceLock<Meeting> = OnceLock::new();
    let meeting = MEETING.get_or_init(Meeting::of_psk);
    let mut script = Script::new(data);
    match script.byte() % 4 {
        0 => read(meeting, &script.rest()),
        1 => read(meeting, &bundle(&script.rest())),
        _ => receive(meeting, &mut script),
    }
}

fn read(meeting: &Meeting, bundle: &Bytes) {
    let read = meeting.protocol.read(&*meeting.saro, bundle, NOW);
    let mut random = SeededRandom::new(6);
    let mut env = env(&mut random);
    let conversation = ConversationId([3; 16]);
    let handshake = meeting
        .protocol
        .initiate(&meeting.saro, bundle, conversation, &mut env);
    assert_eq!(read.is_ok(), handshake.is_ok());
    if let Ok(handshake) = handshake {
        let sealed = handshake.seal(&invite(0), &mut env);
        sealed.expect("the invite is a good one");
    }
}

fn receive(meeting: &Meeting, script: &mut Script<'_>) {
    let mut records = meeting.records.clone();
    let mut inbox = meeting.inbox(&records).expect("its own records");
    for _ in 0..8 {
        if script.is_over() {
            break;
        }
        let real = &meeting.frames[script.below(3)];
        let frame = match script.byte() % 4 {
            0 => Frame::new(real.tag, script.mutated(&real.body)),
            1 => Frame::new(RoutingTag([script.byte(); 16]), script.part()),
            kind => {
                let message = script.part();
                let len = match kind {
                    2 => message.len(),
                    _ => usize::from(script.byte()) << 8,
                };
                sealed(meeting, &message, len as u32)
            }
        };
        meeting.receive(&mut *inbox, &mut records, &frame);
    }
    meeting.check_honest(&mut *inbox, &mut records);
}

fn bundle(message: &[u8]) -> Bytes {
    let key = derive(Some(&SALT), &PSK_KEY, b"/cf/init/psk/1 bundle");
    let sealed = seal(&key, message, PSK.as_str().as_bytes());
    [&SALT[..], &sealed].concat().into()
}

/// The frame around the message of an invite, of which it says that it is `len`
/// bytes long.
fn sealed(meeting: &Meeting, message: &[u8], len: u32) -> Frame {
    let tag = RoutingTag([8; 16]);
    let id = [1; 16];
    let head_salt = [tag.as_bytes(), &SALT[..]].concat();
    let head_key = derive(Some(&head_salt), &PSK_KEY, b"/cf/init/psk/1 head");
    let head = seal(&head_key, &id, &[]);
    let protocol = PSK;
    let parts: [&[u8]; 5] = [
        protocol.as_str().as_bytes(),
        &meeting.bundle,
        &id,
        tag.as_bytes(),
        &SALT,
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u32::try_from(part.len()).expect("short").to_be_bytes());
        hash.update(part);
    }
    let t0: [u8; 32] = hash.finalize().into();
    let mut padded = [&len.to_be_bytes()[..], message].concat();
    // Salt, head and seal are 80 bytes of the body.
    let body_len = (padded.len() + 80).max(MIN_BODY_LEN);
    let body_len = padded_len(body_len - BODY_OVERHEAD) + BODY_OVERHEAD;
    padded.resize(body_len - 80, 0);
    let key = derive(Some(&t0), &PSK_KEY, b"/cf/init/psk/1 invite");
    let invite = seal(&key, &padded, &t0);
    Frame::new(tag, [&SALT[..], &head, &invite].concat())
}
