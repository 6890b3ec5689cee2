//! The spool: the bytes of large contents, on their way out and when they came.
//!
//! A record for each content says how far it is; its bytes are rows in a numbered
//! namespace of its own, each under the offset where it starts. So a part is found
//! without opening others, and a content goes row by row.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cf_core::{
    Content, ContentId, ContentState, ConversationId, Error, Input, InstanceId, ParticipantId,
    Result, Scan, Store, Timestamp,
};

use super::room::{Kept, kept_len};
use super::{Driver, Wake, Work};
use crate::overlay::Overlay;
use crate::records::{self, SPOOLS, wire};

/// How long a row of a content that is sent here is, in bytes, the last aside.
pub const SPOOL_ROW: usize = 16 * 1024;

/// The longest piece that [`Driver::spool`] takes at once, in bytes: what one
/// commit holds of a large content.
pub const SPOOL_STEP: usize = 16 * SPOOL_ROW;

/// How long a content that was never spooled to its end is kept.
pub const UNSENT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many rows are let go of in one input: rows are read to be found.
const DROP_STEP: usize = 64;

/// What is read at once of a content that came, in rows.
const READ_STEP: usize = 16;

/// The states of a spool.
const FILLING: u32 = 1;
pub(super) const KEPT: u32 = 2;
const DROPPING: u32 = 3;

/// Which spools are of interest now.
#[derive(Default)]
pub(super) struct Spools {
    /// Those of contents that are sent here.
    own: HashSet<Bytes>,
    /// Those of contents of which a part came since the start.
    coming: HashSet<Bytes>,
    /// Those whose rows are being let go of.
    dropping: VecDeque<Bytes>,
    pub(super) kept: Kept,
}

/// A part of a content that comes, and how long all of that is.
pub(super) struct Part {
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
}

impl Driver {
    /// How many bytes of a large content are spooled; the state, if it was sent.
    /// A content that was begun with another length is begun anew.
    ///
    /// # Errors
    /// `Misuse` for an unknown conversation, `Unavailable` while what was begun
    /// before is let go of; those of the store.
    pub fn spooled(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        len: u64,
        now: Timestamp,
    ) -> Result<(u64, Option<ContentState>)> {
        self.instance(conversation, now)?;
        self.check_audible(conversation)?;
        if let Some(state) = self.state(conversation, id)? {
            return Ok((0, Some(state)));
        }
        let key = records::spool_key(conversation, None, id);
        match spool(&self.overlay, &key)? {
            Some(found) if found.state == DROPPING => Err(Error::unavailable(
                "an earlier content of this id is let go of",
            )),
            Some(found) if found.len == len => Ok((found.filled, None)),
            Some(_) => {
                self.drop_spool(&key, now);
                Err(Error::unavailable(
                    "what was begun with another length is let go of",
                ))
            }
            None => {
                let spool = wire::Spool {
                    len,
                    filled: 0,
                    state: FILLING,
                    at: now.0,
                };
                self.put_spool(&key, &spool);
                self.spools.own.insert(key);
                Ok((0, None))
            }
        }
    }

    /// How many bytes of a content that was begun, and not sent, are spooled.
    ///
    /// # Errors
    /// Those of the store.
    pub fn filled(&self, conversation: ConversationId, id: &ContentId) -> Result<u64> {
        let key = records::spool_key(conversation, None, id);
        let found = spool(&self.overlay, &key)?.filter(|found| found.state == FILLING);
        Ok(found.map_or(0, |found| found.filled))
    }

    /// Spools the next piece of a large content that is to be sent.
    ///
    /// # Errors
    /// `Misuse` for a piece that is not the next, is longer than [`SPOOL_STEP`], or
    /// does not end with a row or the content; those of the store.
    pub fn spool(
        &mut self,
        conversation: ConversationId,
        id: &ContentId,
        offset: u64,
        piece: Bytes,
    ) -> Result<()> {
        let key = records::spool_key(conversation, None, id);
        let found = spool(&self.overlay, &key)?.filter(|found| found.state == FILLING);
        let mut found = found.ok_or_else(|| Error::misuse("this content was not begun"))?;
        let end = offset + piece.len() as u64;
        let is_row = piece.len().is_multiple_of(SPOOL_ROW) || end == found.len;
        let fits = offset == found.filled && end <= found.len && piece.len() <= SPOOL_STEP;
        if !is_row || !fits {
            return Err(Error::misuse(
                "a piece follows the one before it, in whole rows",
            ));
        }
        found.filled = end;
        self.put_spool(&key, &found);
        let namespace = records::spool_namespace(&key);
        for (row, at) in piece.chunks(SPOOL_ROW).zip((offset..).step_by(SPOOL_ROW)) {
            let row = piece.slice_ref(row);
            self.overlay
                .put(namespace.clone(), records::number_key(at), row);
        }
        Ok(())
    }

    /// Sends a large content that is spooled to its end. The same id again sends
    /// nothing and answers with its state.
    ///
    /// # Errors
    /// As [`Driver::send`], and `Misuse` before all of it is spooled.
    pub fn send_large(
        &mut self,
        conversation: ConversationId,
        id: ContentId,
        now: Timestamp,
    ) -> Result<ContentState> {
        if let Some(state) = self.state(conversation, &id)? {
            return Ok(state);
        }
        let key = records::spool_key(conversation, None, &id);
        let found = spool(&self.overlay, &key)?;
        let found = found.filter(|found| found.state == FILLING && found.filled == found.len);
        let mut found = found.ok_or_else(|| Error::misuse("spool all of the content first"))?;
        let len = found.len;
        // Before the conversation asks for the first part.
        found.state = KEPT;
        let before = wire::Spool {
            state: FILLING,
            ..found
        };
        self.put_spool(&key, &found);
        let sent = self.send(conversation, id, Content::Large { len }, now);
        if sent.is_err() {
            self.put_spool(&key, &before);
        }
        sent
    }

    /// Lets go of a large content that came.
    ///
    /// # Errors
    /// `Misuse` for one that is not there, or not whole.
    pub fn forget_large(
        &mut self,
        conversation: ConversationId,
        from: Option<&ParticipantId>,
        id: &ContentId,
        now: Timestamp,
    ) -> Result<()> {
        let key = records::spool_key(conversation, Some(from), id);
        match spool(&self.overlay, &key)? {
            Some(found) if is_whole(&found) => {
                self.drop_spool(&key, now);
                Ok(())
            }
            _ => Err(Error::misuse("there is no such large content")),
        }
    }

    /// Answers a conversation that wants a part of a content.
    pub(super) fn give_chunk(
        &mut self,
        instance: InstanceId,
        content: ContentId,
        range: std::ops::Range<u64>,
        now: Timestamp,
    ) {
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        let key = records::spool_key(conversation, None, &content);
        let bytes = match read_own(&self.overlay, &key, &range) {
            Ok(bytes) => bytes,
            // It asks again after a restart, which a store that fails brings about.
            Err(error) => return self.rejected("failed.chunk", &error),
        };
        let input = Input::Chunk {
            content,
            offset: range.start,
            bytes,
        };
        if let Err(error) = self.input(instance, input, now) {
            self.rejected("rejected.chunk", &error);
        }
    }

    /// Keeps a part of a content that comes.
    pub(super) fn keep_chunk(
        &mut self,
        instance: InstanceId,
        from: Option<&ParticipantId>,
        content: &ContentId,
        part: Part,
        now: Timestamp,
    ) {
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        if self.was_received(conversation, content) {
            // Another session brought it before.
            return;
        }
        let key = records::spool_key(conversation, Some(from), content);
        if self.spools.coming.insert(key.clone()) {
            // Another session may bring again what was given up.
            self.spools.dropping.retain(|dropping| *dropping != key);
            let coming = wire::Spool {
                len: part.len,
                filled: 0,
                state: KEPT,
                at: now.0,
            };
            self.put_spool(&key, &coming);
        }
        let namespace = records::spool_namespace(&key);
        self.overlay
            .put(namespace, records::number_key(part.offset), part.bytes);
    }

    /// A content that came is whole: from now on it can be read.
    pub(super) fn large_came(
        &mut self,
        conversation: ConversationId,
        from: Option<&ParticipantId>,
        content: &ContentId,
        len: u64,
        now: Timestamp,
    ) {
        let key = records::spool_key(conversation, Some(from), content);
        self.spools.coming.remove(&key);
        let whole = wire::Spool {
            len,
            filled: len,
            state: KEPT,
            at: now.0,
        };
        self.put_spool(&key, &whole);
    }

    /// A content that comes will never be whole.
    pub(super) fn drop_chunks(
        &mut self,
        instance: InstanceId,
        from: Option<&ParticipantId>,
        content: &ContentId,
        now: Timestamp,
    ) {
        if let Some(found) = self.conversations.get(&instance) {
            let key = records::spool_key(found.id, Some(from), content);
            self.drop_spool(&key, now);
        }
    }

    /// A content that was sent here has this state: with a final one, nobody asks
    /// for its parts any more.
    pub(super) fn settle_spool(
        &mut self,
        conversation: ConversationId,
        content: &ContentId,
        state: ContentState,
        now: Timestamp,
    ) {
        let is_final = !matches!(state, ContentState::Queued | ContentState::Accepted);
        if is_final && !self.spools.own.is_empty() {
            let key = records::spool_key(conversation, None, content);
            if self.spools.own.contains(&key) {
                self.drop_spool(&key, now);
            }
        }
    }

    /// Marks a spool, whose rows go step by step: a large content has many.
    fn drop_spool(&mut self, key: &Bytes, now: Timestamp) {
        self.spools.own.remove(key);
        self.spools.coming.remove(key);
        let dropping = wire::Spool {
            state: DROPPING,
            ..wire::Spool::default()
        };
        self.put_spool(key, &dropping);
        if !self.spools.dropping.contains(key) {
            self.spools.dropping.push_back(key.clone());
        }
        self.wakes.insert((now, Wake::Spool));
    }

    /// Lets go of some rows of what is marked.
    pub(super) fn drop_rows(&mut self, now: Timestamp) {
        let Some(key) = self.spools.dropping.front().cloned() else {
            return;
        };
        let namespace = records::spool_namespace(&key);
        let some = Scan {
            limit: DROP_STEP,
            ..Scan::prefix("")
        };
        let rows = match self.overlay.scan(&namespace, &some) {
            Ok(rows) => rows,
            Err(error) => {
                self.rejected("failed.drop", &error);
                self.wakes
                    .insert((now.after(Duration::from_secs(60)), Wake::Spool));
                return;
            }
        };
        let is_last = rows.len() < DROP_STEP;
        for (row, _) in rows {
            self.overlay.delete(namespace.clone(), row);
        }
        if is_last {
            self.overlay.delete(SPOOLS, key);
            self.spools.dropping.pop_front();
        }
        if !self.spools.dropping.is_empty() {
            self.wakes
                .insert((now.after(Duration::from_millis(1)), Wake::Spool));
        }
    }

    /// Lets go of what was begun and never sent.
    pub(super) fn expire_spools(&mut self, now: Timestamp) -> Result<()> {
        for key in self.spools.own.clone() {
            if let Some(found) = spool(&self.overlay, &key)?
                && found.state == FILLING
                && Timestamp(found.at).after(UNSENT_FOR) <= now
            {
                self.drop_spool(&key, now);
                self.counters.add("expired.spool");
            }
        }
        Ok(())
    }

    pub(super) fn restore_spools(&mut self, now: Timestamp) -> Result<()> {
        self.spools.kept.restore(&self.overlay)?;
        for (key, value) in self.overlay.scan(SPOOLS, &Scan::prefix(""))? {
            let found: wire::Spool = records::read(&value)?;
            self.spools.kept.count(&key, 0, kept_len(&key, &found))?;
            if found.state == DROPPING {
                self.spools.dropping.push_back(key);
                self.wakes.insert((now, Wake::Spool));
            } else if records::is_own_spool(&key) {
                self.spools.own.insert(key);
            }
        }
        Ok(())
    }

    fn put_spool(&mut self, key: &Bytes, after: &wire::Spool) {
        if !records::is_own_spool(key) {
            let before = spool(&self.overlay, key).ok().flatten();
            let before = before.map_or(0, |before| kept_len(key, &before));
            // A key of its own names a conversation.
            let _ = self.spools.kept.count(key, before, kept_len(key, after));
        }
        self.overlay.put(SPOOLS, key.clone(), records::write(after));
    }

    pub(super) fn want_chunk(
        &mut self,
        instance: InstanceId,
        content: ContentId,
        offset: u64,
        len: u32,
    ) {
        let range = offset..offset + u64::from(len);
        self.work.push_back(Work::Chunk(instance, content, range));
    }
}

/// Whether all of a content is there that came, or that is sent here.
fn is_whole(spool: &wire::Spool) -> bool {
    spool.state == KEPT && spool.len > 0 && spool.filled == spool.len
}

fn spool(overlay: &Overlay, key: &[u8]) -> Result<Option<wire::Spool>> {
    let found = overlay.get(SPOOLS, key)?;
    found.map(|value| records::read(&value)).transpose()
}

/// Reads a part of a content that is sent here; nothing if it is not there.
fn read_own(overlay: &Overlay, key: &Bytes, range: &std::ops::Range<u64>) -> Result<Bytes> {
    let namespace = records::spool_namespace(key);
    let row_len = SPOOL_ROW as u64;
    let mut read = BytesMut::new();
    for row in range.start / row_len..range.end.div_ceil(row_len) {
        let start = row * row_len;
        let bytes = overlay.get(&namespace, &records::number_key(start))?;
        let bytes = bytes.unwrap_or_default();
        let from = range.start.saturating_sub(start) as usize;
        let to = (range.end - start).min(row_len) as usize;
        match bytes.get(from..to) {
            Some(bytes) => read.extend_from_slice(bytes),
            None => return Ok(Bytes::new()),
        }
    }
    Ok(read.freeze())
}

/// The bytes of a large content that came, from `offset` on: at most `len`, and
/// fewer where more would take much memory; none at its end.
///
/// # Errors
/// `Misuse` for a content that is not there or not whole; those of the store.
pub fn read_large(
    store: &dyn Store,
    conversation: ConversationId,
    from: Option<&ParticipantId>,
    id: &ContentId,
    offset: u64,
    len: usize,
) -> Result<Bytes> {
    let key = records::spool_key(conversation, Some(from), id);
    let found = store.get(SPOOLS, &key)?;
    let found: Option<wire::Spool> = found.map(|value| records::read(&value)).transpose()?;
    let found = found.filter(is_whole);
    let found = found.ok_or_else(|| Error::misuse("there is no such large content"))?;
    let namespace = records::spool_namespace(&key);
    let end = offset.saturating_add(len as u64).min(found.len);
    let mut read = BytesMut::new();
    let row_of_first = Scan {
        beyond: Some(records::number_key(offset.saturating_add(1))),
        reverse: true,
        limit: 1,
        ..Scan::prefix("")
    };
    let first = store.scan(&namespace, &row_of_first)?;
    let after_first = Scan {
        beyond: first.first().map(|(key, _)| key.clone()),
        limit: READ_STEP,
        ..Scan::prefix("")
    };
    let others = match first.first() {
        Some((start, row)) if records::read_number(start)? + (row.len() as u64) < end => {
            store.scan(&namespace, &after_first)?
        }
        _ => Vec::new(),
    };
    for (start, row) in first.into_iter().chain(others) {
        let start = records::read_number(&start)?;
        let at = offset + read.len() as u64;
        if at >= end {
            break;
        }
        let skipped = at.checked_sub(start).ok_or_else(records::damaged)? as usize;
        let to = row.len().min((end - start) as usize);
        // A row of another cut of the same content may lie within the last one.
        read.extend_from_slice(row.get(skipped..to).unwrap_or_default());
    }
    match read.is_empty() && offset < end {
        true => Err(records::damaged()),
        false => Ok(read.freeze()),
    }
}
