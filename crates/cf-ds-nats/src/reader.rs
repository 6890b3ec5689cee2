use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::{Delivery, DeliveryAddress};

use crate::Error;
use crate::backlog::Batch;
use crate::cursor::Incarnation;
use crate::place::Spot;
use crate::stream::{Stream, Streams};

/// How far one subscription has read its addresses, and what was read ahead for
/// it: a bounded number of payloads, whichever addresses they are of.
pub(crate) struct Reader {
    max_addresses: usize,
    positions: HashMap<DeliveryAddress, Position>,
    /// What the task has to do at the server.
    changes: VecDeque<Change>,
    /// The addresses that have a payload here, by whose turn is next.
    ready: BTreeMap<u64, DeliveryAddress>,
    /// The addresses that may have payloads in a stream only, the next first.
    hungry: VecDeque<DeliveryAddress>,
    serial: u64,
    payloads: usize,
    bytes: usize,
    /// Whether a loss of the connection is to be told.
    is_lost: bool,
}

/// Where an address is, and from where it is read.
pub(crate) struct Place {
    pub(crate) spot: Spot,
    /// The payload after which to start. `None`: with the earliest.
    pub(crate) from: Option<(Incarnation, u64)>,
}

/// What changed in the set of addresses.
pub(crate) enum Change {
    Listen(DeliveryAddress, String),
    Unlisten(DeliveryAddress),
}

struct Position {
    spot: Arc<Spot>,
    /// The stream in which the numbers count.
    incarnation: Option<Incarnation>,
    /// The last number that was read ahead.
    fetched: u64,
    /// The last number that is known to be in the stream.
    known: u64,
    /// Set while there may be more in the stream than is known.
    doubt: Option<u64>,
    /// Up to which number of the stream nothing was missed.
    checked: u64,
    read_ahead: VecDeque<(u64, Incarnation, Bytes)>,
    turn: Option<u64>,
    /// Tells this from an earlier subscription to the same address.
    placed: u64,
    is_listening: bool,
    is_fetching: bool,
    is_queued: bool,
    /// How many messages in a row were read one by one.
    singly: u8,
}

/// What to read from a stream.
pub(crate) struct Need {
    pub(crate) address: DeliveryAddress,
    pub(crate) spot: Arc<Spot>,
    pub(crate) stream: Arc<Stream>,
    /// Read what is after this: the first, or as many as are read at once.
    pub(crate) after: u64,
    pub(crate) is_batch: bool,
    /// The highest number that was heard of.
    pub(crate) known: u64,
    placed: u64,
    doubt: Option<u64>,
    seen: u64,
}

/// What a stream has published again.
pub(crate) struct Kept {
    pub(crate) incarnation: Incarnation,
    pub(crate) sequence: u64,
    /// The number of the address's message before.
    pub(crate) last: u64,
    pub(crate) payload: Bytes,
}

impl Reader {
    /// How many payloads are read ahead.
    const MAX_PAYLOADS: usize = 1024;
    /// How many bytes are read ahead; what is read last may exceed it.
    const MAX_BYTES: usize = 4 * 1024 * 1024;
    /// After how many messages that were read one by one an address is read in
    /// batches.
    const FAR_BEHIND: u8 = 4;

    pub(crate) fn new(max_addresses: usize) -> Self {
        Self {
            max_addresses,
            positions: HashMap::new(),
            changes: VecDeque::new(),
            ready: BTreeMap::new(),
            hungry: VecDeque::new(),
            serial: 0,
            payloads: 0,
            bytes: 0,
            is_lost: false,
        }
    }

    pub(crate) fn add(&mut self, address: DeliveryAddress, place: Place) -> Result<(), Error> {
        let max = self.max_addresses;
        if self.positions.len() >= max && !self.positions.contains_key(&address) {
            return Err(Error::TooManyAddresses { max });
        }
        let is_listening = match self.forget(&address) {
            Some(before) => before.is_listening,
            None => {
                let kept = place.spot.kept.clone();
                self.changes
                    .push_back(Change::Listen(address.clone(), kept));
                false
            }
        };
        self.serial += 1;
        let from = place.from;
        let position = Position {
            spot: Arc::new(place.spot),
            incarnation: from.map(|(incarnation, _)| incarnation),
            fetched: from.map_or(0, |(_, sequence)| sequence),
            known: 0,
            doubt: Some(self.serial),
            checked: 0,
            read_ahead: VecDeque::new(),
            turn: None,
            placed: self.serial,
            is_listening,
            is_fetching: false,
            is_queued: false,
            singly: 0,
        };
        self.positions.insert(address.clone(), position);
        self.queue(&address);
        Ok(())
    }

    pub(crate) fn remove(&mut self, address: &DeliveryAddress) {
        if self.forget(address).is_some() {
            self.changes.push_back(Change::Unlisten(address.clone()));
        }
    }

    fn forget(&mut self, address: &DeliveryAddress) -> Option<Position> {
        let position = self.positions.remove(address)?;
        if let Some(turn) = position.turn {
            self.ready.remove(&turn);
        }
        self.payloads -= position.read_ahead.len();
        let lens = position
            .read_ahead
            .iter()
            .map(|(_, _, payload)| payload.len());
        self.bytes -= lens.sum::<usize>();
        Some(position)
    }

    /// What to change at the server, at most `most` at once.
    pub(crate) fn changes(&mut self, most: usize) -> Vec<Change> {
        let count = self.changes.len().min(most);
        self.changes.drain(..count).collect()
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Says that the server was told of an address; what it keeps is read from now on.
    pub(crate) fn listens(&mut self, address: &DeliveryAddress) {
        if let Some(position) = self.positions.get_mut(address) {
            position.is_listening = true;
        }
        self.queue(address);
    }

    /// The next payload of the address whose turn it is, or why there is none; and
    /// whether there is room to read more.
    pub(crate) fn take(&mut self) -> (Option<Result<Delivery, Error>>, bool) {
        let Some((_, address)) = self.ready.pop_first() else {
            let is_lost = std::mem::take(&mut self.is_lost);
            return (is_lost.then_some(Err(Error::Away)), false);
        };
        let Some(position) = self.positions.get_mut(&address) else {
            return (None, false);
        };
        position.turn = None;
        let Some((sequence, incarnation, payload)) = position.read_ahead.pop_front() else {
            return (None, false);
        };
        if !position.read_ahead.is_empty() {
            self.serial += 1;
            position.turn = Some(self.serial);
            self.ready.insert(self.serial, address.clone());
        }
        self.payloads -= 1;
        self.bytes -= payload.len();
        let delivery = Delivery {
            address,
            payload,
            cursor: Some(incarnation.cursor(sequence)),
        };
        let is_low = self.payloads <= Self::MAX_PAYLOADS / 2 && self.bytes <= Self::MAX_BYTES / 2;
        (Some(Ok(delivery)), is_low && !self.hungry.is_empty())
    }

    /// Takes what a stream has published again, if it is the next, and else takes
    /// note of it; says whether its stream is another than was known.
    pub(crate) fn offer(&mut self, address: &DeliveryAddress, kept: Kept) -> bool {
        let has_room = self.has_room();
        let Some(position) = self.positions.get_mut(address) else {
            return false;
        };
        let is_other = position
            .incarnation
            .is_some_and(|known| known != kept.incarnation);
        if position.incarnation != Some(kept.incarnation) {
            self.serial += 1;
            position.doubt = Some(self.serial);
            self.queue(address);
            return is_other;
        }
        if kept.sequence <= position.fetched {
            return false;
        }
        let is_next = !position.is_behind() && kept.last <= position.fetched;
        position.known = position.known.max(kept.sequence);
        if is_next && has_room && !position.is_fetching {
            self.push(address, kept.sequence, kept.payload);
        } else {
            self.queue(address);
        }
        false
    }

    /// What to read next, at most `most` addresses, of which so many in batches;
    /// whether a stream is missing.
    pub(crate) fn needs(
        &mut self,
        most: usize,
        mut batches: usize,
        streams: &Streams,
    ) -> (Vec<Need>, bool) {
        let (mut needs, mut is_missing) = (Vec::new(), false);
        while needs.len() < most && self.has_room() {
            let Some(address) = self.hungry.pop_front() else {
                break;
            };
            let Some(position) = self.positions.get_mut(&address) else {
                continue;
            };
            position.is_queued = false;
            if position.is_fetching || !position.is_listening || !position.is_behind() {
                continue;
            }
            let Some(stream) = streams.of(position.spot.prefix) else {
                is_missing = true;
                self.queue(&address);
                break;
            };
            if position.incarnation != Some(stream.incarnation) {
                // All that is in a stream which was made again is new.
                position.fetched = 0;
                position.known = 0;
                position.checked = 0;
                position.incarnation = Some(stream.incarnation);
            }
            position.is_fetching = true;
            let is_batch = position.singly >= Self::FAR_BEHIND && batches > 0;
            batches -= usize::from(is_batch);
            needs.push(Need {
                address,
                spot: position.spot.clone(),
                stream: stream.clone(),
                after: position.fetched,
                is_batch,
                placed: position.placed,
                known: position.known,
                doubt: position.doubt,
                seen: stream.seen(),
            });
        }
        (needs, is_missing)
    }

    /// Takes a batch that was read for a need, if it was read.
    pub(crate) fn fill_batch(&mut self, need: &Need, found: Batch) {
        let Some(position) = self.positions.get_mut(&need.address) else {
            return;
        };
        if position.placed != need.placed {
            return;
        }
        position.is_fetching = false;
        if !found.has_more {
            // What is last is looked for one by one, which is sure of it.
            position.singly = 0;
        }
        if position.incarnation == Some(need.stream.incarnation) {
            for (sequence, payload) in found.messages {
                self.push(&need.address, sequence, payload);
            }
        }
        self.queue(&need.address);
    }

    /// Takes what was read for a need: the first message after, if there is one.
    pub(crate) fn fill(&mut self, need: &Need, found: Result<Option<(u64, Bytes)>, Error>) {
        let Some(position) = self.positions.get_mut(&need.address) else {
            return;
        };
        if position.placed != need.placed {
            return;
        }
        position.is_fetching = false;
        if position.incarnation == Some(need.stream.incarnation) {
            match found {
                Ok(Some((sequence, payload))) if sequence > position.fetched => {
                    position.singly = position.singly.saturating_add(1);
                    self.push(&need.address, sequence, payload);
                }
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => {
                    position.singly = 0;
                    // What was known and did not come is no longer retained.
                    position.fetched = position.fetched.max(need.known);
                    position.checked = position.checked.max(need.seen);
                    if position.doubt == need.doubt {
                        position.doubt = None;
                    }
                }
            }
        }
        self.queue(&need.address);
    }

    /// Doubts that anything is known of what is in the streams.
    pub(crate) fn doubt_all(&mut self) {
        let addresses: Vec<_> = self.positions.keys().cloned().collect();
        for address in addresses {
            self.doubt(&address);
        }
    }

    /// Doubts what is known of addresses in a stream that has got further, at most
    /// `most`; those that were not asked about stay for the next time.
    pub(crate) fn audit(&mut self, stream: &Stream, last: u64, most: usize) {
        let is_old = |position: &Position| {
            position.incarnation == Some(stream.incarnation)
                && !position.is_behind()
                && position.checked.max(position.fetched) < last
        };
        let old = self
            .positions
            .iter()
            .filter(|(_, position)| is_old(position));
        let old: Vec<_> = old.take(most).map(|(address, _)| address.clone()).collect();
        for address in old {
            self.doubt(&address);
        }
    }

    /// Takes note that the connection is lost, to tell it once.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(crate) fn recover(&mut self) {
        self.is_lost = false;
    }

    fn doubt(&mut self, address: &DeliveryAddress) {
        self.serial += 1;
        if let Some(position) = self.positions.get_mut(address) {
            position.doubt = Some(self.serial);
        }
        self.queue(address);
    }

    fn push(&mut self, address: &DeliveryAddress, sequence: u64, payload: Bytes) {
        let Some(position) = self.positions.get_mut(address) else {
            return;
        };
        let Some(incarnation) = position.incarnation else {
            return;
        };
        if sequence <= position.fetched {
            return;
        }
        position.fetched = sequence;
        position.known = position.known.max(sequence);
        self.payloads += 1;
        self.bytes += payload.len();
        position
            .read_ahead
            .push_back((sequence, incarnation, payload));
        if position.turn.is_none() {
            self.serial += 1;
            position.turn = Some(self.serial);
            self.ready.insert(self.serial, address.clone());
        }
    }

    /// Gives an address that is behind a place among the hungry.
    fn queue(&mut self, address: &DeliveryAddress) {
        if let Some(position) = self.positions.get_mut(address)
            && position.is_behind()
            && !position.is_queued
            && position.is_listening
            && !position.is_fetching
        {
            position.is_queued = true;
            self.hungry.push_back(address.clone());
        }
    }

    fn has_room(&self) -> bool {
        self.payloads < Self::MAX_PAYLOADS && self.bytes < Self::MAX_BYTES
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_lost || !self.ready.is_empty()
    }
}

impl Position {
    /// Whether the stream may have more than was read ahead.
    fn is_behind(&self) -> bool {
        self.doubt.is_some() || self.known > self.fetched
    }
}
