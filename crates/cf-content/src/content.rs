use bytes::Bytes;

use crate::ContentError;
use crate::frame::{ContentFrame, DOMAIN};
use crate::types::{Attachment, Delete, Edit, Reaction, Receipt, Text};

const TEXT: u32 = 1;
const REACTION: u32 = 2;
const EDIT: u32 = 3;
const DELETE: u32 = 4;
const RECEIPT: u32 = 5;
const ATTACHMENT: u32 = 6;

/// A content, as an application sees it.
///
/// ```
/// use cf_content::{Content, Text};
/// let bytes = Content::from("Hello, Raya").encode()?;
/// assert_eq!(Content::decode(&bytes)?, Content::Text(Text::from("Hello, Raya")));
/// # Ok::<(), cf_content::ContentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Words.
    Text(Text),
    /// What somebody feels about a content.
    Reaction(Reaction),
    /// Other words for an earlier content of the same author.
    Edit(Edit),
    /// An earlier content of the same author is taken back.
    Delete(Delete),
    /// Contents were read.
    Receipt(Receipt),
    /// A file.
    Attachment(Attachment),
    /// A type that this version does not know, whole: of this domain or another.
    Unknown(ContentFrame),
}

impl Content {
    /// The longest text, edit or caption, in bytes.
    pub const MAX_TEXT_LEN: usize = 256 * 1024;
    /// The longest reaction, in bytes.
    pub const MAX_REACTION_LEN: usize = 64;
    /// The longest name and media type of an attachment, in bytes.
    pub const MAX_NAME_LEN: usize = 255;
    /// The most contents in one receipt.
    pub const MAX_RECEIPTS: usize = 1024;

    /// Writes the content as a content frame.
    ///
    /// # Errors
    /// `TooLong` over a limit, `Malformed` for what [`decode`](Self::decode) refuses.
    pub fn encode(&self) -> Result<Bytes, ContentError> {
        let (tag, payload) = match self {
            Self::Unknown(frame) => return Ok(frame.encode()),
            Self::Text(text) => (TEXT, text.encode()?),
            Self::Reaction(reaction) => (REACTION, reaction.encode()?),
            Self::Edit(edit) => (EDIT, edit.encode()?),
            Self::Delete(delete) => (DELETE, delete.encode()),
            Self::Receipt(receipt) => (RECEIPT, receipt.encode()?),
            Self::Attachment(attachment) => (ATTACHMENT, attachment.encode()?),
        };
        let frame = ContentFrame {
            domain: DOMAIN,
            tag,
            payload: payload.into(),
        };
        Ok(frame.encode())
    }

    /// Reads a content frame; a type that is not known is [`Content::Unknown`].
    ///
    /// # Errors
    /// `Malformed` for what is no frame or not what its type says, `TooLong` over a
    /// limit.
    pub fn decode(bytes: &Bytes) -> Result<Self, ContentError> {
        let frame = ContentFrame::decode(bytes)?;
        if frame.domain != DOMAIN {
            return Ok(Self::Unknown(frame));
        }
        let payload = frame.payload.clone();
        Ok(match frame.tag {
            TEXT => Self::Text(Text::decode(payload)?),
            REACTION => Self::Reaction(Reaction::decode(payload)?),
            EDIT => Self::Edit(Edit::decode(payload)?),
            DELETE => Self::Delete(Delete::decode(payload)?),
            RECEIPT => Self::Receipt(Receipt::decode(payload)?),
            ATTACHMENT => Self::Attachment(Attachment::decode(payload)?),
            _ => Self::Unknown(frame),
        })
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
