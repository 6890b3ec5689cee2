use std::time::Duration;

use cf_testkit::{Faults, SeededRandom};

/// What a life is to be, drawn from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What the network does to payloads.
    pub(crate) faults: Faults,
    /// How often a client dies at a boundary, and how often a commit fails; in 1,000.
    pub(crate) deaths: u64,
    pub(crate) failures: u64,
    /// How often a client that acts loses its connection, in 100, and the longest time
    /// for which that lasts, or for which a client that died is away.
    pub(crate) cuts: u64,
    pub(crate) away: Duration,
    /// The longest time that a commit takes.
    pub(crate) commit: Duration,
    /// How many conversations each client keeps in memory.
    pub(crate) awake: usize,
    /// How many contents each client sends, and how long they are at most.
    pub(crate) contents: usize,
    pub(crate) longest: u64,
    /// The longest pause between two things that an application does.
    pub(crate) pause: Duration,
    /// How often a stranger publishes, a conversation moves, and what came is read; in
    /// 100.
    pub(crate) strangers: u64,
    pub(crate) moves: u64,
    pub(crate) reads: u64,
    /// Whether clients ask each other at once.
    pub(crate) crossing: bool,
    /// Whether components are added in the middle.
    pub(crate) upgrades: bool,
}

impl Plan {
    /// Draws a plan. Where the conversation protocol repeats nothing, the network loses
    /// and overtakes nothing, so that the client alone has to keep what was sent.
    pub(crate) fn draw(dice: &mut SeededRandom, is_reliable: bool) -> Self {
        let mut up_to = |most: u64| dice.below(most + 1);
        let is_bad = up_to(3) > 0;
        let seconds = |n: u64| Duration::from_millis(1000 * n);
        let mut faults = Faults {
            lost_answers: up_to(20) as u8,
            repetition: up_to(15) as u8,
            delay: Duration::from_millis(50 << up_to(6)),
            ..Faults::NONE
        };
        if is_reliable {
            faults.loss = up_to(30) as u8;
            faults.reordering = up_to(40) as u8;
        }
        if !is_bad {
            faults = Faults {
                delay: Duration::from_millis(50),
                ..Faults::NONE
            };
        }
        Self {
            faults,
            deaths: [0, 5, 20, 40][up_to(3) as usize],
            failures: [0, 0, 10, 30][up_to(3) as usize],
            cuts: if is_bad { up_to(5) } else { 0 },
            away: seconds([1, 10, 120, 1800][up_to(3) as usize]),
            commit: Duration::from_millis([0, 5, 50, 400][up_to(3) as usize]),
            awake: [0, 1, 1024][up_to(2) as usize],
            contents: 2 + up_to(10) as usize,
            longest: [60, 300, 2000][up_to(2) as usize],
            pause: seconds([1, 10, 60, 600][up_to(3) as usize]),
            strangers: up_to(5),
            moves: up_to(1) * 3,
            reads: up_to(1) * 50,
            // Of two sessions that begin at once one ends, with what was sent in it.
            crossing: up_to(2) == 0 && is_reliable,
            upgrades: up_to(1) == 0,
        }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn be_kind(&mut self) {
        self.faults = Faults {
            delay: Duration::from_millis(20),
            ..Faults::NONE
        };
        self.deaths = 0;
        self.failures = 0;
        self.cuts = 0;
        self.strangers = 0;
        self.moves = 0;
        self.pause = Duration::from_secs(10);
    }
}
