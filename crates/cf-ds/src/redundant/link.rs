use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cf_core::{
    BoxFuture, Cursor, Delivery, DeliveryAddress, DeliveryService, Error as CoreError, ErrorKind,
    Result, Start, Subscription,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::Error;

/// The pause after a service could not be reached.
const PAUSE: Duration = Duration::from_millis(250);

/// A subscription of one service, opened again when it is lost.
///
/// Every step is kept: its futures may be dropped at any time.
pub(super) struct Link {
    service: Arc<dyn DeliveryService>,
    timeout: Duration,
    /// The addresses, and where each goes on.
    wanted: BTreeMap<DeliveryAddress, Start>,
    /// Wanted and not yet added to the subscription.
    missing: BTreeSet<DeliveryAddress>,
    /// Those whose cursor the service does not know.
    foreign: BTreeSet<DeliveryAddress>,
    opening: Option<BoxFuture<'static, Result<Box<dyn Subscription>>>>,
    subscription: Option<Box<dyn Subscription>>,
    not_before: Option<Instant>,
    /// When the step under way is given up.
    deadline: Option<Instant>,
    is_late: bool,
}

/// What was wanted of an address.
pub(super) struct Before {
    start: Option<Start>,
    /// Whether the subscription had it.
    is_told: bool,
}

impl Link {
    pub(super) fn new(service: Arc<dyn DeliveryService>, timeout: Duration) -> Self {
        Self {
            service,
            timeout,
            wanted: BTreeMap::new(),
            missing: BTreeSet::new(),
            foreign: BTreeSet::new(),
            opening: None,
            subscription: None,
            not_before: None,
            deadline: None,
            is_late: false,
        }
    }

    /// Whether the service was too slow or away when it was last needed.
    pub(super) fn is_late(&self) -> bool {
        self.is_late
    }

    /// Says that something was waited for in vain.
    pub(super) fn be_late(&mut self) {
        self.is_late = true;
    }

    /// Asks for an address; gives what was wanted there before.
    pub(super) fn want(&mut self, address: &DeliveryAddress, start: Start) -> Before {
        self.foreign.remove(address);
        Before {
            is_told: self.missing.insert(address.clone()),
            start: self.wanted.insert(address.clone(), start),
        }
    }

    /// Takes a wish back that was not granted.
    pub(super) fn unwant(&mut self, address: &DeliveryAddress, before: Before) {
        let was_refused = self.foreign.remove(address);
        let Some(start) = before.start else {
            self.remove(address);
            return;
        };
        if was_refused && before.is_told {
            // The service is where it was.
            self.missing.remove(address);
        } else {
            self.missing.insert(address.clone());
        }
        self.wanted.insert(address.clone(), start);
        if before.is_told && !was_refused {
            self.begin_anew(address);
        }
    }

    /// Whether the subscription has the address.
    pub(super) fn has(&self, address: &DeliveryAddress) -> bool {
        !self.missing.contains(address) && !self.is_foreign(address)
    }

    /// Whether the service did not know the address's cursor.
    pub(super) fn is_foreign(&self, address: &DeliveryAddress) -> bool {
        self.foreign.contains(address)
    }

    /// Starts an address from the earliest where its start can't be kept: the
    /// cursor is foreign, or "the latest" is over before the service was told.
    pub(super) fn begin_anew(&mut self, address: &DeliveryAddress) {
        let is_foreign = self.foreign.remove(address);
        if is_foreign || self.missing.contains(address) {
            self.missing.insert(address.clone());
            if let Some(start) = self.wanted.get_mut(address)
                && (is_foreign || *start == Start::Latest)
            {
                *start = Start::Earliest;
            }
        }
    }

    pub(super) fn remove(&mut self, address: &DeliveryAddress) {
        self.wanted.remove(address);
        self.missing.remove(address);
        self.foreign.remove(address);
        if let Some(subscription) = &mut self.subscription {
            subscription.remove(address);
        }
    }

    /// After which payload the address goes on.
    pub(super) fn place(&self, address: &DeliveryAddress) -> Option<Cursor> {
        match self.wanted.get(address) {
            Some(Start::After(cursor)) => Some(cursor.clone()),
            _ => None,
        }
    }

    pub(super) fn acknowledge(&mut self, address: &DeliveryAddress, cursor: &Cursor) {
        if let Some(subscription) = &mut self.subscription {
            subscription.acknowledge(address, cursor);
        }
    }

    /// Opens the subscription and adds what is missing.
    ///
    /// # Errors
    /// Of the step that failed; then it begins anew after a pause.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if let Some(until) = self.not_before {
            sleep_until(until).await;
            self.not_before = None;
        }
        while self.subscription.is_none() || !self.missing.is_empty() {
            let deadline = *self
                .deadline
                .get_or_insert_with(|| Instant::now() + self.timeout);
            let stepped = timeout_at(deadline, self.step()).await;
            self.deadline = None;
            match stepped {
                Ok(Ok(())) => self.is_late = false,
                Ok(Err(error)) => {
                    self.fail(&error);
                    return Err(error);
                }
                Err(_) => {
                    let millis = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
                    self.close();
                    return Err(Error::NoAnswer { millis }.into());
                }
            }
        }
        Ok(())
    }

    /// The next payload of the service; waits for as long as it is away.
    pub(super) async fn next(&mut self) -> Delivery {
        loop {
            if self.wanted.is_empty() {
                return std::future::pending().await;
            }
            // Left from an `add` that was dropped.
            while let Some(address) = self.foreign.first().cloned() {
                self.begin_anew(&address);
            }
            if self.settle().await.is_err() || !self.foreign.is_empty() {
                continue;
            }
            let Some(subscription) = &mut self.subscription else {
                continue;
            };
            match subscription.next().await {
                Ok(delivery) => {
                    self.is_late = false;
                    if let Some(start) = self.wanted.get_mut(&delivery.address) {
                        if let Some(cursor) = &delivery.cursor {
                            *start = Start::After(cursor.clone());
                        }
                        return delivery;
                    }
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Opens the subscription, or adds one address.
    async fn step(&mut self) -> Result<()> {
        let Some(subscription) = &mut self.subscription else {
            let service = &self.service;
            let opening = self.opening.get_or_insert_with(|| {
                let service = service.clone();
                Box::pin(async move { service.subscribe().await })
            });
            let opened = opening.await;
            self.opening = None;
            self.subscription = Some(opened?);
            return Ok(());
        };
        let Some(address) = self.missing.first().cloned() else {
            return Ok(());
        };
        let Some(start) = self.wanted.get(&address).cloned() else {
            self.missing.remove(&address);
            return Ok(());
        };
        let is_after = matches!(start, Start::After(_));
        match subscription.add(address.clone(), start).await {
            Err(error) if error.kind() == ErrorKind::Misuse && is_after => {
                self.foreign.insert(address.clone());
            }
            added => added?,
        }
        self.missing.remove(&address);
        Ok(())
    }

    fn fail(&mut self, error: &CoreError) {
        match error.is_retryable() {
            true => self.not_before = Some(Instant::now() + PAUSE),
            false => self.close(),
        }
        self.is_late = true;
    }

    /// Lets go of the subscription: the next one goes on where this one was.
    fn close(&mut self) {
        (self.subscription, self.opening) = (None, None);
        self.not_before = Some(Instant::now() + PAUSE);
        self.is_late = true;
        self.foreign.clear();
        self.missing = self.wanted.keys().cloned().collect();
        for start in self.wanted.values_mut() {
            if *start == Start::Latest {
                *start = Start::Earliest;
            }
        }
    }
}
