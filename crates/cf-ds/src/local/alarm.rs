use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cf_core::{DeliveryAddress, Result, Start};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// Wakes the reader, and tells it why.
pub(super) struct Alarm {
    calls: Mutex<Calls>,
    rung: Condvar,
    /// How many subscriptions wait for a payload.
    waiting: AtomicUsize,
    room: Arc<Semaphore>,
}

/// What the reader is called for.
#[derive(Default)]
pub(super) struct Calls {
    /// Addresses to subscribe to.
    pub(super) additions: VecDeque<Addition>,
    /// The service ends.
    pub(super) stop: bool,
    /// There may be something to read.
    pub(super) rings: bool,
    /// The reader sleeps, since no subscription waits.
    is_asleep: bool,
}

/// A subscription's wish for an address.
pub(super) struct Addition {
    pub(super) subscriber: u64,
    pub(super) address: DeliveryAddress,
    pub(super) start: Start,
    pub(super) answer: oneshot::Sender<Result<()>>,
    _room: OwnedSemaphorePermit,
}

impl Alarm {
    /// How many additions wait at most; further ones wait outside.
    const MAX_ADDITIONS: usize = 1024;

    pub(super) fn new() -> Self {
        Self {
            calls: Mutex::default(),
            rung: Condvar::new(),
            waiting: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(Self::MAX_ADDITIONS)),
        }
    }

    /// Makes the reader look for what is new.
    pub(super) fn ring(&self) {
        self.calls.lock().rings = true;
        self.rung.notify_one();
    }

    /// Makes the reader look, unless it does so again and again anyhow.
    pub(super) fn ring_unless_watched(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            self.ring();
        }
    }

    /// Makes the reader look again and again, while it is not dropped.
    pub(super) fn watch(&self) -> Watch<'_> {
        // After that the reader does not fall asleep any more; it may be.
        if self.waiting.fetch_add(1, Ordering::SeqCst) == 0 {
            let mut calls = self.calls.lock();
            if calls.is_asleep {
                calls.rings = true;
                self.rung.notify_one();
            }
        }
        Watch(self)
    }

    /// Asks the reader to subscribe to an address, and waits until it has.
    pub(super) async fn add(
        &self,
        subscriber: u64,
        address: DeliveryAddress,
        start: Start,
    ) -> Result<()> {
        let room = self.room.clone().acquire_owned().await;
        let room = room.map_err(|_| Error::NoThread)?;
        let (answer, added) = oneshot::channel();
        {
            let mut calls = self.calls.lock();
            if calls.stop {
                return Err(Error::NoThread.into());
            }
            calls.additions.push_back(Addition {
                subscriber,
                address,
                start,
                answer,
                _room: room,
            });
        }
        self.rung.notify_one();
        added.await.map_err(|_| Error::NoThread)?
    }

    /// Gives additions back that could not be tried yet.
    pub(super) fn put_back(&self, additions: VecDeque<Addition>) {
        let mut calls = self.calls.lock();
        for addition in additions.into_iter().rev() {
            calls.additions.push_front(addition);
        }
    }

    /// Takes no more additions, and lets go of those that wait.
    pub(super) fn stop(&self) {
        let mut calls = self.calls.lock();
        calls.stop = true;
        calls.additions.clear();
        drop(calls);
        self.rung.notify_one();
    }

    /// Waits until the alarm rings, at most for `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Calls {
        let mut calls = self.calls.lock();
        if calls.is_empty() {
            self.rung.wait_for(&mut calls, patience);
        }
        calls.take()
    }

    /// Waits until the alarm rings: at most for `interval` while a subscription
    /// waits, and without end while none does.
    pub(super) fn wait_for_news(&self, interval: Duration) -> Calls {
        let mut calls = self.calls.lock();
        if calls.is_empty() {
            if self.waiting.load(Ordering::SeqCst) > 0 {
                self.rung.wait_for(&mut calls, interval);
            } else {
                calls.is_asleep = true;
                self.rung.wait(&mut calls);
                calls.is_asleep = false;
            }
        }
        calls.take()
    }
}

/// A subscription that waits.
pub(super) struct Watch<'a>(&'a Alarm);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Calls {
    fn take(&mut self) -> Self {
        let taken = std::mem::take(self);
        self.stop = taken.stop;
        taken
    }

    fn is_empty(&self) -> bool {
        self.additions.is_empty() && !self.stop && !self.rings
    }
}
