//! Unlinkability as statistics: the payloads of several conversations and of
//! several protocols, as somebody sees them who holds no key and forgets the
//! addresses. What stays linkable is on the page of private/1.
//!
//! All seeds are fixed, so a test gives the same numbers each time. The bounds are
//! for whoever changes a protocol and so draws new numbers: each of some thirty
//! normal values is over its bound with a chance of 4 · 10⁻⁸, and the worst of up to
//! 34,000 bits, whose bound is higher, with one of 3 · 10⁻⁶.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cf_core::{FramingStrategy, Secret, padding};
use cf_init::PskProtocol;

use crate::statistics::{
    Bits, Pairs, distinguish, pooled_uniformity, shuffled, uniformity, welch, worst_bit,
};
use crate::world::{World, accept};

/// What one normal value does not exceed.
const BOUND: f64 = 5.5;

/// What the worst of many does not exceed.
const WORST_BOUND: f64 = 6.5;

/// How many conversations there are, and how many texts each side sends.
const CONVERSATIONS: usize = 5;
const TEXTS: usize = 200;

/// How many invites of each of two initializations there are.
const INVITES: usize = 70;

/// What an observer recorded, and what it is in truth.
struct Recorded {
    /// Tag and body.
    bits: Bits,
    /// Which conversation it is of; invites are of none.
    conversation: Option<usize>,
    /// `message` (or its acknowledgement), `inbox` or `psk`.
    kind: &'static str,
}

/// Everything that the service saw, each payload once: an exact resend shows that
/// it is one, and nothing else.
fn recorded() -> &'static [Recorded] {
    static RECORDED: OnceLock<Vec<Recorded>> = OnceLock::new();
    RECORDED.get_or_init(record)
}

fn record() -> Vec<Recorded> {
    let mut world = World::new(51);
    let pairs: Vec<_> = (0..CONVERSATIONS)
        .map(|number| {
            let saro = world.add(&format!("Saro {number}"), |_| {});
            (saro, world.add(&format!("Raya {number}"), |_| {}))
        })
        .collect();
    let mut talks = Vec::new();
    for (saro, raya) in &pairs {
        let bundles = world.bundles(*raya);
        let connected = world.input(*saro, |driver, now| driver.connect(&bundles, None, now));
        let talk = connected.expect("no crash").expect("a good bundle");
        world.run(2);
        talks.push((talk, accept(&mut world, *raya).expect("she can accept")));
        world.run(2);
    }
    world.log.clear();
    for node in &mut world.nodes {
        node.read_from_start();
    }
    let long = "a long text ".repeat(330);
    for number in 0..TEXTS {
        for ((saro, raya), (talk, at_raya)) in pairs.iter().zip(&talks) {
            // Every seventh is as long as an invite.
            let text = match number % 7 {
                0 => &long,
                _ => "the same words",
            };
            world.send_text(*saro, *talk, &format!("{number} of Saro"), text);
            world.send_text(*raya, *at_raya, &format!("{number} of Raya"), text);
        }
        world.run(1);
    }
    world.run(20);
    let mut owners = BTreeMap::new();
    for (number, (saro, raya)) in pairs.iter().enumerate() {
        for node in [saro, raya] {
            for place in world.nodes[*node].places() {
                owners.insert(place, number);
            }
        }
    }
    let mut all = Vec::new();
    for (place, payloads) in &world.log {
        let conversation = owners.get(place).copied();
        assert!(conversation.is_some(), "a payload for nobody");
        add(&mut all, payloads, conversation, "message");
    }
    for (kind, is_psk) in [("inbox", false), ("psk", true)] {
        add(&mut all, &invites(is_psk), None, kind);
    }
    all
}

/// Many invites for one client, by one other.
fn invites(is_psk: bool) -> Vec<Bytes> {
    let mut world = World::new(52 + u64::from(is_psk));
    let change = |components: &mut cf_client::Components| {
        if is_psk {
            let psk = PskProtocol::new(Secret::new(vec![9; 32])).expect("32 bytes");
            components.initializations = vec![Arc::new(psk)];
        }
    };
    let raya = world.add("Raya", change);
    let saro = world.add("Saro", change);
    let bundles = world.bundles(raya);
    for _ in 0..INVITES {
        let connected = world.input(saro, |driver, now| driver.connect(&bundles, None, now));
        connected.expect("no crash").expect("a good bundle");
    }
    world.log.into_values().flatten().collect()
}

fn add(
    all: &mut Vec<Recorded>,
    payloads: &[Bytes],
    conversation: Option<usize>,
    kind: &'static str,
) {
    let router = cf_framing::Tagged.router();
    let mut distinct = HashSet::new();
    for payload in payloads {
        if distinct.insert(payload) {
            let routed = router.route(payload).expect("a payload of the framing");
            all.push(Recorded {
                bits: [routed.tag.as_bytes(), &routed.body].concat(),
                conversation,
                kind,
            });
        }
    }
}

/// The payloads of the length that most messages have, and of that of invites.
fn classes(all: &[Recorded]) -> (Vec<&Recorded>, Vec<&Recorded>) {
    let of_len = |len: usize| all.iter().filter(move |payload| payload.bits.len() == len);
    let shortest = 16 + padding::BODY_OVERHEAD + padding::FLOOR;
    let invite = all.iter().find(|payload| payload.kind == "inbox");
    let invite = invite.expect("there are invites").bits.len();
    (of_len(shortest).collect(), of_len(invite).collect())
}

/// What tells payloads of one group from those of others.
///
/// Related pairs are neighbours in their order of time and random ones within the
/// group, unrelated pairs are of two groups. No payload is in two pairs, so that
/// the pairs are independent.
fn linked<G: Ord + Copy>(
    payloads: &[&Recorded],
    group: impl Fn(&Recorded) -> G,
) -> Vec<(&'static str, f64)> {
    let mut groups: BTreeMap<G, Vec<&[u8]>> = BTreeMap::new();
    for payload in payloads {
        groups
            .entry(group(payload))
            .or_default()
            .push(&payload.bits);
    }
    let (mut related, mut left) = (Pairs::new(), Vec::new());
    for (number, group) in groups.into_values().enumerate() {
        // A third as neighbours, a third at random, a third for the other side.
        let third = group.len() / 6 * 2;
        related.extend(
            group[..third]
                .chunks_exact(2)
                .map(|pair| (pair[0], pair[1])),
        );
        let rest = shuffled(group[third..].to_vec(), number as u64);
        let (within, across) = rest.split_at(third.min(rest.len() / 4 * 2));
        related.extend(within.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        left.push(across.to_vec());
    }
    let mut unrelated = Pairs::new();
    loop {
        // The two largest groups that are left give one each.
        left.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let (Some(one), Some(other)) = (left[0].pop(), left[1].pop()) else {
            break;
        };
        unrelated.push((one, other));
    }
    // So many that a single bit can be told.
    assert!(related.len() > 60 && unrelated.len() > 30);
    distinguish(&related, &unrelated)
}

/// The largest of the values that are over their bound.
fn excess(values: &[(&'static str, f64)]) -> Option<(&'static str, f64)> {
    let bound = |name: &str| match name {
        "agreement of one bit" => WORST_BOUND,
        _ => BOUND,
    };
    let mut over = values.to_vec();
    over.retain(|(name, z)| z.is_nan() || z.abs() > bound(name));
    over.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()));
    over.first().copied()
}

#[test]
fn payloads_look_random_and_tell_neither_conversation_nor_kind() {
    let all = recorded();
    let (short, long) = classes(all);
    assert!(short.len() > 1_500, "only {} short payloads", short.len());

    // Every position is uniform.
    let bits: Vec<&[u8]> = short.iter().map(|payload| &payload.bits[..]).collect();
    let (worst, together) = uniformity(&bits);
    assert!(
        worst < WORST_BOUND && together.abs() < BOUND,
        "{worst} {together}"
    );
    for kind in ["message", "inbox", "psk"] {
        let bits: Vec<&[u8]> = (long.iter().filter(|payload| payload.kind == kind))
            .map(|payload| &payload.bits[..])
            .collect();
        assert!(
            bits.len() > 60,
            "only {} long payloads of {kind}",
            bits.len()
        );
        let pooled = pooled_uniformity(&bits);
        let bit = worst_bit(bits.iter().map(|bits| bits.to_vec()));
        assert!(
            pooled.abs() < BOUND && bit < WORST_BOUND,
            "{kind}: {pooled} {bit}"
        );
    }

    // No statistic of a pair tells whether it is of one conversation.
    for class in [&short[..], &messages(&long)] {
        let values = linked(class, |payload| payload.conversation);
        assert_eq!(excess(&values), None, "{values:?}");
    }
    // Nor whether it is of one protocol.
    let values = linked(&long, |payload| payload.kind);
    assert_eq!(excess(&values), None, "{values:?}");

    // Lengths are those of classes, and as often the same in one conversation as
    // in two: here everybody says as much as everybody else.
    let lengths: HashSet<_> = all.iter().map(|payload| payload.bits.len()).collect();
    for length in lengths {
        let padded = length - 16 - padding::BODY_OVERHEAD;
        assert_eq!(padding::padded_len(padded), padded);
    }
    let z = equal_lengths(all);
    assert!(z.abs() < BOUND, "{z}");
}

fn messages<'a>(payloads: &[&'a Recorded]) -> Vec<&'a Recorded> {
    let is_message = |payload: &&&Recorded| payload.kind == "message";
    payloads.iter().filter(is_message).copied().collect()
}

/// Whether equal lengths tell pairs of one conversation from pairs of two.
fn equal_lengths(all: &[Recorded]) -> f64 {
    let messages: Vec<_> = all
        .iter()
        .filter(|payload| payload.kind == "message")
        .collect();
    let (mut related, mut unrelated) = (Vec::new(), Vec::new());
    for pair in shuffled(messages, 1).chunks_exact(2) {
        let is_equal = f64::from(u8::from(pair[0].bits.len() == pair[1].bits.len()));
        match pair[0].conversation == pair[1].conversation {
            true => related.push(is_equal),
            false => unrelated.push(is_equal),
        }
    }
    welch(related, unrelated)
}

/// Each leak alone is found by the very same statistics.
#[test]
fn a_leak_of_a_bit_a_hint_a_counter_or_a_mark_is_found() {
    let all = recorded();
    let (short, long) = classes(all);
    let leaky = |payloads: &[&Recorded], leak: &dyn Fn(&Recorded, usize, &mut Bits)| {
        let leaky = |(number, payload): (usize, &&Recorded)| {
            let mut bits = payload.bits.clone();
            leak(payload, number, &mut bits);
            Recorded { bits, ..**payload }
        };
        payloads.iter().enumerate().map(leaky).collect::<Vec<_>>()
    };
    let conversations = |leak: &dyn Fn(&Recorded, usize, &mut Bits)| {
        let leaky = leaky(&short, leak);
        let found = linked(&leaky.iter().collect::<Vec<_>>(), |payload| {
            payload.conversation
        });
        excess(&found).map(|(name, _)| name)
    };
    let of = |payload: &Recorded| payload.conversation.unwrap_or_default() as u8;

    // A hint that stays the same for a conversation, one byte of it.
    let hint = conversations(&|payload, _, bits| bits[16] = of(payload).wrapping_mul(77));
    assert!(hint.is_some(), "a constant hint");
    // The number of the frame in its tag, under a name of the conversation.
    let counter = conversations(&|payload, number, bits| {
        bits[0] = of(payload).wrapping_mul(51);
        bits[1..5].copy_from_slice(&(number as u32).to_be_bytes());
    });
    assert!(counter.is_some(), "a counter in the tag");
    // A bit of the salt that one conversation always sets and another never.
    let bit = conversations(&|payload, _, bits| bits[20] = bits[20] & 0xfe | of(payload) & 1);
    assert_eq!(bit, Some("agreement of one bit"));
    // Twelve bytes of a conversation's own, each time somewhere else.
    let moving = conversations(&|payload, number, bits| {
        let at = 16 + number * 31 % 300;
        (0..12).for_each(|i| bits[at + i] = of(payload).wrapping_mul(89) ^ (i as u8 * 21));
    });
    assert_eq!(moving, Some("common substrings"));

    // Invites that a bit tells from messages.
    let marked = leaky(&long, &|payload, _, bits| {
        let mark = u8::from(payload.kind == "message");
        bits[90] = bits[90] & 0x7f | mark << 7;
    });
    let found = linked(&marked.iter().collect::<Vec<_>>(), |payload| payload.kind);
    assert!(excess(&found).is_some(), "a mark of the kind");

    // A position that is not uniform: one value in eight comes twice as often.
    let skewed = leaky(&short, &|_, number, bits| {
        if number % 8 == 0 {
            bits[200] &= 0xe0;
        }
    });
    let bits: Vec<&[u8]> = skewed.iter().map(|payload| &payload.bits[..]).collect();
    assert!(uniformity(&bits).0 > WORST_BOUND, "a skewed position");
}
