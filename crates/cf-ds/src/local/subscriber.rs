use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cf_core::DeliveryAddress;
use tokio::sync::Notify;

/// How far one subscription has read its addresses, and what was read ahead for
/// it: a bounded number of payloads, whichever addresses they are of.
pub(super) struct Subscriber {
    pub(super) wake: Arc<Notify>,
    positions: HashMap<DeliveryAddress, Position>,
    turns: Turns,
    payloads: usize,
    bytes: usize,
    /// An address that is about to be added, and the last sequence number seen.
    watched: Option<(DeliveryAddress, u64)>,
    /// How many payloads were taken since it last looked at the file.
    taken: usize,
    /// The number of the last trouble that it was told of.
    pub(super) told: u64,
}

/// Whose turn it is.
#[derive(Default)]
struct Turns {
    /// The addresses that have a payload here, by whose turn is next.
    ready: BTreeMap<u64, DeliveryAddress>,
    /// The addresses that have payloads in the file only, by whose turn is next.
    hungry: BTreeMap<u64, DeliveryAddress>,
    last: u64,
}

/// How far a subscription has read an address.
struct Position {
    /// The last sequence number that was read ahead.
    fetched: u64,
    /// The last sequence number that is known to be in the file.
    known: u64,
    read_ahead: VecDeque<(u64, Bytes)>,
    turn: Option<u64>,
    /// Tells this from an earlier subscription to the same address.
    placed: u64,
}

/// What to read from the file for a subscription.
pub(super) struct Need {
    pub(super) subscriber: u64,
    pub(super) address: DeliveryAddress,
    /// Read what comes after this.
    pub(super) after: u64,
    /// Read so many payloads at most.
    pub(super) payloads: usize,
    /// Stop reading once there are so many bytes.
    pub(super) bytes: usize,
    placed: u64,
    known: u64,
}

impl Subscriber {
    /// How many payloads are read ahead.
    const MAX_PAYLOADS: usize = 256;
    /// How many bytes are read ahead; what is read last may exceed it.
    const MAX_BYTES: usize = 1024 * 1024;
    /// How many payloads of one address are read from the file at once.
    const MAX_FETCH: usize = 64;
    /// After how many payloads it looks at the file, though it has more.
    const TAKEN: usize = 32;

    pub(super) fn new(wake: Arc<Notify>, told: u64) -> Self {
        Self {
            wake,
            positions: HashMap::new(),
            turns: Turns::default(),
            payloads: 0,
            bytes: 0,
            watched: None,
            taken: 0,
            told,
        }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &DeliveryAddress> {
        self.positions.keys()
    }

    /// Subscribes to what comes after `fetched`.
    pub(super) fn place(&mut self, address: &DeliveryAddress, fetched: u64, known: u64) {
        self.remove(address);
        let mut position = Position {
            fetched,
            known,
            read_ahead: VecDeque::new(),
            turn: None,
            placed: self.turns.next(),
        };
        self.turns.queue(address, &mut position);
        self.positions.insert(address.clone(), position);
    }

    /// Notes what is published to an address that it may not have yet.
    pub(super) fn watch(&mut self, address: &DeliveryAddress) {
        self.watched = Some((address.clone(), 0));
    }

    /// Ends watching; the last sequence number that was noted.
    pub(super) fn unwatch(&mut self) -> u64 {
        self.watched.take().map_or(0, |(_, noted)| noted)
    }

    pub(super) fn has(&self, address: &DeliveryAddress) -> bool {
        self.positions.contains_key(address)
    }

    pub(super) fn remove(&mut self, address: &DeliveryAddress) -> bool {
        let Some(position) = self.positions.remove(address) else {
            return false;
        };
        if let Some(turn) = position.turn {
            self.turns.remove(turn);
        }
        self.payloads -= position.read_ahead.len();
        self.bytes -= position.len();
        true
    }

    /// Starts every address anew: the file was made again.
    pub(super) fn reset(&mut self) {
        let addresses: Vec<_> = self.positions.keys().cloned().collect();
        for address in &addresses {
            self.place(address, 0, 0);
        }
    }

    /// The next payload of the address whose turn it is.
    pub(super) fn take(&mut self) -> Option<(DeliveryAddress, u64, Bytes)> {
        let (_, address) = self.turns.ready.pop_first()?;
        let position = self.positions.get_mut(&address)?;
        let (sequence, payload) = position.read_ahead.pop_front()?;
        position.turn = None;
        self.payloads -= 1;
        self.bytes -= payload.len();
        self.turns.queue(&address, position);
        Some((address, sequence, payload))
    }

    /// Takes a payload that is in the file, if there is room for it and it is the
    /// next, and else takes note of it; says whether it was without any before.
    pub(super) fn offer(
        &mut self,
        address: &DeliveryAddress,
        sequence: u64,
        payload: &Bytes,
    ) -> bool {
        if let Some((watched, noted)) = &mut self.watched
            && watched == address
        {
            *noted = sequence.max(*noted);
        }
        let has_room = self.has_room();
        let Some(position) = self.positions.get_mut(address) else {
            return false;
        };
        if sequence <= position.fetched {
            return false;
        }
        let was_idle = self.turns.ready.is_empty();
        position.known = position.known.max(sequence);
        if has_room && sequence == position.fetched + 1 {
            position.fetched = sequence;
            position.read_ahead.push_back((sequence, payload.clone()));
            self.payloads += 1;
            self.bytes += payload.len();
        }
        self.turns.queue(address, position);
        was_idle && !self.turns.ready.is_empty()
    }

    /// What to read next, at most `most` addresses, for the subscriber `name`.
    pub(super) fn needs(&self, name: u64, most: usize) -> Vec<Need> {
        if !self.has_room() {
            return Vec::new();
        }
        let mut payloads = Self::MAX_PAYLOADS - self.payloads;
        let mut needs = Vec::new();
        for address in self.turns.hungry.values().take(most) {
            let Some(position) = self.positions.get(address) else {
                continue;
            };
            let fetch = payloads.min(Self::MAX_FETCH);
            if fetch == 0 {
                break;
            }
            payloads -= fetch;
            needs.push(Need {
                subscriber: name,
                address: address.clone(),
                after: position.fetched,
                payloads: fetch,
                bytes: Self::MAX_BYTES / most,
                placed: position.placed,
                known: position.known,
            });
        }
        needs
    }

    /// Takes what was read for a need; `is_all` if the file has no more.
    pub(super) fn fill(&mut self, need: &Need, rows: Vec<(u64, Bytes)>, is_all: bool) -> bool {
        let Some(position) = self.positions.get_mut(&need.address) else {
            return false;
        };
        if position.placed != need.placed {
            return false;
        }
        let came = !rows.is_empty();
        for (sequence, payload) in rows {
            position.fetched = sequence;
            position.known = position.known.max(sequence);
            self.payloads += 1;
            self.bytes += payload.len();
            position.read_ahead.push_back((sequence, payload));
        }
        if is_all {
            // What was known and did not come is no longer retained.
            position.fetched = position.fetched.max(need.known);
        }
        self.turns.queue(&need.address, position);
        came
    }

    /// Whether it has taken so many payloads since it last looked at the file, one
    /// more now, that another address may have waited for long.
    pub(super) fn is_due_to_look(&mut self) -> bool {
        self.taken = (self.taken + 1) % Self::TAKEN;
        self.taken == 0
    }

    /// Whether it is worth to read more from the file.
    pub(super) fn is_hungry(&self) -> bool {
        let is_low = self.payloads <= Self::MAX_PAYLOADS / 2 && self.bytes <= Self::MAX_BYTES / 2;
        is_low && !self.turns.hungry.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.payloads < Self::MAX_PAYLOADS && self.bytes < Self::MAX_BYTES
    }
}

impl Turns {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Puts an address where it belongs. It keeps its turn, or gets the last one
    /// if it has none and something to read.
    fn queue(&mut self, address: &DeliveryAddress, position: &mut Position) {
        if let Some(turn) = position.turn {
            self.remove(turn);
        }
        let is_ready = !position.read_ahead.is_empty();
        if !is_ready && position.known <= position.fetched {
            position.turn = None;
            return;
        }
        let turn = *position.turn.get_or_insert_with(|| self.next());
        let turns = match is_ready {
            true => &mut self.ready,
            false => &mut self.hungry,
        };
        turns.insert(turn, address.clone());
    }

    fn remove(&mut self, turn: u64) {
        self.ready.remove(&turn);
        self.hungry.remove(&turn);
    }
}

impl Position {
    fn len(&self) -> usize {
        self.read_ahead
            .iter()
            .map(|(_, payload)| payload.len())
            .sum()
    }
}
