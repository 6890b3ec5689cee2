//! Two participants, a link with faults between them, and a virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Condition, Content, ContentId, ConversationEvent, Cursor, DeliveryPoint, Error, ErrorKind,
    Frame, Incoming, Input, Outcome, Publish, PublishId, Random, RoutingTag, Spread, Timestamp,
};

use super::side::Side;
use super::{ConversationUnderTest, establish};
use crate::{Fates, Faults, Law, SeededRandom, Verdict};

/// How many tags a driver lets an instance derive for one frame.
const BUDGET: u32 = 4096;

/// How bad a link is, and the processes at its ends.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) network: Faults,
    /// In how many of 100 cases one side restarts after something happened.
    pub(super) restart: u64,
}

impl Weather {
    pub(super) const GOOD: Self = Self {
        network: Faults {
            delay: Duration::from_millis(1),
            ..Faults::NONE
        },
        restart: 0,
    };
    pub(super) const BAD: Self = Self {
        network: Faults {
            loss: 30,
            repetition: 15,
            reordering: 100,
            lost_answers: 30,
            delay: Duration::from_secs(5),
            ..Faults::NONE
        },
        restart: 3,
    };
}

/// Saro (0), who created the conversation, and Raya (1), who joined it.
pub(super) struct Pair<'a> {
    pub(super) law: &'static Law,
    pub(super) at: &'a ConversationUnderTest,
    pub(super) sides: [Side; 2],
    pub(super) now: Timestamp,
    /// In how many of 100 cases one side restarts after something happened.
    restart: u64,
    fates: Fates,
    pub(super) random: SeededRandom,
    /// Everything that was told, in the order of telling.
    pub(super) told: Vec<(usize, ConversationEvent)>,
    /// What each side sent, in order.
    pub(super) sent: [Vec<(ContentId, Bytes)>; 2],
    /// Everything that was published, and by whom.
    pub(super) published: Vec<(usize, Publish)>,
    /// Which publishes a service accepted.
    pub(super) accepted: BTreeSet<(usize, PublishId)>,
    /// Whose contents a service accepted something for, before which event.
    pub(super) accepted_contents: Vec<(usize, usize, ContentId)>,
    /// Whose contents the other side took a frame of, before which event.
    pub(super) taken_contents: Vec<(usize, usize, ContentId)>,
    /// Whether frames are routed by their standing tags, as a blinding framing
    /// does, and not by their own.
    pub(super) by_standing: bool,
    log: BTreeMap<DeliveryPoint, Vec<(Frame, Timestamp)>>,
    /// How far each side was sent what is logged.
    read: BTreeMap<(usize, DeliveryPoint), usize>,
    /// When the last frame arrives that keeps its place.
    last: BTreeMap<(usize, DeliveryPoint), Timestamp>,
    wire: BTreeMap<(Timestamp, u64), (usize, Incoming, RoutingTag)>,
    order: u64,
    count: u64,
}

impl<'a> Pair<'a> {
    pub(super) fn new(
        law: &'static Law,
        at: &'a ConversationUnderTest,
        weather: Weather,
        seed: u64,
    ) -> Verdict<Self> {
        establish::pair(law, at, weather, seed)
    }

    /// A pair of two sides that never exchanged anything.
    pub(super) fn of(
        law: &'static Law,
        at: &'a ConversationUnderTest,
        sides: [Side; 2],
        random: SeededRandom,
    ) -> Self {
        Self {
            law,
            at,
            sides,
            now: super::NOW,
            restart: 0,
            fates: Fates::new(Weather::GOOD.network, 0),
            random,
            told: Vec::new(),
            sent: [Vec::new(), Vec::new()],
            published: Vec::new(),
            accepted: BTreeSet::new(),
            accepted_contents: Vec::new(),
            taken_contents: Vec::new(),
            by_standing: false,
            log: BTreeMap::new(),
            read: BTreeMap::new(),
            last: BTreeMap::new(),
            wire: BTreeMap::new(),
            order: 0,
            count: 0,
        }
    }

    /// From now on the link is as bad as this. Where the protocol needs order, it
    /// only repeats, delays and loses answers.
    pub(super) fn change(&mut self, weather: Weather) {
        let mut network = weather.network;
        if self.at.protocol.properties().needs_conditional_publish {
            (network.loss, network.reordering) = (0, 0);
        }
        self.fates = Fates::new(network, self.random.below(u64::MAX));
        self.restart = weather.restart;
    }

    /// Which sides may send.
    pub(super) fn senders(&self) -> usize {
        match self.at.protocol.properties().bidirectional {
            true => 2,
            false => 1,
        }
    }

    /// Sends a content of `len` random bytes under a fresh id; what can't be
    /// taken now is sent again when something has happened.
    pub(super) fn send(&mut self, from: usize, len: usize) -> Verdict {
        let mut text = vec![0; len];
        self.random.fill(&mut text);
        self.send_bytes(from, text.into())
    }

    pub(super) fn send_bytes(&mut self, from: usize, text: Bytes) -> Verdict {
        self.count += 1;
        let mut id = vec![0; 16];
        self.random.fill(&mut id);
        let id = self.law.needs("a content id", ContentId::new(id))?;
        for _ in 0..1000 {
            let content = Content::Bytes(text.clone());
            let input = Input::Send {
                id: Some(id.clone()),
                content,
            };
            match self.handle(from, input)? {
                Ok(()) => {
                    self.sent[from].push((id, text));
                    return self.publish(from);
                }
                Err(error) if error.is_retryable() => self.run_for(Duration::from_secs(2))?,
                Err(error) => {
                    let len = text.len();
                    let found = format!("sending {len} bytes gave {error:?}");
                    return Err(self.law.broken(found));
                }
            }
        }
        Err(self
            .law
            .broken("content could not be taken for half an hour"))
    }

    /// Gives a side an input, and collects what it tells.
    pub(super) fn handle(&mut self, side: usize, input: Input) -> Verdict<cf_core::Result<()>> {
        let (result, outputs) = self.sides[side].handle(input, self.now);
        if let (Err(error), 1..) = (&result, outputs) {
            let found = format!("an input gave {error:?} and {outputs} outputs");
            return Err(super::law::REJECTED.broken(found));
        }
        self.collect(side);
        Ok(result)
    }

    pub(super) fn collect(&mut self, side: usize) {
        while let Some(event) = self.sides[side].events.pop_front() {
            self.told.push((side, event));
        }
    }

    /// Publishes all that a side has to publish.
    pub(super) fn publish(&mut self, from: usize) -> Verdict {
        while let Some(publish) = self.sides[from].outbox.pop_front() {
            self.published.push((from, publish.clone()));
            let count = match publish.spread {
                Spread::All => publish.points.len(),
                Spread::First => 1,
            };
            for point in publish.points.iter().take(count) {
                let outcome = self.put(&publish, point);
                if matches!(outcome, Outcome::Accepted { .. }) {
                    self.accepted.insert((from, publish.id));
                    let content = publish.content.iter().cloned();
                    let place = self.told.len();
                    self.accepted_contents
                        .extend(content.map(|id| (from, place, id)));
                }
                let input = Input::Outcome {
                    publish: publish.id,
                    point: point.clone(),
                    outcome,
                };
                // An instance may have no use for an outcome.
                let _ = self.handle(from, input)?;
            }
        }
        for side in 0..2 {
            self.spread(side);
        }
        Ok(())
    }

    /// Puts a frame in the log of a point, if its condition holds.
    fn put(&mut self, publish: &Publish, point: &DeliveryPoint) -> Outcome {
        let log = self.log.entry(point.clone()).or_default();
        let current = (!log.is_empty()).then(|| cursor(log.len()));
        let holds = match &publish.condition {
            None => true,
            Some(Condition::Empty) => current.is_none(),
            Some(Condition::LastIs(last)) => current.as_ref() == Some(last),
        };
        if !holds {
            return Outcome::Conflict { current };
        }
        log.push((publish.frame.clone(), self.now));
        let lost = publish.condition.is_some() && self.fates.loses_answer();
        match lost {
            true => Outcome::Unknown(Error::unavailable("the answer was lost")),
            false => Outcome::Accepted {
                cursor: Some(cursor(self.log[point].len())),
            },
        }
    }

    /// Sends a side on its way what is new at the points that it listens at.
    fn spread(&mut self, side: usize) {
        let is_ordered = self.at.protocol.properties().needs_conditional_publish;
        let points: Vec<_> = self.sides[side].listening.iter().cloned().collect();
        for point in points {
            let read = self.read.entry((side, point.clone())).or_default();
            let log = self.log.get(&point).map_or(&[][..], |log| &log[*read..]);
            let first = *read;
            *read += log.len();
            for (index, (frame, _)) in log.iter().enumerate() {
                for passage in self.fates.passages() {
                    let mut at = self.now.after(passage.delay);
                    if !passage.out_of_order {
                        let last = self.last.entry((side, point.clone())).or_insert(at);
                        at = at.max(*last);
                        *last = at;
                    }
                    self.order += 1;
                    let incoming = Incoming {
                        point: point.clone(),
                        cursor: is_ordered.then(|| cursor(first + index + 1)),
                        tag: frame.tag,
                        body: passage.arrived(&frame.body),
                    };
                    self.wire
                        .insert((at, self.order), (side, incoming, frame.standing));
                }
            }
        }
    }

    /// What is on its way, in the order of arrival.
    pub(super) fn on_the_way(&self) -> impl Iterator<Item = &(usize, Incoming, RoutingTag)> {
        self.wire.values()
    }

    /// Routes a frame as a driver does.
    pub(super) fn deliver(
        &mut self,
        to: usize,
        incoming: Incoming,
        standing: RoutingTag,
    ) -> Verdict {
        if !self.is_routed(to, &incoming, standing) {
            let miss = Input::Miss {
                point: incoming.point.clone(),
                cursor: incoming.cursor.clone(),
                tag: incoming.tag,
                budget: BUDGET,
            };
            let _ = self.handle(to, miss)?;
        }
        let is_kept = match self.is_routed(to, &incoming, standing) {
            false => true,
            true => {
                let place = self.told.len();
                let taken = self.handle(to, Input::Frame(incoming.clone()))?;
                if taken.is_ok() {
                    self.note_taken(to, &incoming, place);
                }
                taken.is_err_and(|error| error.kind() == ErrorKind::Unavailable)
            }
        };
        let side = &mut self.sides[to];
        if is_kept && side.parked.len() < 256 {
            side.parked.push((incoming, standing));
        }
        self.publish(to)
    }

    fn note_taken(&mut self, to: usize, incoming: &Incoming, place: usize) {
        let frames = self.published.iter().filter(|(from, _)| *from != to);
        let mut frames = frames.filter(|(_, publish)| {
            publish.frame.tag == incoming.tag && publish.frame.body == incoming.body
        });
        let content = frames.find_map(|(_, publish)| publish.content.clone());
        let taken = content.map(|id| (1 - to, place, id));
        self.taken_contents.extend(taken);
    }

    fn is_routed(&self, to: usize, incoming: &Incoming, standing: RoutingTag) -> bool {
        let side = &self.sides[to];
        match self.by_standing {
            true => side.standing.contains(&standing),
            false => {
                side.single_use.contains(&incoming.tag) || side.standing.contains(&incoming.tag)
            }
        }
    }

    /// Tries again what routed nowhere, where a tag was expected since.
    fn try_parked(&mut self) -> Verdict {
        for side in 0..2 {
            while std::mem::take(&mut self.sides[side].expects_anew) {
                let parked = std::mem::take(&mut self.sides[side].parked);
                for (incoming, standing) in parked {
                    match self.is_routed(side, &incoming, standing) {
                        true => self.deliver(side, incoming, standing)?,
                        false => self.sides[side].parked.push((incoming, standing)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets one thing happen; false if nothing will before `until`.
    fn step(&mut self, until: Timestamp) -> Verdict<bool> {
        let wire = self
            .wire
            .first_key_value()
            .map_or(Timestamp::NEVER, |((at, _), _)| *at);
        let wake = self.sides[0].wake.min(self.sides[1].wake);
        let next = wire.min(wake);
        if next > until || next == Timestamp::NEVER {
            return Ok(false);
        }
        self.now = self.now.max(next);
        if wire <= wake {
            let arrived = self.wire.pop_first().map(|(_, arrived)| arrived);
            let is_wanted = |(to, incoming, _): &(usize, Incoming, RoutingTag)| {
                self.sides[*to].listening.contains(&incoming.point)
            };
            if let Some((to, incoming, standing)) = arrived.filter(is_wanted) {
                self.deliver(to, incoming, standing)?;
            }
        } else {
            let who = usize::from(self.sides[1].wake == wake);
            self.sides[who].wake = Timestamp::NEVER;
            let woken = self.handle(who, Input::Time)?;
            self.law.needs("waking at the time asked for", woken)?;
            self.publish(who)?;
        }
        self.try_parked()?;
        if self.random.chance(self.restart) {
            let who = self.random.below(2) as usize;
            self.restart(who)?;
        }
        Ok(true)
    }

    pub(super) fn restart(&mut self, who: usize) -> Verdict {
        self.sides[who].restart(self.law, establish::CONVERSATION, self.now)?;
        self.collect(who);
        self.publish(who)?;
        self.try_parked()
    }

    pub(super) fn run_for(&mut self, duration: Duration) -> Verdict {
        let until = self.now.after(duration);
        for _ in 0..200_000 {
            if !self.step(until)? {
                self.now = until;
                return Ok(());
            }
        }
        Err(self.law.broken(format!(
            "it did not come to rest: 200,000 steps in {duration:?}"
        )))
    }

    /// Both send `count` contents of many lengths, with pauses.
    pub(super) fn talk(&mut self, count: usize) -> Verdict {
        for number in 0..count {
            let from = match self.senders() {
                2 => self.random.below(2) as usize,
                _ => 0,
            };
            self.send(from, 24 + number * 37 % 900)?;
            let pause = self.random.below(3_000);
            self.run_for(Duration::from_millis(pause))?;
        }
        Ok(())
    }

    /// The contents that a side was told, in order.
    pub(super) fn heard(&self, side: usize) -> Vec<(&ContentId, &Bytes)> {
        let told = self.told.iter().filter(|(who, _)| *who == side);
        told.filter_map(|(_, event)| match event {
            ConversationEvent::Content {
                id,
                content: Content::Bytes(bytes),
                ..
            } => Some((id, bytes)),
            _ => None,
        })
        .collect()
    }
}

fn cursor(place: usize) -> Cursor {
    Cursor::new(place.to_be_bytes().to_vec()).expect("eight bytes are a cursor")
}
