use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{Outcome, PublishRequest};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// The publishes that wait to be written, at most [`Self::MAX_KIBIBYTES`] of
/// them. Further ones wait outside, in order.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    called: Condvar,
    room: Arc<Semaphore>,
}

/// A publish and who waits for its outcome.
pub(super) struct Pending {
    pub(super) request: PublishRequest,
    answer: oneshot::Sender<Outcome>,
    _room: OwnedSemaphorePermit,
}

/// How much goes into one transaction.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) publishes: usize,
    /// How many bytes the payloads have together; the first counts not.
    pub(super) bytes: usize,
}

/// Why the thread goes on.
#[derive(PartialEq)]
pub(super) enum Wake {
    Called,
    /// It has waited for as long as it wanted.
    Quiet,
    /// The service ends.
    Stop,
}

#[derive(Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    is_called: bool,
    is_stopping: bool,
}

impl Queue {
    /// How much waits; a publish counts with its payload's length and 1 KiB.
    const MAX_KIBIBYTES: usize = 16 * 1024;

    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            called: Condvar::new(),
            room: Arc::new(Semaphore::new(Self::MAX_KIBIBYTES)),
        }
    }

    /// Queues a publish, once there is room, and answers where its outcome will
    /// come. Somebody has to write it then.
    pub(super) async fn push(
        &self,
        request: PublishRequest,
    ) -> Result<oneshot::Receiver<Outcome>, Error> {
        let counted = 1 + request.payload.len().div_ceil(1024);
        let counted = u32::try_from(counted.min(Self::MAX_KIBIBYTES)).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(counted).await;
        let room = room.map_err(|_| Error::NoThread)?;
        let (answer, outcome) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.is_stopping {
            return Err(Error::NoThread);
        }
        waiting.pending.push_back(Pending {
            request,
            answer,
            _room: room,
        });
        Ok(outcome)
    }

    /// Makes the thread write what is queued, and do whatever else is due.
    pub(super) fn call(&self) {
        self.waiting.lock().is_called = true;
        self.called.notify_one();
    }

    /// Waits for a call, at most for `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Wake {
        let mut waiting = self.waiting.lock();
        if !waiting.is_called && !waiting.is_stopping {
            self.called.wait_for(&mut waiting, patience);
        }
        let is_called = std::mem::take(&mut waiting.is_called);
        match waiting.is_stopping {
            true => Wake::Stop,
            false if is_called => Wake::Called,
            false => Wake::Quiet,
        }
    }

    /// Takes what came first, as much as goes into one transaction.
    pub(super) fn take(&self, most: Size) -> Vec<Pending> {
        let mut waiting = self.waiting.lock();
        let len = waiting.fitting(most);
        waiting.pending.drain(..len).collect()
    }

    /// Takes all, if it goes into one transaction.
    pub(super) fn take_all(&self, most: Size) -> Option<Vec<Pending>> {
        let mut waiting = self.waiting.lock();
        let is_small = waiting.fitting(most) == waiting.pending.len();
        is_small.then(|| waiting.pending.drain(..).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().pending.is_empty()
    }

    /// Gives a group back that could not be written yet.
    pub(super) fn put_back(&self, group: Vec<Pending>) {
        let mut waiting = self.waiting.lock();
        for pending in group.into_iter().rev() {
            waiting.pending.push_front(pending);
        }
        if waiting.is_stopping {
            drop(waiting);
            self.stop();
        }
    }

    /// Takes no more, and refuses what waits: it was not tried.
    pub(super) fn stop(&self) {
        let mut waiting = self.waiting.lock();
        waiting.is_stopping = true;
        let untried = std::mem::take(&mut waiting.pending);
        drop(waiting);
        self.room.close();
        self.called.notify_all();
        for pending in untried {
            pending.answer(Outcome::Unavailable(Error::NoThread.into()));
        }
    }
}

impl Waiting {
    /// How many of the first go into one transaction.
    fn fitting(&self, most: Size) -> usize {
        let mut bytes = 0;
        let in_group = |pending: &&Pending| {
            bytes += pending.request.payload.len();
            bytes <= most.bytes
        };
        let first = self.pending.iter().take(most.publishes);
        let fitting = first.take_while(in_group).count();
        fitting.max(1).min(self.pending.len())
    }
}

impl Pending {
    pub(super) fn answer(self, outcome: Outcome) {
        // Whoever dropped the future does not want to know.
        let _ = self.answer.send(outcome);
    }
}
