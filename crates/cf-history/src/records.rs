//! What a history keeps in its store: namespaces, keys and values.

use bytes::Bytes;
use cf_core::{ContentState, ConversationId, FailureReason, ParticipantId};
use prost::Message;

use crate::HistoryError;
use crate::contract::Author;

#[allow(clippy::all, unreachable_pub, missing_docs)]
#[path = "generated/cf_history.rs"]
pub(crate) mod wire;

/// The version of everything below. What an earlier one made is made again.
pub const VERSION: u64 = 1;

pub(crate) const META: &[u8] = b"history";
/// Key: a conversation; value: its head.
pub(crate) const HEADS: &[u8] = b"history/heads";
/// Key: the number of the last entry of a conversation; value: the conversation.
pub(crate) const RECENT: &[u8] = b"#history/recent";
/// Key: a keyed hash of what names a content; value: what it means.
pub(crate) const NAMES: &[u8] = b"#history/names";
/// Key: a keyed hash of a word, then a block; value: the entries of the block.
pub(crate) const WORDS: &[u8] = b"#history/words";
/// Key: an entry that is to be erased from the log.
pub(crate) const ERASURES: &[u8] = b"#history/erasures";
/// Key: a conversation; value: up to where the user has read. Not made from the log.
pub(crate) const MARKS: &[u8] = b"history/marks";

/// Up to where the log was taken in.
pub(crate) const DONE: &[u8] = b"done";
/// Up to where the log was cut off.
pub(crate) const CUT: &[u8] = b"cut";
pub(crate) const KEY: &[u8] = b"key";
pub(crate) const VERSION_KEY: &[u8] = b"version";
/// There while everything is thrown away, to be made again.
pub(crate) const CLEARING: &[u8] = b"clearing";

pub(crate) const MESSAGE: u32 = 1;
pub(crate) const NOTICE: u32 = 2;
pub(crate) const TAKEN_BACK: u32 = 3;

/// The namespace of a conversation's rows. Key: the number of an entry.
pub(crate) fn talk(conversation: ConversationId) -> Bytes {
    [b"#history/talk/", conversation.as_bytes()].concat().into()
}

/// The namespace of a conversation's contents that are no message of their own.
pub(crate) fn also(conversation: ConversationId) -> Bytes {
    [b"#history/also/", conversation.as_bytes()].concat().into()
}

pub(crate) fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

pub(crate) fn read_number(bytes: &[u8]) -> Result<u64, HistoryError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map_err(|_| HistoryError::Damaged)
}

pub(crate) fn read<M: Message + Default>(bytes: &Bytes) -> Result<M, HistoryError> {
    M::decode(bytes.clone()).map_err(|_| HistoryError::Damaged)
}

pub(crate) fn write(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

pub(crate) fn read_conversation(bytes: &[u8]) -> Result<ConversationId, HistoryError> {
    ConversationId::from_slice(bytes).map_err(|_| HistoryError::Damaged)
}

pub(crate) fn author(own: bool, author: &Bytes) -> Result<Author, HistoryError> {
    Ok(match (own, author.is_empty()) {
        (true, _) => Author::Own,
        (false, true) => Author::Peer(None),
        (false, false) => {
            let id = ParticipantId::new(author.clone());
            Author::Peer(Some(id.map_err(|_| HistoryError::Damaged)?))
        }
    })
}

pub(crate) fn author_bytes(author: &Author) -> Bytes {
    match author {
        Author::Peer(Some(id)) => id.to_bytes(),
        _ => Bytes::new(),
    }
}

pub(crate) fn write_state(state: ContentState) -> u32 {
    match state {
        ContentState::Queued => 1,
        ContentState::Accepted => 2,
        ContentState::Delivered => 3,
        ContentState::Read => 4,
        ContentState::Failed(FailureReason::Expired) => 16,
        ContentState::Failed(FailureReason::Refused) => 17,
        ContentState::Failed(_) => 18,
        _ => 1,
    }
}

pub(crate) fn read_state(state: u32) -> ContentState {
    match state {
        2 => ContentState::Accepted,
        3 => ContentState::Delivered,
        4 => ContentState::Read,
        16 => ContentState::Failed(FailureReason::Expired),
        17 => ContentState::Failed(FailureReason::Refused),
        18 => ContentState::Failed(FailureReason::Closed),
        _ => ContentState::Queued,
    }
}
