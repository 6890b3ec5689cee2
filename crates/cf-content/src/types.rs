use bytes::Bytes;
use cf_core::{ContentId, ParticipantId};
use prost::Message;

use crate::{Content, ContentError, wire};

/// Words, perhaps in reply to a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The words; at most [`Content::MAX_TEXT_LEN`] bytes.
    pub text: String,
    /// What they reply to.
    pub reply_to: Option<Reference>,
}

/// Names a content: ids are scoped by their authenticated author.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Its author; `None` where there is no identity.
    pub author: Option<ParticipantId>,
    /// The author's id of it.
    pub id: ContentId,
}

/// What somebody feels about a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// About which.
    pub to: Reference,
    /// What, for instance an emoji; 1 to [`Content::MAX_REACTION_LEN`] bytes.
    pub reaction: String,
    /// Whether it is taken back.
    pub removed: bool,
}

/// Other words for an earlier content. Whose it is, is not said: the author of the
/// edit is the author of what it edits, so that nobody can edit another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Which, by the author's own id.
    pub id: ContentId,
    /// The words from now on.
    pub text: String,
}

/// An earlier content is taken back, by its author as in [`Edit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which, by the author's own id.
    pub id: ContentId,
}

/// Contents were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which; at most [`Content::MAX_RECEIPTS`].
    pub read: Vec<Reference>,
}

/// A file, whose bytes are a content of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, without a folder; at most [`Content::MAX_NAME_LEN`] bytes. A claim:
    /// never a path to write to.
    pub name: String,
    /// Its media type (RFC 6838), for instance `image/png`. A claim.
    pub media_type: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// The id of the content that holds its bytes, of the same author.
    pub content: ContentId,
    /// Words about it.
    pub caption: String,
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            reply_to: None,
        }
    }
}

impl Text {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ContentError> {
        check("a text", &self.text, Content::MAX_TEXT_LEN)?;
        let (text, reply_to) = (self.text.clone(), self.reply_to.as_ref().map(Into::into));
        Ok(wire::Text { text, reply_to }.encode_to_vec())
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let read: wire::Text = message(payload)?;
        check("a text", &read.text, Content::MAX_TEXT_LEN)?;
        Ok(Self {
            text: read.text,
            reply_to: read.reply_to.map(Reference::try_from).transpose()?,
        })
    }
}

impl Reaction {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        let reaction = wire::Reaction {
            to: Some((&self.to).into()),
            reaction: self.reaction.clone(),
            removed: self.removed,
        };
        Ok(reaction.encode_to_vec())
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let read: wire::Reaction = message(payload)?;
        let to = read
            .to
            .ok_or(ContentError::Malformed("a reaction to nothing"))?;
        let reaction = Self {
            to: to.try_into()?,
            reaction: read.reaction,
            removed: read.removed,
        };
        reaction.check()?;
        Ok(reaction)
    }

    fn check(&self) -> Result<(), ContentError> {
        match self.reaction.is_empty() {
            true => Err(ContentError::Malformed("an empty reaction")),
            false => check("a reaction", &self.reaction, Content::MAX_REACTION_LEN),
        }
    }
}

impl Edit {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ContentError> {
        check("a text", &self.text, Content::MAX_TEXT_LEN)?;
        let (id, text) = (self.id.to_bytes(), self.text.clone());
        Ok(wire::Edit { id, text }.encode_to_vec())
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let read: wire::Edit = message(payload)?;
        check("a text", &read.text, Content::MAX_TEXT_LEN)?;
        let (id, text) = (content_id(read.id)?, read.text);
        Ok(Self { id, text })
    }
}

impl Delete {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let id = self.id.to_bytes();
        wire::Delete { id }.encode_to_vec()
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let read: wire::Delete = message(payload)?;
        let id = content_id(read.id)?;
        Ok(Self { id })
    }
}

impl Receipt {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ContentError> {
        check_count(self.read.len())?;
        let read = self.read.iter().map(Into::into).collect();
        Ok(wire::Receipt { read }.encode_to_vec())
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let receipt: wire::Receipt = message(payload)?;
        check_count(receipt.read.len())?;
        let read = receipt.read.into_iter().map(Reference::try_from);
        let read = read.collect::<Result<_, _>>()?;
        Ok(Self { read })
    }
}

impl Attachment {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        let attachment = wire::Attachment {
            name: self.name.clone(),
            media_type: self.media_type.clone(),
            len: self.len,
            digest: Bytes::copy_from_slice(&self.digest),
            content: self.content.to_bytes(),
            caption: self.caption.clone(),
        };
        Ok(attachment.encode_to_vec())
    }

    pub(crate) fn decode(payload: Bytes) -> Result<Self, ContentError> {
        let read: wire::Attachment = message(payload)?;
        let digest = read.digest[..].try_into();
        let attachment = Self {
            name: read.name,
            media_type: read.media_type,
            len: read.len,
            digest: digest.map_err(|_| ContentError::Malformed("a digest takes 32 bytes"))?,
            content: content_id(read.content)?,
            caption: read.caption,
        };
        attachment.check()?;
        Ok(attachment)
    }

    fn check(&self) -> Result<(), ContentError> {
        check("a name", &self.name, Content::MAX_NAME_LEN)?;
        check("a media type", &self.media_type, Content::MAX_NAME_LEN)?;
        check("a caption", &self.caption, Content::MAX_TEXT_LEN)?;
        let is_path =
            self.name.contains(['/', '\\', '\0']) || ["", ".", ".."].contains(&&*self.name);
        match is_path {
            true => Err(ContentError::Malformed("a name that is a path, or none")),
            false => Ok(()),
        }
    }
}

impl From<&Reference> for wire::Reference {
    fn from(reference: &Reference) -> Self {
        let author = reference.author.as_ref().map(ParticipantId::to_bytes);
        Self {
            author: author.unwrap_or_default(),
            id: reference.id.to_bytes(),
        }
    }
}

impl TryFrom<wire::Reference> for Reference {
    type Error = ContentError;

    fn try_from(read: wire::Reference) -> Result<Self, ContentError> {
        let author = match read.author.is_empty() {
            true => None,
            false => Some(ParticipantId::new(read.author)),
        };
        let author = author.transpose();
        Ok(Self {
            author: author.map_err(|_| ContentError::Malformed("an author's id is too long"))?,
            id: content_id(read.id)?,
        })
    }
}

fn message<M: Message + Default>(payload: Bytes) -> Result<M, ContentError> {
    M::decode(payload).map_err(|_| ContentError::Malformed("its bytes are not of the type"))
}

fn content_id(bytes: Bytes) -> Result<ContentId, ContentError> {
    ContentId::new(bytes).map_err(|_| ContentError::Malformed("an id takes 1 to 64 bytes"))
}

fn check(what: &'static str, text: &str, max: usize) -> Result<(), ContentError> {
    let len = text.len();
    match len > max {
        true => Err(ContentError::TooLong { what, len, max }),
        false => Ok(()),
    }
}

fn check_count(len: usize) -> Result<(), ContentError> {
    let (what, max) = ("a receipt, counted in contents,", Content::MAX_RECEIPTS);
    match len > max {
        true => Err(ContentError::TooLong { what, len, max }),
        false => Ok(()),
    }
}
