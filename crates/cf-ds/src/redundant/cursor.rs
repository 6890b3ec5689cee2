use cf_core::{Cursor, Start};

use crate::Error;
use crate::digest::{Digest, digest, head};

/// Where each of the services stands at an address, by the order of their locators.
///
/// ```text
/// check (4) ‖ for each service: length (1) ‖ inner cursor, or ff
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places(pub(super) Vec<Option<Cursor>>);

const CHECK: usize = 4;
const NONE: u8 = 0xff;

impl Places {
    /// The cursor of a set of services. Where the places take too much room, the
    /// longest are left out: there everything comes again.
    pub(super) fn encode(mut self, set: &Digest) -> Option<Cursor> {
        loop {
            let mut body = Vec::new();
            for place in &self.0 {
                let bytes = place.as_ref().map(Cursor::as_bytes);
                match bytes.map(|bytes| (u8::try_from(bytes.len()), bytes)) {
                    Some((Ok(len), bytes)) if len < NONE => {
                        body.push(len);
                        body.extend_from_slice(bytes);
                    }
                    _ => body.push(NONE),
                }
            }
            if CHECK + body.len() <= Cursor::MAX_LEN {
                return Cursor::new([&check(set, &body)[..], &body].concat()).ok();
            }
            let len = |place: &Option<Cursor>| place.as_ref().map(|one| one.as_bytes().len());
            let longest = self.0.iter_mut().max_by_key(|place| len(place))?;
            *longest = None;
        }
    }

    pub(super) fn decode(cursor: &Cursor, set: &Digest, count: usize) -> Result<Self, Error> {
        Self::parse(cursor.as_bytes(), set, count).ok_or(Error::ForeignCursor)
    }

    fn parse(bytes: &[u8], set: &Digest, count: usize) -> Option<Self> {
        let (sum, mut body) = bytes.split_at_checked(CHECK)?;
        if sum != check(set, body) {
            return None;
        }
        let mut places = Vec::new();
        for _ in 0..count {
            let (len, rest) = body.split_first()?;
            let (place, rest) = match *len {
                NONE => (None, rest),
                len => {
                    let (place, rest) = rest.split_at_checked(len.into())?;
                    (Some(Cursor::new(place.to_vec()).ok()?), rest)
                }
            };
            places.push(place);
            body = rest;
        }
        body.is_empty().then_some(Self(places))
    }

    /// Where a service starts.
    pub(super) fn start(&self, service: usize) -> Start {
        match self.0.get(service) {
            Some(Some(cursor)) => Start::After(cursor.clone()),
            _ => Start::Earliest,
        }
    }
}

/// Tells a cursor of this set of services from any other.
fn check(set: &Digest, body: &[u8]) -> [u8; CHECK] {
    head(&digest("/cf/ds/redundant/1 cursor", &[set, body]))
}
