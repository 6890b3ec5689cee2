use cf_core::{
    Content, ContentId, ContentState, ConversationId, InviteId, ParticipantId, ProtocolId,
    Timestamp,
};

use crate::link::LinkId;

/// One entry of a client's event log.
///
/// Numbers start at 1 and have no gaps but where the application erased events
/// ([`Client::erase`](crate::Client::erase)). An event is logged once, in the commit
/// of the input that caused it, and told again under the same number until the
/// application confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// When it was logged.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A content arrived.
    Message {
        /// In which conversation.
        conversation: ConversationId,
        /// Its authenticated author; `None` where there is no identity.
        from: Option<ParticipantId>,
        /// The author's id of it.
        id: ContentId,
        /// The content. A large one is read with [`crate::Client::read_large`].
        content: Content,
        /// When the author says it was sent.
        sent_at: Option<Timestamp>,
    },
    /// A content was sent here.
    Sent {
        /// In which conversation.
        conversation: ConversationId,
        /// The application's id of it.
        id: ContentId,
        /// The content.
        content: Content,
        /// Its state then.
        state: ContentState,
    },
    /// The state of a content that was sent here changed.
    State {
        /// In which conversation.
        conversation: ConversationId,
        /// Which content.
        id: ContentId,
        /// Its state from now on.
        state: ContentState,
    },
    /// Someone asks for a conversation, or its missing component is there now.
    Request(Request),
    /// A conversation began.
    Started {
        /// Which.
        conversation: ConversationId,
        /// With whom; `None` where there is no identity.
        from: Option<ParticipantId>,
        /// The name that the other side claims.
        name: String,
        /// The conversation protocol.
        protocol: ProtocolId,
    },
    /// Someone who was invited has shown that they joined.
    Answered {
        /// The conversation.
        conversation: ConversationId,
    },
    /// An invite was not answered within its lifetime and is no longer sent.
    InviteExpired {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Content is missing and was not waited for any longer.
    Gap {
        /// The conversation.
        conversation: ConversationId,
        /// How many contents.
        missing: u64,
    },
    /// What was missing has arrived, or never will.
    GapClosed {
        /// The conversation.
        conversation: ConversationId,
    },
    /// A participant joined.
    Joined {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        participant: ParticipantId,
    },
    /// A participant left.
    Left {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        participant: ParticipantId,
    },
    /// A frame of a type that this version does not know was skipped.
    Unknown {
        /// The conversation.
        conversation: ConversationId,
        /// Its type's number or name.
        kind: String,
    },
    /// A new session has begun in a conversation: after a loss of the other side or
    /// of this one, or by a better protocol. Nobody was asked, since the identity is
    /// the same.
    Renewed {
        /// The conversation.
        conversation: ConversationId,
        /// The conversation protocol of the new session.
        protocol: ProtocolId,
    },
    /// A session is broken, and it is not known how the other side is asked into a
    /// new one: ask them for a link, and add it.
    Broken {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Somebody with another identity key claims to be the other one of a
    /// conversation: by their name or one that looks like it, or by naming the conversation. It may be them with
    /// a new identity, or somebody else. Nothing of the conversation changes.
    OtherKey {
        /// The conversation of the one who is known.
        conversation: ConversationId,
        /// Who claims it; `None` where there is no identity.
        participant: Option<ParticipantId>,
        /// The name that they claim.
        name: String,
        /// Whether the key of the one who is known was compared.
        verified: bool,
    },
    /// A link's time is over.
    LinkExpired {
        /// Which.
        link: LinkId,
        /// What the user calls it.
        label: String,
    },
    /// A conversation has ended.
    Closed {
        /// Which.
        conversation: ConversationId,
    },
    /// An event that was erased, and whose number must not be given again.
    Erased,
    /// Entries of the log that this version does not know.
    Unreadable,
}

/// An opened and authenticated invite that waits for the user, or for the
/// component that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names it.
    pub id: InviteId,
    /// The conversation that accepting it begins.
    pub conversation: ConversationId,
    /// Who asks; `None` where there is no identity.
    pub from: Option<ParticipantId>,
    /// The name that they claim.
    pub name: String,
    /// The conversation protocol.
    pub protocol: ProtocolId,
    /// Where its specification is.
    pub specification: String,
    /// Whether this client has the protocol.
    pub supported: bool,
    /// Through which link it came; `None` through none that is known.
    pub link: Option<LinkId>,
    /// What the user called the link.
    pub label: String,
}
