use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Delivery, DeliveryAddress, Start};
use tokio::time::Instant;

use super::counts::Counts;
use super::cursor::{Bookmark, Mark, Place, mark};
use super::options::SegmentedOptions;
use super::piece::{NoPiece, Piece};
use crate::Error;
use crate::digest::Digest;

/// The most complete payloads that an address remembers.
const MAX_COMPLETE: usize = 64;

/// Puts payloads together out of the pieces that a subscription brings.
pub(super) struct Reassembly {
    options: SegmentedOptions,
    counts: Arc<Counts>,
    flows: HashMap<DeliveryAddress, Flow>,
    /// The incomplete payloads by the number of their first piece: the first is
    /// the oldest.
    incomplete: BTreeMap<u64, DeliveryAddress>,
    /// What the held pieces count.
    bytes: usize,
    /// How many pieces there were; their numbers.
    number: u64,
}

/// What comes at one address.
pub(super) struct Flow {
    /// Behind the last piece; `None` if the inner service gave no cursor.
    place: Option<Place>,
    /// How many pieces came.
    taken: u64,
    incomplete: BTreeMap<u64, Incomplete>,
    by_root: HashMap<Digest, u64>,
    complete: VecDeque<Complete>,
    /// Payloads that were complete when the cursor was given out.
    marks: Vec<Mark>,
}

struct Incomplete {
    root: Digest,
    /// Before its first piece.
    before: Option<Place>,
    since: Instant,
    /// How many pieces had come at the address before its first.
    taken: u64,
    pieces: BTreeMap<u16, Bytes>,
    len: usize,
    /// Whether a payload of this root was complete before: then these may be
    /// pieces that came twice, and no cursor waits for more of them.
    again: bool,
}

struct Complete {
    root: Digest,
    first: u64,
    last: u64,
}

impl Reassembly {
    pub(super) fn new(options: SegmentedOptions, counts: Arc<Counts>) -> Self {
        Self {
            options,
            counts,
            flows: HashMap::new(),
            incomplete: BTreeMap::new(),
            bytes: 0,
            number: 0,
        }
    }

    /// Begins an address anew, and gives back what was there.
    pub(super) fn add(&mut self, address: DeliveryAddress, flow: Flow) -> Option<Flow> {
        let before = self.remove(&address);
        self.flows.insert(address, flow);
        before
    }

    /// Puts back what `add` gave.
    pub(super) fn restore(&mut self, address: DeliveryAddress, before: Option<Flow>) {
        self.remove(&address);
        let Some(flow) = before else { return };
        for (number, incomplete) in &flow.incomplete {
            self.incomplete.insert(*number, address.clone());
            self.bytes += incomplete.counted();
        }
        self.flows.insert(address, flow);
    }

    pub(super) fn remove(&mut self, address: &DeliveryAddress) -> Option<Flow> {
        let flow = self.flows.remove(address)?;
        for (number, incomplete) in &flow.incomplete {
            self.incomplete.remove(number);
            self.bytes -= incomplete.counted();
        }
        Some(flow)
    }

    /// Takes what the inner service delivered; gives the payload that it completes.
    pub(super) fn take(&mut self, delivery: Delivery, now: Instant) -> Option<Delivery> {
        let Delivery {
            address,
            payload,
            cursor,
        } = delivery;
        let flow = self.flows.get_mut(&address)?;
        self.number += 1;
        flow.taken += 1;
        let before = std::mem::replace(&mut flow.place, cursor.map(Place::After));
        self.expire(&address, now);
        let payload = match Piece::decode(&payload) {
            Ok(Piece::Whole(payload)) => payload,
            Ok(Piece::Part {
                root,
                index,
                count,
                data,
            }) => {
                let number = self.incomplete_of(&address, root, before, now)?;
                self.hold(&address, number, index, data)?;
                self.complete(&address, number, count)?
            }
            Err(NoPiece::Malformed) => {
                self.counts.malformed.one();
                return None;
            }
            Err(NoPiece::Wrong) => {
                self.counts.wrong.one();
                return None;
            }
        };
        if payload.len() > self.options.max_payload_len {
            self.counts.too_long.one();
            return None;
        }
        let cursor = self.flows.get(&address)?.bookmark();
        Some(Delivery {
            cursor: cursor.and_then(|bookmark| bookmark.encode()),
            address,
            payload,
        })
    }

    /// The number of the incomplete payload of a root, a new one if need be.
    fn incomplete_of(
        &mut self,
        address: &DeliveryAddress,
        root: Digest,
        before: Option<Place>,
        now: Instant,
    ) -> Option<u64> {
        let flow = self.flows.get_mut(address)?;
        if let Some(number) = flow.by_root.get(&root) {
            return Some(*number);
        }
        let number = self.number;
        let incomplete = Incomplete {
            before,
            since: now,
            taken: flow.taken,
            pieces: BTreeMap::new(),
            len: 0,
            again: flow.was_complete(&root),
            root,
        };
        flow.by_root.insert(root, number);
        flow.incomplete.insert(number, incomplete);
        self.incomplete.insert(number, address.clone());
        Some(number)
    }

    /// Holds a piece, within the bounds.
    fn hold(
        &mut self,
        address: &DeliveryAddress,
        number: u64,
        index: u16,
        data: Bytes,
    ) -> Option<()> {
        let flow = self.flows.get_mut(address)?;
        let incomplete = flow.incomplete.get_mut(&number)?;
        if incomplete.pieces.contains_key(&index) {
            self.counts.repeated.one();
            return None;
        }
        incomplete.len += data.len();
        self.bytes += data.len() + SegmentedOptions::PIECE_OVERHEAD;
        incomplete.pieces.insert(index, data);
        if incomplete.len > self.options.max_payload_len {
            self.counts.too_long.one();
            self.drop_incomplete(address, number);
            return None;
        }
        let most = self.options.max_incomplete.max(1);
        while let Some(flow) = self.flows.get(address)
            && flow.incomplete.len() > most
            && let Some((oldest, _)) = flow.incomplete.first_key_value()
        {
            let oldest = *oldest;
            self.give_up(address, oldest);
        }
        while self.bytes > self.options.max_bytes && self.incomplete.len() > 1 {
            self.give_up_the_oldest();
        }
        Some(())
    }

    /// The payload, if none of its pieces is missing.
    fn complete(&mut self, address: &DeliveryAddress, number: u64, count: u16) -> Option<Bytes> {
        let incomplete = self.flows.get(address)?.incomplete.get(&number)?;
        if incomplete.pieces.len() < count.into() {
            return None;
        }
        let complete = self.drop_incomplete(address, number)?;
        let last = self.number;
        self.flows.get_mut(address)?.remember(Complete {
            root: complete.root,
            first: number,
            last,
        });
        let mut payload = Vec::with_capacity(complete.len);
        let pieces = complete.pieces.into_values();
        pieces.for_each(|piece| payload.extend_from_slice(&piece));
        Some(payload.into())
    }

    /// Gives up what has waited for too long.
    fn expire(&mut self, address: &DeliveryAddress, now: Instant) {
        while let Some((number, oldest)) = self.incomplete.first_key_value()
            && let Some(since) = self.since(oldest, *number)
            && now.duration_since(since) > self.options.max_age
        {
            self.give_up_the_oldest();
        }
        while let Some(flow) = self.flows.get(address)
            && let Some((number, oldest)) = flow.incomplete.first_key_value()
            && flow.taken - oldest.taken > self.options.max_span
        {
            let number = *number;
            self.give_up(address, number);
        }
    }

    fn since(&self, address: &DeliveryAddress, number: u64) -> Option<Instant> {
        let flow = self.flows.get(address)?;
        Some(flow.incomplete.get(&number)?.since)
    }

    fn give_up_the_oldest(&mut self) {
        if let Some((number, address)) = self.incomplete.first_key_value() {
            let (number, address) = (*number, address.clone());
            self.give_up(&address, number);
        }
    }

    fn give_up(&mut self, address: &DeliveryAddress, number: u64) {
        self.drop_incomplete(address, number);
        self.counts.given_up.one();
    }

    fn drop_incomplete(&mut self, address: &DeliveryAddress, number: u64) -> Option<Incomplete> {
        self.incomplete.remove(&number);
        let flow = self.flows.get_mut(address)?;
        let dropped = flow.incomplete.remove(&number)?;
        flow.by_root.remove(&dropped.root);
        self.bytes -= dropped.counted();
        Some(dropped)
    }
}

impl Flow {
    /// What comes after a start, and the start for the inner service.
    pub(super) fn begin(start: &Start) -> Result<(Self, Start), Error> {
        let bookmark = match start {
            Start::After(cursor) => Bookmark::decode(cursor)?,
            // No cursor says "what was the latest then"; from the earliest on
            // nothing is lost either.
            Start::Earliest | Start::Latest => Bookmark {
                place: Place::Earliest,
                marks: Vec::new(),
            },
        };
        let inner = match start {
            Start::Latest => Start::Latest,
            _ => bookmark.place.start(),
        };
        let flow = Self {
            place: Some(bookmark.place),
            taken: 0,
            incomplete: BTreeMap::new(),
            by_root: HashMap::new(),
            complete: VecDeque::new(),
            marks: bookmark.marks,
        };
        Ok((flow, inner))
    }

    /// Where to go on so that nothing is lost that is not complete yet.
    fn bookmark(&self) -> Option<Bookmark> {
        let waits = self.incomplete.iter().find(|(_, one)| !one.again);
        let Some((first, oldest)) = waits else {
            return Some(Bookmark {
                place: self.place.clone()?,
                marks: Vec::new(),
            });
        };
        let astride = |complete: &&Complete| complete.first < *first && *first < complete.last;
        let complete = self.complete.iter().rev().filter(astride);
        let marks = complete.map(|complete| mark(&complete.root));
        Some(Bookmark {
            place: oldest.before.clone()?,
            marks: marks.chain(self.marks.iter().copied()).collect(),
        })
    }

    fn was_complete(&self, root: &Digest) -> bool {
        self.marks.contains(&mark(root)) || self.complete.iter().any(|one| one.root == *root)
    }

    fn remember(&mut self, complete: Complete) {
        self.complete.push_back(complete);
        if self.complete.len() > MAX_COMPLETE {
            self.complete.pop_front();
        }
    }
}

impl Incomplete {
    fn counted(&self) -> usize {
        self.len + self.pieces.len() * SegmentedOptions::PIECE_OVERHEAD
    }
}
