//! Large contents: given by a reader, read in pieces.

use bytes::Bytes;
use cf_core::{ContentId, ContentState, ConversationId, Error, ErrorKind, ParticipantId, Result};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::client::Client;
use crate::driver::read_large;
use crate::limits::SPOOL_STEP;

impl Client {
    /// Sends a large content of `len` bytes, read from `reader`, and answers once
    /// this client has all of it durably. It is kept in steps, each durable: the
    /// same id again goes on where it stopped, by a reader of the same bytes from
    /// the start, and once it is sent answers with its state.
    ///
    /// # Errors
    /// As [`Driver::send`](crate::Driver::send), and `Misuse` for a reader that ends too soon,
    /// `Unavailable` for one that fails.
    pub async fn send_large(
        &self,
        conversation: ConversationId,
        id: ContentId,
        len: u64,
        mut reader: impl AsyncRead + Unpin,
    ) -> Result<ContentState> {
        let (filled, state) = self.begin_large(conversation, id.clone(), len).await?;
        if let Some(state) = state {
            return Ok(state);
        }
        let mut at = 0;
        while at < len {
            let step = SPOOL_STEP.min(usize::try_from(len - at).unwrap_or(SPOOL_STEP));
            let mut piece = vec![0; step];
            reader.read_exact(&mut piece).await.map_err(|error| {
                if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    return Error::misuse("the content is shorter than was said");
                }
                Error::from_source(ErrorKind::Unavailable, error)
            })?;
            if at >= filled {
                self.spool_large(conversation, id.clone(), at, piece.into())
                    .await?;
            }
            at += step as u64;
        }
        self.finish_large(conversation, id).await
    }

    /// As [`send_large`](Self::send_large), step by step: how many bytes of the
    /// content this client has, or its state once it was sent.
    ///
    /// # Errors
    /// As [`Driver::spooled`](crate::Driver::spooled).
    pub async fn begin_large(
        &self,
        conversation: ConversationId,
        id: ContentId,
        len: u64,
    ) -> Result<(u64, Option<ContentState>)> {
        self.call(move |driver, now| driver.spooled(conversation, &id, len, now))
            .await
    }

    /// How many bytes this client has of a content that was begun and not sent.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn filled_large(&self, conversation: ConversationId, id: ContentId) -> Result<u64> {
        self.call(move |driver, _| driver.filled(conversation, &id))
            .await
    }

    /// The next bytes of a content that was begun, at most
    /// [`SPOOL_STEP`](crate::limits::SPOOL_STEP).
    ///
    /// # Errors
    /// As [`Driver::spool`](crate::Driver::spool).
    pub async fn spool_large(
        &self,
        conversation: ConversationId,
        id: ContentId,
        offset: u64,
        piece: Bytes,
    ) -> Result<()> {
        self.call(move |driver, _| driver.spool(conversation, &id, offset, piece))
            .await
    }

    /// Sends a content of which this client has all bytes.
    ///
    /// # Errors
    /// As [`Driver::send_large`](crate::Driver::send_large).
    pub async fn finish_large(
        &self,
        conversation: ConversationId,
        id: ContentId,
    ) -> Result<ContentState> {
        self.call(move |driver, now| driver.send_large(conversation, id, now))
            .await
    }

    /// The bytes of a large content that came, from `offset` on: at most `len`,
    /// and fewer where more would take much memory; none at its end.
    ///
    /// # Errors
    /// `Misuse` for a content that is not there or not whole; those of the store.
    pub async fn read_large(
        &self,
        conversation: ConversationId,
        from: Option<ParticipantId>,
        id: ContentId,
        offset: u64,
        len: usize,
    ) -> Result<Bytes> {
        let store = self.store();
        let read = move || read_large(&*store, conversation, from.as_ref(), &id, offset, len);
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| Error::unavailable("the store's thread ended"))?
    }

    /// Says how many bytes of large contents are kept of what comes in one
    /// conversation, and in all of them. What comes beyond is refused, and fails
    /// at its author, until some is [let go of](Self::forget_large).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn keep_large(&self, in_one: u64, in_all: u64) -> Result<()> {
        self.call(move |driver, _| {
            driver.keep_large(in_one, in_all);
            Ok(())
        })
        .await
    }

    /// Lets go of the bytes of a large content that came; its event stays.
    ///
    /// # Errors
    /// `Misuse` for a content that is not there or not whole.
    pub async fn forget_large(
        &self,
        conversation: ConversationId,
        from: Option<ParticipantId>,
        id: ContentId,
    ) -> Result<()> {
        self.call(move |driver, now| driver.forget_large(conversation, from.as_ref(), &id, now))
            .await
    }
}
