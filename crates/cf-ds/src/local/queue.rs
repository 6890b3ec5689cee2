use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cf_core::{Outcome, PublishRequest};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// The publishes that wait for the writer, at most [`Self::MAX_KIBIBYTES`] of
/// them. Further ones wait outside, in order.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    room: Arc<Semaphore>,
}

/// A publish and who waits for its outcome.
pub(super) struct Pending {
    pub(super) request: PublishRequest,
    answer: oneshot::Sender<Outcome>,
    _room: OwnedSemaphorePermit,
}

/// Why the writer goes on.
pub(super) enum Wake {
    /// There is something to publish.
    Group(Vec<Pending>),
    /// It has waited for as long as it wanted.
    Quiet,
    /// The service ends.
    Stop,
}

#[derive(Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    stopping: bool,
}

impl Queue {
    /// How much waits; a publish counts with its payload's length and 1 KiB.
    const MAX_KIBIBYTES: usize = 16 * 1024;
    /// How many publishes share a transaction.
    const MAX_GROUP: usize = 256;
    /// How many bytes of payloads share a transaction; the first counts not.
    const MAX_GROUP_BYTES: usize = 2 * 1024 * 1024;

    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            room: Arc::new(Semaphore::new(Self::MAX_KIBIBYTES)),
        }
    }

    /// Hands a publish to the writer and waits for its outcome.
    pub(super) async fn publish(&self, request: PublishRequest) -> Outcome {
        let counted = 1 + request.payload.len().div_ceil(1024);
        let counted = u32::try_from(counted.min(Self::MAX_KIBIBYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.clone().acquire_many_owned(counted).await else {
            return Outcome::Unavailable(Error::NoThread.into());
        };
        let (answer, outcome) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.stopping {
                return Outcome::Unavailable(Error::NoThread.into());
            }
            waiting.pending.push_back(Pending {
                request,
                answer,
                _room: room,
            });
        }
        self.arrived.notify_one();
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown(Error::NoThread.into()),
        }
    }

    /// Waits until there is something to do, at most for `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Wake {
        let mut waiting = self.waiting.lock();
        if waiting.pending.is_empty() && !waiting.stopping {
            self.arrived.wait_for(&mut waiting, patience);
        }
        if waiting.stopping {
            return Wake::Stop;
        }
        let mut bytes = 0;
        let in_group = |pending: &&Pending| {
            bytes += pending.request.payload.len();
            bytes <= Self::MAX_GROUP_BYTES
        };
        let fitting = waiting.pending.iter().take_while(in_group).count();
        let most = waiting.pending.len().min(Self::MAX_GROUP);
        match fitting.max(1).min(most) {
            0 => Wake::Quiet,
            len => Wake::Group(waiting.pending.drain(..len).collect()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().pending.is_empty()
    }

    /// Gives a group back that the writer could not try yet.
    pub(super) fn put_back(&self, group: Vec<Pending>) {
        let mut waiting = self.waiting.lock();
        for pending in group.into_iter().rev() {
            waiting.pending.push_front(pending);
        }
    }

    /// Takes no more, and refuses what waits: it was not tried.
    pub(super) fn stop(&self) {
        let mut waiting = self.waiting.lock();
        waiting.stopping = true;
        let untried = std::mem::take(&mut waiting.pending);
        drop(waiting);
        self.room.close();
        self.arrived.notify_all();
        for pending in untried {
            pending.answer(Outcome::Unavailable(Error::NoThread.into()));
        }
    }
}

impl Pending {
    pub(super) fn answer(self, outcome: Outcome) {
        // Whoever dropped the future does not want to know.
        let _ = self.answer.send(outcome);
    }
}
