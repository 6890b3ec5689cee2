use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::alarm::{Addition, Alarm};
use super::cursor::Incarnation;
use super::file::{LocalFile, OpenFile};
use super::options::LocalOptions;
use super::state::State;
use super::tail::Tail;
use super::thread::OwnedThread;
use crate::Error;

/// Reads the file for the subscriptions of one service. Its thread ends with it.
pub(super) struct Reader {
    alarm: Arc<Alarm>,
    file: LocalFile,
    _thread: OwnedThread,
}

impl Reader {
    pub(super) fn start(
        open: OpenFile,
        file: &LocalFile,
        options: &LocalOptions,
        alarm: &Arc<Alarm>,
        state: &Arc<Mutex<State>>,
    ) -> Result<Self, Error> {
        let mut reading = Reading {
            file: file.clone(),
            id: open.id,
            incarnation: open.incarnation,
            options: options.clone(),
            alarm: alarm.clone(),
            state: state.clone(),
        };
        let thread = OwnedThread::start("cf-ds-local-read", move || reading.run(open))?;
        Ok(Self {
            alarm: alarm.clone(),
            file: file.clone(),
            _thread: thread,
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.file.stop();
        self.alarm.stop();
    }
}

/// What the thread has.
struct Reading {
    file: LocalFile,
    id: [u8; 16],
    incarnation: Incarnation,
    options: LocalOptions,
    alarm: Arc<Alarm>,
    state: Arc<Mutex<State>>,
}

impl Drop for Reading {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.alarm.stop();
        self.state.lock().fail(Error::NoThread);
    }
}

/// Why a connection is given up.
enum End {
    Stop,
    Reopen,
}

/// How long to wait before a file that can't be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many addresses of a subscription are read at once.
const ADDRESSES: usize = 16;
/// After how many looks at the file its place is looked at, too.
const LOOKS: u32 = 20;

impl Reading {
    fn run(&mut self, open: OpenFile) {
        let mut opened = Ok(open);
        loop {
            match opened.and_then(|open| self.serve(&open)) {
                Ok(End::Stop) => return,
                Ok(End::Reopen) => {}
                Err(error) => {
                    self.state.lock().fail(error);
                    let calls = self.alarm.wait(PAUSE);
                    if calls.stop {
                        return;
                    }
                    for addition in calls.additions {
                        let _ = addition.answer.send(Err(error.into()));
                    }
                }
            }
            opened = self.file.open();
        }
    }

    fn serve(&mut self, open: &OpenFile) -> Result<End, Error> {
        if open.id != self.id {
            return Err(Error::ReplacedFile);
        }
        let mut tail = Tail::prepare(&open.connection)?;
        if open.incarnation != self.incarnation {
            self.incarnation = open.incarnation;
            self.state.lock().reset(open.incarnation);
        }
        self.state.lock().recover();
        let mut more = true;
        let mut looks = 0;
        loop {
            let calls = match more {
                true => self.alarm.wait(Duration::ZERO),
                false => self.alarm.wait_for_news(self.options.poll_interval),
            };
            if calls.stop {
                return Ok(End::Stop);
            }
            looks += 1;
            let looks_up = looks % LOOKS == 0 || !calls.additions.is_empty();
            if looks_up && !open.is_at(&self.file) {
                self.alarm.put_back(calls.additions);
                return Ok(End::Reopen);
            }
            let mut is_news = more || calls.rings || !calls.additions.is_empty();
            for addition in calls.additions {
                self.add(&mut tail, addition)?;
            }
            is_news |= tail.has_changed()?;
            if is_news {
                more = tail.follow(&self.state)?;
                more |= self.feed(&mut tail)?;
            }
        }
    }

    fn add(&self, tail: &mut Tail<'_>, addition: Addition) -> Result<(), Error> {
        let Addition {
            subscriber,
            address,
            start,
            answer,
            ..
        } = addition;
        let last = match tail.last(&address) {
            Ok(last) => last,
            Err(error) => {
                let _ = answer.send(Err(error.into()));
                return Err(error);
            }
        };
        let mut state = self.state.lock();
        // Whoever does not wait any more may have unsubscribed since.
        if answer.is_closed() {
            return Ok(());
        }
        let added = state.add(subscriber, &address, &start, last);
        let _ = answer.send(added.map_err(Into::into));
        Ok(())
    }

    /// Reads for those subscriptions that have room; says whether there is more.
    fn feed(&self, tail: &mut Tail<'_>) -> Result<bool, Error> {
        let needs = self.state.lock().needs(ADDRESSES);
        let bound = (self.options.clock)().before(self.options.retention);
        for need in &needs {
            if !self.state.lock().is_needed(need) {
                continue;
            }
            let (rows, is_all) = tail.fetch(need, bound)?;
            self.state.lock().fill(need, rows, is_all);
        }
        Ok(!needs.is_empty())
    }
}
