//! What an owner does with files: others give and take their bytes in pieces.

use cf::EventKind;
use cf::content::{Attachment, Content};
use cf::core::{Content as Sent, ConversationId, Error, ParticipantId, Result};
use serde_json::{Value, json};

use super::describe::{self, hex, unhex};
use super::owner::{Owner, conversation_id, sent};

impl Owner {
    pub(super) async fn begin(&self, talk: &str, id: &str, len: u64) -> Result<Vec<Value>> {
        let (talk, id) = (conversation_id(talk)?, cf::content_id(id)?);
        let begun = self.client.begin_large(talk, id.clone(), len).await?;
        Ok(vec![match begun {
            (_, Some(state)) => sent(talk, &id, state),
            (filled, None) => json!({ "filled": filled }),
        }])
    }

    pub(super) async fn spool(
        &self,
        talk: &str,
        id: &str,
        offset: u64,
        bytes: &str,
    ) -> Result<Vec<Value>> {
        let (talk, id) = (conversation_id(talk)?, cf::content_id(id)?);
        let bytes = unhex(bytes)?;
        // What was asked twice, since the first answer was lost, is there.
        let end = offset + bytes.len() as u64;
        let result = self
            .client
            .spool_large(talk, id.clone(), offset, bytes.into());
        match result.await {
            Err(_) if self.client.filled_large(talk, id).await? >= end => {}
            result => result?,
        }
        Ok(vec![json!({ "filled": end })])
    }

    pub(super) async fn finish(&self, talk: &str, id: &str) -> Result<Vec<Value>> {
        let (talk, id) = (conversation_id(talk)?, cf::content_id(id)?);
        let state = self.client.finish_large(talk, id.clone()).await?;
        Ok(vec![sent(talk, &id, state)])
    }

    pub(super) async fn attach(
        &self,
        talk: &str,
        id: &str,
        attachment: Attachment,
    ) -> Result<Vec<Value>> {
        let (talk, id) = (conversation_id(talk)?, cf::content_id(id)?);
        let content = Content::Attachment(attachment).encode()?;
        let state = self.client.send(talk, id.clone(), content).await?;
        Ok(vec![sent(talk, &id, state)])
    }

    /// What a file that came is.
    pub(super) async fn file(&self, seq: u64) -> Result<Vec<Value>> {
        let (_, _, attachment) = self.attachment(seq).await?;
        Ok(vec![describe::attachment(&attachment)])
    }

    /// Some of the bytes of a file that came.
    pub(super) async fn bytes(&self, seq: u64, offset: u64, len: usize) -> Result<Vec<Value>> {
        let (talk, from, attachment) = self.attachment(seq).await?;
        let content = attachment.content;
        let read = self.client.read_large(talk, from, content, offset, len);
        let bytes = read.await.map_err(|error| match error.kind() {
            cf::core::ErrorKind::Misuse => Error::unavailable(
                "not all of this file has come yet: `cf read --follow` receives it",
            ),
            _ => error,
        })?;
        Ok(vec![json!({ "bytes": hex(&bytes) })])
    }

    async fn attachment(
        &self,
        seq: u64,
    ) -> Result<(ConversationId, Option<ParticipantId>, Attachment)> {
        let none = || Error::misuse("no file came under this number: see `cf read --since 0`");
        let before = seq.checked_sub(1).ok_or_else(none)?;
        let mut events = self.client.events_after(before);
        let next = tokio::time::timeout(std::time::Duration::ZERO, events.next()).await;
        let event = next.map_err(|_| none())??.ok_or_else(none)?;
        if let EventKind::Message {
            conversation,
            from,
            content: Sent::Bytes(content),
            ..
        } = event.kind
            && let Ok(Content::Attachment(attachment)) = Content::decode(&content)
        {
            return Ok((conversation, from, attachment));
        }
        Err(none())
    }
}
