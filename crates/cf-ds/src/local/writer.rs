use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cf_core::{Outcome, PublishRequest};
use parking_lot::Mutex;

use super::alarm::Alarm;
use super::file::{LocalFile, OpenFile};
use super::options::{Durability, LocalOptions};
use super::queue::{Pending, Queue, Size, Wake};
use super::session::Session;
use super::state::State;
use super::thread::OwnedThread;
use super::transaction::Failure;
use crate::Error;

/// Publishes what is queued, a group in each transaction: whoever publishes does,
/// if that is quick, and else a thread, which ends with the writer.
pub(super) struct Writer {
    desk: Arc<Desk>,
    _thread: OwnedThread,
}

/// What publishers and the thread share.
struct Desk {
    queue: Queue,
    /// Whoever holds it writes. The thread opens the file if there is none.
    session: Mutex<Option<Session>>,
    file: LocalFile,
    id: [u8; 16],
    options: LocalOptions,
    /// Calls this process's own reader, so that it need not find out.
    alarm: Arc<Alarm>,
    state: Arc<Mutex<State>>,
}

/// How often old payloads are let go while nobody publishes.
const UPKEEP: Duration = Duration::from_secs(60);
/// What the thread writes at once.
const LARGE: Size = Size {
    publishes: 256,
    bytes: 2 * 1024 * 1024,
};
/// What a publisher writes at once: it must not keep its other tasks waiting.
const SMALL: Size = Size {
    publishes: 16,
    bytes: 64 * 1024,
};

impl Writer {
    pub(super) fn start(
        open: OpenFile,
        file: &LocalFile,
        options: &LocalOptions,
        alarm: Arc<Alarm>,
        state: Arc<Mutex<State>>,
    ) -> Result<Self, Error> {
        let desk = Arc::new(Desk {
            queue: Queue::new(),
            file: file.clone(),
            id: open.id,
            session: Mutex::new(Some(Session::new(open, options))),
            options: options.clone(),
            alarm,
            state,
        });
        let working = Working(desk.clone());
        let thread = OwnedThread::start("cf-ds-local-write", move || working.run())?;
        Ok(Self {
            desk,
            _thread: thread,
        })
    }

    pub(super) async fn publish(&self, request: PublishRequest) -> Outcome {
        let outcome = match self.desk.queue.push(request).await {
            Ok(outcome) => outcome,
            Err(error) => return Outcome::Unavailable(error.into()),
        };
        let duty = Duty(&self.desk);
        match self.desk.options.durability {
            Durability::KilledProcess => {
                // Whoever else is about to publish gets into the same transaction.
                yield_once().await;
                duty.write();
            }
            // A commit waits for the disk: that is the thread's.
            Durability::PowerCut => drop(duty),
        }
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unknown(Error::NoThread.into()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.file.stop();
        self.desk.queue.stop();
    }
}

/// To see that a queued publish is written; dropping it leaves that to the thread.
struct Duty<'a>(&'a Desk);

impl Duty<'_> {
    /// Writes all that is queued, without waiting for anything.
    fn write(self) {
        if self.0.try_write() {
            std::mem::forget(self);
        }
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        self.0.queue.call();
    }
}

impl Desk {
    /// Writes what is queued, if that is quick and nobody else does; says whether
    /// the thread has nothing to do.
    fn try_write(&self) -> bool {
        let Some(mut seat) = self.session.try_lock() else {
            return false;
        };
        // A panic, of the clock for example, leaves none behind.
        let Some(mut session) = seat.take() else {
            return false;
        };
        let is_done = session.is_free() && session.is_at(&self.file) && {
            match self.queue.take_all(SMALL) {
                // Somebody else was quicker.
                Some(group) if group.is_empty() => true,
                Some(group) => match self.publish(&mut session, group, false) {
                    Ok(()) => !session.is_due(),
                    Err(Error::Busy | Error::Full) => false,
                    Err(_) => return false,
                },
                None => false,
            }
        };
        *seat = Some(session);
        is_done
    }

    /// Publishes a group and answers, or puts it back if somebody else writes and
    /// it is not patient.
    fn publish(
        &self,
        session: &mut Session,
        group: Vec<Pending>,
        is_patient: bool,
    ) -> Result<(), Error> {
        let requests = group.iter().map(|pending| &pending.request);
        match session.publish(requests, is_patient) {
            Ok(published) => {
                let shown = self.state.lock().show(session.incarnation(), &published);
                match shown {
                    Some(waiting) => waiting.into_iter().for_each(|one| one.notify_one()),
                    None => self.alarm.ring(),
                }
                for (pending, outcome) in group.into_iter().zip(published.outcomes) {
                    pending.answer(outcome);
                }
                Ok(())
            }
            Err(Failure {
                error: Error::Busy,
                is_certain: true,
            }) if !is_patient => {
                self.queue.put_back(group);
                Err(Error::Busy)
            }
            // There may be room for one where there is none for all.
            Err(Failure {
                error: Error::Full,
                is_certain: true,
            }) if group.len() > 1 => {
                for pending in group {
                    match self.publish(session, vec![pending], is_patient) {
                        Ok(()) | Err(Error::Busy | Error::Full) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
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

/// The thread.
struct Working(Arc<Desk>);

impl Drop for Working {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.0.queue.stop();
    }
}

impl Working {
    fn run(&self) {
        let mut lags = false;
        loop {
            let patience = if lags { Duration::ZERO } else { UPKEEP };
            let wake = self.0.queue.wait(patience);
            if wake == Wake::Stop {
                return;
            }
            let mut seat = self.0.session.lock();
            lags = match self.serve(seat.take(), wake == Wake::Quiet) {
                Ok(session) => {
                    let lags = session.lags;
                    *seat = Some(session);
                    lags
                }
                Err(error) => {
                    // What came while it was tried waits for the next attempt.
                    loop {
                        let group = self.0.queue.take(LARGE);
                        if group.is_empty() {
                            break;
                        }
                        refuse(group, error);
                    }
                    false
                }
            };
        }
    }

    /// Writes all that is queued, and does what else is due.
    fn serve(&self, session: Option<Session>, is_quiet: bool) -> Result<Session, Error> {
        let queue = &self.0.queue;
        let mut session = self.look_up(session)?;
        let mut was_idle = true;
        loop {
            let group = queue.take(LARGE);
            if group.is_empty() {
                break;
            }
            was_idle = false;
            match self.0.publish(&mut session, group, true) {
                Ok(()) | Err(Error::Busy | Error::Full) => {}
                Err(_) => {
                    session = self.look_up(None)?;
                    continue;
                }
            }
            let backlog = match queue.is_empty() {
                true => Session::CALM,
                false => Session::BUSY,
            };
            if session.write_back(backlog).is_err() || !session.is_at(&self.0.file) {
                session = self.look_up(None)?;
            }
        }
        if was_idle {
            let lagged = session.lags;
            if is_quiet || lagged {
                session.keep_up();
            }
            let backlog = match is_quiet && !lagged {
                true => Session::QUIET,
                false => Session::BUSY,
            };
            session.write_back(backlog)?;
        }
        Ok(session)
    }

    /// The session, or a new one if the file was made again.
    fn look_up(&self, session: Option<Session>) -> Result<Session, Error> {
        if let Some(session) = session
            && session.is_at(&self.0.file)
        {
            return Ok(session);
        }
        let open = self.0.file.open()?;
        if open.id != self.0.id {
            return Err(Error::ReplacedFile);
        }
        Ok(Session::new(open, &self.0.options))
    }
}

fn refuse(group: Vec<Pending>, error: Error) {
    for pending in group {
        pending.answer(Outcome::Unavailable(error.into()));
    }
}

/// Lets the other tasks go on before this one does.
async fn yield_once() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
