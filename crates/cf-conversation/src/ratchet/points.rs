use std::time::Duration;

use cf_core::padding::{BODY_OVERHEAD, FLOOR};
use cf_core::{DeliveryPoint, PointInfo, Timestamp};

use crate::Error;
use crate::point::{self, MAX_POINTS};
use crate::wire::ratchet as wire;

/// How long a delivery point stays subscribed after the peer was seen to use
/// another, and how long skipped keys are kept: a frame may be resent for as long.
pub(crate) const RESEND_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// Where both participants are reached.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    own: Vec<KnownPoint>,
    peers: Vec<KnownPoint>,
    retiring: Vec<Retiring>,
    /// Whether the peer knows the own points.
    reached: bool,
    /// Every publish from this on says them, as long as the peer may not know them.
    announced_from: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownPoint {
    point: DeliveryPoint,
    max_body_len: usize,
    /// Whether a frame that comes here shows that the peer knows the own points.
    fresh: bool,
}

/// A point that is given up.
#[derive(Clone, Debug)]
struct Retiring {
    point: DeliveryPoint,
    /// `None` until a frame came to one of the points that replace it.
    until: Option<Timestamp>,
}

impl Points {
    pub(crate) fn new(
        own: &[PointInfo],
        peers: &[PointInfo],
        arrived_at: Option<&PointInfo>,
        reached: bool,
    ) -> Result<Self, Error> {
        if own.is_empty() || own.len() > MAX_POINTS {
            return Err(Error::Misuse("a participant has 1 to 8 delivery points"));
        }
        if peers.is_empty() || peers.len() > MAX_POINTS {
            return Err(Error::Rejected("a peer has 1 to 8 delivery points"));
        }
        let points = Self {
            own: known(own),
            peers: known(peers),
            retiring: (arrived_at.into_iter())
                .filter(|info| own.iter().all(|own| own.point != info.point))
                .map(|info| Retiring {
                    point: info.point.clone(),
                    until: None,
                })
                .collect(),
            reached,
            announced_from: 0,
        };
        points.check_limit()?;
        Ok(points)
    }

    /// The points where the peer's frames may come.
    pub(crate) fn listening(&self) -> impl Iterator<Item = &DeliveryPoint> {
        let retiring = self.retiring.iter().map(|retiring| &retiring.point);
        self.own.iter().map(|known| &known.point).chain(retiring)
    }

    /// Whether a point is among the own ones, and not one that is given up.
    pub(crate) fn is_own(&self, point: &DeliveryPoint) -> bool {
        self.own.iter().any(|own| own.point == *point)
    }

    /// Where the peer is reached.
    pub(crate) fn peers(&self) -> Vec<DeliveryPoint> {
        self.peers.iter().map(|known| known.point.clone()).collect()
    }

    /// The own points, as long as the peer has not shown that it knows them.
    pub(crate) fn announced(&self) -> Vec<wire::Point> {
        match self.reached {
            true => Vec::new(),
            false => self
                .own
                .iter()
                .map(|own| point::encode(&own.point))
                .collect(),
        }
    }

    /// The longest body that every point takes, in bytes.
    pub(crate) fn max_body_len(&self) -> usize {
        let all = self.own.iter().chain(&self.peers);
        all.map(|known| known.max_body_len).min().unwrap_or(0)
    }

    /// Takes note that a frame came to a point; says whether that is news.
    pub(crate) fn arrived(&mut self, at: &DeliveryPoint, now: Timestamp) -> bool {
        let mut own = self.own.iter();
        let news = !self.reached && own.any(|own| own.fresh && own.point == *at);
        if news {
            self.are_reached(now);
        }
        news
    }

    /// Takes note that the peer has a publish; says whether that is news. If it was
    /// not the newest that the peer has, a newer one has said the same.
    pub(crate) fn received(&mut self, publish: u64, now: Timestamp) -> bool {
        let news = !self.reached && publish >= self.announced_from;
        if news {
            self.are_reached(now);
        }
        news
    }

    /// Takes note that no publish before this one shows that the peer knows the
    /// own points; says whether that is news.
    pub(crate) fn not_said_before(&mut self, next_publish: u64) -> bool {
        let news = !self.reached;
        if news {
            self.announced_from = next_publish;
        }
        news
    }

    fn are_reached(&mut self, now: Timestamp) {
        self.reached = true;
        for retiring in &mut self.retiring {
            let until = now.after(RESEND_LIFETIME);
            retiring.until.get_or_insert(until);
        }
    }

    /// Takes points that the peer said; says whether they are news. Until more
    /// is known of them, they are taken to be as the own ones.
    pub(crate) fn learn(&mut self, points: &[DeliveryPoint]) -> bool {
        let same = self.peers.len() == points.len()
            && self.peers.iter().zip(points).all(|(a, b)| a.point == *b);
        if points.is_empty() || same {
            return false;
        }
        let assumed = self.own.iter().map(|own| own.max_body_len).min();
        self.peers = (points.iter())
            .map(|point| KnownPoint {
                point: point.clone(),
                max_body_len: assumed.unwrap_or(0),
                fresh: false,
            })
            .collect();
        true
    }

    /// Replaces what is known of the peer's points.
    pub(crate) fn replace_peers(&mut self, points: &[PointInfo]) -> Result<(), Error> {
        let mut changed = self.clone();
        changed.peers = known(points);
        changed.check_count(points)?;
        changed.check_limit()?;
        *self = changed;
        Ok(())
    }

    /// Replaces the own points. What is no longer among them retires. The next
    /// publish is the first that says the new ones.
    pub(crate) fn replace_own(
        &mut self,
        points: &[PointInfo],
        next_publish: u64,
    ) -> Result<(), Error> {
        let mut changed = self.clone();
        changed.own = known(points);
        changed.check_count(points)?;
        changed.check_limit()?;
        let is_own = |point: &DeliveryPoint| points.iter().any(|info| info.point == *point);
        let is_same = self.own.len() == points.len() && self.own.iter().all(|o| is_own(&o.point));
        for own in &mut changed.own {
            let before = self.own.iter().find(|old| old.point == own.point);
            own.fresh = match before {
                // Among the old points, what comes shows nothing of the new ones.
                Some(before) => is_same && before.fresh,
                None => self.retiring.iter().all(|old| old.point != own.point),
            };
        }
        changed.retiring.retain(|retiring| !is_own(&retiring.point));
        for old in self.own.iter().filter(|old| !is_own(&old.point)) {
            changed.retiring.push(Retiring {
                point: old.point.clone(),
                until: None,
            });
        }
        if !is_same {
            changed.reached = false;
            changed.announced_from = next_publish;
        }
        changed.give_up_surplus();
        *self = changed;
        Ok(())
    }

    /// Gives up the retiring points that are too many: first what the peer was seen
    /// to know a newer point than, then what it was never seen to know itself.
    fn give_up_surplus(&mut self) {
        while self.retiring.len() > MAX_POINTS {
            let until = |retiring: &Retiring| retiring.until;
            let known: Vec<_> = self.retiring.iter().filter_map(until).collect();
            let first = known.iter().min().copied();
            let at = match first {
                Some(_) => self.retiring.iter().position(|old| old.until == first),
                None => Some(self.retiring.len() - 1),
            };
            at.map(|at| self.retiring.remove(at));
        }
    }

    /// When the next retiring point is given up.
    pub(crate) fn expires_at(&self) -> Timestamp {
        let until = self.retiring.iter().filter_map(|retiring| retiring.until);
        until.min().unwrap_or(Timestamp::NEVER)
    }

    /// Gives up what has retired long enough.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        (self.retiring).retain(|retiring| retiring.until.is_none_or(|until| until > now));
    }

    pub(crate) fn store(&self, stored: &mut wire::StoredConversation) {
        stored.own = self.own.iter().map(KnownPoint::store).collect();
        stored.peers = self.peers.iter().map(KnownPoint::store).collect();
        stored.retiring = (self.retiring.iter())
            .map(|retiring| wire::StoredRetiring {
                point: Some(point::encode(&retiring.point)),
                until: retiring.until.map(|until| until.0),
            })
            .collect();
        stored.reached = self.reached;
        stored.announced_from = Some(self.announced_from);
    }

    pub(crate) fn restore(stored: &wire::StoredConversation) -> Result<Self, Error> {
        let retiring = |stored: &wire::StoredRetiring| {
            Ok(Retiring {
                point: restore_point(stored.point.as_ref())?,
                until: stored.until.map(Timestamp),
            })
        };
        let own = stored.own.iter().map(KnownPoint::restore);
        let mut own: Vec<_> = own.collect::<Result<_, _>>()?;
        if stored.announced_from.is_none() {
            // An earlier version's: there was no move yet.
            own.iter_mut().for_each(|own| own.fresh = true);
        }
        Ok(Self {
            own,
            peers: stored
                .peers
                .iter()
                .map(KnownPoint::restore)
                .collect::<Result<_, _>>()?,
            retiring: stored
                .retiring
                .iter()
                .map(retiring)
                .collect::<Result<_, Error>>()?,
            reached: stored.reached,
            announced_from: stored.announced_from.unwrap_or(0),
        })
    }

    fn check_count(&self, points: &[PointInfo]) -> Result<(), Error> {
        match points.len() {
            1..=MAX_POINTS => Ok(()),
            _ => Err(Error::Misuse("a participant has 1 to 8 delivery points")),
        }
    }

    fn check_limit(&self) -> Result<(), Error> {
        match self.max_body_len() {
            ..MIN_BODY => Err(Error::Unsupported(
                "a delivery point must take bodies of at least 340 bytes",
            )),
            _ => Ok(()),
        }
    }
}

const MIN_BODY: usize = FLOOR + BODY_OVERHEAD;

impl KnownPoint {
    fn store(&self) -> wire::StoredPoint {
        wire::StoredPoint {
            point: Some(point::encode(&self.point)),
            max_body_len: self.max_body_len as u64,
            fresh: self.fresh,
        }
    }

    fn restore(stored: &wire::StoredPoint) -> Result<Self, Error> {
        Ok(Self {
            point: restore_point(stored.point.as_ref())?,
            max_body_len: usize::try_from(stored.max_body_len).unwrap_or(usize::MAX),
            fresh: stored.fresh,
        })
    }
}

fn known(points: &[PointInfo]) -> Vec<KnownPoint> {
    (points.iter())
        .map(|info| KnownPoint {
            point: info.point.clone(),
            max_body_len: info.max_body_len,
            fresh: true,
        })
        .collect()
}

fn restore_point(point: Option<&wire::Point>) -> Result<DeliveryPoint, Error> {
    point
        .and_then(|point| point::decode(point).ok())
        .ok_or(Error::Records("a delivery point"))
}
