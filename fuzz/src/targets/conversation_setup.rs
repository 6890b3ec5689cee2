//! What a stranger's bundle and invite say to private/1, private/2 and to the bare ratchets:
//! a conversation that can send, or a typed error.

use std::sync::Arc;

use bytes::Bytes;
use cf_conversation::{Ratchet, private, private_2};
use cf_core::{Content, Conversation, ConversationProtocol, Input, Timestamp};
use cf_testkit::SeededRandom;

use crate::pair::{creating, joining, named, offer};
use crate::scene::env;
use crate::script::Script;

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let protocol: Arc<dyn ConversationProtocol> = match script.byte() % 4 {
        0 => private(),
        1 => private_2(),
        2 => Arc::new(Ratchet::healing()),
        _ => Arc::new(Ratchet::new()),
    };
    let made = offer(&protocol, &named("Raya"));
    let mut random = SeededRandom::new(5);
    if script.byte().is_multiple_of(2) {
        let mut hostile = made;
        hostile.offer.public = match script.byte() % 2 {
            0 => script.mutated(&hostile.offer.public),
            _ => script.part(),
        };
        if script.byte() == 1 {
            hostile.offer.expires_at = Timestamp(u64::from(script.byte()));
        }
        let mut setup = creating(&protocol, hostile);
        setup.parameters = script.part();
        if let Ok(mut created) = protocol.create(setup, &mut env(&mut random)) {
            use_it(&mut *created.conversation);
            let join = joining(Some(made_secret(&protocol)), created.parameters);
            let joined = protocol.join(join, &mut env(&mut random));
            joined.expect("what it made itself");
        }
    } else {
        let real = protocol.create(creating(&protocol, made.clone()), &mut env(&mut random));
        let parameters: Bytes = match script.byte() % 2 {
            0 => script.mutated(&real.expect("a good offer").parameters),
            _ => script.part(),
        };
        let secret = match script.byte() {
            1 => script.part().to_vec().into_boxed_slice().as_ref().into(),
            _ => made.secret,
        };
        let join = joining(Some(secret), parameters);
        if let Ok(mut joined) = protocol.join(join, &mut env(&mut random)) {
            use_it(&mut *joined);
        }
    }
}

fn made_secret(protocol: &Arc<dyn ConversationProtocol>) -> cf_core::Secret {
    offer(protocol, &named("Raya")).secret
}

fn use_it(conversation: &mut dyn Conversation) {
    while conversation.poll_output().is_some() {}
    let content = Content::Bytes("hello".into());
    let mut random = SeededRandom::new(6);
    let send = Input::Send { id: None, content };
    let sent = conversation.handle(send, &mut env(&mut random));
    sent.expect("it can send");
    while conversation.poll_output().is_some() {}
}
