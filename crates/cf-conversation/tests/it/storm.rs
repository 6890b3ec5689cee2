//! A network, and processes at its ends, that are as bad as they may be: what is
//! published is lost, repeated, overtaken and cut off; a process dies before its
//! commit or after it, and stays away.

use std::time::Duration;

use cf_core::{
    BundleSet, Content, ContentId, Error, Incoming, Input, Outcome, PointInfo, ProtocolId, Publish,
    RoutingTag, Timestamp,
};
use cf_testkit::{Fates, Faults, SeededRandom};

use crate::pair::{self, Pair, Side, info};
use crate::truth::Truth;
use crate::wiretap::Wiretap;

/// How many of those behind it may overtake a payload.
const OVERTAKING: usize = 200;

/// How much waits on the way in one direction: what comes beyond is lost. A process
/// that dies over what arrives, and then sends everything again, would otherwise be
/// answered by more than it can take in.
const CAPACITY: usize = 500;

/// How many tags a driver lets an instance derive for one frame.
const BUDGET: u32 = 8_192;

const RAGING: Faults = Faults {
    loss: 30,
    repetition: 10,
    ..Faults::NONE
};

/// Saro (0) and Raya (1) in a storm.
pub(crate) struct Storm {
    pub(crate) sides: [Side; 2],
    pub(crate) now: Timestamp,
    pub(crate) random: SeededRandom,
    pub(crate) truth: Truth,
    pub(crate) wiretap: Wiretap,
    /// How often a process died, before its commit or after it.
    pub(crate) deaths: u64,
    /// How often a side moved.
    pub(crate) moves: u64,
    /// Where each side is.
    points: [Vec<PointInfo>; 2],
    /// How many contacts each side has said.
    contacts: [u64; 2],
    is_raging: bool,
    fates: Fates,
    /// What is on its way to each side.
    lines: [Line; 2],
    /// Until when each side's process is away.
    away: [Timestamp; 2],
}

/// What is on its way in one direction, the first published first.
#[derive(Default)]
struct Line {
    waiting: Vec<Waiting>,
    /// When the next one arrives.
    next_at: Timestamp,
    /// Until when nothing arrives.
    cut_until: Timestamp,
    /// Whether what is published meanwhile is lost.
    cut_loses: bool,
}

struct Waiting {
    incoming: Incoming,
    overtaken: usize,
}

impl Storm {
    /// Every second seed is one of private/2.
    pub(crate) fn new(seed: u64) -> Self {
        let protocol = &pair::reliable()[seed as usize % 2];
        let pair = Pair::new(protocol, pair::Faults::NONE, seed);
        let mut storm = Self {
            sides: pair.sides,
            now: pair.now,
            random: SeededRandom::new(seed ^ 0x5707),
            truth: Truth::default(),
            wiretap: Wiretap::default(),
            deaths: 0,
            moves: 0,
            points: [vec![info("Saro's point")], vec![info("Raya's point")]],
            contacts: [0; 2],
            is_raging: true,
            fates: Fates::new(RAGING, seed),
            lines: [Line::default(), Line::default()],
            away: [Timestamp::default(); 2],
        };
        // What Raya said at first was published into the pair's own wire, and lost.
        storm.publish(0);
        storm
    }

    /// From now on nothing bad happens any more.
    pub(crate) fn subside(&mut self) {
        self.is_raging = false;
        self.fates.change(Faults::NONE);
        self.away = [self.now; 2];
        for line in &mut self.lines {
            line.cut_until = self.now;
        }
    }

    /// Sends a content, as often as its commit fails.
    pub(crate) fn send(&mut self, from: usize, id: &ContentId, content: &bytes::Bytes) {
        self.truth.sends(from, id, content);
        loop {
            let input = Input::Send {
                id: Some(id.clone()),
                content: Content::Bytes(content.clone()),
            };
            if self.input(from, input) {
                return self.publish(from);
            }
        }
    }

    /// Reads one of the contents that were told.
    pub(crate) fn read(&mut self, who: usize) {
        if let Some(content) = self.truth.reads(who, &mut self.random) {
            let from = None;
            while !self.input(
                who,
                Input::Read {
                    from: from.clone(),
                    content: content.clone(),
                },
            ) {}
            self.publish(who);
        }
    }

    pub(crate) fn types(&mut self, who: usize) {
        let typing = self.random.chance(70);
        self.input(who, Input::Typing(typing));
        self.publish(who);
    }

    /// Says how a side is asked into a new session, newly.
    pub(crate) fn renews_contact(&mut self, who: usize) {
        self.contacts[who] += 1;
        let contact = contact(self.contacts[who]);
        while !self.input(who, Input::Contact(contact.clone())) {}
        self.publish(who);
    }

    /// Moves a side: to a place of its own, or to one more, or to one less.
    pub(crate) fn moves(&mut self, who: usize) {
        self.moves += 1;
        let fresh = info(&format!("place {}", self.moves));
        let mut points = std::mem::take(&mut self.points[who]);
        match self.random.below(3) {
            0 => points = vec![fresh],
            1 if points.len() < 3 => points.push(fresh),
            _ if points.len() > 1 => drop(points.remove(0)),
            _ => points = vec![fresh],
        }
        while !self.input(who, Input::OwnPoints(points.clone())) {}
        self.points[who] = points;
        self.publish(who);
    }

    /// Checks that all is known that was to be.
    pub(crate) fn check_end(&self) {
        self.truth.check_end();
        for who in 0..2 {
            let told = self.sides[1 - who].contacts.last();
            let last = (self.contacts[who] > 0).then(|| contact(self.contacts[who]));
            assert_eq!(told, last.as_ref(), "the last contact is known");
            let places: Vec<_> = self.points[who].iter().map(|info| &info.point).collect();
            let listens = &self.sides[who].listening;
            assert!(places.iter().all(|place| listens.contains(*place)));
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        while self.step(until) {}
        self.now = until;
    }

    /// Lets one thing happen; false if nothing will before `until`.
    fn step(&mut self, until: Timestamp) -> bool {
        let wake = |side: usize| self.sides[side].wake.max(self.away[side]);
        let arrival = |side: usize| self.lines[side].due().max(self.away[side]);
        let dues = [wake(0), wake(1), arrival(0), arrival(1)];
        let first = (0..4).min_by_key(|at| dues[*at]).unwrap_or_default();
        if dues[first] > until {
            return false;
        }
        self.now = self.now.max(dues[first]);
        let who = first % 2;
        match first < 2 {
            true => {
                self.sides[who].wake = Timestamp::NEVER;
                self.input(who, Input::Time);
                self.publish(who);
            }
            false => self.arrive(who),
        }
        if self.is_raging {
            self.rage();
        }
        true
    }

    fn rage(&mut self) {
        if self.random.chance(1) {
            self.cut();
        }
        if self.random.chance(2) {
            let who = self.random.below(2) as usize;
            self.die(who);
            if self.random.chance(20) {
                let longest = Duration::from_secs(2 * 3600);
                self.away[who] = self.now.after(self.up_to(longest));
            }
        }
    }

    /// A partition, of one direction or of both.
    fn cut(&mut self) {
        let longest = match self.random.chance(15) {
            true => Duration::from_secs(6 * 3600),
            false => Duration::from_secs(20),
        };
        let until = self.now.after(self.up_to(longest));
        let loses = self.random.chance(50);
        let which = self.random.below(3) as usize;
        for (side, line) in self.lines.iter_mut().enumerate() {
            if which != side {
                (line.cut_until, line.cut_loses) = (until, loses);
            }
        }
    }

    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        let longest = longest.as_millis() as u64;
        Duration::from_millis(self.random.below(longest + 1))
    }

    /// Gives a side an input; false if it died before the commit.
    fn input(&mut self, who: usize, input: Input) -> bool {
        let dies = self.is_raging && self.random.chance(2);
        let side = &mut self.sides[who];
        let before = dies.then(|| (side.records.clone(), side.outbox.clone()));
        let told = (side.events.len(), side.answered.len(), side.contacts.len());
        let result = side.handle(input, self.now);
        assert!(result.is_ok(), "{} gave {result:?}", side.name);
        // Also what was sealed and never left must repeat no key and nonce.
        for publish in &side.outbox {
            self.wiretap.sealed(publish);
        }
        if let Some(before) = before {
            (side.records, side.outbox) = before;
            side.events.truncate(told.0);
            side.answered.truncate(told.1);
            side.contacts.truncate(told.2);
            self.die(who);
        } else {
            self.truth.check(&self.sides, who);
        }
        !dies
    }

    /// A process that died goes on from its records; its outbox is with them.
    fn die(&mut self, who: usize) {
        self.deaths += 1;
        self.sides[who].restart(self.now);
        self.truth.check(&self.sides, who);
        self.publish(who);
    }

    /// Publishes what waits; it is taken off with the commit of its outcome.
    fn publish(&mut self, from: usize) {
        while let Some(publish) = self.sides[from].outbox.first().cloned() {
            self.wiretap.published(&publish);
            for point in &publish.points {
                let outcome = self.put(from, &publish, point);
                let input = Input::Outcome {
                    publish: publish.id,
                    point: point.clone(),
                    outcome,
                };
                if !self.input(from, input) {
                    // Dying has published what waits.
                    return;
                }
            }
            let outbox = &mut self.sides[from].outbox;
            if let Some(at) = outbox.iter().position(|other| other.id == publish.id) {
                outbox.remove(at);
            }
        }
    }

    fn put(&mut self, from: usize, publish: &Publish, point: &cf_core::DeliveryPoint) -> Outcome {
        let line = &mut self.lines[1 - from];
        let is_lost = line.cut_until > self.now && line.cut_loses;
        let copies = self.fates.passages().len();
        if is_lost || line.waiting.len() >= CAPACITY {
            return Outcome::Unknown(Error::unavailable("the network is cut"));
        }
        if line.waiting.is_empty() {
            line.next_at = self.now.after(Duration::from_millis(10));
        }
        for _ in 0..copies {
            let incoming = Incoming {
                point: point.clone(),
                cursor: None,
                tag: publish.frame.tag,
                body: publish.frame.body.clone(),
            };
            line.waiting.push(Waiting {
                incoming,
                overtaken: 0,
            });
        }
        if self.is_raging && self.random.chance(20) {
            return Outcome::Unknown(Error::unavailable("the answer was lost"));
        }
        self.truth.accepted(from, publish);
        Outcome::Accepted { cursor: None }
    }

    fn arrive(&mut self, to: usize) {
        let pace = self.random.below(40) + 1;
        let line = &mut self.lines[to];
        line.next_at = self.now.after(Duration::from_millis(pace));
        let first = line
            .waiting
            .first()
            .map_or(OVERTAKING, |first| first.overtaken);
        let most = match self.is_raging {
            true => line.waiting.len().min(OVERTAKING + 1 - first),
            false => 1,
        };
        let chosen = self.random.below(most as u64) as usize;
        for waiting in &mut line.waiting[..chosen] {
            waiting.overtaken += 1;
        }
        let incoming = line.waiting.remove(chosen).incoming;
        if !self.deliver(to, &incoming) {
            // The cursor was not moved: it comes again.
            let overtaken = OVERTAKING;
            self.lines[to].waiting.insert(
                0,
                Waiting {
                    incoming,
                    overtaken,
                },
            );
        }
        self.publish(to);
    }

    /// Routes as a driver does; what routes nowhere is lost. False if the process
    /// died over it.
    fn deliver(&mut self, to: usize, incoming: &Incoming) -> bool {
        let is_expected = |side: &Side, tag: &RoutingTag| side.expected.contains(tag);
        if !self.sides[to].listening.contains(&incoming.point) {
            return true;
        }
        if !is_expected(&self.sides[to], &incoming.tag) {
            let miss = Input::Miss {
                cursor: None,
                point: incoming.point.clone(),
                tag: incoming.tag,
                budget: BUDGET,
            };
            if !self.input(to, miss) {
                return false;
            }
        }
        match is_expected(&self.sides[to], &incoming.tag) {
            true => self.input(to, Input::Frame(incoming.clone())),
            false => true,
        }
    }
}

fn contact(number: u64) -> BundleSet {
    let id = ProtocolId::from_static("/example/init/1");
    BundleSet::new(vec![(id, format!("number {number}").into())]).unwrap()
}

impl Line {
    fn due(&self) -> Timestamp {
        match self.waiting.is_empty() {
            true => Timestamp::NEVER,
            false => self.next_at.max(self.cut_until),
        }
    }
}
