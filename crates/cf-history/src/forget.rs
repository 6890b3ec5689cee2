//! What is forgotten: here at once, in the log by who keeps it.

use bytes::Bytes;
use cf_core::{ContentId, ConversationId, Result, Scan, Timestamp};

use crate::contract::{EntryKind, Meaning, Named};
use crate::project::{STEP, Step};
use crate::records::{self, CUT, ERASURES, MARKS, META, wire};
use crate::{Author, History, HistoryError};

/// An entry that is to be erased from the log, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The number of the entry.
    pub seq: u64,
    /// Its conversation.
    pub conversation: ConversationId,
    /// A large content to let go of.
    pub large: Option<Named>,
}

impl History {
    /// Deletes a message, or whatever stands there, with its reactions and edits.
    ///
    /// # Errors
    /// `Misuse` if nothing stands there; those of the store.
    pub fn delete(&self, conversation: ConversationId, seq: u64) -> Result<()> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        let mut step = Step::new(self, &mut changes);
        let row = step.row(conversation, seq)?.ok_or(HistoryError::Unknown)?;
        step.remove_row(conversation, seq, &row)?;
        Ok(changes.commit()?)
    }

    /// Deletes what a conversation has up to a number, some of it: `true` if there is
    /// more, then call it again.
    ///
    /// # Errors
    /// Those of the store.
    pub fn clear(&self, conversation: ConversationId, up_to: u64) -> Result<bool> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        let some = Scan {
            limit: STEP,
            ..Scan::prefix("")
        };
        let some = Scan {
            beyond: Some(records::number(up_to.saturating_add(1))),
            reverse: true,
            ..some
        };
        let rows = changes.scan(records::talk(conversation), &some)?;
        let mut step = Step::new(self, &mut changes);
        for (key, value) in &rows {
            let row: wire::Row = records::read(value)?;
            step.remove_row(conversation, records::read_number(key)?, &row)?;
        }
        let mut more = !rows.is_empty();
        if !more {
            let mut any = false;
            let all = step.changes.scan(records::also(conversation), &some)?;
            for (key, _) in &all {
                any |= step.drop_loose(conversation, records::read_number(key)?)?;
            }
            // What belongs to later messages stays, and would be met again.
            more = any && all.len() == STEP;
        }
        changes.commit()?;
        Ok(more)
    }

    /// Deletes what was logged before a time, some of it: `true` if there is more, then
    /// call it again. That conversations began stays known.
    ///
    /// # Errors
    /// Those of the store and the log.
    pub fn forget_before(&self, at: Timestamp) -> Result<bool> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        let cut = changes.get(META, CUT)?;
        let mut cut = cut.map_or(Ok(0), |cut| records::read_number(&cut))?;
        // What is not taken in yet would be taken in when it is gone.
        let done = self.done()?;
        let entries = self.log.after(cut, STEP)?;
        let old = entries
            .iter()
            .take_while(|entry| entry.at < at && entry.seq <= done);
        let mut count = 0;
        let mut step = Step::new(self, &mut changes);
        for entry in old {
            (cut, count) = (entry.seq, count + 1);
            match &entry.kind {
                EntryKind::Content { conversation, .. } => {
                    match step.row(*conversation, entry.seq)? {
                        Some(row) => step.remove_row(*conversation, entry.seq, &row)?,
                        None => drop(step.drop_loose(*conversation, entry.seq)?),
                    }
                }
                EntryKind::Notice { conversation } => {
                    if let Some(row) = step.row(*conversation, entry.seq)? {
                        step.remove_row(*conversation, entry.seq, &row)?;
                    }
                }
                EntryKind::State { conversation, .. } => {
                    step.erase(*conversation, entry.seq, None)?;
                }
                EntryKind::Began { .. } | EntryKind::Other => {}
            }
        }
        if count > 0 {
            changes.put(META, CUT, records::number(cut));
        }
        changes.commit()?;
        Ok(count == STEP)
    }

    /// The user has read a conversation up to a number. Gives who is to be told of
    /// which contents: the last of those that were unread, at most 1,024.
    ///
    /// # Errors
    /// Those of the store.
    pub fn mark_read(&self, conversation: ConversationId, up_to: u64) -> Result<Vec<Named>> {
        const MAX_TOLD: usize = 1024;
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        let mut step = Step::new(self, &mut changes);
        let before = step.mark(conversation)?;
        let mut head = step.head(conversation)?;
        // What comes later is unread.
        let up_to = up_to.min(head.last);
        if up_to <= before {
            return Ok(Vec::new());
        }
        let (mut read, mut beyond) = (Vec::new(), before);
        'rows: loop {
            let rows = Scan {
                beyond: Some(records::number(beyond)),
                limit: STEP,
                ..Scan::prefix("")
            };
            let rows = step.changes.scan(records::talk(conversation), &rows)?;
            for (key, value) in &rows {
                beyond = records::read_number(key)?;
                if beyond > up_to {
                    break 'rows;
                }
                let row: wire::Row = records::read(value)?;
                if row.kind == records::MESSAGE && !row.own {
                    read.push(beyond);
                }
            }
            if rows.len() < STEP {
                break;
            }
        }
        head.unread = head.unread.saturating_sub(read.len() as u64);
        step.put_head(conversation, &head);
        let mut named = Vec::new();
        for seq in &read[read.len().saturating_sub(MAX_TOLD)..] {
            named.extend(step.named_meaning(*seq)?.map(|(named, _)| named));
        }
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        changes.put(MARKS, key, records::number(up_to));
        changes.commit()?;
        Ok(named)
    }

    /// What is to be erased from the log, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn erasures(&self, limit: usize) -> Result<Vec<Erasure>> {
        let some = Scan {
            limit,
            ..Scan::prefix("")
        };
        let found = self.store.scan(ERASURES, &some)?;
        let erasure = |(key, value): &(Bytes, Bytes)| -> Result<Erasure, HistoryError> {
            let record: wire::Erasure = records::read(value)?;
            let large = match record.large.is_empty() {
                true => None,
                false => Some(Named {
                    author: records::author(record.own, &record.author)?,
                    id: ContentId::new(record.large).map_err(|_| HistoryError::Damaged)?,
                }),
            };
            Ok(Erasure {
                seq: records::read_number(key)?,
                conversation: records::read_conversation(&record.conversation)?,
                large,
            })
        };
        Ok(found
            .iter()
            .map(erasure)
            .collect::<Result<_, HistoryError>>()?)
    }

    /// The log has erased these, durably.
    ///
    /// # Errors
    /// Those of the store.
    pub fn erased(&self, seqs: &[u64]) -> Result<()> {
        let _turn = self.turn.lock();
        let mut changes = self.changes();
        for seq in seqs {
            changes.delete(ERASURES, records::number(*seq));
        }
        Ok(changes.commit()?)
    }
}

impl Step<'_, '_> {
    /// Drops a content that is no message of its own, unless it belongs to one that is
    /// there; whether it did.
    fn drop_loose(&mut self, conversation: ConversationId, seq: u64) -> Result<bool, HistoryError> {
        let target = match self.named_meaning(seq)? {
            Some((_, Meaning::Reaction { to, .. })) => Some(to),
            Some((named, Meaning::Edit { id, .. })) => Some(Named {
                author: named.author,
                id,
            }),
            Some((named, Meaning::Hidden)) => {
                let name = self.name(conversation, &named)?;
                if name.seq == seq {
                    self.drop_name(conversation, &named);
                }
                if named.author != Author::Own {
                    let namespace = records::also(conversation);
                    self.changes.delete(namespace, records::number(seq));
                    self.erase(conversation, seq, Some(&named))?;
                    return Ok(true);
                }
                None
            }
            _ => None,
        };
        if let Some(target) = target {
            let mut name = self.name(conversation, &target)?;
            if name.seq > 0 {
                return Ok(false);
            }
            name.pending.retain(|pending| *pending != seq);
            match name.pending.is_empty() && !name.deleted {
                true => self.drop_name(conversation, &target),
                false => self.put_name(conversation, &target, &name),
            }
        }
        self.drop_also(conversation, seq)?;
        Ok(true)
    }
}
