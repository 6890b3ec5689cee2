use bytes::Bytes;
use cf_core::ContentId;
use prost::Message;

use crate::Error;
use crate::fields::unknown_body;
use crate::wire::segments as wire;

/// The longest content that is given by its length, in bytes: 64 MiB.
pub const MAX_LARGE: u64 = 64 * 1024 * 1024;

/// The longest content that is given as bytes, in bytes: 260 KiB, a text of
/// 256 KiB and what is around it. It is cut where it does not fit a frame.
pub const MAX_CUT: usize = 260 * 1024;

/// The longest part of a content, in bytes, whatever a frame could take.
pub const MAX_PART: usize = 64 * 1024;

/// The shortest part of a content, in bytes, unless it is the last.
pub const MIN_PART: usize = 32;

/// What a segment adds to its part and the content's id, in bytes, at most.
const SEGMENT_OVERHEAD: usize = 32;

/// The field numbers of the bodies that this version knows.
const BODIES: [u32; 5] = [16, 17, 18, 19, 20];

/// The start of the ids that parts travel under.
const PART_ID: &[u8; 4] = b"\0seg";

/// How long such an id is, in bytes.
pub(super) const PART_ID_LEN: usize = 20;

/// What a frame of this layer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole content.
    Content(Bytes),
    Segment(Segment),
    /// The receiver of a content has all of it.
    Whole(ContentId),
    /// The receiver of a content takes nothing of it.
    Refused(ContentId),
    /// The sender of a content gave it up.
    Cancelled(ContentId),
    /// The number of a body that this version does not know.
    Unknown(u32),
}

/// A part of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) content: ContentId,
    /// Of the content, in bytes.
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) part: Bytes,
    /// Whether the content was given by its length.
    pub(super) large: bool,
}

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let subject = |id: &ContentId| {
            Some(wire::Subject {
                content_id: id.to_bytes(),
            })
        };
        let mut frame = wire::SegmentsFrame::default();
        match self {
            Self::Content(content) => frame.content = Some(content.clone()),
            Self::Segment(segment) => {
                frame.segment = Some(wire::Segment {
                    content_id: segment.content.to_bytes(),
                    len: segment.len,
                    offset: segment.offset,
                    part: segment.part.clone(),
                    large: segment.large,
                });
            }
            Self::Whole(id) => frame.whole = subject(id),
            Self::Refused(id) => frame.refused = subject(id),
            Self::Cancelled(id) => frame.cancelled = subject(id),
            Self::Unknown(_) => {}
        }
        frame.encode_to_vec().into()
    }

    /// Reads what a peer sent. What is no frame, or has no body, is a content as
    /// versions without this layer sent it.
    pub(super) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let Ok(frame) = wire::SegmentsFrame::decode(bytes.clone()) else {
            return Ok(Self::Content(bytes));
        };
        let subject = |subject: wire::Subject| content_id(subject.content_id);
        let mut bodies = Vec::new();
        bodies.extend(frame.content.map(|content| Ok(Self::Content(content))));
        bodies.extend(frame.segment.map(Segment::decode));
        bodies.extend(frame.whole.map(|whole| Ok(Self::Whole(subject(whole)?))));
        bodies.extend(frame.refused.map(|it| Ok(Self::Refused(subject(it)?))));
        bodies.extend(frame.cancelled.map(|it| Ok(Self::Cancelled(subject(it)?))));
        match (bodies.pop(), bodies.is_empty()) {
            (Some(body), true) => body,
            (Some(_), false) => Err(Error::Malformed("a frame has one body")),
            (None, _) => Ok(match unknown_body(&bytes, &BODIES) {
                Some(number) => Self::Unknown(number),
                None => Self::Content(bytes),
            }),
        }
    }
}

impl Segment {
    /// Reads a segment and checks what it says of itself.
    fn decode(segment: wire::Segment) -> Result<Frame, Error> {
        let most = if segment.large {
            MAX_LARGE
        } else {
            MAX_CUT as u64
        };
        if segment.len > most {
            return Err(Error::Rejected("a content is longer than any may be"));
        }
        let end = segment.offset.checked_add(segment.part.len() as u64);
        match end {
            Some(end) if end <= segment.len => {
                let is_short = segment.part.len() < MIN_PART && end < segment.len;
                if segment.part.is_empty() || is_short {
                    return Err(Error::Rejected("a part is shorter than any may be"));
                }
            }
            _ => return Err(Error::Rejected("a part ends after its content")),
        }
        Ok(Frame::Segment(Self {
            content: content_id(segment.content_id)?,
            len: segment.len,
            offset: segment.offset,
            part: segment.part,
            large: segment.large,
        }))
    }

    /// Where the part ends.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.part.len() as u64
    }

    /// How long a part of a content may be where a frame and its id together
    /// have room for so many bytes; `None` if that is too little.
    pub(super) fn part_len(room: usize, content: &ContentId) -> Option<usize> {
        let overhead = SEGMENT_OVERHEAD + content.as_bytes().len() + PART_ID_LEN;
        let len = room.saturating_sub(overhead).min(MAX_PART);
        (len >= MIN_PART).then_some(len)
    }
}

fn content_id(bytes: Bytes) -> Result<ContentId, Error> {
    ContentId::new(bytes).map_err(|_| Error::Malformed("a content id takes 1 to 64 bytes"))
}

/// Names a part that was sent, for the wrapped conversation.
///
/// ```text
/// "\0seg" (4) ‖ number of the content (8) ‖ offset (4) ‖ length (4)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartId {
    pub(super) number: u64,
    pub(super) offset: u32,
    pub(super) len: u32,
}

impl PartId {
    pub(super) fn encode(self) -> Option<ContentId> {
        let bytes = [
            &PART_ID[..],
            &self.number.to_be_bytes(),
            &self.offset.to_be_bytes(),
            &self.len.to_be_bytes(),
        ];
        ContentId::new(bytes.concat()).ok()
    }

    /// `None` for an id that an application chose.
    pub(super) fn decode(id: &ContentId) -> Option<Self> {
        let rest = id.as_bytes().strip_prefix(PART_ID)?;
        let (number, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            offset: u32::from_be_bytes(*offset),
            len: u32::from_be_bytes(rest.try_into().ok()?),
        })
    }

    pub(super) fn range(self) -> std::ops::Range<u64> {
        let from = u64::from(self.offset);
        from..from + u64::from(self.len)
    }
}
