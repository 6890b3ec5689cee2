//! Bundles of inbox/1, raw and signed by their owner: what is read can be used
//! for an invite or is refused.

use std::sync::OnceLock;

use bytes::Bytes;
use cf_core::{ConversationId, Invite};
use cf_testkit::SeededRandom;
use prost::Message;

use crate::meeting::{Meeting, invite};
use crate::scene::{NOW, env};
use crate::script::Script;

#[derive(Clone, PartialEq, Message)]
struct SignedBundle {
    #[prost(bytes = "bytes", tag = "1")]
    bundle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    signature: Bytes,
}

pub(super) fn run(data: &[u8]) {
    static MEETING: OnceLock<Meeting> = OnceLock::new();
    let meeting = MEETING.get_or_init(Meeting::of_inbox);
    let mut script = Script::new(data);
    let bundle = match script.byte() % 3 {
        0 => script.rest(),
        1 => signed(meeting, script.rest()),
        _ => {
            // Few of the many bytes of a bundle change, more than once.
            let real = SignedBundle::decode(meeting.bundle.clone());
            let mut inner = real.expect("it is of the format").bundle;
            for _ in 0..=script.below(4) {
                inner = script.mutated(&inner);
            }
            signed(meeting, inner)
        }
    };
    let protocol = &meeting.protocol;
    let read = protocol.read(&*meeting.saro, &bundle, NOW);
    let mut random = SeededRandom::new(6);
    let conversation = ConversationId([3; 16]);
    let handshake = protocol.initiate(&meeting.saro, &bundle, conversation, &mut env(&mut random));
    assert!(read.is_ok() || handshake.is_err());
    if let Ok(handshake) = handshake {
        let invite = Invite {
            conversation,
            ..invite(0)
        };
        let sealed = handshake.seal(&invite, &mut env(&mut random));
        sealed.expect("the invite is a good one");
    }
}

fn signed(meeting: &Meeting, bundle: Bytes) -> Bytes {
    let signature = meeting.raya.sign("/cf/init/inbox/1 bundle", &bundle);
    let signed = SignedBundle {
        bundle,
        signature: signature.expect("a software key"),
    };
    signed.encode_to_vec().into()
}
