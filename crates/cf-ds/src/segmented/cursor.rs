use cf_core::{Cursor, Start};

use crate::Error;
use crate::digest::{Digest, digest, head};

/// A place in the inner service's sequence at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before everything that is retained.
    Earliest,
    /// After a payload of the inner service.
    After(Cursor),
}

/// The first bytes of the root of a payload.
pub(super) type Mark = [u8; 8];

/// What a subscription needs to go on: the place behind which every piece of the
/// payloads stands that are not complete yet, and the marks of those that are
/// complete and have pieces on both sides of it.
///
/// ```text
/// check (4) ‖ number of marks (1) ‖ marks (8 each) ‖ 00
/// check (4) ‖ number of marks (1) ‖ marks (8 each) ‖ 01 ‖ inner cursor
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bookmark {
    pub(super) place: Place,
    pub(super) marks: Vec<Mark>,
}

const CHECK: usize = 4;
const MARK: usize = 8;

impl Bookmark {
    /// The cursor: with as many of the marks, the first ones, as there is room for.
    /// `None` if the inner cursor alone leaves no room.
    pub(super) fn encode(&self) -> Option<Cursor> {
        let mut place = vec![u8::from(self.place != Place::Earliest)];
        if let Place::After(cursor) = &self.place {
            place.extend_from_slice(cursor.as_bytes());
        }
        let room = Cursor::MAX_LEN.checked_sub(CHECK + 1 + place.len())?;
        let count = self.marks.len().min(room / MARK);
        let mut body = vec![u8::try_from(count).ok()?];
        self.marks[..count]
            .iter()
            .for_each(|mark| body.extend(mark));
        body.extend(place);
        Cursor::new([&check(&body)[..], &body].concat()).ok()
    }

    pub(super) fn decode(cursor: &Cursor) -> Result<Self, Error> {
        Self::parse(cursor.as_bytes()).ok_or(Error::ForeignCursor)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (sum, body) = bytes.split_at_checked(CHECK)?;
        if sum != check(body) {
            return None;
        }
        let (count, rest) = body.split_first()?;
        let (marks, rest) = rest.split_at_checked(MARK * usize::from(*count))?;
        let place = match rest.split_first()? {
            (0, []) => Place::Earliest,
            (1, cursor) => Place::After(Cursor::new(cursor.to_vec()).ok()?),
            _ => return None,
        };
        let marks = marks.chunks_exact(MARK);
        let marks = marks.filter_map(|mark| mark.try_into().ok()).collect();
        Some(Self { place, marks })
    }
}

impl Place {
    /// Where the inner subscription starts.
    pub(super) fn start(&self) -> Start {
        match self {
            Self::Earliest => Start::Earliest,
            Self::After(cursor) => Start::After(cursor.clone()),
        }
    }
}

pub(super) fn mark(root: &Digest) -> Mark {
    head(root)
}

/// Tells a cursor of this service from any other.
fn check(body: &[u8]) -> [u8; CHECK] {
    head(&digest("/cf/ds/segmented/1 cursor", &[body]))
}
