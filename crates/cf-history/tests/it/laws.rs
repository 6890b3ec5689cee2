//! What is kept is what the log says, whatever happened on the way.

use std::collections::BTreeSet;

use cf_core::{ContentState, Random, Timestamp};
use cf_history::{EntryKind, ItemKind, Page, Progress};
use cf_testkit::SeededRandom;

use crate::world::{World, talk};

const LETTERS: &str = "abcdABCD";
const WORDS: [&str; 4] = ["tea", "Tea cake", "rain", "cake rain tea"];

struct Dice(SeededRandom);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % sides
    }

    fn letter(&mut self) -> char {
        LETTERS.chars().nth(self.below(8)).unwrap()
    }
}

/// One thing that happens to the log or to the history.
fn happen(world: &mut World, dice: &mut Dice) {
    let (at, letter, other) = (talk(dice.below(2) as u8), dice.letter(), dice.letter());
    let words = WORDS[dice.below(4)];
    let history = &world.history;
    let any_row = |dice: &mut Dice| {
        let rows = history.page(at, Page::Newest, 100).unwrap();
        (!rows.is_empty()).then(|| rows[dice.below(rows.len())].seq)
    };
    match dice.below(24) {
        0..=5 => drop(world.said(at, letter, &format!("m {words}"))),
        6..=8 => drop(world.said(at, letter, &format!("+{other}:)"))),
        9 => drop(world.said(at, letter, &format!("-{other}:)"))),
        10..=11 => drop(world.said(at, letter, &format!("e{other}{words}"))),
        12 => drop(world.said(at, letter, &format!("d{other}"))),
        13 => drop(world.said(at, letter, &format!("r{other}"))),
        14 => drop(world.said(at, letter, "hidden")),
        15 => world.state(at, letter.to_ascii_lowercase(), ContentState::Delivered),
        16 => drop(world.log(EntryKind::Notice { conversation: at })),
        17 => drop(world.log(EntryKind::Began { conversation: at })),
        18..=19 => drop(history.catch_up().unwrap()),
        20 => {
            if let Some(seq) = any_row(dice) {
                history.delete(at, seq).unwrap();
            }
        }
        21 => {
            if let Some(seq) = any_row(dice) {
                history.mark_read(at, seq).unwrap();
            }
        }
        22 => match dice.below(12) {
            0 => {
                let up_to = any_row(dice).unwrap_or(0);
                while history.clear(at, up_to).unwrap() {}
            }
            1 => {
                let before = dice.below(world.log.0.lock().unwrap().len() * 10 + 1);
                while history.forget_before(Timestamp(before as u64)).unwrap() {}
            }
            _ => world.erase(dice.below(3)),
        },
        _ => world.reopen(),
    }
}

/// Conversations, numbers of unread messages and words agree with the pages.
fn check_shown(world: &World) {
    let history = &world.history;
    let mut listed = BTreeSet::new();
    for summary in history.conversations(None, 10).unwrap() {
        let at = summary.conversation;
        assert!(listed.insert(at), "a conversation is listed twice");
        let items = history.page(at, Page::After(0), 10_000).unwrap();
        let mut backwards = Vec::new();
        let mut page = history.page(at, Page::Newest, 3).unwrap();
        while let Some(first) = page.first() {
            let before = Page::Before(first.seq);
            backwards.splice(0..0, page);
            page = history.page(at, before, 3).unwrap();
        }
        assert_eq!(items, backwards);
        let last = summary.last.as_ref().or(items.last());
        assert_eq!(
            items.last(),
            last,
            "it is listed by its last item, or its beginning"
        );
        let mark = history.read_up_to(at).unwrap();
        let is_unread = |item: &&cf_history::Item| {
            let came = matches!(
                &item.kind,
                ItemKind::Message { author, .. } if *author != cf_history::Author::Own
            );
            came && item.seq > mark
        };
        let unread = items.iter().filter(is_unread).count();
        assert_eq!(unread as u64, summary.unread);
        for word in ["tea", "CAKE", "rain", "rain, tea"] {
            let text = |item: &cf_history::Item| match &item.kind {
                ItemKind::Message {
                    content: cf_core::Content::Bytes(bytes),
                    edited,
                    ..
                } => match edited {
                    Some(words) => words.to_lowercase(),
                    None => String::from_utf8_lossy(bytes).to_lowercase(),
                },
                _ => String::new(),
            };
            let has = |item: &&cf_history::Item| {
                let said = text(item);
                let mut words = word.split(", ");
                words.all(|word| said.contains(&word.to_lowercase()))
            };
            let expected: Vec<_> = items.iter().filter(has).map(|item| item.seq).collect();
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let some = history.search(word, Some(at), before, 2).unwrap();
                found.extend(some.items.iter().map(|(_, item)| item.seq));
                match some.before {
                    Some(seq) => before = Some(seq),
                    None => break,
                }
            }
            found.reverse();
            assert_eq!(found, expected, "{word}");
        }
    }
}

#[test]
fn made_again_from_the_log_it_is_the_same() {
    let seeds = std::env::var("CF_SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    let mut counts = [0; 3];
    for seed in 0..seeds {
        let mut dice = Dice(SeededRandom::new(seed));
        let mut world = World::in_memory();
        for _ in 0..40 + dice.below(160) {
            happen(&mut world, &mut dice);
        }
        world.settle();
        check_shown(&world);
        let talks = [talk(0), talk(1)];
        let before = world.dump(&talks);
        world.history.rebuild().unwrap();
        world.settle();
        let after = world.dump(&talks);
        let (before, after) = (BTreeSet::from_iter(before), BTreeSet::from_iter(after));
        let only: Vec<_> = before.symmetric_difference(&after).collect();
        assert!(only.is_empty(), "seed {seed}: {only:?}");
        assert_eq!(
            world.history.catch_up().unwrap(),
            Progress::Done(world.history.done().unwrap())
        );
        let shown = world.history.conversations(None, 10).unwrap();
        counts[0] += shown.len();
        counts[1] += before.len();
        counts[2] += world
            .log
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|e| e.is_none())
            .count();
    }
    // The dice must have thrown something.
    let least = seeds as usize;
    assert!(
        counts[0] > least && counts[1] > 10 * least && counts[2] > 3 * least,
        "{counts:?}"
    );
}
