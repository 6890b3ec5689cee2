//! What a member knows of its group: the head record.

use std::collections::BTreeSet;

use bytes::Bytes;
use cf_core::{
    ContentId, Cursor, DeliveryAddress, DeliveryPoint, Error, ParticipantId, Result, RoutingTag,
    Secret, Tag, Timestamp,
};
use sha2::{Digest, Sha256};

use super::standing;
use crate::probes::codec::{Field, fields};

/// How many numbers are expected beyond the highest received.
const AHEAD: u64 = 16;
/// How many numbers below the highest are told apart.
const BEHIND: u64 = 64;

/// The group: its secret, and the service and framing that it lives on.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) secret: Secret,
    pub(super) home: DeliveryPoint,
}
fields!(Group { secret, home });

impl Group {
    /// Where members are added.
    pub(super) fn commits(&self) -> DeliveryPoint {
        self.point(b"commits")
    }

    /// Where everything else goes.
    pub(super) fn messages(&self) -> DeliveryPoint {
        self.point(b"messages")
    }

    pub(super) fn standing(&self) -> RoutingTag {
        self.tag(u64::MAX, u64::MAX)
    }

    /// The tag of one member's frame with one number.
    pub(super) fn tag(&self, member: u64, number: u64) -> RoutingTag {
        let hash = self.hash(&[member.to_be_bytes(), number.to_be_bytes()].concat());
        let mut tag = [0; 16];
        tag.copy_from_slice(&hash[..16]);
        RoutingTag(tag)
    }

    pub(super) fn hash(&self, bytes: &[u8]) -> [u8; 32] {
        Sha256::digest([self.secret.expose(), bytes].concat()).into()
    }

    fn point(&self, name: &[u8]) -> DeliveryPoint {
        let address = DeliveryAddress::new(self.hash(name).to_vec());
        DeliveryPoint {
            address: address.expect("32 bytes"),
            ..self.home.clone()
        }
    }
}

impl Field for Secret {
    fn put(&self, to: &mut Vec<u8>) {
        Bytes::copy_from_slice(self.expose()).put(to);
    }
    fn take(from: &mut Bytes) -> Result<Self> {
        Ok(Self::from(&Bytes::take(from)?[..]))
    }
}

/// A member, and which of its frames came.
#[derive(Clone)]
pub(super) struct Member {
    /// Who it is; `None` until one who was added without identity has joined.
    pub(super) participant: Option<ParticipantId>,
    /// Above the highest number received.
    next: u64,
    /// Bit i: `next - 1 - i` was received, or is none of ours to receive.
    seen: u64,
    /// Below this, numbers are expected although they are far ahead.
    ahead: u64,
}
fields!(Member {
    participant,
    next,
    seen,
    ahead
});

impl Member {
    pub(super) fn new(participant: Option<ParticipantId>) -> Self {
        Self {
            participant,
            next: 0,
            seen: 0,
            ahead: 0,
        }
    }

    /// The member for one who gets nothing from before `first`.
    pub(super) fn from(&self, first: Option<u64>) -> Self {
        let next = first.unwrap_or(self.next);
        Self {
            participant: self.participant.clone(),
            next,
            seen: u64::MAX,
            ahead: 0,
        }
    }

    /// Notes a number; `false` if it was received or is too old to tell.
    pub(super) fn receive(&mut self, number: u64) -> Result<bool> {
        let above = number
            .checked_add(1)
            .ok_or_else(|| Error::malformed("no such number"))?;
        if above > self.next {
            self.seen = self
                .seen
                .checked_shl((above - self.next).min(64) as u32)
                .unwrap_or(0)
                | 1;
            self.next = above;
            return Ok(true);
        }
        let fresh = !self.has(number);
        if fresh {
            self.seen |= 1 << (self.next - above);
        }
        Ok(fresh)
    }

    /// Looks up to `budget` numbers further ahead for one that satisfies `is`.
    pub(super) fn look_ahead(&mut self, budget: u64, is: impl Fn(u64) -> bool) {
        let from = self.beyond();
        if let Some(found) = (from..from.saturating_add(budget)).find(|number| is(*number)) {
            self.ahead = found + 1;
        }
    }

    fn has(&self, number: u64) -> bool {
        let below = self.next.saturating_sub(number).saturating_sub(1);
        number < self.next && (below >= BEHIND || self.seen >> below & 1 == 1)
    }

    fn beyond(&self) -> u64 {
        self.next.saturating_add(AHEAD).max(self.ahead)
    }

    fn expected(&self) -> impl Iterator<Item = u64> {
        let numbers = self.next.saturating_sub(BEHIND)..self.beyond();
        numbers.filter(|number| !self.has(*number))
    }
}

/// Someone to add.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) peer: u64,
    pub(super) participant: Option<ParticipantId>,
    /// The first of this member's own frames that the new one is to get.
    pub(super) since: u64,
}
fields!(Candidate {
    peer,
    participant,
    since
});

/// An add that was published, and that nobody has seen in its place yet.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) number: u64,
    pub(super) body: Bytes,
}
fields!(InFlight { number, body });

/// The head record.
#[derive(Clone)]
pub(super) struct State {
    pub(super) group: Group,
    pub(super) max_body_len: u64,
    pub(super) epoch: u64,
    pub(super) members: Vec<Member>,
    /// This participant's place among the members.
    pub(super) own: u64,
    /// The number of its next frame, and the id of its publish.
    pub(super) sent: u64,
    /// The last payload known at the commit address.
    pub(super) cursor: Option<Cursor>,
    pub(super) pending: Vec<(u64, ContentId)>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) commit: Option<InFlight>,
    /// Places of members that were invited from here, and the peers they were.
    pub(super) invited: Vec<(u64, u64)>,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) closed: bool,
}
fields!(State {
    group,
    max_body_len,
    epoch,
    members,
    own,
    sent,
    cursor,
    pending,
    candidates,
    commit,
    invited,
    retry_at,
    closed,
});

impl State {
    /// The state of the last of `members`.
    pub(super) fn new(
        group: Group,
        max_body_len: u64,
        epoch: u64,
        members: Vec<Member>,
        cursor: Option<Cursor>,
    ) -> Self {
        Self {
            group,
            max_body_len,
            epoch,
            own: members.len() as u64 - 1,
            members,
            sent: 0,
            cursor,
            pending: Vec::new(),
            candidates: Vec::new(),
            commit: None,
            invited: Vec::new(),
            retry_at: None,
            closed: false,
        }
    }

    /// The tags in force: of every member's next and missing frames, this
    /// participant's own among them, and the standing one.
    pub(super) fn expected(&self) -> BTreeSet<Tag> {
        if self.closed {
            return BTreeSet::new();
        }
        let tags = (0..).zip(&self.members).flat_map(|(place, member)| {
            member
                .expected()
                .map(move |number| Tag::SingleUse(self.group.tag(place, number)))
        });
        tags.chain([standing(self)]).collect()
    }

    /// How many members there are, and how many of them are known by name.
    pub(super) fn known_members(&self) -> (usize, usize) {
        let known = self
            .members
            .iter()
            .filter(|member| member.participant.is_some());
        (self.members.len(), known.count())
    }
}
