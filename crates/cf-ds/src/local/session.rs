use std::thread;
use std::time::{Duration, Instant};

use cf_core::PublishRequest;

use super::cursor::Incarnation;
use super::file::{LocalFile, OpenFile, instant};
use super::options::LocalOptions;
use super::transaction::{Failure, Published, Transactions};
use crate::Error;

/// A connection to write with, and what is due at it.
pub(super) struct Session {
    open: OpenFile,
    options: LocalOptions,
    turns: Turns,
    /// How many pages the write-ahead log has got, about, since it was looked at.
    pages: usize,
    /// Whether retention lags behind.
    pub(super) lags: bool,
}

/// From how many pages on the write-ahead log must start anew, though readers
/// have to wait.
const LONGEST_LOG: i64 = 16_000;

impl Session {
    /// How many pages the write-ahead log gathers before they go into the file,
    /// after nobody has published for long.
    pub(super) const QUIET: i64 = 1;
    /// While nobody waits to publish.
    pub(super) const CALM: i64 = 1_000;
    /// While somebody does.
    pub(super) const BUSY: i64 = 4_000;

    pub(super) fn new(open: OpenFile, options: &LocalOptions) -> Self {
        let most = Transactions::STATEMENTS;
        open.connection.set_prepared_statement_cache_capacity(most);
        Self {
            open,
            options: options.clone(),
            turns: Turns::new(),
            pages: 0,
            lags: false,
        }
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        self.open.incarnation
    }

    /// Whether it is to the file at `file`'s path.
    pub(super) fn is_at(&self, file: &LocalFile) -> bool {
        self.open.is_at(file)
    }

    /// Whether a transaction may begin without a pause for other processes.
    pub(super) fn is_free(&self) -> bool {
        !self.turns.are_over()
    }

    /// Whether there is something to do beside publishing, that takes longer.
    pub(super) fn is_due(&self) -> bool {
        self.lags || self.pages >= Self::BUSY.unsigned_abs() as usize
    }

    /// Publishes a group; waits for other processes if it `is_patient`.
    pub(super) fn publish<'r>(
        &mut self,
        group: impl Iterator<Item = &'r PublishRequest> + Clone,
        is_patient: bool,
    ) -> Result<Published, Failure> {
        if is_patient && self.turns.are_over() {
            thread::sleep(Turns::PAUSE);
        }
        self.turns.begin();
        self.open.be_patient(is_patient);
        let now = (self.options.clock)();
        let published = self.transactions().publish(group.clone(), now);
        self.open.be_patient(true);
        self.turns.end();
        if let Ok(published) = &published {
            self.lags = published.lags;
            self.pages += 4;
            self.pages += group.map(|one| one.payload.len() / 4096).sum::<usize>();
        }
        published
    }

    /// Lets old payloads go.
    pub(super) fn keep_up(&mut self) {
        // What fails now is tried again with the next publish.
        let kept_up = self.transactions().keep_up((self.options.clock)());
        self.lags = kept_up.unwrap_or(false);
    }

    /// Moves what the write-ahead log has gathered into the file, from `backlog`
    /// pages on. Readers and other writers go on meanwhile.
    pub(super) fn write_back(&mut self, backlog: i64) -> Result<(), Error> {
        let checkpoint = |mode: &str| -> Result<(i64, i64), Error> {
            let pragma = format!("PRAGMA wal_checkpoint({mode})");
            let mut statement = self.open.connection.prepare_cached(&pragma)?;
            Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
        };
        let (pages, written) = checkpoint("NOOP")?;
        self.pages = 0;
        if pages - written < backlog {
            return Ok(());
        }
        // That it is not possible now, or the disk is full, hurts nobody yet.
        let mut done = checkpoint("PASSIVE");
        if matches!(done, Ok((pages, _)) if pages > LONGEST_LOG) {
            done = checkpoint("RESTART");
        }
        // The log starts anew with the next transaction, which waits for the disk
        // then: better this one than a publish.
        if matches!(done, Ok((pages, written)) if pages == written) {
            let _ = self.transactions().touch();
        }
        Ok(())
    }

    fn transactions(&self) -> Transactions<'_> {
        Transactions {
            connection: &self.open.connection,
            incarnation: self.open.incarnation,
            options: &self.options,
        }
    }
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

    fn are_over(&self) -> bool {
        let now = instant();
        now - self.ended < Self::PAUSE && now - self.since >= Self::LONGEST
    }

    fn begin(&mut self) {
        let now = instant();
        if now - self.ended >= Self::PAUSE {
            self.since = now;
        }
    }

    fn end(&mut self) {
        self.ended = instant();
    }
}
