//! What applications exchange, and what they are told of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::{ContentId, ParticipantId, Timestamp};

/// How long someone writes who was said to.
pub const TYPING_FOR: Duration = Duration::from_secs(10);

/// What an application is told of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConversationEvent {
    /// A content arrived.
    Content {
        /// The author's id of it.
        id: ContentId,
        /// The authenticated author; `None` where there is no identity.
        from: Option<ParticipantId>,
        /// The content.
        content: Content,
        /// When the author says it was sent.
        sent_at: Option<Timestamp>,
    },
    /// The state of a content that was sent here changed.
    State {
        /// Which.
        id: ContentId,
        /// Its state from now on.
        state: ContentState,
    },
    /// Content before this is missing, and was not waited for any longer.
    ///
    /// Where [`Properties::reliable`](crate::Properties) is declared, an author's contents come in
    /// the order of sending, a large one when it is whole, except between this and
    /// [`GapClosed`](Self::GapClosed).
    Gap {
        /// How many contents are missing.
        missing: u64,
    },
    /// What was missing has arrived, or never will.
    GapClosed,
    /// A participant joined.
    Joined(ParticipantId),
    /// A participant left.
    Left(ParticipantId),
    /// A frame of a type that this version does not know was skipped.
    Unknown {
        /// Its type's number or name.
        kind: String,
    },
    /// A frame came again that had been received; nothing changed. For wrappers.
    Duplicate,
    /// The conversation has ended.
    Closed,
}

/// What an application may be told at once; it is not stored, and may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A participant has begun to write, or has stopped. It holds for
    /// [`TYPING_FOR`](crate::TYPING_FOR) unless it is said again.
    Typing {
        /// Who; `None` where there is no identity.
        from: Option<ParticipantId>,
        /// Whether they write.
        typing: bool,
    },
    /// How much of a large content has arrived here, or at the peer.
    Progress {
        /// Its author, if it is a peer's; `None` for own content, and where there
        /// is no identity.
        from: Option<ParticipantId>,
        /// The author's id of it.
        content: ContentId,
        /// Whether it is sent here.
        outgoing: bool,
        /// How many of its bytes.
        done: u64,
        /// Its length in bytes.
        len: u64,
    },
}

/// The state of a content that was sent. None is told before it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentState {
    /// This client has it, durably.
    Queued,
    /// A delivery service acknowledged it.
    Accepted,
    /// The participant's client has it, durably.
    Delivered,
    /// The participant has read it.
    Read,
    /// It was given up and is not published any more. What a service had taken
    /// before may still be delivered; then that is told.
    Failed(FailureReason),
}

/// Why a content was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureReason {
    /// Its lifetime ended before the participant had it.
    Expired,
    /// The delivery service refused it.
    Refused,
    /// The conversation was closed.
    Closed,
}

/// Content: what an application gives and gets.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Bytes(Bytes),
    /// Content of this length, read in chunks when asked for.
    Large {
        /// Its length in bytes.
        len: u64,
    },
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Content({} bytes)", bytes.len()),
            Self::Large { len } => write!(f, "Content({len} bytes, in chunks)"),
        }
    }
}
