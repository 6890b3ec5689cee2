//! A delivery service within this process, and twenty ways to get it wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use parking_lot::Mutex;
use tokio::sync::Notify;

const MAX: usize = 100_000;

/// What is wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LosesTheLastByte,
    DeliversToTheWrongAddress,
    IgnoresRemove,
    EndsWithItsFirstSubscriber,
    ForgetsWhatIsRetained,
    DropsAPayloadAtResume,
    AcknowledgesByItself,
    BeginsLatestAtTheEarliest,
    MovesNothing,
    TakesForeignCursors,
    HasTwoOrders,
    HasTwoWinners,
    TellsLosersNothing,
    IgnoresConditions,
    RepeatsPublishes,
    TakesOneByteTooMany,
    WaitsForTheSlowest,
    TakesBeforeItAnswers,
    AcceptsBeforeStoring,
    AcceptsWhatIsOnlyQueued,
    ChangesItsMind,
    ForgetsAddressesAtReconnection,
}

/// A client's way to the service; a clone shares its subscribers, and
/// [`Toy::beside`] is another client's.
#[derive(Clone)]
pub(crate) struct Toy {
    id: ProtocolId,
    locator: Locator,
    can: Capabilities,
    fault: Option<Fault>,
    shared: Arc<Shared>,
    outbox: Arc<Mutex<Vec<PublishRequest>>>,
}

#[derive(Default)]
struct Shared {
    logs: Mutex<HashMap<DeliveryAddress, Vec<Bytes>>>,
    /// Held between the check of a condition and what follows from it.
    writing: tokio::sync::Mutex<()>,
    published: Mutex<HashSet<PayloadId>>,
    stopped: Mutex<HashMap<DeliveryAddress, usize>>,
    changed: Notify,
    /// How much each reader has read, by its number.
    read: Mutex<BTreeMap<usize, usize>>,
    stored: AtomicUsize,
    connections: AtomicUsize,
    ended: AtomicBool,
    asked: AtomicUsize,
}

impl Shared {
    /// Whether the slowest reader lacks more than 500 payloads.
    fn is_behind(&self) -> bool {
        let stored = self.stored.load(Ordering::SeqCst);
        let slowest = self.read.lock().values().min().copied();
        slowest.is_some_and(|read| read + 500 < stored)
    }
}

impl Toy {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self::with(
            Capabilities {
                retention: Some(Duration::from_secs(60)),
                resume: Resume::AnyCursor,
                order: true,
                conditional_publish: true,
                duplicate_suppression: Some(Duration::from_secs(60)),
                ..Capabilities::none(MAX)
            },
            fault,
        )
    }

    pub(crate) fn with(can: Capabilities, fault: Option<Fault>) -> Self {
        Self {
            id: ProtocolId::from_static("/toy/ds/1"),
            locator: Locator::parse("toy:").unwrap(),
            can,
            fault,
            shared: Arc::default(),
            outbox: Arc::default(),
        }
    }

    /// Another client of the same service.
    pub(crate) fn beside(&self) -> Self {
        Self {
            outbox: Arc::default(),
            ..self.clone()
        }
    }

    /// Breaks all connections; they come back at once.
    pub(crate) fn reconnect(&self) {
        self.shared.connections.fetch_add(1, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn store(&self, request: PublishRequest) -> Outcome {
        let suppressed =
            self.can.duplicate_suppression.is_some() && !self.is(Fault::RepeatsPublishes);
        if let Some(id) = request.id
            && !self.shared.published.lock().insert(id)
            && suppressed
        {
            return Outcome::Accepted { cursor: None };
        }
        let mut logs = self.shared.logs.lock();
        let log = logs.entry(request.address).or_default();
        log.push(request.payload);
        self.shared.stored.fetch_add(1, Ordering::SeqCst);
        let cursor = Some(cursor(log.len()));
        drop(logs);
        self.shared.changed.notify_waiters();
        Outcome::Accepted { cursor }
    }

    fn holds(&self, address: &DeliveryAddress, condition: &Condition) -> Result<(), Outcome> {
        let len = self.shared.logs.lock().get(address).map_or(0, Vec::len);
        let current = (len > 0).then(|| cursor(len));
        let holds = match condition {
            Condition::Empty => current.is_none(),
            Condition::LastIs(last) => current.as_ref() == Some(last),
        };
        let current = current.filter(|_| !self.is(Fault::TellsLosersNothing));
        if holds {
            Ok(())
        } else {
            Err(Outcome::Conflict { current })
        }
    }
}

impl DeliveryService for Toy {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn locator(&self) -> &Locator {
        &self.locator
    }

    fn capabilities(&self) -> Capabilities {
        let asked = self.shared.asked.fetch_add(1, Ordering::SeqCst);
        let order = self.can.order && !(self.is(Fault::ChangesItsMind) && asked > 0);
        Capabilities {
            order,
            ..self.can.clone()
        }
    }

    fn publish(&self, mut request: PublishRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let max = self.can.max_payload_len + usize::from(self.is(Fault::TakesOneByteTooMany));
            if request.payload.len() > max {
                return Outcome::Refused(Error::rejected("too long"));
            }
            if self.is(Fault::EndsWithItsFirstSubscriber)
                && self.shared.ended.load(Ordering::SeqCst)
            {
                return Outcome::Unavailable(Error::unavailable("it has ended"));
            }
            while self.is(Fault::WaitsForTheSlowest) && self.shared.is_behind() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if self.is(Fault::LosesTheLastByte) {
                request.payload.truncate(request.payload.len() - 1);
            }
            let one_by_one = self.shared.writing.lock().await;
            if let Some(condition) = request.condition.take() {
                if self.can.conditional_publish {
                    if let Err(conflict) = self.holds(&request.address, &condition) {
                        return conflict;
                    }
                    if self.is(Fault::HasTwoWinners) {
                        drop(one_by_one);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    return self.store(request);
                } else if !self.is(Fault::IgnoresConditions) {
                    return Outcome::Refused(Error::unsupported("no conditions"));
                }
            }
            if self.is(Fault::DeliversToTheWrongAddress) {
                let mut address = request.address.as_bytes().to_vec();
                address.truncate(24);
                request.address = DeliveryAddress::new(address).unwrap();
            }
            let late = [Fault::AcceptsBeforeStoring, Fault::AcceptsWhatIsOnlyQueued];
            if late.iter().any(|fault| self.is(*fault)) {
                // The first is stored with the next one, the other at a second
                // thought of this client.
                let before = std::mem::replace(&mut *self.outbox.lock(), vec![request]);
                before
                    .into_iter()
                    .for_each(|request| drop(self.store(request)));
                return Outcome::Accepted { cursor: None };
            }
            self.store(request)
        })
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<Box<dyn Subscription>>> {
        if self.is(Fault::AcceptsWhatIsOnlyQueued) {
            let queued = std::mem::take(&mut *self.outbox.lock());
            queued
                .into_iter()
                .for_each(|request| drop(self.store(request)));
        }
        let number = self.shared.asked.fetch_add(1, Ordering::SeqCst);
        self.shared.read.lock().insert(number, 0);
        let reader = Reader {
            number,
            toy: self.clone(),
            positions: BTreeMap::new(),
            connection: self.shared.connections.load(Ordering::SeqCst),
            taken: None,
        };
        Box::pin(async move { Ok(Box::new(reader) as _) })
    }
}

struct Reader {
    toy: Toy,
    /// How many payloads of each address were read.
    positions: BTreeMap<DeliveryAddress, usize>,
    connection: usize,
    taken: Option<Delivery>,
    number: usize,
}

impl Reader {
    /// The next payload, if there is one.
    fn take(&mut self) -> Option<Delivery> {
        let toy = &self.toy;
        let mut logs = toy.shared.logs.lock();
        for (address, read) in &mut self.positions {
            let log = logs.entry(address.clone()).or_default();
            if *read >= log.len() {
                continue;
            }
            let mut place = *read;
            if toy.is(Fault::HasTwoOrders) && self.number % 2 == 1 {
                let pair = place ^ 1;
                place = if pair < log.len() { pair } else { place };
            }
            *read += 1;
            *toy.shared.read.lock().entry(self.number).or_default() += 1;
            if toy.is(Fault::AcknowledgesByItself) {
                toy.shared.stopped.lock().insert(address.clone(), *read);
            }
            return Some(Delivery {
                address: address.clone(),
                payload: log[place].clone(),
                cursor: Some(cursor(place + 1)),
            });
        }
        None
    }

    fn start(&self, address: &DeliveryAddress, start: &Start) -> Result<usize> {
        let toy = &self.toy;
        let len = toy.shared.logs.lock().get(address).map_or(0, Vec::len);
        let latest = toy.can.resume == Resume::No && !toy.is(Fault::ForgetsWhatIsRetained);
        Ok(match start {
            _ if latest => len,
            Start::Earliest if toy.can.resume == Resume::WhereStopped => {
                toy.shared.stopped.lock().get(address).copied().unwrap_or(0)
            }
            Start::Earliest if toy.is(Fault::ForgetsWhatIsRetained) => len,
            Start::Earliest => 0,
            Start::Latest if toy.is(Fault::BeginsLatestAtTheEarliest) => 0,
            Start::Latest => len,
            Start::After(cursor) => {
                let bytes = cursor.as_bytes().try_into();
                let read = bytes.map_or(usize::MAX, usize::from_be_bytes);
                match read {
                    1.. if read <= len => read + usize::from(toy.is(Fault::DropsAPayloadAtResume)),
                    _ if toy.is(Fault::TakesForeignCursors) => 0,
                    _ => return Err(Error::misuse("not a cursor of this service")),
                }
            }
        })
    }
}

impl Subscription for Reader {
    fn add(&mut self, address: DeliveryAddress, start: Start) -> BoxFuture<'_, Result<()>> {
        let place = self.start(&address, &start);
        Box::pin(async move {
            let moves = !self.toy.is(Fault::MovesNothing) || !self.positions.contains_key(&address);
            let place = place?;
            if moves {
                self.positions.insert(address, place);
            }
            Ok(())
        })
    }

    fn remove(&mut self, address: &DeliveryAddress) {
        if !self.toy.is(Fault::IgnoresRemove) {
            self.positions.remove(address);
        }
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Delivery>> {
        Box::pin(async {
            let shared = self.toy.shared.clone();
            loop {
                let changed = shared.changed.notified();
                let connection = shared.connections.load(Ordering::SeqCst);
                if std::mem::replace(&mut self.connection, connection) != connection {
                    if self.toy.is(Fault::ForgetsAddressesAtReconnection) {
                        self.positions.clear();
                    }
                    return Err(Error::unavailable("the connection was lost"));
                }
                if self.toy.is(Fault::TakesBeforeItAnswers) {
                    self.taken = self.take();
                    tokio::task::yield_now().await;
                    if let Some(taken) = self.taken.take() {
                        return Ok(taken);
                    }
                } else if let Some(delivery) = self.take() {
                    return Ok(delivery);
                }
                changed.await;
            }
        })
    }

    fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        let bytes = cursor.as_bytes().try_into();
        let mut stopped = self.toy.shared.stopped.lock();
        let place = stopped.entry(address.clone()).or_default();
        *place = bytes.map_or(0, usize::from_be_bytes).max(*place);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.toy.shared.ended.store(true, Ordering::SeqCst);
        self.toy.shared.read.lock().remove(&self.number);
    }
}

fn cursor(place: usize) -> Cursor {
    Cursor::new(place.to_be_bytes().to_vec()).unwrap()
}
