use std::collections::VecDeque;

use cf_core::{RoutingTag, Tag};
use foldhash::HashMap;

use super::header::HeaderKey;

/// How many numbers above the highest received are expected.
pub(crate) const AHEAD: u32 = 16;

/// How far beyond that a search goes, and how far a sender may be ahead of what
/// it knows to be received.
pub(crate) const MAX_AHEAD: u32 = 16_384;

/// How many consumed tags stay expected after a step of the peer's.
pub(crate) const SEEN: usize = 16;

/// How many consumed tags stay expected before: the peer has shown no sign yet
/// of having got an acknowledgement.
pub(crate) const SEEN_UNCONFIRMED: usize = 256;

/// A chain of the peer's whose frames have numbers still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberedChain {
    Current,
    Next,
}

/// What a tag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A number that is still to come.
    Ahead(NumberedChain, u32),
    /// A number that was passed over; its place among the skipped keys.
    Skipped(u64),
    /// A frame that came.
    Seen,
}

/// The tags that a session knows, and which of them the router was told.
///
/// Tags that a search derived stay, so that none is derived twice: at most
/// [`MAX_AHEAD`] for each chain.
#[derive(Default)]
pub(crate) struct Window {
    slots: HashMap<RoutingTag, Slot>,
    current: Span,
    next: Span,
    seen: VecDeque<RoutingTag>,
}

/// The derived tags of consecutive numbers.
#[derive(Default)]
struct Span {
    first: u32,
    tags: VecDeque<RoutingTag>,
    /// How many of them, from the first, the router was told.
    expected: usize,
}

/// What the router is to be told.
#[derive(Default)]
pub(crate) struct Routes(pub(crate) Vec<(bool, Tag)>);

impl Routes {
    fn expect(&mut self, tag: RoutingTag) {
        self.0.push((true, Tag::SingleUse(tag)));
    }

    pub(crate) fn forget(&mut self, tag: RoutingTag) {
        self.0.push((false, Tag::SingleUse(tag)));
    }
}

impl Window {
    pub(crate) fn slot(&self, tag: &RoutingTag) -> Option<Slot> {
        self.slots.get(tag).copied()
    }

    /// Starts the current chain at a number.
    pub(crate) fn start_current(&mut self, next: u32) {
        self.current.first = next;
    }

    /// Expects the next [`AHEAD`] numbers of a chain.
    pub(crate) fn fill(&mut self, chain: NumberedChain, key: &HeaderKey, routes: &mut Routes) {
        while self.span(chain).tags.len() < AHEAD as usize {
            self.derive(chain, key);
        }
        self.expect_up_to(chain, AHEAD as usize, routes);
    }

    /// Derives up to `budget` further tags of a chain, until `wanted` is among
    /// them; gives how many it derived.
    pub(crate) fn search(
        &mut self,
        chain: NumberedChain,
        key: &HeaderKey,
        wanted: &RoutingTag,
        budget: u32,
    ) -> u32 {
        let most = (AHEAD + MAX_AHEAD) as usize;
        for derived in 0..budget {
            if self.span(chain).tags.len() >= most {
                return derived;
            }
            if self.derive(chain, key) == *wanted {
                return derived + 1;
            }
        }
        budget
    }

    /// Tells the router every tag that is derived.
    pub(crate) fn expect_derived(&mut self, routes: &mut Routes) {
        for chain in [NumberedChain::Current, NumberedChain::Next] {
            let len = self.span(chain).tags.len();
            self.expect_up_to(chain, len, routes);
        }
    }

    /// Takes the tags of a chain's numbers up to and with `number` out of the
    /// span; the last is that of the frame that came.
    pub(crate) fn advance(&mut self, number: u32, routes: &mut Routes) -> Vec<RoutingTag> {
        let count = (number + 1).saturating_sub(self.current.first) as usize;
        let count = count.min(self.current.tags.len());
        self.expect_up_to(NumberedChain::Current, count, routes);
        let span = &mut self.current;
        span.first = number + 1;
        span.expected = span.expected.saturating_sub(count);
        span.tags.drain(..count).collect()
    }

    /// Ends the current chain at `len` frames, whose remaining tags it gives,
    /// and makes the next one current. The first `dropped` of the tags are not
    /// expected any more: their keys are not kept.
    pub(crate) fn turn(
        &mut self,
        len: u32,
        dropped: u32,
        key: Option<&HeaderKey>,
        routes: &mut Routes,
    ) -> Vec<RoutingTag> {
        let mut old = std::mem::take(&mut self.current);
        let count = len.saturating_sub(old.first) as usize;
        let kept: Vec<_> = match key {
            Some(key) => (old.tags.iter().copied().take(count))
                .chain((old.first..len).skip(old.tags.len()).map(|n| key.tag(n)))
                .collect(),
            None => Vec::new(),
        };
        let is_kept = |at: usize| (dropped as usize..count).contains(&at);
        for (at, tag) in old.tags.drain(..).enumerate() {
            if !is_kept(at) {
                self.slots.remove(&tag);
                if at < old.expected {
                    routes.forget(tag);
                }
            }
        }
        let new = old.expected.max(dropped as usize);
        for tag in &kept[new.min(kept.len())..] {
            routes.expect(*tag);
        }
        self.current = std::mem::take(&mut self.next);
        for (at, tag) in self.current.tags.iter().enumerate() {
            let number = self.current.first + at as u32;
            let slot = Slot::Ahead(NumberedChain::Current, number);
            self.slots.insert(*tag, slot);
        }
        self.trim_seen(SEEN, routes);
        kept
    }

    /// No longer knows any tag.
    pub(crate) fn clear(&mut self, routes: &mut Routes) {
        for chain in [NumberedChain::Current, NumberedChain::Next] {
            let span = std::mem::take(self.span_mut(chain));
            for tag in span.tags.iter().skip(span.expected) {
                self.slots.remove(tag);
            }
        }
        self.seen.clear();
        let mut tags: Vec<_> = self.slots.drain().map(|(tag, _)| tag).collect();
        // In an order that does not depend on the table's.
        tags.sort_by_key(|tag| tag.0);
        tags.into_iter().for_each(|tag| routes.forget(tag));
    }

    /// Takes note that a number was passed over.
    pub(crate) fn skip(&mut self, tag: RoutingTag, place: u64) {
        self.slots.insert(tag, Slot::Skipped(place));
    }

    /// No longer knows a tag.
    pub(crate) fn remove(&mut self, tag: RoutingTag, routes: &mut Routes) {
        if self.slots.remove(&tag).is_some() {
            routes.forget(tag);
        }
    }

    /// Takes note that a frame came; its tag stays expected for a while.
    pub(crate) fn see(&mut self, tag: RoutingTag, routes: &mut Routes) {
        self.slots.insert(tag, Slot::Seen);
        self.seen.push_back(tag);
        self.trim_seen(SEEN_UNCONFIRMED, routes);
    }

    /// The last tags of frames that came, oldest first.
    pub(crate) fn last_seen(&self) -> impl Iterator<Item = &RoutingTag> {
        let from = self.seen.len().saturating_sub(SEEN);
        self.seen.iter().skip(from)
    }

    /// Expects a tag of a number that was passed over or of a frame that came,
    /// unless it is known already.
    pub(crate) fn restore(&mut self, tag: RoutingTag, slot: Slot, routes: &mut Routes) {
        if self.slots.contains_key(&tag) {
            return;
        }
        self.slots.insert(tag, slot);
        routes.expect(tag);
        if slot == Slot::Seen {
            self.seen.push_back(tag);
        }
    }

    fn derive(&mut self, chain: NumberedChain, key: &HeaderKey) -> RoutingTag {
        let span = self.span_mut(chain);
        let number = span.first + span.tags.len() as u32;
        let tag = key.tag(number);
        span.tags.push_back(tag);
        self.slots.insert(tag, Slot::Ahead(chain, number));
        tag
    }

    fn expect_up_to(&mut self, chain: NumberedChain, len: usize, routes: &mut Routes) {
        let span = self.span_mut(chain);
        while span.expected < len {
            routes.expect(span.tags[span.expected]);
            span.expected += 1;
        }
    }

    fn trim_seen(&mut self, len: usize, routes: &mut Routes) {
        while self.seen.len() > len {
            if let Some(tag) = self.seen.pop_front() {
                self.remove(tag, routes);
            }
        }
    }

    fn span(&self, chain: NumberedChain) -> &Span {
        match chain {
            NumberedChain::Current => &self.current,
            NumberedChain::Next => &self.next,
        }
    }

    fn span_mut(&mut self, chain: NumberedChain) -> &mut Span {
        match chain {
            NumberedChain::Current => &mut self.current,
            NumberedChain::Next => &mut self.next,
        }
    }
}
