use bytes::Bytes;
use cf_core::{BundleSet, ContentId};
use prost::Message;

use crate::Error;
use crate::fields::unknown_body;
use crate::wire::reliable as wire;

use super::contact;

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

/// How many contents a frame says are read at most.
pub(crate) const MAX_RECEIPTS: usize = 64;

/// The field numbers of the bodies that this version knows.
const BODIES: [u32; 5] = [16, 17, 18, 19, 20];

/// What a reliable frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Only what concerns the sequence.
    None,
    Content(Bytes),
    Close,
    /// These contents of the receiver's are read.
    Receipt(Vec<ContentId>),
    /// The user writes, or does not any more.
    Typing(bool),
    /// How the sender is asked into a new session.
    Contact(BundleSet),
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
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// 0: not reliable.
    pub(crate) sequence: u64,
    pub(crate) acknowledgement: Acknowledgement,
    /// Numbers of the sender's that never come.
    pub(crate) skipped: Vec<u64>,
    /// How often the sender dropped keys of frames that had not come.
    pub(crate) gone: u64,
    pub(crate) body: Body,
    /// The number of the body, if this version does not know it.
    pub(crate) unknown: Option<u32>,
}

impl Frame {
    /// A body, and nothing that concerns the sequence.
    pub(crate) fn bare(body: Body) -> Self {
        Self {
            sequence: 0,
            acknowledgement: Acknowledgement::default(),
            skipped: Vec::new(),
            gone: 0,
            body,
            unknown: None,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        self.to_wire().encode_to_vec().into()
    }

    pub(crate) fn to_wire(&self) -> wire::ReliableFrame {
        let mut frame = wire::ReliableFrame {
            sequence: self.sequence,
            acknowledged: self.acknowledgement.cumulative,
            bitmap: self.acknowledgement.bitmap.clone(),
            skipped: self.skipped.clone(),
            gone: self.gone,
            ..wire::ReliableFrame::default()
        };
        match &self.body {
            Body::None => {}
            Body::Content(content) => frame.content = Some(content.clone()),
            Body::Close => frame.close = Some(wire::Close {}),
            Body::Receipt(read) => {
                let read = read.iter().map(ContentId::to_bytes).collect();
                frame.receipt = Some(wire::Receipt { read });
            }
            Body::Typing(typing) => frame.typing = Some(wire::Typing { typing: *typing }),
            Body::Contact(bundles) => frame.contact = Some(contact::encode(bundles)),
        }
        frame
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Error> {
        let frame = wire::ReliableFrame::decode(bytes.clone())
            .map_err(|_| Error::Malformed("a reliable frame is not of the format"))?;
        let mut frame = Self::from_wire(frame)?;
        if frame.body == Body::None {
            frame.unknown = unknown_body(&bytes, &BODIES);
        }
        Ok(frame)
    }

    pub(crate) fn from_wire(frame: wire::ReliableFrame) -> Result<Self, Error> {
        if frame.bitmap.len() > BITMAP_ALONE || frame.skipped.len() > MAX_SKIPPED {
            return Err(Error::Malformed("a reliable frame is over its limits"));
        }
        let receipt = frame.receipt.map(read_receipt).transpose()?;
        let contact = frame.contact.map(contact::decode).transpose()?;
        let mut bodies = [
            frame.content.map(Body::Content),
            frame.close.map(|_| Body::Close),
            receipt.map(Body::Receipt),
            frame.typing.map(|typing| Body::Typing(typing.typing)),
            contact.map(Body::Contact),
        ]
        .into_iter()
        .flatten();
        let body = bodies.next().unwrap_or(Body::None);
        if bodies.next().is_some() {
            return Err(Error::Malformed("a frame has one body"));
        }
        Ok(Self {
            sequence: frame.sequence,
            acknowledgement: Acknowledgement {
                cumulative: frame.acknowledged,
                bitmap: frame.bitmap,
            },
            skipped: frame.skipped,
            gone: frame.gone,
            body,
            unknown: None,
        })
    }
}

fn read_receipt(receipt: wire::Receipt) -> Result<Vec<ContentId>, Error> {
    if receipt.read.is_empty() || receipt.read.len() > MAX_RECEIPTS {
        return Err(Error::Malformed("a receipt names 1 to 64 contents"));
    }
    let ids = receipt.read.into_iter().map(ContentId::new);
    ids.collect::<Result<_, _>>()
        .map_err(|_| Error::Malformed("a receipt names contents by their ids"))
}

#[cfg(test)]
mod tests {
    use cf_core::ProtocolId;
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
                gone: vector["gone"].as_u64().unwrap(),
                body: body(vector, &hex),
                unknown: None,
            };
            assert_eq!(frame.encode(), hex(&vector["encoded"]));
            assert_eq!(Frame::decode(hex(&vector["encoded"])).unwrap(), frame);
        }
    }

    fn body(vector: &Value, hex: &dyn Fn(&Value) -> Bytes) -> Body {
        let list = |name: &str| vector[name].as_array();
        if let Some(read) = list("read") {
            let id = |id: &Value| ContentId::new(hex(id)).unwrap();
            return Body::Receipt(read.iter().map(id).collect());
        }
        if let Some(bundles) = list("bundles") {
            let bundle = |bundle: &Value| {
                let protocol = ProtocolId::parse(bundle[0].as_str().unwrap()).unwrap();
                (protocol, hex(&bundle[1]))
            };
            return Body::Contact(BundleSet::new(bundles.iter().map(bundle).collect()).unwrap());
        }
        match (&vector["content"], &vector["typing"]) {
            (Value::String(_), _) => Body::Content(hex(&vector["content"])),
            (_, Value::Bool(typing)) => Body::Typing(*typing),
            _ if vector["close"] == true => Body::Close,
            _ => Body::None,
        }
    }

    #[test]
    fn unknown_bodies_are_named() {
        let mut bytes = Frame {
            sequence: 9,
            ..Frame::bare(Body::None)
        }
        .encode()
        .to_vec();
        // Field 21 with two bytes, and field 6, which concerns the frame.
        bytes.extend([0xaa, 0x01, 0x02, 1, 2, 0x30, 7]);
        let frame = Frame::decode(bytes.into()).unwrap();
        assert_eq!((frame.unknown, frame.body), (Some(21), Body::None));
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
