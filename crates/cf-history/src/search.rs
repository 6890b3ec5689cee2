//! Finding messages by their words.

use cf_core::{ConversationId, Result};

use crate::contract::{EntryKind, Meaning};
use crate::pages::{Item, ItemKind};
use crate::records::talk;
use crate::words::{self, BLOCK};
use crate::{History, HistoryError, records};

/// The most messages and blocks that are examined in one search.
pub const MAX_EXAMINED: usize = 10_000;

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The messages, the newest first, each with its conversation.
    pub items: Vec<(ConversationId, Item)>,
    /// Where to go on; `None` if there are no more.
    pub before: Option<u64>,
}

impl History {
    /// The messages that have all of some words, in all conversations or in one: the
    /// newest before a number, if one is given; at most `limit`.
    ///
    /// # Errors
    /// `Misuse` if there is no word in the text; those of the store and the log.
    pub fn search(
        &self,
        text: &str,
        within: Option<ConversationId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Found> {
        let wanted = words::words(text);
        if wanted.is_empty() {
            return Err(HistoryError::NoWords.into());
        }
        let blind: Vec<_> = wanted.iter().map(|word| self.blinder.word(word)).collect();
        let changes = self.changes();
        let mut found = Found::default();
        let end = before.unwrap_or(u64::MAX);
        let (mut block, mut examined) = (end.saturating_sub(1) / BLOCK, 0);
        loop {
            // The newest block that all the words have, and no newer one.
            let (mut sets, mut agreed) = (Vec::new(), block);
            let mut next = 0;
            while sets.len() < blind.len() {
                let Some((at, offsets)) = words::newest_block(&changes, &blind[next], agreed)?
                else {
                    return Ok(found);
                };
                if at < agreed {
                    sets.clear();
                    agreed = at;
                }
                sets.push(offsets);
                next = (next + 1) % blind.len();
                examined += 1;
            }
            let both = sets.into_iter().reduce(|all, one| all.and(&one));
            let both = both.ok_or(HistoryError::NoWords)?;
            for offset in both.iter().rev() {
                let seq = agreed * BLOCK + u64::from(offset);
                if seq >= end {
                    continue;
                }
                if found.items.len() >= limit || examined >= MAX_EXAMINED {
                    found.before = Some(seq + 1);
                    return Ok(found);
                }
                examined += 1;
                found.items.extend(self.hit(seq, within, &wanted)?);
            }
            match agreed.checked_sub(1) {
                Some(earlier) => block = earlier,
                None => return Ok(found),
            }
            if examined >= MAX_EXAMINED {
                found.before = Some(agreed * BLOCK);
                return Ok(found);
            }
        }
    }

    /// A message that may be meant: two words may look the same in the index.
    fn hit(
        &self,
        seq: u64,
        within: Option<ConversationId>,
        wanted: &std::collections::BTreeSet<String>,
    ) -> Result<Option<(ConversationId, Item)>> {
        if let Some(within) = within
            && self
                .store
                .get(&talk(within), &records::number(seq))?
                .is_none()
        {
            return Ok(None);
        }
        let Some(EntryKind::Content { conversation, .. }) =
            self.log.entry(seq)?.map(|entry| entry.kind)
        else {
            return Ok(None);
        };
        let Some(item) = self.item(conversation, seq)? else {
            return Ok(None);
        };
        let ItemKind::Message {
            author,
            content,
            edited,
            ..
        } = &item.kind
        else {
            return Ok(None);
        };
        let text = match (edited, self.reader.meaning(author, content)) {
            (Some(words), _) => words.clone(),
            (None, Meaning::Message { words, .. }) => words,
            _ => return Ok(None),
        };
        let has = words::words(&text);
        Ok(wanted.is_subset(&has).then_some((conversation, item)))
    }
}
