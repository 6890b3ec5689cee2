//! What a message costs: `private` and the ratchet within it, beside the bare
//! floor of the construction and beside vodozemac's Olm.
//!
//! Olm neither pads nor encrypts headers, and does not resend; and its creation
//! includes the agreement that here the initialization has made. Randomness is
//! made cheaply here, and storing is the client's.

mod floor;
mod olm;
mod ours;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cf_conversation::{HealingSettings, PRIVATE_2, Ratchet, Reliable, private, private_2};
use cf_core::{ConversationProtocol, Random};
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};

use floor::Floor;
use olm::Olm;
use ours::Ours;

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

const SIZES: [(&str, usize); 3] = [("64 B", 64), ("256 B", 256), ("16 KiB", 16 * 1024)];

/// How many messages go one way before they are acknowledged, off the clock.
const BATCH: u64 = 128;

/// Two ends of a conversation.
trait Rival {
    type Wire;
    fn send(&mut self, from: usize, text: &[u8]) -> Self::Wire;
    fn receive(&mut self, to: usize, wire: &Self::Wire);
    /// What a driver does later.
    fn settle(&mut self);
    fn body_len(wire: &Self::Wire) -> usize;
}

/// Randomness that costs nothing, so that nobody's is measured.
#[derive(Default)]
struct Cheap(u64);

impl Random for Cheap {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads a clock")]
fn clock() -> Instant {
    Instant::now()
}

/// How long the sending, and the receiving, of so many messages take.
fn one_way(rival: &mut impl Rival, text: &[u8], count: u64) -> (Duration, Duration) {
    let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let mut wires = Vec::with_capacity(batch as usize);
        let start = clock();
        for _ in 0..batch {
            wires.push(rival.send(0, black_box(text)));
        }
        sending += start.elapsed();
        let start = clock();
        for wire in &wires {
            rival.receive(1, black_box(wire));
        }
        receiving += start.elapsed();
        rival.settle();
        // The sender's chain does not grow for ever.
        let answer = rival.send(1, b"");
        rival.receive(0, &answer);
        let next = rival.send(0, b"");
        rival.receive(1, &next);
        rival.settle();
    }
    (sending, receiving)
}

fn run<R: Rival>(group: &mut Group<'_>, what: &str, name: &str, text: &[u8], mut rival: R) {
    group.bench_function(name, |bench| {
        bench.iter_custom(|count| match what {
            "send" => one_way(&mut rival, text, count).0,
            "receive" => one_way(&mut rival, text, count).1,
            _ => {
                let mut spent = Duration::ZERO;
                for turn in 0..count {
                    let from = (turn % 2) as usize;
                    let start = clock();
                    let wire = rival.send(from, black_box(text));
                    rival.receive(1 - from, &wire);
                    spent += start.elapsed();
                    rival.settle();
                }
                spent
            }
        });
    });
}

fn protocols() -> [(&'static str, Arc<dyn ConversationProtocol>); 3] {
    [
        ("private", private()),
        // Its exchanges are in it, one for every 1,000 frames.
        ("private 2", private_2()),
        ("ratchet", Arc::new(Ratchet::new())),
    ]
}

/// private/2 that begins the next exchange as soon as the last has ended: an
/// exchange takes a turn of each side.
fn exchanging() -> Arc<dyn ConversationProtocol> {
    let ratchet = Ratchet::with_healing(HealingSettings {
        interval: Duration::ZERO,
        frames: 0,
    });
    Arc::new(Reliable::new(PRIVATE_2, Arc::new(ratchet)))
}

/// The padded length that private's plaintext has around a text.
fn padded(text: &[u8]) -> usize {
    let mut ours = Ours::settled(&private());
    Ours::body_len(&ours.send(0, text)) - cf_core::padding::BODY_OVERHEAD
}

fn messages(criterion: &mut Criterion) {
    for (size, len) in SIZES {
        let text = vec![b'x'; len];
        for what in ["send", "receive", "ping-pong"] {
            let mut group = criterion.benchmark_group(format!("{what} {size}"));
            group.sample_size(20);
            group.warm_up_time(Duration::from_millis(200));
            group.measurement_time(Duration::from_millis(800));
            run(&mut group, what, "floor", &text, Floor::new(padded(&text)));
            for (name, protocol) in protocols() {
                run(&mut group, what, name, &text, Ours::settled(&protocol));
            }
            if what == "ping-pong" {
                let rival = Ours::settled(&exchanging());
                run(&mut group, what, "private 2, exchanging", &text, rival);
            }
            run(&mut group, what, "vodozemac", &text, Olm::settled());
            group.finish();
        }
    }
}

/// Until the first message was read.
fn create_and_join(criterion: &mut Criterion) {
    for (size, len) in SIZES {
        let text = vec![b'x'; len];
        let padded = padded(&text);
        let mut group = criterion.benchmark_group(format!("create and join {size}"));
        group.sample_size(20);
        group.warm_up_time(Duration::from_millis(200));
        group.measurement_time(Duration::from_millis(800));
        group.bench_function("floor", |bench| {
            let begin = || floor::secret(&mut Cheap::default());
            let establish = |offer| {
                let mut rival = Floor::create_and_join(&offer, padded);
                let wire = rival.send(0, black_box(&text));
                rival.receive(1, &wire);
                rival
            };
            bench.iter_batched(begin, establish, BatchSize::SmallInput);
        });
        for (name, protocol) in protocols() {
            group.bench_function(name, |bench| {
                let establish = |beginning| {
                    let mut rival = Ours::create_and_join(&protocol, beginning);
                    let wire = rival.send(0, black_box(&text));
                    rival.receive(1, &wire);
                    rival
                };
                let begin = || Ours::begin(&protocol);
                bench.iter_batched(begin, establish, BatchSize::SmallInput);
            });
        }
        group.bench_function("vodozemac", |bench| {
            let establish = |accounts| Olm::create_and_join(accounts, black_box(&text));
            bench.iter_batched(olm::begin, establish, BatchSize::SmallInput);
        });
        group.finish();
    }
}

criterion_group!(benches, messages, create_and_join);
criterion_main!(benches);
