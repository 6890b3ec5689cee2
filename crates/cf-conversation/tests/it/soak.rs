//! Lives of a conversation from seeds.

use std::time::Duration;

use bytes::Bytes;
use cf_core::ContentId;

use crate::storm::Storm;

/// How many seeds a test run takes unless it is told.
const SLICE: u64 = 30;

/// A life has messages and receipts, moves of both sides and changes of how they
/// are asked into new sessions.
///
/// Every content once and in order, or early while a gap is told to be open, on
/// both sides; no state before it is true; no key and nonce twice; and all is
/// delivered in the end, whatever is lost, repeated, overtaken and cut off, and
/// wherever a process dies.
#[test]
fn every_content_is_delivered_once_and_in_order_through_a_storm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("CF_FIRST_SEED").unwrap_or(0);
    let seeds = number("CF_SEEDS").unwrap_or(SLICE);
    let (mut deaths, mut gaps, mut bodies, mut moves, mut renewals) = (0, 0, 0, 0, 0);
    for seed in first..first + seeds {
        let named = NamedOnPanic(seed);
        let storm = one_life(seed);
        deaths += storm.deaths;
        gaps += storm.truth.gaps;
        bodies += storm.wiretap.len();
        moves += storm.moves;
        renewals += storm.sides.iter().map(|side| side.renewals).sum::<usize>();
        drop(named);
    }
    println!("{seeds} seeds from {first}: {bodies} bodies, {gaps} gaps, {deaths} deaths");
    println!("{moves} moves, asked for renewal {renewals} times");
    assert!(deaths > 0, "no process ever died");
}

pub(crate) fn one_life(seed: u64) -> Storm {
    let mut storm = Storm::new(seed);
    let mut count = [0; 2];
    // Some lives are mostly silence, some are bursts.
    let burst = [3, 10, 300][storm.random.below(3) as usize];
    let most = 20 + storm.random.below(60);
    while count[0] + count[1] < most {
        let from = storm.random.below(2) as usize;
        for _ in 0..1 + storm.random.below(burst) {
            let name = storm.sides[from].name;
            let id = ContentId::new(format!("{name} says {:06}", count[from])).unwrap();
            let content = content(&mut storm, &id);
            storm.send(from, &id, &content);
            count[from] += 1;
        }
        for who in [0, 1] {
            match storm.random.below(100) {
                0..6 => storm.moves(who),
                6..10 => storm.renews_contact(who),
                10..30 => storm.types(who),
                30..70 => (0..storm.random.below(10)).for_each(|_| storm.read(who)),
                _ => {}
            }
        }
        let longest = match storm.random.below(100) {
            0..3 => Duration::from_secs(8 * 3600),
            3..50 => Duration::from_secs(20),
            _ => Duration::from_millis(100),
        };
        let pause = storm.up_to(longest);
        storm.run_for(pause);
    }
    storm.run_for(Duration::from_secs(60));
    storm.subside();
    storm.run_for(Duration::from_secs(2 * 24 * 3600));
    storm.check_end();
    storm
}

/// Mostly a line of text, sometimes as much as a payload takes.
fn content(storm: &mut Storm, id: &ContentId) -> Bytes {
    let longest = match storm.random.below(100) {
        0..85 => 100,
        85..97 => 2_000,
        _ => 14_000,
    };
    let len = storm.random.below(longest) as usize;
    [id.as_bytes(), &vec![b'.'; len]].concat().into()
}

/// Says which seed failed, and how to run it alone.
struct NamedOnPanic(u64);

impl Drop for NamedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!(
                "seed {seed} failed; it runs alone with `CF_FIRST_SEED={seed} CF_SEEDS=1 \
                 cargo test -p cf-conversation --test it soak::`"
            );
        }
    }
}
