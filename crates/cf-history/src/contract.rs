//! What a history must be told: the log, and what a content means.

use cf_core::{Content, ContentId, ContentState, ConversationId, ParticipantId, Result, Timestamp};

/// The event log of a client.
///
/// # Laws
/// - Numbers grow, and start at 1. An entry never changes; it may be erased.
/// - What is given is durable.
pub trait Log: Send + Sync {
    /// The entries after a number, in order, at most `limit`. None only if there are
    /// none.
    ///
    /// # Errors
    /// Those of the store.
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>>;

    /// One entry; `None` if it is erased.
    ///
    /// # Errors
    /// Those of the store.
    fn entry(&self, seq: u64) -> Result<Option<Entry>>;
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it was logged.
    pub at: Timestamp,
    /// What happened.
    pub kind: EntryKind,
}

/// What happened, as far as it is of interest here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A content came, or was sent.
    Content {
        /// In which conversation.
        conversation: ConversationId,
        /// Whose it is.
        author: Author,
        /// The author's id of it.
        id: ContentId,
        /// The content.
        content: Content,
        /// When the author says it was sent.
        sent_at: Option<Timestamp>,
        /// Its state then; [`ContentState::Queued`] for what came.
        state: ContentState,
    },
    /// The state of a content that was sent here changed.
    State {
        /// In which conversation.
        conversation: ConversationId,
        /// Which.
        id: ContentId,
        /// Its state from now on; never one that takes back what was told.
        state: ContentState,
    },
    /// A conversation began. Such an entry is never erased.
    Began {
        /// Which.
        conversation: ConversationId,
    },
    /// Something else that is to be shown between the messages.
    Notice {
        /// In which conversation.
        conversation: ConversationId,
    },
    /// Nothing that is to be shown.
    Other,
}

/// Whose a content is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// It was sent here.
    Own,
    /// It came; `None` where there is no identity.
    Peer(Option<ParticipantId>),
}

/// A content, by its author's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// Whose.
    pub author: Author,
    /// The author's id of it.
    pub id: ContentId,
}

/// What a content is for a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// A message of its own.
    Message {
        /// What it can be found by.
        words: String,
        /// To what it replies.
        reply_to: Option<Named>,
        /// The author's id of a large content that goes with it.
        large: Option<ContentId>,
    },
    /// A reaction to a message, or that one is taken back.
    Reaction {
        /// To which.
        to: Named,
        /// Which.
        reaction: String,
        /// Whether it is taken back.
        removed: bool,
    },
    /// Other words for an earlier message of the same author.
    Edit {
        /// Which.
        id: ContentId,
        /// The words from now on.
        words: String,
    },
    /// An earlier message of the same author is taken back.
    Delete {
        /// Which.
        id: ContentId,
    },
    /// These were read by whom it is of.
    Receipt {
        /// Which.
        read: Vec<Named>,
    },
    /// Nothing to show: the bytes of an attachment.
    Hidden,
}

/// Knows the formats of contents.
pub trait ContentReader: Send + Sync {
    /// What a content means that is by `author`.
    fn meaning(&self, author: &Author, content: &Content) -> Meaning;
}
