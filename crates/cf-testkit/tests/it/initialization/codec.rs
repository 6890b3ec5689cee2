//! The toy's encoding: integers big-endian, everything else with its length in
//! front; one value has one encoding.

use bytes::Bytes;
use cf_core::*;

pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn list<T>(&mut self, list: &[T], each: impl Fn(&mut Self, &T)) {
        self.number(list.len() as u64);
        list.iter().for_each(|item| each(self, item));
    }

    fn point(&mut self, point: &DeliveryPoint) {
        self.bytes(point.locator.as_str().as_bytes());
        self.bytes(point.address.as_bytes());
        self.bytes(point.framing.as_str().as_bytes());
    }

    fn offer(&mut self, offer: &Offer) {
        self.bytes(offer.protocol.as_str().as_bytes());
        self.bytes(offer.id.as_bytes());
        self.bytes(&offer.public);
        self.number(offer.expires_at.0);
        self.number(offer.one_time.into());
    }

    pub(super) fn spec(&mut self, spec: &BundleSpec) {
        self.bytes(spec.id.as_bytes());
        self.list(&spec.points, Self::point);
        self.list(&spec.offers, Self::offer);
        self.list(&spec.conversation_protocols, |w, id| {
            w.bytes(id.as_str().as_bytes())
        });
        self.list(&spec.initializations, |w, id| {
            w.bytes(id.as_str().as_bytes())
        });
        self.bytes(spec.display_name.as_bytes());
        self.number(spec.expires_at.0);
        self.number(spec.one_time.into());
        self.number(spec.generation);
    }

    pub(super) fn invite(&mut self, invite: &Invite) {
        self.bytes(invite.id.as_bytes());
        self.bytes(invite.conversation.as_bytes());
        self.bytes(invite.conversation_protocol.as_str().as_bytes());
        self.bytes(invite.specification.as_bytes());
        self.bytes(&invite.parameters);
        self.list(invite.offer.as_slice(), |w, id| w.bytes(id.as_bytes()));
        self.list(&invite.chosen_from, |w, id| w.bytes(id.as_str().as_bytes()));
        self.list(&invite.points, Self::point);
        self.list(&invite.offers, Self::offer);
        self.number(invite.sent_at.0);
        self.bytes(invite.display_name.as_bytes());
    }
}

pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn take(&mut self, len: usize) -> Result<Bytes> {
        match len <= self.0.len() {
            true => Ok(self.0.split_to(len)),
            false => Err(Error::malformed("too short")),
        }
    }

    fn bytes(&mut self) -> Result<Bytes> {
        let len = self.take(4)?;
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]);
        self.take(len as usize)
    }

    fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Error::malformed("not a text"))
    }

    fn number(&mut self) -> Result<u64> {
        let bytes = self.bytes()?;
        let bytes = bytes[..]
            .try_into()
            .map_err(|_| Error::malformed("not a number"))?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn flag(&mut self) -> Result<bool> {
        match self.number()? {
            flag @ 0..2 => Ok(flag == 1),
            _ => Err(Error::malformed("not a flag")),
        }
    }

    fn list<T>(&mut self, each: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        match self.number()? {
            len @ 0..64 => (0..len).map(|_| each(self)).collect(),
            _ => Err(Error::malformed("a list takes at most 63")),
        }
    }

    fn protocol(&mut self) -> Result<ProtocolId> {
        ProtocolId::parse(&self.text()?)
    }

    fn point(&mut self) -> Result<DeliveryPoint> {
        Ok(DeliveryPoint {
            locator: Locator::parse(&self.text()?)?,
            address: DeliveryAddress::new(self.bytes()?)?,
            framing: self.protocol()?,
        })
    }

    fn offer(&mut self) -> Result<Offer> {
        Ok(Offer {
            protocol: self.protocol()?,
            id: OfferId::from_slice(&self.bytes()?)?,
            public: self.bytes()?,
            expires_at: Timestamp(self.number()?),
            one_time: self.flag()?,
        })
    }

    pub(super) fn spec(&mut self) -> Result<BundleSpec> {
        Ok(BundleSpec {
            id: BundleId::from_slice(&self.bytes()?)?,
            points: self.list(Self::point)?,
            offers: self.list(Self::offer)?,
            conversation_protocols: self.list(Self::protocol)?,
            initializations: self.list(Self::protocol)?,
            display_name: self.text()?,
            expires_at: Timestamp(self.number()?),
            one_time: self.flag()?,
            generation: self.number()?,
        })
    }

    pub(super) fn invite(&mut self) -> Result<Invite> {
        Ok(Invite {
            id: InviteId::from_slice(&self.bytes()?)?,
            conversation: ConversationId::from_slice(&self.bytes()?)?,
            conversation_protocol: self.protocol()?,
            specification: self.text()?,
            parameters: self.bytes()?,
            offer: self.list(|r| OfferId::from_slice(&r.bytes()?))?.pop(),
            chosen_from: self.list(Self::protocol)?,
            points: self.list(Self::point)?,
            offers: self.list(Self::offer)?,
            sent_at: Timestamp(self.number()?),
            display_name: self.text()?,
        })
    }

    pub(super) fn end(self) -> Result<()> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Error::malformed("trailing bytes")),
        }
    }
}
