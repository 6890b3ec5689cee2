//! The probes' encoding: integers big-endian, everything else with its length
//! in front. One value has one encoding, and nothing may follow it.

use bytes::Bytes;
use cf_core::{
    BundleId, BundleSpec, ConversationId, DeliveryAddress, DeliveryPoint, Error, Invite, InviteId,
    Locator, Offer, OfferId, ProtocolId, Result, Timestamp,
};

/// The most items of a list.
const MAX_ITEMS: usize = 64;

/// A value with one encoding.
pub(crate) trait Field: Sized {
    /// Appends the encoding.
    fn put(&self, to: &mut Vec<u8>);
    /// Takes the encoding off the front.
    fn take(from: &mut Bytes) -> Result<Self>;
}

/// Encodes one value.
pub(crate) fn encode(value: &impl Field) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    bytes
}

/// Decodes bytes that hold one value and nothing else.
pub(crate) fn decode<T: Field>(mut bytes: Bytes) -> Result<T> {
    let value = T::take(&mut bytes)?;
    match bytes.is_empty() {
        true => Ok(value),
        false => Err(Error::malformed("there are trailing bytes")),
    }
}

/// Cuts bytes off the front.
pub(crate) fn cut(from: &mut Bytes, len: usize) -> Result<Bytes> {
    match len <= from.len() {
        true => Ok(from.split_to(len)),
        false => Err(Error::malformed("there are bytes missing")),
    }
}

impl<const N: usize> Field for [u8; N] {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&cut(from, N)?);
        Ok(bytes)
    }
}

impl Field for u64 {
    fn put(&self, to: &mut Vec<u8>) {
        self.to_be_bytes().put(to);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        Ok(Self::from_be_bytes(Field::take(from)?))
    }
}

impl Field for bool {
    fn put(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        match cut(from, 1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::malformed("a flag is 0 or 1")),
        }
    }
}

impl Field for Bytes {
    fn put(&self, to: &mut Vec<u8>) {
        (self.len() as u64).put(to);
        to.extend_from_slice(self);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        let len = usize::try_from(u64::take(from)?);
        cut(
            from,
            len.map_err(|_| Error::malformed("there are bytes missing"))?,
        )
    }
}

impl Field for String {
    fn put(&self, to: &mut Vec<u8>) {
        Bytes::copy_from_slice(self.as_bytes()).put(to);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        let bytes = Bytes::take(from)?.to_vec();
        Self::from_utf8(bytes).map_err(|_| Error::malformed("a text is not UTF-8"))
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        (self.len() as u64).put(to);
        self.iter().for_each(|item| item.put(to));
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        let len = u64::take(from)?;
        if len > MAX_ITEMS as u64 {
            return Err(Error::malformed("a list takes at most 64 items"));
        }
        (0..len).map(|_| T::take(from)).collect()
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

/// A struct as its fields, one after the other.
macro_rules! fields {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::probes::codec::Field for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $($crate::probes::codec::Field::put(&self.$field, to);)+
            }
            fn take(from: &mut bytes::Bytes) -> cf_core::Result<Self> {
                $(let $field = $crate::probes::codec::Field::take(from)?;)+
                Ok(Self { $($field),+ })
            }
        }
    };
}
pub(crate) use fields;

/// An id as other bytes that it is made of and checks itself.
macro_rules! through {
    ($($name:ident: $inner:ty, $to:expr, $from:expr;)+) => { $(
        impl Field for $name {
            fn put(&self, to: &mut Vec<u8>) {
                let inner: fn(&Self) -> $inner = $to;
                inner(self).put(to);
            }
            fn take(from: &mut Bytes) -> Result<Self> {
                let outer: fn($inner) -> Result<Self> = $from;
                outer(<$inner>::take(from)?)
            }
        }
    )+ };
}

use cf_core::{ContentId, Cursor, ParticipantId};
through! {
    Timestamp: u64, |it| it.0, |inner| Ok(Self(inner));
    BundleId: [u8; 16], |it| it.0, |inner| Ok(Self(inner));
    ConversationId: [u8; 16], |it| it.0, |inner| Ok(Self(inner));
    InviteId: [u8; 16], |it| it.0, |inner| Ok(Self(inner));
    OfferId: [u8; 16], |it| it.0, |inner| Ok(Self(inner));
    ContentId: Bytes, |it| it.to_bytes(), |inner| Self::new(inner);
    ParticipantId: Bytes, |it| it.to_bytes(), |inner| Self::new(inner);
    Cursor: Bytes, |it| Bytes::copy_from_slice(it.as_bytes()), |inner| Self::new(inner);
    DeliveryAddress: Bytes, |it| Bytes::copy_from_slice(it.as_bytes()), |inner| Self::new(inner);
    Locator: String, |it| it.as_str().to_owned(), |inner| Self::parse(&inner);
    ProtocolId: String, |it| it.as_str().to_owned(), |inner| Self::parse(&inner);
}

fields!(DeliveryPoint {
    locator,
    address,
    framing
});
fields!(Offer {
    protocol,
    id,
    public,
    expires_at,
    one_time
});
fields!(BundleSpec {
    id,
    points,
    offers,
    conversation_protocols,
    initializations,
    display_name,
    expires_at,
    one_time,
    generation,
});
fields!(Invite {
    id,
    conversation,
    conversation_protocol,
    specification,
    parameters,
    offer,
    chosen_from,
    points,
    offers,
    sent_at,
    display_name,
});
