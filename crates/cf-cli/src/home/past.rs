//! What the home's history tells: pages, words, and what is let go of.

use std::time::Duration;

use bytes::Bytes;
use cf::ConversationInfo;
use cf::core::{Content, ConversationId, Result, Timestamp};
use cf::history::{Author, Item, ItemKind, Page};
use serde_json::{Value, json};

use super::describe::{self, Names, Seen};
use super::owner::{Owner, conversation_id};

/// How often what is older than it is kept is let go of.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most items in one answer.
const MAX_ITEMS: usize = 1000;

impl Owner {
    /// The conversations: those in which something was said last first, then others.
    pub(super) async fn list(&self) -> Result<Vec<Value>> {
        self.chats.sync().await?;
        let infos = self.client.conversations().await?;
        let (names, seen) = (Names::new(&infos), Seen::new(&infos));
        let mut lines = Vec::with_capacity(infos.len());
        for info in &infos {
            let line = describe::conversation(info);
            let mut line = seen.mark(line, info.participant.as_ref(), &info.name);
            let summary = self.chats.summary(info.id).await?;
            line["unread"] = json!(summary.as_ref().map_or(0, |summary| summary.unread));
            let last = summary.as_ref().and_then(|summary| summary.last.as_ref());
            line["last"] = last.map_or(Value::Null, |last| item(info.id, last, &names));
            lines.push((summary.map_or(0, |summary| summary.last_seq), line));
        }
        lines.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    pub(super) async fn page(
        &self,
        conversation: &str,
        page: Page,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let talk = conversation_id(conversation)?;
        self.chats.sync().await?;
        let names = Names::new(&self.client.conversations().await?);
        let items = self.chats.page(talk, page, limit.min(MAX_ITEMS)).await?;
        let mut lines = Vec::with_capacity(items.len());
        for one in &items {
            let mut line = item(talk, one, &names);
            if let ItemKind::Notice = one.kind {
                // The log says what it is.
                let event = self.client.events_after(one.seq - 1).next().await?;
                let told = event.filter(|event| event.seq == one.seq);
                line = told.map_or(line.clone(), |event| {
                    merge(describe::event(&event, &names), json!({ "item": "notice" }))
                });
            }
            lines.push(line);
        }
        Ok(lines)
    }

    /// Messages with some words; the last line says where to go on, if there are more.
    pub(super) async fn search(
        &self,
        words: &str,
        within: Option<&str>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let within = within.map(conversation_id).transpose()?;
        self.chats.sync().await?;
        let limit = limit.min(MAX_ITEMS);
        let found = self.chats.search(words, within, before, limit).await?;
        let names = Names::new(&self.client.conversations().await?);
        let items = found.items.iter();
        let mut lines: Vec<_> = items.map(|(talk, one)| item(*talk, one, &names)).collect();
        if let Some(before) = found.before {
            lines.push(json!({ "more_before": before }));
        }
        Ok(lines)
    }

    /// Deletes one item, or everything up to now.
    pub(super) async fn delete(&self, conversation: &str, seq: Option<u64>) -> Result<Vec<Value>> {
        let talk = conversation_id(conversation)?;
        self.chats.sync().await?;
        match seq {
            Some(seq) => self.chats.delete(talk, seq).await?,
            None => self.chats.clear(talk, u64::MAX - 1).await?,
        }
        Ok(vec![
            json!({ "conversation": conversation, "deleted": seq }),
        ])
    }

    pub(super) async fn rebuild(&self) -> Result<Vec<Value>> {
        self.chats.rebuild().await?;
        Ok(Vec::new())
    }

    /// Sets for how many days what is said is kept (0: for ever), and tells it.
    pub(super) async fn keep(&self, days: Option<u64>) -> Result<Vec<Value>> {
        if let Some(days) = days {
            self.home
                .set_keep_days(Some(days).filter(|days| *days > 0))?;
            self.let_go().await?;
        }
        Ok(vec![json!({ "keep_days": self.home.keep_days()? })])
    }

    /// Lets go of what is older than it is kept, now and every day.
    pub(super) async fn keep_to_it(&self) {
        loop {
            if let Err(error) = self.let_go().await {
                tracing::warn!(%error, "what is older than it is kept is still there");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn let_go(&self) -> Result<()> {
        let Some(days) = self.home.keep_days()? else {
            return Ok(());
        };
        let kept = days.saturating_mul(24 * 60 * 60 * 1000);
        let before = Timestamp(now().0.saturating_sub(kept));
        self.chats.forget_before(before).await
    }

    /// Everything up to an event was shown: nothing of it is unread.
    pub(super) async fn saw(&self, shown: &[(ConversationId, u64)]) -> Result<()> {
        self.chats.sync().await?;
        for (conversation, seq) in shown {
            self.chats.mark_read(*conversation, *seq, false).await?;
        }
        Ok(())
    }

    /// The people that are known, by name; one who is blocked included.
    pub(super) async fn contacts(&self) -> Result<Vec<Value>> {
        let mut infos = self.client.conversations().await?;
        infos.retain(|info| info.participant.is_some());
        let by_name = |info: &ConversationInfo| (info.name.to_lowercase(), info.id);
        infos.sort_by_key(by_name);
        Ok(infos.iter().map(describe::conversation).collect())
    }
}

#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH;
    let passed = std::time::SystemTime::now().duration_since(since);
    Timestamp::default().after(passed.unwrap_or_default())
}

fn item(conversation: ConversationId, item: &Item, names: &Names) -> Value {
    let mut value = match &item.kind {
        ItemKind::Message {
            author,
            id,
            content,
            sent_at,
            state,
            edited,
            reply_to,
            reactions,
        } => {
            let content = match content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Large { .. } => Bytes::new(),
            };
            let (kind, mut value) = describe::said(&content);
            value["item"] = json!(kind);
            if let Some(edited) = edited {
                value["text"] = json!(edited);
                value["edited"] = json!(true);
            }
            if let Some((_, Some(seq))) = reply_to {
                value["reply_to_seq"] = json!(seq);
            }
            value["id"] = json!(describe::content_id(id));
            value["sent_at"] = json!(sent_at.map(|at| at.0));
            if let Some(state) = state {
                let told = describe::state(id, *state);
                (value["state"], value["reason"]) = (told["state"].clone(), told["reason"].clone());
            }
            let reaction = |reaction: &cf::history::Reaction| {
                let mut value = by(&reaction.author, names);
                value["reaction"] = json!(reaction.reaction);
                value
            };
            value["reactions"] = reactions.iter().map(reaction).collect();
            merge(value, by(author, names))
        }
        ItemKind::TakenBack { author } => merge(json!({ "item": "taken_back" }), by(author, names)),
        _ => json!({ "item": "notice" }),
    };
    value["conversation"] = json!(conversation.to_string());
    value["seq"] = json!(item.seq);
    value["at"] = json!(item.at.0);
    value
}

/// Who: `own`, or the other one and the name that they claim.
fn by(author: &Author, names: &Names) -> Value {
    match author {
        Author::Own => json!({ "own": true }),
        Author::Peer(from) => json!({
            "own": false,
            "from": describe::participant(from.as_ref()),
            "name": names.of(from.as_ref()),
        }),
    }
}

fn merge(mut value: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}
