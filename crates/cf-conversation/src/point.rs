//! Delivery points as they are encoded.

use bytes::Bytes;
use cf_core::{DeliveryAddress, DeliveryPoint, Locator, ProtocolId, Result};
use prost::Message;

use crate::wire::ratchet::Point;

/// How many delivery points a participant may name.
pub(crate) const MAX_POINTS: usize = 8;

pub(crate) fn encode(point: &DeliveryPoint) -> Point {
    Point {
        locator: point.locator.as_str().to_owned(),
        address: Bytes::copy_from_slice(point.address.as_bytes()),
        framing: point.framing.as_str().to_owned(),
    }
}

pub(crate) fn decode(point: &Point) -> Result<DeliveryPoint> {
    Ok(DeliveryPoint {
        locator: Locator::parse(&point.locator)?,
        address: DeliveryAddress::new(point.address.clone())?,
        framing: ProtocolId::parse(&point.framing)?,
    })
}

/// Encodes points that are mostly the same as the last time.
#[derive(Default)]
pub(crate) struct Encoder {
    last: Vec<DeliveryPoint>,
    encoded: Vec<Bytes>,
}

impl Encoder {
    pub(crate) fn encode(&mut self, points: &[DeliveryPoint]) -> Vec<Bytes> {
        if self.last != points {
            let bytes = |point| encode(point).encode_to_vec().into();
            self.encoded = points.iter().map(bytes).collect();
            self.last = points.to_vec();
        }
        self.encoded.clone()
    }
}
