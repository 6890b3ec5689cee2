//! What the toy keeps in its head record.

use bytes::Bytes;
use cf_core::{DeliveryAddress, DeliveryPoint, Locator, ParticipantId, ProtocolId};

pub(super) struct State {
    pub(super) key: [u8; 32],
    /// 0 created the conversation, 1 joined it.
    pub(super) me: u64,
    /// The number of the next content to send.
    pub(super) next: u64,
    /// Every content below this was told.
    pub(super) heard: u64,
    pub(super) listens: Vec<DeliveryPoint>,
    /// Where the other one listens.
    pub(super) peer: DeliveryPoint,
    pub(super) author: ParticipantId,
}

impl State {
    pub(super) fn encode(&self) -> Bytes {
        let numbers = [self.me, self.next, self.heard]
            .map(u64::to_be_bytes)
            .concat();
        let mut fields = vec![self.key.to_vec(), numbers, self.author.as_bytes().to_vec()];
        for point in [&self.peer].into_iter().chain(&self.listens) {
            fields.push(point.locator.as_str().into());
            fields.push(point.address.as_bytes().into());
            fields.push(point.framing.as_str().into());
        }
        let with_len = |field: Vec<u8>| [&(field.len() as u16).to_be_bytes()[..], &field].concat();
        fields
            .into_iter()
            .flat_map(with_len)
            .collect::<Vec<_>>()
            .into()
    }

    pub(super) fn decode(head: &Bytes) -> Option<Self> {
        let mut fields = Vec::new();
        let mut rest = head.clone();
        while !rest.is_empty() {
            let len = rest.split_to_checked(2)?;
            let len = u16::from_be_bytes([len[0], len[1]]);
            fields.push(rest.split_to_checked(len.into())?);
        }
        let [key, numbers, author, points @ ..] = &fields[..] else {
            return None;
        };
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        let point = |fields: &[Bytes]| {
            Some(DeliveryPoint {
                locator: Locator::parse(&text(&fields[0])?).ok()?,
                address: DeliveryAddress::new(fields[1].clone()).ok()?,
                framing: ProtocolId::parse(&text(&fields[2])?).ok()?,
            })
        };
        let points: Vec<_> = points.chunks_exact(3).map(point).collect::<Option<_>>()?;
        let (peer, listens) = points.split_first()?;
        let number = |place: usize| {
            let bytes = numbers.get(place * 8..place * 8 + 8)?;
            Some(u64::from_be_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            key: key[..].try_into().ok()?,
            me: number(0)?,
            next: number(1)?,
            heard: number(2)?,
            author: ParticipantId::new(author.clone()).ok()?,
            peer: peer.clone(),
            listens: listens.to_vec(),
        })
    }
}

trait SplitTo: Sized {
    fn split_to_checked(&mut self, len: usize) -> Option<Self>;
}

impl SplitTo for Bytes {
    fn split_to_checked(&mut self, len: usize) -> Option<Self> {
        (len <= self.len()).then(|| self.split_to(len))
    }
}
