//! What a client tells, as the objects that scripts read.

use std::collections::HashMap;

use bytes::Bytes;
use cf::content::{Attachment, Content, Reference};
use cf::core::{
    Content as Sent, ContentId, ContentState, Error, FailureReason, ParticipantId, Result,
};
use cf::{Blocked, ConversationInfo, Event, EventKind, LinkInfo, LinkState, Request};
use serde_json::{Value, json};

/// The names that participants claim.
pub(super) struct Names(HashMap<ParticipantId, String>);

impl Names {
    pub(super) fn new(conversations: &[ConversationInfo]) -> Self {
        let named = |info: &ConversationInfo| Some((info.participant.clone()?, info.name.clone()));
        Self(conversations.iter().filter_map(named).collect())
    }

    pub(super) fn of(&self, participant: Option<&ParticipantId>) -> Value {
        participant
            .and_then(|id| self.0.get(id))
            .map_or(Value::Null, |name| json!(name))
    }
}

/// Contacts by how their names are seen, to notice who looks like one.
pub(super) struct Seen(HashMap<String, Vec<(Option<ParticipantId>, String)>>);

impl Seen {
    pub(super) fn new(conversations: &[ConversationInfo]) -> Self {
        let mut seen: HashMap<_, Vec<_>> = HashMap::new();
        for info in conversations {
            if let Some(name) = cf::seen_as(&info.name) {
                let contact = (info.participant.clone(), info.name.clone());
                seen.entry(name).or_default().push(contact);
            }
        }
        Self(seen)
    }

    /// Adds the name of a contact with another key that people take for this one.
    pub(super) fn mark(
        &self,
        mut value: Value,
        participant: Option<&ParticipantId>,
        name: &str,
    ) -> Value {
        let all = cf::seen_as(name).and_then(|name| self.0.get(&name));
        let mut all = all.into_iter().flatten();
        let other = all.find(|(other, _)| other.as_ref() != participant);
        value["looks_like"] = other.map_or(Value::Null, |(_, name)| json!(name));
        value
    }
}

pub(super) fn request(request: &Request) -> Value {
    json!({
        "request": request.id.to_string(),
        "from": participant(request.from.as_ref()),
        "name": request.name,
        "conversation": request.conversation.to_string(),
        "conversation_protocol": request.protocol.as_str(),
        "specification": request.specification,
        "supported": request.supported,
        "link": request.link.map(|link| link.to_string()),
        "label": request.label,
    })
}

pub(super) fn link(link: &LinkInfo) -> Value {
    let state = match link.state {
        LinkState::Live => "live",
        LinkState::Used => "used",
        LinkState::Expired => "expired",
    };
    json!({
        "id": link.id.to_string(),
        "label": link.label,
        "link": link.query,
        "discovery": link.discovery.as_str(),
        "one_time": link.one_time,
        "state": state,
        "created_at": link.created_at.0,
        "expires_at": link.expires_at.0,
        "refresh_at": link.refresh_at.map(|at| at.0),
        "problem": link.problem,
        "generation": link.generation,
        "pending": link.pending,
        "quota": link.quota,
        "rate": link.rate,
        "opened": link.opened,
        "refused": link.refused,
        "rejected": link.rejected,
        "refused_at": link.refused_at.map(|at| at.0),
    })
}

pub(super) fn blocked(blocked: &Blocked) -> Value {
    json!({
        "from": participant(Some(&blocked.participant)),
        "name": blocked.name,
        "since": blocked.since.0,
        "invites": blocked.invites,
    })
}

pub(super) fn conversation(info: &ConversationInfo) -> Value {
    json!({
        "conversation": info.id.to_string(),
        "name": info.name,
        "from": participant(info.participant.as_ref()),
        "conversation_protocol": info.protocol.as_str(),
        "verified": info.verified,
        "blocked": info.blocked,
    })
}

pub(super) fn event(event: &Event, names: &Names) -> Value {
    let (kind, mut value) = event_kind(&event.kind, names);
    value["seq"] = json!(event.seq);
    value["at"] = json!(event.at.0);
    value["event"] = json!(kind);
    value
}

fn event_kind(kind: &EventKind, names: &Names) -> (&'static str, Value) {
    match kind {
        EventKind::Message {
            conversation,
            from,
            id,
            content,
            sent_at,
        } => {
            let (kind, mut value) = match content {
                Sent::Bytes(content) => said(content),
                Sent::Large { len } => ("large_content", json!({ "len": len })),
            };
            value["conversation"] = json!(conversation.to_string());
            value["from"] = participant(from.as_ref());
            value["name"] = names.of(from.as_ref());
            value["id"] = json!(content_id(id));
            value["sent_at"] = json!(sent_at.map(|at| at.0));
            (kind, value)
        }
        EventKind::Sent {
            conversation,
            id,
            content,
            state: state_then,
        } => {
            // Under a name of its own: what is read as `text` came from others.
            let (what, own) = match content {
                Sent::Bytes(content) => said(content),
                Sent::Large { len } => ("large_content", json!({ "len": len })),
            };
            let mut value = state(id, *state_then);
            value["conversation"] = json!(conversation.to_string());
            value["what"] = json!(what);
            value["own"] = own;
            ("sent", value)
        }
        EventKind::State {
            conversation,
            id,
            state: state_now,
        } => {
            let mut value = state(id, *state_now);
            value["conversation"] = json!(conversation.to_string());
            ("state", value)
        }
        EventKind::Request(asked) => ("request", request(asked)),
        EventKind::Started {
            conversation,
            from,
            name,
            protocol,
        } => {
            let value = json!({
                "conversation": conversation.to_string(),
                "from": participant(from.as_ref()),
                "name": name,
                "conversation_protocol": protocol.as_str(),
            });
            ("started", value)
        }
        EventKind::Answered { conversation } => ("answered", of(conversation)),
        EventKind::InviteExpired { conversation } => ("invite_expired", of(conversation)),
        EventKind::Gap {
            conversation,
            missing,
        } => {
            let mut value = of(conversation);
            value["missing"] = json!(missing);
            ("gap", value)
        }
        EventKind::GapClosed { conversation } => ("gap_closed", of(conversation)),
        EventKind::Joined {
            conversation,
            participant,
        } => ("joined", about(conversation, participant)),
        EventKind::Left {
            conversation,
            participant,
        } => ("left", about(conversation, participant)),
        EventKind::Unknown { conversation, kind } => {
            let mut value = of(conversation);
            value["kind"] = json!(kind);
            ("unknown", value)
        }
        EventKind::Renewed {
            conversation,
            protocol,
        } => {
            let mut value = of(conversation);
            value["protocol"] = json!(protocol.as_str());
            ("renewed", value)
        }
        EventKind::Broken { conversation } => ("broken", of(conversation)),
        EventKind::OtherKey {
            conversation,
            participant: claimant,
            name,
            verified,
        } => {
            let value = json!({
                "conversation": conversation.to_string(),
                "from": participant(claimant.as_ref()),
                "name": name,
                "was_verified": verified,
            });
            ("other_key", value)
        }
        EventKind::LinkExpired { link, label } => (
            "link_expired",
            json!({ "link": link.to_string(), "label": label }),
        ),
        EventKind::Closed { conversation } => ("closed", of(conversation)),
        EventKind::Erased => ("erased", json!({})),
        _ => ("unreadable", json!({})),
    }
}

/// What a content says: its kind, and the fields of that kind.
pub(super) fn said(content: &Bytes) -> (&'static str, Value) {
    match Content::decode(content) {
        Ok(Content::Text(text)) => {
            let mut value = json!({ "text": text.text });
            if let Some(to) = &text.reply_to {
                value["reply_to"] = reference(to);
            }
            ("message", value)
        }
        Ok(Content::Reaction(reaction)) => {
            let (to, what) = (reference(&reaction.to), reaction.reaction);
            let value = json!({ "to": to, "reaction": what, "removed": reaction.removed });
            ("reaction", value)
        }
        Ok(Content::Edit(edit)) => {
            let value = json!({ "edits": content_id(&edit.id), "text": edit.text });
            ("edit", value)
        }
        Ok(Content::Delete(delete)) => ("delete", json!({ "deletes": content_id(&delete.id) })),
        Ok(Content::Receipt(receipt)) => {
            let read: Vec<_> = receipt.read.iter().map(reference).collect();
            ("receipt", json!({ "read": read }))
        }
        Ok(Content::Attachment(file)) => ("attachment", attachment(&file)),
        Ok(Content::Unknown(frame)) => {
            let (domain, tag) = (frame.domain, frame.tag);
            let value = json!({ "domain": domain, "tag": tag, "bytes": hex(&frame.payload) });
            ("unknown_content", value)
        }
        Ok(_) | Err(_) => ("unreadable_content", json!({ "bytes": hex(content) })),
    }
}

/// What a file is, as its sender says.
pub(super) fn attachment(file: &Attachment) -> Value {
    json!({
        "file": file.name,
        "media_type": file.media_type,
        "len": file.len,
        "digest": hex(&file.digest),
        "content": content_id(&file.content),
        "caption": file.caption,
    })
}

fn reference(to: &Reference) -> Value {
    json!({ "from": participant(to.author.as_ref()), "id": content_id(&to.id) })
}

fn of(conversation: &cf::core::ConversationId) -> Value {
    json!({ "conversation": conversation.to_string() })
}

fn about(conversation: &cf::core::ConversationId, who: &ParticipantId) -> Value {
    json!({ "conversation": conversation.to_string(), "from": participant(Some(who)) })
}

/// The state of a content that was sent.
pub(super) fn state(id: &ContentId, state: ContentState) -> Value {
    let (name, reason) = match state {
        ContentState::Queued => ("queued", None),
        ContentState::Accepted => ("accepted", None),
        ContentState::Delivered => ("delivered", None),
        ContentState::Read => ("read", None),
        ContentState::Failed(FailureReason::Expired) => ("failed", Some("expired")),
        ContentState::Failed(FailureReason::Refused) => ("failed", Some("refused")),
        ContentState::Failed(FailureReason::Closed) => ("failed", Some("closed")),
        _ => ("failed", Some("unknown")),
    };
    let mut value = json!({ "id": content_id(id), "state": name });
    if let Some(reason) = reason {
        value["reason"] = json!(reason);
    }
    value
}

/// Others may use bytes that are no text.
pub(super) fn content_id(id: &ContentId) -> String {
    match std::str::from_utf8(id.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => hex(id.as_bytes()),
    }
}

pub(super) fn participant(id: Option<&ParticipantId>) -> Value {
    id.map_or(Value::Null, |id| json!(hex(id.as_bytes())))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}

/// Reads what [`hex`] wrote.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| Error::malformed("bytes are given as hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use cf::content::{ContentFrame, Edit};

    use super::*;

    #[test]
    fn every_content_says_what_it_is() {
        let kind = |content: Content| said(&content.encode().expect("short")).0;
        assert_eq!(kind("Hello".into()), "message");
        let (id, text) = (cf::content_id("m1").expect("short"), "Hi".to_owned());
        assert_eq!(kind(Content::Edit(Edit { id, text })), "edit");
        let (domain, tag, payload) = (7, 3, Bytes::from_static(b"theirs"));
        let unknown = Content::Unknown(ContentFrame {
            domain,
            tag,
            payload,
        });
        let (kind, value) = said(&unknown.encode().expect("short"));
        assert_eq!(kind, "unknown_content");
        assert_eq!(value["bytes"], "746865697273");
        let (kind, value) = said(&Bytes::from_static(b"rubbish"));
        assert_eq!(kind, "unreadable_content");
        assert_eq!(
            value["text"],
            Value::Null,
            "what is no content is no message"
        );
    }
}
