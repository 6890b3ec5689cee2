//! What a person is shown.

use bytes::Bytes;
use cf_core::{Content, ContentId, ContentState, ConversationId, Result, Scan, Timestamp};

use crate::contract::{Author, EntryKind, Meaning, Named};
use crate::project::Step;
use crate::records::{self, MESSAGE, NOTICE, RECENT, TAKEN_BACK, wire};
use crate::{History, HistoryError};

/// A conversation in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub conversation: ConversationId,
    /// Where it stands in the list: the number of its last entry.
    pub last_seq: u64,
    /// The last item; `None` if nothing was said.
    pub last: Option<Item>,
    /// How many messages of others are unread.
    pub unread: u64,
}

/// Which part of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// The nearest before a number.
    Before(u64),
    /// The nearest after a number.
    After(u64),
}

/// Something that stands in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The number of the log's entry that made it.
    pub seq: u64,
    /// When it was logged.
    pub at: Timestamp,
    /// What it is.
    pub kind: ItemKind,
}

/// What stands in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "nearly all are messages")]
pub enum ItemKind {
    /// A message.
    Message {
        /// Whose.
        author: Author,
        /// The author's id of it.
        id: ContentId,
        /// The content, as it was sent.
        content: Content,
        /// When the author says it was sent.
        sent_at: Option<Timestamp>,
        /// The state of what was sent here.
        state: Option<ContentState>,
        /// The words that its author put in the place of the first.
        edited: Option<String>,
        /// To what it replies, and where that stands, if it is there.
        reply_to: Option<(Named, Option<u64>)>,
        /// In the order in which they came.
        reactions: Vec<Reaction>,
    },
    /// Somebody has taken a message back.
    TakenBack {
        /// Who.
        author: Author,
    },
    /// Something else: see the log.
    Notice,
}

/// What somebody feels about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// Who.
    pub author: Author,
    /// What.
    pub reaction: String,
}

impl History {
    /// The conversations, the last one in which something happened first: those behind
    /// the number `before`, if one is given; at most `limit`.
    ///
    /// # Errors
    /// Those of the store and the log.
    pub fn conversations(&self, before: Option<u64>, limit: usize) -> Result<Vec<Summary>> {
        let scan = Scan {
            beyond: before.map(records::number),
            reverse: true,
            limit,
            ..Scan::prefix("")
        };
        let found = self.store.scan(RECENT, &scan)?;
        let ids = found.iter().map(|(_, id)| records::read_conversation(id));
        let mut summaries = Vec::new();
        for id in ids {
            summaries.extend(self.conversation(id?)?);
        }
        Ok(summaries)
    }

    /// One conversation, as in the list; `None` if nothing is known of it.
    ///
    /// # Errors
    /// Those of the store and the log.
    pub fn conversation(&self, conversation: ConversationId) -> Result<Option<Summary>> {
        let mut changes = self.changes();
        let head = Step::new(self, &mut changes).head(conversation)?;
        if head.last == 0 {
            return Ok(None);
        }
        Ok(Some(Summary {
            conversation,
            last_seq: head.last,
            last: self.item(conversation, head.last)?,
            unread: head.unread,
        }))
    }

    /// A part of a conversation, from the first to the last; at most `limit` items.
    ///
    /// # Errors
    /// Those of the store and the log.
    pub fn page(
        &self,
        conversation: ConversationId,
        page: Page,
        limit: usize,
    ) -> Result<Vec<Item>> {
        let reverse = !matches!(page, Page::After(_));
        let scan = Scan {
            beyond: match page {
                Page::Newest => None,
                Page::Before(seq) | Page::After(seq) => Some(records::number(seq)),
            },
            reverse,
            limit,
            ..Scan::prefix("")
        };
        let rows = self.store.scan(&records::talk(conversation), &scan)?;
        let mut items = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            let (seq, row) = (records::read_number(&key)?, records::read(&value)?);
            items.extend(self.read_item(conversation, seq, row)?);
        }
        if reverse {
            items.reverse();
        }
        Ok(items)
    }

    /// What stands at a number; `None` if nothing does.
    ///
    /// # Errors
    /// Those of the store and the log.
    pub fn item(&self, conversation: ConversationId, seq: u64) -> Result<Option<Item>> {
        let namespace = records::talk(conversation);
        match self.store.get(&namespace, &records::number(seq))? {
            Some(row) => Ok(self.read_item(conversation, seq, records::read(&row)?)?),
            None => Ok(None),
        }
    }

    /// Where a content stands that is known by its name; `None` if it is not there.
    ///
    /// # Errors
    /// Those of the store.
    pub fn find(&self, conversation: ConversationId, named: &Named) -> Result<Option<u64>> {
        let mut changes = self.changes();
        let name = Step::new(self, &mut changes).name(conversation, named)?;
        Ok((name.seq > 0).then_some(name.seq))
    }

    /// Up to where the user has read a conversation; 0 before the first mark.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read_up_to(&self, conversation: ConversationId) -> Result<u64> {
        let mut changes = self.changes();
        Ok(Step::new(self, &mut changes).mark(conversation)?)
    }

    fn read_item(
        &self,
        conversation: ConversationId,
        seq: u64,
        row: wire::Row,
    ) -> Result<Option<Item>, HistoryError> {
        // Erased in this moment.
        let Some(entry) = self.log.entry(seq)? else {
            return Ok(None);
        };
        let kind = match (row.kind, entry.kind) {
            (
                MESSAGE,
                EntryKind::Content {
                    author,
                    id,
                    content,
                    sent_at,
                    ..
                },
            ) => {
                let reply_to = match self.reader.meaning(&author, &content) {
                    Meaning::Message {
                        reply_to: Some(to), ..
                    } => {
                        let stands = self.find(conversation, &to)?;
                        Some((to, stands))
                    }
                    _ => None,
                };
                ItemKind::Message {
                    state: row.own.then(|| records::read_state(row.state)),
                    edited: self.edited(row.edit)?,
                    reactions: reactions(&row)?,
                    author,
                    id,
                    content,
                    sent_at,
                    reply_to,
                }
            }
            (TAKEN_BACK, EntryKind::Content { author, .. }) => ItemKind::TakenBack { author },
            (NOTICE, _) => ItemKind::Notice,
            _ => return Err(HistoryError::Damaged),
        };
        let at = entry.at;
        Ok(Some(Item { seq, at, kind }))
    }

    fn edited(&self, seq: u64) -> Result<Option<String>, HistoryError> {
        if seq == 0 {
            return Ok(None);
        }
        let Some(EntryKind::Content {
            author, content, ..
        }) = self.log.entry(seq)?.map(|entry| entry.kind)
        else {
            return Ok(None);
        };
        Ok(match self.reader.meaning(&author, &content) {
            Meaning::Edit { words, .. } => Some(words),
            _ => None,
        })
    }
}

fn reactions(row: &wire::Row) -> Result<Vec<Reaction>, HistoryError> {
    let reaction = |reaction: &wire::Reaction| {
        let author: &Bytes = &reaction.author;
        Ok(Reaction {
            author: records::author(reaction.own, author)?,
            reaction: reaction.reaction.clone(),
        })
    };
    row.reactions.iter().map(reaction).collect()
}
