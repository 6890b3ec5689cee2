//! The conversations of a client, as a person sees them.

use std::sync::Arc;

use cf_client::{Client, Event, EventKind, event, events_after};
use cf_content::Content;
use cf_core::{ConversationId, Error, ErrorKind, ParticipantId, Result, Store, Timestamp};
use cf_history::{
    Author, ContentReader, Entry, EntryKind, Found, History, Item, Log, Meaning, Named, Page,
    Progress, Summary,
};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

use crate::SystemRandom;

/// How many entries are erased from the log at once.
const ERASE_STEP: usize = 256;

/// The history of a client: the list of conversations, pages, unread counts, search, kept
/// up to date while the client runs.
///
/// It needs nobody to read or confirm events. After a start it may be behind the log:
/// [`sync`](Self::sync) waits for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cf::core::Result<()> {
/// use std::sync::Arc;
/// use cf::history::Page;
/// use cf::{Chats, ds::MemoryService, store::MemoryStore};
/// let store = Arc::new(MemoryStore::default());
/// let client = cf::builder("Saro").service(MemoryService::new("town")?).store(store.clone()).open()?;
/// let chats = Chats::open(&client, store, None)?;
/// chats.sync().await?;
/// for chat in chats.list(None, 20).await? {
///     println!("{}: {} unread", chat.conversation, chat.unread);
///     let _newest = chats.page(chat.conversation, Page::Newest, 50).await?;
/// }
/// # Ok(()) }
/// ```
pub struct Chats {
    client: Client,
    history: Arc<History>,
    changed: watch::Receiver<u64>,
    _follower: JoinSet<()>,
}

impl Chats {
    /// Follows a client, whose state is in `store` and whose participant id is `own`, on
    /// the current tokio runtime. It ends when the client does, or with this value.
    ///
    /// # Errors
    /// As [`History::open`].
    pub fn open(
        client: &Client,
        store: Arc<dyn Store>,
        own: Option<ParticipantId>,
    ) -> Result<Self> {
        let log = Arc::new(ClientLog(store.clone()));
        let reader = Arc::new(Reader(own));
        let history = History::open(store, log, reader, &mut SystemRandom::default())?;
        let history = Arc::new(history);
        let (tell, changed) = watch::channel(0);
        let mut follower = JoinSet::new();
        follower.spawn(follow(client.clone(), history.clone(), tell));
        Ok(Self {
            client: client.clone(),
            history,
            changed,
            _follower: follower,
        })
    }

    /// The number of the last event that was taken in: it changes when something that is
    /// shown may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Waits until everything that the client has logged is taken in.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sync(&self) -> Result<()> {
        catch_up(&self.client, &self.history).await.map(drop)
    }

    /// As [`History::conversations`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, before: Option<u64>, limit: usize) -> Result<Vec<Summary>> {
        self.run(move |history| history.conversations(before, limit))
            .await
    }

    /// As [`History::conversation`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn summary(&self, conversation: ConversationId) -> Result<Option<Summary>> {
        self.run(move |history| history.conversation(conversation))
            .await
    }

    /// As [`History::page`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn page(
        &self,
        conversation: ConversationId,
        page: Page,
        limit: usize,
    ) -> Result<Vec<Item>> {
        self.run(move |history| history.page(conversation, page, limit))
            .await
    }

    /// As [`History::item`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn item(&self, conversation: ConversationId, seq: u64) -> Result<Option<Item>> {
        self.run(move |history| history.item(conversation, seq))
            .await
    }

    /// As [`History::search`].
    ///
    /// # Errors
    /// As [`History::search`].
    pub async fn search(
        &self,
        text: &str,
        within: Option<ConversationId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Found> {
        let text = text.to_owned();
        self.run(move |history| history.search(&text, within, before, limit))
            .await
    }

    /// The user has read a conversation up to a number; `tell`: its authors are to learn
    /// of it, where the protocol can.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn mark_read(
        &self,
        conversation: ConversationId,
        up_to: u64,
        tell: bool,
    ) -> Result<()> {
        let read = self
            .run(move |history| history.mark_read(conversation, up_to))
            .await?;
        for Named { author, id } in read {
            if let (true, Author::Peer(from)) = (tell, author) {
                // A conversation that is no longer there tells nobody.
                let _ = self.client.read(conversation, from, id).await;
            }
        }
        Ok(())
    }

    /// Deletes what stands at a number, here: in the history, in the log and in what is
    /// kept of large contents.
    ///
    /// # Errors
    /// As [`History::delete`].
    pub async fn delete(&self, conversation: ConversationId, seq: u64) -> Result<()> {
        self.run(move |history| history.delete(conversation, seq))
            .await?;
        erase(&self.client, &self.history).await
    }

    /// Deletes all that a conversation has up to a number, as [`delete`](Self::delete).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn clear(&self, conversation: ConversationId, up_to: u64) -> Result<()> {
        while self
            .run(move |history| history.clear(conversation, up_to))
            .await?
        {}
        erase(&self.client, &self.history).await
    }

    /// Deletes what was logged before a time, in all conversations.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_before(&self, at: Timestamp) -> Result<()> {
        self.sync().await?;
        while self.run(move |history| history.forget_before(at)).await? {
            erase(&self.client, &self.history).await?;
        }
        erase(&self.client, &self.history).await
    }

    /// Makes the history again from the log.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rebuild(&self) -> Result<()> {
        self.run(History::rebuild).await?;
        self.sync().await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&History) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        blocking(&self.history, work).await
    }
}

async fn blocking<T: Send + 'static>(
    history: &Arc<History>,
    work: impl FnOnce(&History) -> Result<T> + Send + 'static,
) -> Result<T> {
    let history = history.clone();
    let done = spawn_blocking(move || work(&history)).await;
    done.map_err(|error| Error::from_source(ErrorKind::Other, error))?
}

async fn follow(client: Client, history: Arc<History>, tell: watch::Sender<u64>) {
    let mut logged = client.logged();
    loop {
        logged.mark_unchanged();
        match catch_up(&client, &history).await {
            Ok(done) => drop(tell.send_replace(done)),
            Err(error) => tracing::warn!(kind = ?error.kind(), "the history is behind the log"),
        }
        if logged.changed().await.is_err() {
            return;
        }
    }
}

/// Takes in all that there is; gives the number of the last entry.
async fn catch_up(client: &Client, history: &Arc<History>) -> Result<u64> {
    loop {
        match blocking(history, History::catch_up).await? {
            Progress::More => {}
            Progress::EraseFirst => erase(client, history).await?,
            Progress::Done(seq) => {
                erase(client, history).await?;
                return Ok(seq);
            }
        }
    }
}

/// Has the log and the spool let go of what is deleted.
async fn erase(client: &Client, history: &Arc<History>) -> Result<()> {
    loop {
        let erasures = blocking(history, |history| history.erasures(ERASE_STEP)).await?;
        if erasures.is_empty() {
            return Ok(());
        }
        for erasure in &erasures {
            if let Some(Named {
                author: Author::Peer(from),
                id,
            }) = &erasure.large
            {
                let forgotten = client.forget_large(erasure.conversation, from.clone(), id.clone());
                match forgotten.await {
                    // It is gone already, or never came.
                    Err(error) if error.kind() == ErrorKind::Misuse => {}
                    done => done?,
                }
            }
        }
        let seqs: Vec<_> = erasures.iter().map(|erasure| erasure.seq).collect();
        client.erase(seqs.clone()).await?;
        blocking(history, move |history| history.erased(&seqs)).await?;
    }
}

/// The log that a client keeps in its store.
struct ClientLog(Arc<dyn Store>);

impl Log for ClientLog {
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>> {
        let events = events_after(&*self.0, seq, limit)?;
        Ok(events.into_iter().map(entry).collect())
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>> {
        Ok(event(&*self.0, seq)?.map(entry))
    }
}

fn entry(event: Event) -> Entry {
    let kind = match event.kind {
        EventKind::Message {
            conversation,
            from,
            id,
            content,
            sent_at,
        } => EntryKind::Content {
            conversation,
            author: Author::Peer(from),
            id,
            content,
            sent_at,
            state: cf_core::ContentState::Queued,
        },
        EventKind::Sent {
            conversation,
            id,
            content,
            state,
        } => EntryKind::Content {
            conversation,
            author: Author::Own,
            id,
            content,
            sent_at: Some(event.at),
            state,
        },
        EventKind::State {
            conversation,
            id,
            state,
        } => EntryKind::State {
            conversation,
            id,
            state,
        },
        EventKind::Started { conversation, .. } => EntryKind::Began { conversation },
        EventKind::Answered { conversation }
        | EventKind::InviteExpired { conversation }
        | EventKind::Gap { conversation, .. }
        | EventKind::Joined { conversation, .. }
        | EventKind::Left { conversation, .. }
        | EventKind::Renewed { conversation, .. }
        | EventKind::Broken { conversation }
        | EventKind::OtherKey { conversation, .. }
        | EventKind::Closed { conversation } => EntryKind::Notice { conversation },
        _ => EntryKind::Other,
    };
    let (seq, at) = (event.seq, event.at);
    Entry { seq, at, kind }
}

/// Reads the stock contents; for who has this participant id.
struct Reader(Option<ParticipantId>);

impl Reader {
    fn named(&self, reference: cf_content::Reference) -> Named {
        let author = match reference.author {
            Some(author) if self.0.as_ref() == Some(&author) => Author::Own,
            author => Author::Peer(author),
        };
        let id = reference.id;
        Named { author, id }
    }
}

impl ContentReader for Reader {
    fn meaning(&self, _: &Author, content: &cf_core::Content) -> Meaning {
        let bytes = match content {
            cf_core::Content::Bytes(bytes) => bytes,
            cf_core::Content::Large { .. } => return Meaning::Hidden,
        };
        let message = |words: String| Meaning::Message {
            words,
            reply_to: None,
            large: None,
        };
        match Content::decode(bytes) {
            Ok(Content::Text(text)) => Meaning::Message {
                words: text.text,
                reply_to: text.reply_to.map(|to| self.named(to)),
                large: None,
            },
            Ok(Content::Reaction(reaction)) => Meaning::Reaction {
                to: self.named(reaction.to),
                reaction: reaction.reaction,
                removed: reaction.removed,
            },
            Ok(Content::Edit(edit)) => Meaning::Edit {
                id: edit.id,
                words: edit.text,
            },
            Ok(Content::Delete(delete)) => Meaning::Delete { id: delete.id },
            Ok(Content::Receipt(receipt)) => Meaning::Receipt {
                read: receipt.read.into_iter().map(|to| self.named(to)).collect(),
            },
            Ok(Content::Attachment(file)) => Meaning::Message {
                words: format!("{} {}", file.name, file.caption),
                reply_to: None,
                large: Some(file.content),
            },
            Ok(_) => message(String::new()),
            // An application may send plain text.
            Err(_) => message(String::from_utf8(bytes.to_vec()).unwrap_or_default()),
        }
    }
}
