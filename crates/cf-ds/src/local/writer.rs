use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cf_core::{Outcome, PublishRequest};
use parking_lot::Mutex;
use rusqlite::Connection;

use super::alarm::Alarm;
use super::file::{LocalFile, OpenFile, instant};
use super::options::LocalOptions;
use super::queue::{Pending, Queue, Wake};
use super::state::State;
use super::thread::OwnedThread;
use super::transaction::{Failure, Transactions};
use crate::Error;

/// Publishes what is queued, a group in each transaction. Its thread ends with it.
pub(super) struct Writer {
    queue: Arc<Queue>,
    file: LocalFile,
    _thread: OwnedThread,
}

impl Writer {
    pub(super) fn start(
        open: OpenFile,
        file: &LocalFile,
        options: &LocalOptions,
        alarm: Arc<Alarm>,
        state: Arc<Mutex<State>>,
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new());
        let writing = Writing {
            queue: queue.clone(),
            file: file.clone(),
            id: open.id,
            options: options.clone(),
            alarm,
            state,
        };
        let thread = OwnedThread::start("cf-ds-local-write", move || writing.run(open))?;
        Ok(Self {
            queue,
            file: file.clone(),
            _thread: thread,
        })
    }

    pub(super) async fn publish(&self, request: PublishRequest) -> Outcome {
        self.queue.publish(request).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.file.stop();
        self.queue.stop();
    }
}

/// What the thread has.
struct Writing {
    queue: Arc<Queue>,
    file: LocalFile,
    id: [u8; 16],
    options: LocalOptions,
    /// Calls this process's own reader, so that it need not find out.
    alarm: Arc<Alarm>,
    state: Arc<Mutex<State>>,
}

impl Drop for Writing {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.queue.stop();
    }
}

/// Why a connection is given up.
enum End {
    Stop,
    Reopen,
}

/// How often old payloads are let go while nobody publishes.
const UPKEEP: Duration = Duration::from_secs(60);
/// How many pages the write-ahead log gathers before they go into the file, if
/// nobody waits to publish, and if somebody does.
const BACKLOG: (i64, i64) = (1_000, 4_000);
/// From how many pages on the log must start anew, though readers have to wait.
const LONGEST_LOG: i64 = 16_000;

impl Writing {
    fn run(&self, open: OpenFile) {
        let mut opened = Ok(open);
        loop {
            let end = opened.and_then(|open| {
                if open.id == self.id {
                    self.serve(&open)
                } else {
                    Err(Error::ReplacedFile)
                }
            });
            match end {
                Ok(End::Stop) => return,
                Ok(End::Reopen) => {}
                Err(error) => {
                    if let Wake::Group(group) = self.queue.wait(Duration::ZERO) {
                        refuse(group, error);
                    }
                    match self.queue.wait(UPKEEP) {
                        Wake::Stop => return,
                        Wake::Quiet => {}
                        Wake::Group(group) => self.queue.put_back(group),
                    }
                }
            }
            opened = self.file.open();
        }
    }

    fn serve(&self, open: &OpenFile) -> Result<End, Error> {
        let connection = &open.connection;
        let mut transactions = Transactions::prepare(connection, open.incarnation, &self.options)?;
        let mut turns = Turns::new();
        let mut lags = false;
        loop {
            let patience = if lags { Duration::ZERO } else { UPKEEP };
            let wake = self.queue.wait(patience);
            if !matches!(wake, Wake::Stop) && !open.is_at(&self.file) {
                if let Wake::Group(group) = wake {
                    self.queue.put_back(group);
                }
                return Ok(End::Reopen);
            }
            match wake {
                Wake::Stop => return Ok(End::Stop),
                Wake::Quiet => {
                    // What fails now is tried again with the next publish.
                    let kept_up = transactions.keep_up((self.options.clock)());
                    if !lags {
                        write_back(connection, 1)?;
                    }
                    lags = kept_up.unwrap_or(false);
                }
                Wake::Group(group) => {
                    turns.begin();
                    match self.publish(&mut transactions, group) {
                        Ok(more) => lags = more,
                        Err(Error::Busy | Error::Full) => {}
                        Err(_) => return Ok(End::Reopen),
                    }
                    let (calm, busy) = BACKLOG;
                    write_back(connection, if self.queue.is_empty() { calm } else { busy })?;
                    turns.end();
                }
            }
        }
    }

    /// Publishes a group and answers; says whether retention lags behind.
    fn publish(
        &self,
        transactions: &mut Transactions<'_>,
        group: Vec<Pending>,
    ) -> Result<bool, Error> {
        let now = (self.options.clock)();
        let requests = group.iter().map(|pending| &pending.request);
        match transactions.publish(requests, now) {
            Ok((outcomes, lags)) => {
                // Whoever subscribes after this calls the reader itself.
                if self.state.lock().has_subscribers() {
                    self.alarm.ring();
                }
                for (pending, outcome) in group.into_iter().zip(outcomes) {
                    pending.answer(outcome);
                }
                Ok(lags)
            }
            // There may be room for one where there is none for all.
            Err(Failure {
                error: Error::Full,
                is_certain: true,
            }) if group.len() > 1 => {
                let mut lags = false;
                for pending in group {
                    match self.publish(transactions, vec![pending]) {
                        Ok(more) => lags = more,
                        Err(Error::Busy | Error::Full) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(lags)
            }
            Err(Failure { error, is_certain }) => {
                if is_certain {
                    refuse(group, error);
                } else {
                    for pending in group {
                        pending.answer(Outcome::Unknown(error.into()));
                    }
                }
                Err(error)
            }
        }
    }
}

fn refuse(group: Vec<Pending>, error: Error) {
    for pending in group {
        pending.answer(Outcome::Unavailable(error.into()));
    }
}

/// Moves what the write-ahead log has gathered into the file, from `backlog`
/// pages on. Readers and other writers go on meanwhile.
fn write_back(connection: &Connection, backlog: i64) -> Result<(), Error> {
    let checkpoint = |mode: &str| {
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get(1)?, row.get(2)?))
        })
    };
    let (pages, written): (i64, i64) = checkpoint("NOOP")?;
    if pages - written < backlog {
        return Ok(());
    }
    // That it is not possible now, or the disk is full, hurts nobody yet.
    match checkpoint("PASSIVE") {
        Ok((pages, _)) if pages > LONGEST_LOG => {
            let _ = checkpoint("RESTART");
        }
        _ => {}
    }
    Ok(())
}

/// Lets other processes write, too: they look for the lock every 0.2 ms, and one
/// that writes all the time would hardly ever leave it free when they look.
struct Turns {
    /// Since when the lock was not free for long.
    since: Instant,
    /// When the last transaction ended.
    ended: Instant,
}

impl Turns {
    /// How long a process writes without a pause.
    const LONGEST: Duration = Duration::from_millis(10);
    const PAUSE: Duration = Duration::from_micros(500);

    fn new() -> Self {
        let now = instant();
        Self {
            since: now,
            ended: now,
        }
    }

    fn begin(&mut self) {
        let now = instant();
        if now - self.ended >= Self::PAUSE {
            self.since = now;
        } else if now - self.since >= Self::LONGEST {
            thread::sleep(Self::PAUSE);
            self.since = instant();
        }
    }

    fn end(&mut self) {
        self.ended = instant();
    }
}
