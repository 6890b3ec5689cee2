//! The event log's entries.

use bytes::Bytes;
use cf_core::{
    Content, ContentId, ConversationId, InviteId, ParticipantId, ProtocolId, Result, Timestamp,
};

use super::{
    participant, read, read_link, read_participant, read_state, wire, write, write_link,
    write_state,
};
use crate::event::{Event, EventKind, Request};
use crate::link::LinkId;

const ANSWERED: u32 = 1;
const INVITE_EXPIRED: u32 = 2;
const GAP: u32 = 3;
const GAP_CLOSED: u32 = 4;
const JOINED: u32 = 5;
const LEFT: u32 = 6;
const UNKNOWN: u32 = 7;
const CLOSED: u32 = 8;
const RENEWED: u32 = 9;
const BROKEN: u32 = 10;
const OTHER_KEY: u32 = 11;
const LINK_EXPIRED: u32 = 12;
const ERASED: u32 = 13;

/// A content as an event holds it: its bytes, or the length of what is in a spool.
fn held(content: &Content) -> (Bytes, u64) {
    match content {
        Content::Bytes(bytes) => (bytes.clone(), 0),
        Content::Large { len } => (Bytes::new(), *len),
    }
}

fn read_held(bytes: Bytes, large: u64) -> Content {
    match large {
        0 => Content::Bytes(bytes),
        len => Content::Large { len },
    }
}

pub(crate) fn write_event(at: Timestamp, kind: &EventKind) -> Bytes {
    use wire::event::{Kind, Message, Note, Requested, Sent, Started, State};
    let id = |conversation: &ConversationId| Bytes::copy_from_slice(conversation.as_bytes());
    let note = |kind, conversation| Note {
        kind,
        conversation: id(conversation),
        ..Note::default()
    };
    let kind = match kind {
        EventKind::Message {
            conversation,
            from,
            id: content_id,
            content,
            sent_at,
        } => Kind::Message(Message {
            conversation: id(conversation),
            from: participant(from),
            anonymous: from.is_none(),
            id: content_id.to_bytes(),
            content: held(content).0,
            large: held(content).1,
            sent_at: sent_at.map_or(0, |at| at.0),
        }),
        EventKind::Sent {
            conversation,
            id: content_id,
            content,
            state,
        } => Kind::Sent(Sent {
            conversation: id(conversation),
            id: content_id.to_bytes(),
            content: held(content).0,
            large: held(content).1,
            state: write_state(*state),
        }),
        EventKind::State {
            conversation,
            id: content_id,
            state,
        } => Kind::State(State {
            conversation: id(conversation),
            id: content_id.to_bytes(),
            state: write_state(*state),
        }),
        EventKind::Request(request) => Kind::Request(Requested {
            id: Bytes::copy_from_slice(request.id.as_bytes()),
            conversation: id(&request.conversation),
            from: participant(&request.from),
            anonymous: request.from.is_none(),
            name: request.name.clone(),
            protocol: request.protocol.as_str().to_owned(),
            specification: request.specification.clone(),
            supported: request.supported,
            link: write_link(request.link),
            label: request.label.clone(),
        }),
        EventKind::Started {
            conversation,
            from,
            name,
            protocol,
        } => Kind::Started(Started {
            conversation: id(conversation),
            from: participant(from),
            name: name.clone(),
            protocol: protocol.as_str().to_owned(),
        }),
        EventKind::Answered { conversation } => Kind::Note(note(ANSWERED, conversation)),
        EventKind::InviteExpired { conversation } => Kind::Note(note(INVITE_EXPIRED, conversation)),
        EventKind::Gap {
            conversation,
            missing,
        } => Kind::Note(Note {
            count: *missing,
            ..note(GAP, conversation)
        }),
        EventKind::GapClosed { conversation } => Kind::Note(note(GAP_CLOSED, conversation)),
        EventKind::Joined {
            conversation,
            participant,
        } => Kind::Note(Note {
            participant: participant.to_bytes(),
            ..note(JOINED, conversation)
        }),
        EventKind::Left {
            conversation,
            participant,
        } => Kind::Note(Note {
            participant: participant.to_bytes(),
            ..note(LEFT, conversation)
        }),
        EventKind::Unknown { conversation, kind } => Kind::Note(Note {
            text: kind.clone(),
            ..note(UNKNOWN, conversation)
        }),
        EventKind::Closed { conversation } => Kind::Note(note(CLOSED, conversation)),
        EventKind::Renewed {
            conversation,
            protocol,
        } => Kind::Note(Note {
            text: protocol.as_str().to_owned(),
            ..note(RENEWED, conversation)
        }),
        EventKind::Broken { conversation } => Kind::Note(note(BROKEN, conversation)),
        EventKind::OtherKey {
            conversation,
            participant: claimant,
            name,
            verified,
        } => Kind::Note(Note {
            participant: participant(claimant),
            count: u64::from(*verified),
            text: name.clone(),
            ..note(OTHER_KEY, conversation)
        }),
        EventKind::LinkExpired { link, label } => Kind::Note(Note {
            kind: LINK_EXPIRED,
            text: label.clone(),
            link: write_link(Some(*link)),
            ..Note::default()
        }),
        EventKind::Erased => Kind::Note(Note {
            kind: ERASED,
            ..Note::default()
        }),
        EventKind::Unreadable => Kind::Note(Note::default()),
    };
    write(&wire::Event {
        at: at.0,
        kind: Some(kind),
    })
}

pub(crate) fn read_event(seq: u64, bytes: &Bytes) -> Result<Event> {
    use wire::event::Kind;
    let event: wire::Event = read(bytes)?;
    let id = |bytes: &Bytes| ConversationId::from_slice(bytes);
    let kind = match event.kind {
        Some(Kind::Message(message)) => EventKind::Message {
            conversation: id(&message.conversation)?,
            from: read_participant(&message.from, message.anonymous)?,
            id: ContentId::new(message.id)?,
            content: read_held(message.content, message.large),
            sent_at: (message.sent_at > 0).then_some(Timestamp(message.sent_at)),
        },
        Some(Kind::Sent(sent)) => EventKind::Sent {
            conversation: id(&sent.conversation)?,
            id: ContentId::new(sent.id)?,
            content: read_held(sent.content, sent.large),
            state: read_state(sent.state)?,
        },
        Some(Kind::State(state)) => EventKind::State {
            conversation: id(&state.conversation)?,
            id: ContentId::new(state.id)?,
            state: read_state(state.state)?,
        },
        Some(Kind::Request(request)) => EventKind::Request(Request {
            id: InviteId::from_slice(&request.id)?,
            conversation: id(&request.conversation)?,
            from: read_participant(&request.from, request.anonymous)?,
            name: request.name,
            protocol: ProtocolId::parse(&request.protocol)?,
            specification: request.specification,
            supported: request.supported,
            link: read_link(&request.link)?,
            label: request.label,
        }),
        Some(Kind::Started(started)) => EventKind::Started {
            conversation: id(&started.conversation)?,
            from: read_participant(&started.from, started.from.is_empty())?,
            name: started.name,
            protocol: ProtocolId::parse(&started.protocol)?,
        },
        Some(Kind::Note(note)) => read_note(&note)?,
        None => EventKind::Unreadable,
    };
    Ok(Event {
        seq,
        at: Timestamp(event.at),
        kind,
    })
}

fn read_note(note: &wire::event::Note) -> Result<EventKind> {
    let conversation = || ConversationId::from_slice(&note.conversation);
    let participant = || ParticipantId::new(note.participant.clone());
    Ok(match note.kind {
        ANSWERED => EventKind::Answered {
            conversation: conversation()?,
        },
        INVITE_EXPIRED => EventKind::InviteExpired {
            conversation: conversation()?,
        },
        GAP => EventKind::Gap {
            conversation: conversation()?,
            missing: note.count,
        },
        GAP_CLOSED => EventKind::GapClosed {
            conversation: conversation()?,
        },
        JOINED => EventKind::Joined {
            conversation: conversation()?,
            participant: participant()?,
        },
        LEFT => EventKind::Left {
            conversation: conversation()?,
            participant: participant()?,
        },
        UNKNOWN => EventKind::Unknown {
            conversation: conversation()?,
            kind: note.text.clone(),
        },
        CLOSED => EventKind::Closed {
            conversation: conversation()?,
        },
        RENEWED => EventKind::Renewed {
            conversation: conversation()?,
            protocol: ProtocolId::parse(&note.text)?,
        },
        BROKEN => EventKind::Broken {
            conversation: conversation()?,
        },
        OTHER_KEY => EventKind::OtherKey {
            conversation: conversation()?,
            participant: read_participant(&note.participant, note.participant.is_empty())?,
            name: note.text.clone(),
            verified: note.count > 0,
        },
        ERASED => EventKind::Erased,
        LINK_EXPIRED => EventKind::LinkExpired {
            link: LinkId::from_slice(&note.link)?,
            label: note.text.clone(),
        },
        _ => EventKind::Unreadable,
    })
}
