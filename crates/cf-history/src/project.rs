//! How an entry of the log changes what is kept.

use std::collections::BTreeSet;

use bytes::Bytes;
use cf_core::{Content, ContentId, ContentState, ConversationId, Scan};

use crate::History;
use crate::HistoryError;
use crate::changes::Changes;
use crate::contract::{Author, Entry, EntryKind, Meaning, Named};
use crate::records::{
    self, ERASURES, HEADS, MARKS, MESSAGE, NAMES, NOTICE, RECENT, TAKEN_BACK, wire,
};
use crate::words::{self, Blind};

/// How many entries are taken in with one commit.
pub const STEP: usize = 512;
/// The most reactions and edits of one message. What comes then is dropped, also from
/// the log.
pub const MAX_TOUCHED: usize = 256;
/// The most reactions and edits that wait for one message. What comes then is dropped,
/// also from the log.
pub const MAX_PENDING: usize = 16;

type Result<T> = std::result::Result<T, HistoryError>;

/// Makes the changes of one commit.
pub(crate) struct Step<'a, 'b> {
    pub(crate) history: &'a History,
    pub(crate) changes: &'a mut Changes<'b>,
}

impl<'a, 'b> Step<'a, 'b> {
    pub(crate) fn new(history: &'a History, changes: &'a mut Changes<'b>) -> Self {
        Self { history, changes }
    }

    pub(crate) fn take_in(&mut self, entry: &Entry) -> Result<()> {
        match &entry.kind {
            EntryKind::Content {
                conversation,
                author,
                id,
                content,
                state,
                ..
            } => {
                let named = Named {
                    author: author.clone(),
                    id: id.clone(),
                };
                self.content(*conversation, &named, content, *state, entry.seq)
            }
            EntryKind::State {
                conversation,
                id,
                state,
            } => {
                let named = own(id);
                self.set_state(*conversation, &named, *state)
            }
            EntryKind::Began { conversation } => self.begin(*conversation, entry.seq),
            EntryKind::Notice { conversation } => {
                let row = wire::Row {
                    kind: NOTICE,
                    ..wire::Row::default()
                };
                self.put_row(*conversation, entry.seq, &row);
                self.move_up(*conversation, entry.seq)
            }
            EntryKind::Other => Ok(()),
        }
    }

    fn content(
        &mut self,
        conversation: ConversationId,
        named: &Named,
        content: &Content,
        state: ContentState,
        seq: u64,
    ) -> Result<()> {
        match self.history.reader.meaning(&named.author, content) {
            Meaning::Message { words, .. } => self.message(conversation, named, &words, state, seq),
            Meaning::Hidden => {
                let mut name = self.name(conversation, named)?;
                if name.deleted || name.seq > 0 {
                    return self.erase(conversation, seq, Some(named).filter(|_| name.deleted));
                }
                // Nobody can react to what is not shown.
                for pending in std::mem::take(&mut name.pending) {
                    self.drop_also(conversation, pending)?;
                }
                name.seq = seq;
                self.put_name(conversation, named, &name);
                self.put_also(conversation, seq);
                Ok(())
            }
            Meaning::Receipt { read } => {
                self.put_also(conversation, seq);
                // Only what was sent here: others' receipts are of no interest.
                for named in read.iter().filter(|named| named.author == Author::Own) {
                    self.set_state(conversation, named, ContentState::Read)?;
                }
                Ok(())
            }
            Meaning::Reaction { to, .. } => self.touch(conversation, &to, seq),
            Meaning::Edit { id, .. } => {
                let to = Named {
                    author: named.author.clone(),
                    id,
                };
                self.touch(conversation, &to, seq)
            }
            Meaning::Delete { id } => {
                let to = Named {
                    author: named.author.clone(),
                    id,
                };
                self.take_back(conversation, &to, seq)
            }
        }
    }

    fn message(
        &mut self,
        conversation: ConversationId,
        named: &Named,
        text: &str,
        state: ContentState,
        seq: u64,
    ) -> Result<()> {
        let mut name = self.name(conversation, named)?;
        // One that its author took back, or that came before: ids are not used twice.
        if name.deleted || name.seq > 0 {
            return self.erase(conversation, seq, None);
        }
        let is_own = named.author == Author::Own;
        let row = wire::Row {
            kind: MESSAGE,
            own: is_own,
            state: records::write_state(state),
            ..wire::Row::default()
        };
        self.put_row(conversation, seq, &row);
        self.index(&self.history.blinder.words(text), seq, true)?;
        self.move_up(conversation, seq)?;
        if !is_own && seq > self.mark(conversation)? {
            self.count_unread(conversation, 1)?;
        }
        let pending = std::mem::take(&mut name.pending);
        name.seq = seq;
        self.put_name(conversation, named, &name);
        for seq in pending {
            self.changes
                .delete(records::also(conversation), records::number(seq));
            self.touch(conversation, named, seq)?;
        }
        Ok(())
    }

    /// Applies an edit or a reaction; one to what is not there waits for it.
    fn touch(&mut self, conversation: ConversationId, to: &Named, seq: u64) -> Result<()> {
        let mut name = self.name(conversation, to)?;
        if name.deleted {
            return self.erase(conversation, seq, None);
        }
        if name.seq == 0 {
            if name.pending.len() >= MAX_PENDING {
                return self.erase(conversation, seq, None);
            }
            name.pending.push(seq);
            self.put_name(conversation, to, &name);
            self.put_also(conversation, seq);
            return Ok(());
        }
        let target = name.seq;
        let row = self.row(conversation, target)?;
        let Some(mut row) = row.filter(|row| row.touched.len() < MAX_TOUCHED) else {
            return self.erase(conversation, seq, None);
        };
        let Some((author, meaning)) = self.meaning(seq)? else {
            return Ok(());
        };
        let before = match meaning {
            Meaning::Edit { .. } => self.row_words(target, &row)?,
            _ => BTreeSet::new(),
        };
        match &meaning {
            Meaning::Edit { .. } => row.edit = seq,
            Meaning::Reaction {
                reaction, removed, ..
            } => {
                let reaction = wire::Reaction {
                    own: author == Author::Own,
                    author: records::author_bytes(&author),
                    reaction: reaction.clone(),
                };
                row.reactions.retain(|other| *other != reaction);
                if !removed {
                    row.reactions.push(reaction);
                }
            }
            _ => return Err(HistoryError::Damaged),
        }
        row.touched.push(seq);
        self.put_also(conversation, seq);
        self.put_row(conversation, target, &row);
        if let Meaning::Edit { words, .. } = &meaning {
            let after = self.history.blinder.words(words);
            self.index(&(&before - &after), target, false)?;
            self.index(&(&after - &before), target, true)?;
        }
        Ok(())
    }

    fn take_back(&mut self, conversation: ConversationId, to: &Named, seq: u64) -> Result<()> {
        let name = self.name(conversation, to)?;
        if name.deleted {
            return self.erase(conversation, seq, None);
        }
        for pending in &name.pending {
            self.drop_also(conversation, *pending)?;
        }
        if name.seq > 0 {
            match self.row(conversation, name.seq)? {
                Some(row) => self.remove_row(conversation, name.seq, &row)?,
                None => {
                    self.drop_also(conversation, name.seq)?;
                    self.erase(conversation, name.seq, Some(to))?;
                }
            }
        }
        let deleted = wire::Named {
            deleted: true,
            ..wire::Named::default()
        };
        self.put_name(conversation, to, &deleted);
        let row = wire::Row {
            kind: TAKEN_BACK,
            own: to.author == Author::Own,
            ..wire::Row::default()
        };
        self.put_row(conversation, seq, &row);
        self.move_up(conversation, seq)
    }

    fn set_state(
        &mut self,
        conversation: ConversationId,
        named: &Named,
        state: ContentState,
    ) -> Result<()> {
        let seq = self.name(conversation, named)?.seq;
        if seq == 0 {
            return Ok(());
        }
        if let Some(mut row) = self.row(conversation, seq)?.filter(|row| row.own) {
            row.state = records::write_state(state);
            self.put_row(conversation, seq, &row);
        }
        Ok(())
    }

    /// Takes a message away, with what was applied to it, also from the log.
    pub(crate) fn remove_row(
        &mut self,
        conversation: ConversationId,
        seq: u64,
        row: &wire::Row,
    ) -> Result<()> {
        if row.kind == MESSAGE {
            let words = self.row_words(seq, row)?;
            self.index(&words, seq, false)?;
            if !row.own && seq > self.mark(conversation)? {
                self.count_unread(conversation, -1)?;
            }
        }
        for touched in &row.touched {
            self.drop_also(conversation, *touched)?;
        }
        let mut large = None;
        if let Some((named, meaning)) = self.named_meaning(seq)? {
            match meaning {
                Meaning::Message { large: with, .. } => {
                    large = with.map(|id| Named {
                        author: named.author.clone(),
                        id,
                    });
                    self.forget_name(conversation, &named, seq)?;
                }
                Meaning::Delete { id } => {
                    let author = named.author;
                    self.drop_name(conversation, &Named { author, id });
                }
                _ => {}
            }
        }
        if let Some(large) = &large {
            let bytes = self.name(conversation, large)?.seq;
            if bytes > 0 && self.row(conversation, bytes)?.is_none() {
                self.drop_name(conversation, large);
                self.drop_also(conversation, bytes)?;
            }
        }
        self.changes
            .delete(records::talk(conversation), records::number(seq));
        self.erase(conversation, seq, large.as_ref())?;
        self.move_down(conversation, seq)
    }

    /// Takes a content away that is no message of its own.
    pub(crate) fn drop_also(&mut self, conversation: ConversationId, seq: u64) -> Result<()> {
        self.changes
            .delete(records::also(conversation), records::number(seq));
        self.erase(conversation, seq, None)
    }

    fn forget_name(&mut self, conversation: ConversationId, named: &Named, seq: u64) -> Result<()> {
        if self.name(conversation, named)?.seq == seq {
            self.drop_name(conversation, named);
        }
        Ok(())
    }

    pub(crate) fn drop_name(&mut self, conversation: ConversationId, named: &Named) {
        let key = self.history.blinder.name(conversation, named);
        self.changes.delete(NAMES, key);
    }

    pub(crate) fn erase(
        &mut self,
        conversation: ConversationId,
        seq: u64,
        large: Option<&Named>,
    ) -> Result<()> {
        let erasure = wire::Erasure {
            conversation: Bytes::copy_from_slice(conversation.as_bytes()),
            own: large.is_some_and(|large| large.author == Author::Own),
            author: large.map_or_else(Bytes::new, |large| records::author_bytes(&large.author)),
            large: large.map_or_else(Bytes::new, |large| large.id.to_bytes()),
        };
        self.changes
            .put(ERASURES, records::number(seq), records::write(&erasure));
        Ok(())
    }

    // ---- what a message says ------------------------------------------------

    /// What an entry means; `None` if it is erased or no content.
    pub(crate) fn named_meaning(&self, seq: u64) -> Result<Option<(Named, Meaning)>> {
        Ok(match self.history.log.entry(seq)?.map(|entry| entry.kind) {
            Some(EntryKind::Content {
                author,
                id,
                content,
                ..
            }) => {
                let meaning = self.history.reader.meaning(&author, &content);
                Some((Named { author, id }, meaning))
            }
            _ => None,
        })
    }

    fn meaning(&self, seq: u64) -> Result<Option<(Author, Meaning)>> {
        let found = self.named_meaning(seq)?;
        Ok(found.map(|(named, meaning)| (named.author, meaning)))
    }

    fn row_words(&self, seq: u64, row: &wire::Row) -> Result<BTreeSet<Blind>> {
        let said = if row.edit > 0 { row.edit } else { seq };
        Ok(match self.meaning(said)? {
            Some((_, Meaning::Message { words, .. } | Meaning::Edit { words, .. })) => {
                self.history.blinder.words(&words)
            }
            _ => BTreeSet::new(),
        })
    }

    fn index(&mut self, words: &BTreeSet<Blind>, seq: u64, there: bool) -> Result<()> {
        words::index(self.changes, words, seq, there)
    }

    // ---- the list of conversations ------------------------------------------

    fn begin(&mut self, conversation: ConversationId, seq: u64) -> Result<()> {
        let mut head = self.head(conversation)?;
        if head.began == 0 {
            head.began = seq;
            self.put_head(conversation, &head);
            self.move_up(conversation, seq)?;
        }
        Ok(())
    }

    fn move_up(&mut self, conversation: ConversationId, seq: u64) -> Result<()> {
        match seq > self.head(conversation)?.last {
            true => self.list(conversation, seq),
            false => Ok(()),
        }
    }

    /// The row `seq` is gone: the one before it may be the last now.
    fn move_down(&mut self, conversation: ConversationId, seq: u64) -> Result<()> {
        let head = self.head(conversation)?;
        if seq != head.last {
            return Ok(());
        }
        let last = Scan {
            reverse: true,
            limit: 1,
            ..Scan::prefix("")
        };
        let last = self.changes.scan(records::talk(conversation), &last)?;
        let last = last.first().map(|(key, _)| records::read_number(key));
        let last = last.transpose()?.unwrap_or(0);
        self.list(conversation, last.max(head.began))
    }

    /// Lists a conversation under a number: that of its last row, or of its beginning
    /// if that is later.
    fn list(&mut self, conversation: ConversationId, seq: u64) -> Result<()> {
        let mut head = self.head(conversation)?;
        let id = Bytes::copy_from_slice(conversation.as_bytes());
        if head.last > 0 {
            self.changes.delete(RECENT, records::number(head.last));
        }
        if seq == 0 {
            // Nothing is known of it any more, not even that it began.
            self.changes.delete(HEADS, id);
            return Ok(());
        }
        head.last = seq;
        self.changes.put(RECENT, records::number(seq), id);
        self.put_head(conversation, &head);
        Ok(())
    }

    pub(crate) fn count_unread(&mut self, conversation: ConversationId, by: i64) -> Result<()> {
        let mut head = self.head(conversation)?;
        head.unread = head.unread.saturating_add_signed(by);
        self.put_head(conversation, &head);
        Ok(())
    }

    // ---- records --------------------------------------------------------------

    pub(crate) fn head(&self, conversation: ConversationId) -> Result<wire::Head> {
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        let found = self.changes.get(HEADS, key)?;
        found.map_or_else(|| Ok(wire::Head::default()), |value| records::read(&value))
    }

    pub(crate) fn put_head(&mut self, conversation: ConversationId, head: &wire::Head) {
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        self.changes.put(HEADS, key, records::write(head));
    }

    pub(crate) fn row(&self, conversation: ConversationId, seq: u64) -> Result<Option<wire::Row>> {
        let found = self
            .changes
            .get(records::talk(conversation), records::number(seq))?;
        found.map(|value| records::read(&value)).transpose()
    }

    fn put_row(&mut self, conversation: ConversationId, seq: u64, row: &wire::Row) {
        let (key, value) = (records::number(seq), records::write(row));
        self.changes.put(records::talk(conversation), key, value);
    }

    fn put_also(&mut self, conversation: ConversationId, seq: u64) {
        let namespace = records::also(conversation);
        self.changes
            .put(namespace, records::number(seq), Bytes::new());
    }

    pub(crate) fn name(&self, conversation: ConversationId, named: &Named) -> Result<wire::Named> {
        let key = self.history.blinder.name(conversation, named);
        let found = self.changes.get(NAMES, key)?;
        found.map_or_else(|| Ok(wire::Named::default()), |value| records::read(&value))
    }

    pub(crate) fn put_name(
        &mut self,
        conversation: ConversationId,
        named: &Named,
        name: &wire::Named,
    ) {
        let key = self.history.blinder.name(conversation, named);
        self.changes.put(NAMES, key, records::write(name));
    }

    pub(crate) fn mark(&self, conversation: ConversationId) -> Result<u64> {
        let key = Bytes::copy_from_slice(conversation.as_bytes());
        let found = self.changes.get(MARKS, key)?;
        found.map_or(Ok(0), |value| records::read_number(&value))
    }
}

fn own(id: &ContentId) -> Named {
    Named {
        author: Author::Own,
        id: id.clone(),
    }
}
