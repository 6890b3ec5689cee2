//! The history of a client: its event log, arranged for people.
//!
//! The log says what happened, one entry after the other. A [`History`] keeps beside it,
//! in the same store, what a person asks for: the conversations by when something
//! happened in them, with what is unread; pages of one; the words of all. It holds no
//! content: a page reads the contents of its messages from the log. So what is erased
//! there is gone here, and all of this can be made again from the log alone.
//!
//! It knows no protocol and no format of content. What the log's entries are, a [`Log`]
//! tells it; what a content means, a [`ContentReader`].
//!
//! # Laws
//! - Each commit takes in some entries whole, in order, with the number of the last:
//!   after a crash it goes on behind that.
//! - What is kept is what taking in the log from its start would make, whatever was
//!   deleted in between and wherever it was cut off.
//! - Nothing reads all of a conversation, of the log or of a word, except what says so.

mod changes;
mod contract;
mod error;
mod forget;
mod history;
mod pages;
mod project;
mod records;
mod search;
mod words;

pub use contract::{Author, ContentReader, Entry, EntryKind, Log, Meaning, Named};
pub use error::HistoryError;
pub use forget::Erasure;
pub use history::{History, Progress};
pub use pages::{Item, ItemKind, Page, Reaction, Summary};
pub use records::VERSION;
pub use search::Found;

/// What bounds a history.
pub mod limits {
    pub use crate::project::{MAX_PENDING, MAX_TOUCHED, STEP};
    pub use crate::search::MAX_EXAMINED;
    pub use crate::words::{MAX_WORD_LEN, MAX_WORDS};
}
