//! What applications say in a conversation. A conversation carries content as
//! opaque bytes; this crate gives those bytes a meaning that applications share.
//!
//! Content is a [`ContentFrame`]: a domain says who defines a type, a tag says
//! which. So applications that have never heard of each other can tell a type that
//! they don't know from rubbish. Those of this domain are [`Content`].

mod content;
mod error;
mod frame;
mod types;
mod wire;

pub use content::Content;
pub use error::ContentError;
pub use frame::{ContentFrame, DOMAIN};
pub use types::{Attachment, Delete, Edit, Reaction, Receipt, Reference, Text};
