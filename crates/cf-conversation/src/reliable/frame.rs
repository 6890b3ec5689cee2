use bytes::Bytes;
use prost::Message;

use crate::Error;
use crate::fields::unknown_body;
use crate::wire::reliable as wire;

/// How far a sequence goes beyond what its receiver has all of.
pub(crate) const WINDOW: u64 = 16_384;

/// Above every sequence number and place in a record, so that a damaged one
/// overflows nothing.
pub(crate) const MAX_SEQUENCE: u64 = 1 << 62;

/// How many frames with content are on their way at most. Whatever becomes of
/// them, their receiver keeps their keys: half of the 2,048 of the ratchet, so
/// that what is lost beside them takes none away.
pub(crate) const MAX_UNACKNOWLEDGED: usize = 1_024;

/// The longest bitmap of an acknowledgement alone, in bytes: the whole window.
pub(crate) const BITMAP_ALONE: usize = (WINDOW / 8) as usize;

/// The longest bitmap beside content, in bytes.
pub(crate) const BITMAP_BESIDE: usize = 64;

/// How many skipped sequence numbers a frame names at most.
pub(crate) const MAX_SKIPPED: usize = 64;

/// The field numbers of the bodies that this version knows.
const BODIES: [u32; 2] = [16, 17];

/// What a reliable frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Only what concerns the sequence.
    None,
    Content(Bytes),
    Close,
}

/// What was received of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// Every number up to this.
    pub(crate) cumulative: u64,
    /// Bit i, lowest first: `cumulative + 2 + i`.
    pub(crate) bitmap: Bytes,
}

impl Acknowledgement {
    /// The numbers beyond the cumulative one.
    pub(crate) fn beyond(&self) -> impl Iterator<Item = u64> {
        let first = self.cumulative.saturating_add(2);
        let bits = (self.bitmap.iter().enumerate())
            .flat_map(|(at, byte)| (0..8).map(move |bit| (at * 8 + bit, byte >> bit & 1 == 1)));
        bits.filter(|(_, set)| *set)
            .map(move |(at, _)| first.saturating_add(at as u64))
    }

    /// The highest number.
    pub(crate) fn highest(&self) -> u64 {
        self.beyond().last().unwrap_or(self.cumulative)
    }
}

/// A frame of one side of a sequence.
pub(crate) struct Frame {
    /// 0: not reliable.
    pub(crate) sequence: u64,
    pub(crate) acknowledgement: Acknowledgement,
    /// Numbers of the sender's that never come.
    pub(crate) skipped: Vec<u64>,
    pub(crate) body: Body,
    /// The number of a body that this version does not know.
    pub(crate) unknown: Option<u32>,
}

impl Frame {
    pub(crate) fn encode(&self) -> Bytes {
        let (content, close) = match self.body.clone() {
            Body::None => (None, None),
            Body::Content(content) => (Some(content), None),
            Body::Close => (None, Some(wire::Close {})),
        };
        let frame = wire::ReliableFrame {
            sequence: self.sequence,
            acknowledged: self.acknowledgement.cumulative,
            bitmap: self.acknowledgement.bitmap.clone(),
            skipped: self.skipped.clone(),
            content,
            close,
        };
        frame.encode_to_vec().into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let unknown = unknown_body(&bytes, &BODIES);
        let frame = wire::ReliableFrame::decode(bytes)
            .map_err(|_| Error::Malformed("a reliable frame is not of the format"))?;
        if frame.bitmap.len() > BITMAP_ALONE || frame.skipped.len() > MAX_SKIPPED {
            return Err(Error::Malformed("a reliable frame is over its limits"));
        }
        let body = match (frame.content, frame.close) {
            (Some(content), None) => Body::Content(content),
            (None, Some(_)) => Body::Close,
            (None, None) => Body::None,
            (Some(_), Some(_)) => return Err(Error::Malformed("a frame has one body")),
        };
        Ok(Self {
            sequence: frame.sequence,
            acknowledgement: Acknowledgement {
                cumulative: frame.acknowledged,
                bitmap: frame.bitmap,
            },
            skipped: frame.skipped,
            body,
            unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;

    #[test]
    fn frames_follow_the_vectors() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/spec/vectors/conversation-private-1.json"
        );
        let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let hex = |value: &Value| -> Bytes {
            let text = value.as_str().unwrap();
            HEXLOWER.decode(text.as_bytes()).unwrap().into()
        };
        for vector in vectors["reliable"].as_array().unwrap() {
            let skipped = vector["skipped"].as_array().unwrap().iter();
            let frame = Frame {
                sequence: vector["sequence"].as_u64().unwrap(),
                acknowledgement: Acknowledgement {
                    cumulative: vector["acknowledged"].as_u64().unwrap(),
                    bitmap: hex(&vector["bitmap"]),
                },
                skipped: skipped.map(|number| number.as_u64().unwrap()).collect(),
                body: match (vector["content"].is_null(), vector["close"] == true) {
                    (true, true) => Body::Close,
                    (true, false) => Body::None,
                    (false, _) => Body::Content(hex(&vector["content"])),
                },
                unknown: None,
            };
            assert_eq!(frame.encode(), hex(&vector["encoded"]));
            let decoded = Frame::decode(hex(&vector["encoded"])).unwrap();
            assert_eq!(decoded.sequence, frame.sequence);
            assert_eq!(decoded.acknowledgement, frame.acknowledgement);
            assert_eq!(decoded.skipped, frame.skipped);
            assert_eq!(decoded.body, frame.body);
        }
    }

    #[test]
    fn unknown_bodies_are_named() {
        let mut bytes = Frame {
            sequence: 9,
            acknowledgement: Acknowledgement::default(),
            skipped: Vec::new(),
            body: Body::None,
            unknown: None,
        }
        .encode()
        .to_vec();
        // Field 18 with two bytes, and field 5, which concerns the frame.
        bytes.extend([0x92, 0x01, 0x02, 1, 2, 0x28, 7]);
        let frame = Frame::decode(bytes.into()).unwrap();
        assert_eq!((frame.unknown, frame.body), (Some(18), Body::None));
    }

    #[test]
    fn bits_stand_for_numbers_beyond_the_first_missing() {
        let acknowledgement = Acknowledgement {
            cumulative: 10,
            bitmap: Bytes::from_static(&[0b101, 0b1000_0000]),
        };
        let numbers: Vec<_> = acknowledgement.beyond().collect();
        assert_eq!(numbers, [12, 14, 27]);
        assert_eq!(acknowledgement.highest(), 27);
    }
}
