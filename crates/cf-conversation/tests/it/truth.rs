//! What may be told of contents, and when.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cf_core::{Content, ContentId, ContentState, ConversationEvent, Publish};
use cf_testkit::SeededRandom;

use crate::pair::Side;

/// What each side sent and was told; it checks every event as it comes.
#[derive(Default)]
pub(crate) struct Truth {
    /// How often a gap was told.
    pub(crate) gaps: u64,
    sides: [Told; 2],
}

#[derive(Default)]
struct Told {
    /// How many of its events were checked.
    checked: usize,
    sent: Vec<(ContentId, Bytes)>,
    /// The places of the other side's contents that it was told.
    told: BTreeSet<usize>,
    /// Every place below was told.
    all_below: usize,
    gap_is_open: bool,
    accepted: BTreeSet<ContentId>,
    /// What of the other side's was read here.
    read: BTreeSet<ContentId>,
    states: BTreeMap<ContentId, ContentState>,
}

impl Truth {
    pub(crate) fn sends(&mut self, from: usize, id: &ContentId, content: &Bytes) {
        self.sides[from].sent.push((id.clone(), content.clone()));
    }

    /// A content that was told and not read yet; it is read now.
    pub(crate) fn reads(&mut self, who: usize, random: &mut SeededRandom) -> Option<ContentId> {
        let told = &self.sides[who].told;
        let place = *told
            .iter()
            .nth(random.below(told.len().max(1) as u64) as usize)?;
        let id = self.sides[1 - who].sent[place].0.clone();
        self.sides[who].read.insert(id.clone()).then_some(id)
    }

    /// A service accepted a payload.
    pub(crate) fn accepted(&mut self, from: usize, publish: &Publish) {
        self.sides[from].accepted.extend(publish.content.clone());
    }

    /// Checks what a side was told since.
    pub(crate) fn check(&mut self, sides: &[Side; 2], who: usize) {
        let events = &sides[who].events;
        for event in &events[self.sides[who].checked..] {
            match event {
                ConversationEvent::Content {
                    id,
                    content: Content::Bytes(content),
                    ..
                } => self.check_content(who, id, content),
                ConversationEvent::Gap { .. } => {
                    self.gaps += 1;
                    self.sides[who].gap_is_open = true;
                }
                ConversationEvent::GapClosed => self.sides[who].gap_is_open = false,
                ConversationEvent::State { id, state } => {
                    self.check_state(sides, who, id, *state);
                }
                other => panic!("{} was told {other:?}", sides[who].name),
            }
        }
        self.sides[who].checked = events.len();
    }

    /// Checks that everything was told, and is known to be.
    pub(crate) fn check_end(&self) {
        for who in 0..2 {
            let (own, other) = (&self.sides[who], &self.sides[1 - who]);
            assert_eq!(own.told.len(), other.sent.len(), "contents are missing");
            assert!(!own.gap_is_open, "a gap stayed open");
            for (id, _) in &own.sent {
                let last = match other.read.contains(id) {
                    true => ContentState::Read,
                    false => ContentState::Delivered,
                };
                assert_eq!(own.states.get(id), Some(&last), "of {id:?}");
            }
        }
    }

    fn check_content(&mut self, who: usize, id: &ContentId, content: &Bytes) {
        let sent = &self.sides[1 - who].sent;
        let place = sent.iter().position(|(other, _)| other == id);
        let place = place.expect("only what was sent is told");
        assert_eq!(sent[place].1, content, "{id:?} came as it was sent");
        let side = &mut self.sides[who];
        assert!(side.told.insert(place), "{id:?} was told twice");
        assert!(
            place <= side.all_below || side.gap_is_open,
            "{id:?} was told before its turn, and no gap is open"
        );
        while side.told.contains(&side.all_below) {
            side.all_below += 1;
        }
    }

    fn check_state(&mut self, sides: &[Side; 2], who: usize, id: &ContentId, state: ContentState) {
        let before = self.sides[who].states.insert(id.clone(), state);
        let follows = match before {
            Some(ContentState::Delivered) => state == ContentState::Read,
            Some(ContentState::Read) => false,
            _ => state != ContentState::Read,
        };
        assert!(follows, "{id:?} was {before:?}, then {state:?}");
        let is_true = match state {
            ContentState::Accepted => self.sides[who].accepted.contains(id),
            ContentState::Delivered => self.has(sides, 1 - who, id),
            ContentState::Read => self.sides[1 - who].read.contains(id),
            _ => false,
        };
        assert!(is_true, "{id:?} was told {state:?} before it is true");
    }

    /// Whether a side was told a content, or its records hold it back.
    fn has(&self, sides: &[Side; 2], who: usize, id: &ContentId) -> bool {
        let sent = &self.sides[1 - who].sent;
        let place = sent.iter().position(|(other, _)| other == id);
        let is_told = place.is_some_and(|place| self.sides[who].told.contains(&place));
        let shows = |value: &Bytes| {
            let mut windows = value.windows(id.as_bytes().len());
            windows.any(|window| window == id.as_bytes())
        };
        let records = sides[who].records.0.iter();
        let mut held = records.filter(|(key, _)| key.starts_with(&[0, b'r']));
        is_told || held.any(|(_, value)| shows(value))
    }
}
