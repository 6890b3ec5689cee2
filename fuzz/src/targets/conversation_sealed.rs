//! A peer of private/1 or private/2 that seals any header and any plaintext under the right keys: what is
//! refused changes nothing, and the next honest frame is taken.

use std::sync::Arc;

use cf_conversation::{private, private_2};
use cf_core::{ContentId, ConversationProtocol, Incoming, Input};
use cf_testkit::SeededRandom;

use crate::hostile::{Hostile, Lie};
use crate::pair::{Side, joining, named, offer};
use crate::scene::{NOW, env, point};
use crate::script::Script;

/// The shortest plaintext, padded.
const PADDED: usize = 256;

/// How long they are in ML-KEM-768, in bytes.
const KEM_KEY_LEN: usize = 1_184;
const KEM_CIPHERTEXT_LEN: usize = 1_088;

pub(super) fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let protocol: Arc<dyn ConversationProtocol> = match script.byte() % 2 {
        0 => private(),
        _ => private_2(),
    };
    let raya = named("Raya");
    let made = offer(&protocol, &raya);
    let names: [&[u8]; 2] = [b"Saro", b"Raya"];
    let (mut saro, parameters) = Hostile::new(&[5; 32], &made.offer, names);
    let join = joining(Some(made.secret), parameters);
    let joined = protocol.join(join, &mut env(&mut SeededRandom::new(5)));
    let mut victim = Side::new(protocol, raya, joined.expect("good parameters"), 6);
    hear(&mut saro, &mut victim);
    for number in 0..24 {
        if script.is_over() {
            break;
        }
        match script.byte() % 8 {
            0 => saro.turn(),
            1 => (0..script.below(40)).for_each(|_| saro.skip()),
            2 => victim.restart(NOW).expect("its own records"),
            3 => {
                let content = cf_core::Content::Bytes("an answer".into());
                let id = ContentId::new(format!("{number}")).ok();
                let _ = victim.handle(Input::Send { id, content }, NOW);
            }
            _ => {
                let frame = saro.seal(&lie(&mut script));
                say(&mut victim, frame).ok();
            }
        }
        hear(&mut saro, &mut victim);
    }
    // An empty frame of the reliable layer.
    let honest = Lie {
        ratchet_key: None,
        previous: None,
        plaintext: padded(vec![0x82, 0x01, 0x00]),
    };
    let frame = saro.seal(&honest);
    say(&mut victim, frame).expect("an honest frame");
}

fn lie(script: &mut Script<'_>) -> Lie {
    let choice = script.byte();
    let ratchet_key = match choice & 7 {
        0 => Some([0; 32]),
        1 => Some([script.byte(); 32]),
        _ => None,
    };
    let previous = match choice >> 3 & 7 {
        0 => Some(u32::from(script.byte())),
        1 => Some(u32::MAX - u32::from(script.byte())),
        2 => Some(16_300 + u32::from(script.byte())),
        // A step that mixed.
        3 => Some(1 << 31 | u32::from(script.byte())),
        _ => None,
    };
    let mut text = script.part().to_vec();
    if script.byte().is_multiple_of(4) {
        text.extend(healing(script));
    }
    let plaintext = match choice >> 6 {
        0 => text,
        1 => vec![0; PADDED],
        _ => padded(text),
    };
    Lie {
        ratchet_key,
        previous,
        plaintext,
    }
}

/// What private/2 says of an exchange: often a key that is one.
fn healing(script: &mut Script<'_>) -> Vec<u8> {
    let said = match script.byte() % 4 {
        // Its coefficients are all 0.
        0 | 1 => vec![script.byte() & 1; KEM_KEY_LEN],
        2 => vec![script.byte(); KEM_CIPHERTEXT_LEN],
        _ => script.part().to_vec(),
    };
    let mut healing = Vec::new();
    let number = 2 + u32::from(script.byte() % 2);
    prost::encoding::uint64::encode(1, &u64::from(script.byte() % 3), &mut healing);
    prost::encoding::bytes::encode(number, &said, &mut healing);
    let mut field = Vec::new();
    prost::encoding::bytes::encode(8, &healing, &mut field);
    field
}

fn padded(mut text: Vec<u8>) -> Vec<u8> {
    text.push(0x80);
    text.resize(text.len().max(PADDED), 0);
    text
}

fn say(victim: &mut Side, (tag, body): (cf_core::RoutingTag, bytes::Bytes)) -> cf_core::Result<()> {
    let incoming = Incoming {
        point: point("Raya's link"),
        cursor: None,
        tag,
        body,
    };
    let (records, expected) = (victim.records.clone(), victim.expected.clone());
    let result = victim.handle(Input::Frame(incoming), NOW);
    if result.is_err() {
        assert_eq!((&victim.records, &victim.expected), (&records, &expected));
    }
    result
}

fn hear(saro: &mut Hostile, victim: &mut Side) {
    for publish in std::mem::take(&mut victim.outbox) {
        saro.hear(&publish.frame.tag, &publish.frame.body);
    }
}
