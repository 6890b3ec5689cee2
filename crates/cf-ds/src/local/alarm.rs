use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{DeliveryAddress, Result, Start};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// Wakes the reader, and tells it why.
pub(super) struct Alarm {
    calls: Mutex<Calls>,
    rung: Condvar,
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
            room: Arc::new(Semaphore::new(Self::MAX_ADDITIONS)),
        }
    }

    /// Makes the reader look for what is new.
    pub(super) fn ring(&self) {
        self.calls.lock().rings = true;
        self.rung.notify_one();
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

    /// Waits until the alarm rings, at most for `patience`, or without end.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Calls {
        let mut calls = self.calls.lock();
        if calls.is_empty() {
            match patience {
                Some(patience) => drop(self.rung.wait_for(&mut calls, patience)),
                None => self.rung.wait(&mut calls),
            }
        }
        let taken = std::mem::take(&mut *calls);
        calls.stop = taken.stop;
        taken
    }
}

impl Calls {
    fn is_empty(&self) -> bool {
        self.additions.is_empty() && !self.stop && !self.rings
    }
}
