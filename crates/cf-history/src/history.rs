use std::sync::Arc;

use cf_core::{Random, Result, Scan, Store};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::HistoryError;
use crate::changes::Changes;
use crate::contract::{ContentReader, Log};
use crate::project::{STEP, Step};
use crate::records::{
    self, CLEARING, DONE, ERASURES, HEADS, KEY, META, NAMES, RECENT, VERSION, VERSION_KEY, WORDS,
};
use crate::words::Blinder;

/// How many records are thrown away in one commit.
const CLEAR_STEP: usize = 1024;

/// How far taking in the log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more: go on.
    More,
    /// First have the log erase what [`History::erasures`] lists, and say so.
    EraseFirst,
    /// Everything is taken in, up to this number.
    Done(u64),
}

/// The history of a client, in its store.
///
/// Calls block, as those of a [`Store`]. One `History` of a store writes at a time;
/// reading needs no turn.
pub struct History {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) reader: Arc<dyn ContentReader>,
    pub(crate) blinder: Blinder,
    /// Held by who changes something.
    pub(crate) turn: Mutex<()>,
}

impl History {
    /// Opens the history in a store, or begins one. One of an earlier version is made
    /// again.
    ///
    /// # Errors
    /// `Unsupported` for one of a newer version; those of the store.
    pub fn open(
        store: Arc<dyn Store>,
        log: Arc<dyn Log>,
        reader: Arc<dyn ContentReader>,
        random: &mut dyn Random,
    ) -> Result<Self> {
        let mut changes = Changes::new(&*store);
        let version = changes.get(META, VERSION_KEY)?;
        let version = version.map(|version| records::read_number(&version));
        match version.transpose()? {
            Some(version) if version > VERSION => return Err(HistoryError::Newer.into()),
            Some(VERSION) => {}
            earlier => {
                if earlier.is_some() {
                    changes.put(META, CLEARING, records::number(1));
                }
                changes.put(META, VERSION_KEY, records::number(VERSION));
            }
        }
        let key = match changes.get(META, KEY)? {
            Some(key) => Zeroizing::new(key.to_vec()),
            None => {
                let mut key = Zeroizing::new(vec![0; 32]);
                random.fill(&mut key);
                changes.put(META, KEY, key.to_vec().into());
                key
            }
        };
        changes.commit()?;
        let blinder = Blinder::new(&key);
        let turn = Mutex::default();
        Ok(Self {
            store,
            log,
            reader,
            blinder,
            turn,
        })
    }

    /// Takes in what the log has beyond what was taken in, at most [`STEP`] entries, in
    /// one commit.
    ///
    /// # Errors
    /// Those of the store and the log; then nothing has changed.
    pub fn catch_up(&self) -> Result<Progress> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        if changes.get(META, CLEARING)?.is_some() {
            // What is not erased yet would come back.
            if !self.erasures(1)?.is_empty() {
                return Ok(Progress::EraseFirst);
            }
            self.clear_some(&mut changes)?;
            changes.commit()?;
            return Ok(Progress::More);
        }
        let done = self.done()?;
        let entries = self.log.after(done, STEP)?;
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return Ok(Progress::Done(done));
        };
        let mut step = Step::new(self, &mut changes);
        for entry in &entries {
            step.take_in(entry)?;
        }
        changes.put(META, DONE, records::number(last));
        changes.commit()?;
        Ok(Progress::More)
    }

    /// The number of the last entry that was taken in; 0 before the first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn done(&self) -> Result<u64> {
        let done = self.store.get(META, DONE)?;
        Ok(done.map_or(Ok(0), |done| records::read_number(&done))?)
    }

    /// Throws everything away; [`catch_up`](Self::catch_up) makes it again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn rebuild(&self) -> Result<()> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        changes.put(META, CLEARING, records::number(1));
        Ok(changes.commit()?)
    }

    pub(crate) fn changes(&self) -> Changes<'_> {
        Changes::new(&*self.store)
    }

    /// Throws some records away; when none is left, the log is taken in anew.
    fn clear_some(&self, changes: &mut Changes<'_>) -> Result<(), HistoryError> {
        let some = Scan {
            limit: CLEAR_STEP,
            ..Scan::prefix("")
        };
        // A conversation goes from the list when its rows are gone.
        let first = Scan {
            limit: 1,
            ..some.clone()
        };
        if let Some((seq, conversation)) = changes.scan(RECENT, &first)?.first() {
            let id = records::read_conversation(conversation)?;
            for namespace in [records::talk(id), records::also(id)] {
                let rows = changes.scan(namespace.clone(), &some)?;
                let is_full = rows.len() == CLEAR_STEP;
                for (key, _) in rows {
                    changes.delete(namespace.clone(), key);
                }
                if is_full {
                    return Ok(());
                }
            }
            changes.delete(HEADS, conversation.clone());
            changes.delete(RECENT, seq.clone());
            return Ok(());
        }
        for namespace in [NAMES, WORDS] {
            let found = changes.scan(namespace, &some)?;
            let any = !found.is_empty();
            for (key, _) in found {
                changes.delete(namespace, key);
            }
            if any {
                return Ok(());
            }
        }
        debug_assert!(changes.scan(ERASURES, &first)?.is_empty());
        changes.delete(META, DONE);
        changes.delete(META, CLEARING);
        Ok(())
    }
}
