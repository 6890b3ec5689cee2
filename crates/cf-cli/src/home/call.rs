//! What one process asks of another that owns the home: a line of JSON each way.

use cf::core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of what goes over the socket.
pub(super) const VERSION: u32 = 4;

/// The first line of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    /// The service that was asked for, if one was.
    pub(super) service: Option<String>,
}

/// The field of the answer to [`Hello`] that names the owner's service.
pub(super) const SERVICE: &str = "service";

/// What a command wants of its home. Each can be asked again when the answer was
/// lost.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub(crate) enum Call {
    Link {
        /// Drawn by who asks, so that asking again makes no second one.
        id: String,
        full: bool,
        directory: bool,
        lan: bool,
        once: bool,
        days: u64,
        label: String,
        quota: u32,
        rate: u32,
    },
    Links,
    /// Who says that they are on the local network.
    Lan,
    Revoke {
        id: String,
    },
    /// Blocks whoever a fingerprint names, or no longer.
    Block {
        participant: String,
        blocked: bool,
    },
    Blocked,
    Add {
        link: String,
    },
    Requests,
    Accept {
        id: String,
        conversation: String,
    },
    Decline {
        id: String,
        tell: bool,
    },
    /// Which conversation a name or id means.
    Find {
        who: String,
    },
    Send {
        conversation: String,
        id: String,
        text: String,
    },
    State {
        conversation: String,
        id: String,
    },
    /// Confirms what was printed, and waits for more, at most a few seconds.
    Read {
        /// After which number; `None`: after what was confirmed.
        after: Option<u64>,
        confirm: Option<u64>,
        wait: bool,
    },
    /// How much of a file's bytes the home has, or their state once they were sent.
    Begin {
        conversation: String,
        id: String,
        len: u64,
    },
    /// The next of a file's bytes, in hexadecimal digits.
    Spool {
        conversation: String,
        id: String,
        offset: u64,
        bytes: String,
    },
    /// Sends a file's bytes, of which the home has all.
    Finish {
        conversation: String,
        id: String,
    },
    /// Sends what a file is.
    Attach {
        conversation: String,
        id: String,
        name: String,
        media_type: String,
        len: u64,
        digest: String,
        content: String,
        caption: String,
    },
    /// What the file is that an event brought.
    File {
        seq: u64,
    },
    /// Some of its bytes.
    Bytes {
        seq: u64,
        offset: u64,
        len: usize,
    },
    Chats,
    Contacts,
    /// A part of a conversation: the newest, or what is nearest to a number.
    History {
        conversation: String,
        before: Option<u64>,
        after: Option<u64>,
        limit: usize,
    },
    /// Makes the history again from the log.
    Rebuild,
    /// The messages with some words.
    Search {
        words: String,
        within: Option<String>,
        before: Option<u64>,
        limit: usize,
    },
    /// Deletes an item of a conversation, or all of them.
    Delete {
        conversation: String,
        seq: Option<u64>,
    },
    /// Sets for how many days what is said is kept, if it is to, and tells it.
    Keep {
        days: Option<u64>,
    },
    /// Writes a backup, some seconds of it; asked again, it goes on.
    Backup {
        path: String,
        passphrase: String,
    },
    /// The safety number of a contact; compared with another one, if there is one.
    Verify {
        who: String,
        number: Option<String>,
    },
    /// Takes back that a contact is verified.
    Unverify {
        who: String,
    },
    /// What the client is composed of.
    Describe,
    Status,
    /// Changes a setting, if it is to, and tells it.
    Config {
        read_receipts: Option<bool>,
    },
}

/// Objects as they are printed, or what went wrong.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Lines(Vec<Value>),
    Failed { kind: String, message: String },
}

impl From<Result<Vec<Value>>> for Reply {
    fn from(result: Result<Vec<Value>>) -> Self {
        match result {
            Ok(lines) => Self::Lines(lines),
            Err(error) => Self::Failed {
                kind: format!("{:?}", error.kind()),
                message: error.to_string(),
            },
        }
    }
}

impl From<Reply> for Result<Vec<Value>> {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Lines(lines) => Ok(lines),
            Reply::Failed { kind, message } => {
                let kinds = [
                    ErrorKind::Malformed,
                    ErrorKind::Rejected,
                    ErrorKind::Unsupported,
                    ErrorKind::Unavailable,
                    ErrorKind::Misuse,
                ];
                let same = |other: &ErrorKind| format!("{other:?}") == kind;
                let kind = kinds.into_iter().find(same).unwrap_or(ErrorKind::Other);
                Err(Error::new(kind, message))
            }
        }
    }
}
