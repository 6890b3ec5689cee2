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
    /// Whether the peer knows the own points, since a frame came to one of them.
    reached: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownPoint {
    point: DeliveryPoint,
    max_body_len: usize,
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
        };
        points.check_limit()?;
        Ok(points)
    }

    /// The points where the peer's frames may come.
    pub(crate) fn listening(&self) -> impl Iterator<Item = &DeliveryPoint> {
        let retiring = self.retiring.iter().map(|retiring| &retiring.point);
        self.own.iter().map(|known| &known.point).chain(retiring)
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
        let news = !self.reached && self.own.iter().any(|own| own.point == *at);
        if news {
            self.reached = true;
            for retiring in &mut self.retiring {
                let until = now.after(RESEND_LIFETIME);
                retiring.until.get_or_insert(until);
            }
        }
        news
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

    /// Replaces the own points. What is no longer among them retires.
    pub(crate) fn replace_own(&mut self, points: &[PointInfo]) -> Result<(), Error> {
        let mut changed = self.clone();
        changed.own = known(points);
        changed.check_count(points)?;
        changed.check_limit()?;
        let is_own = |point: &DeliveryPoint| points.iter().any(|info| info.point == *point);
        changed.retiring.retain(|retiring| !is_own(&retiring.point));
        for old in &self.own {
            if !is_own(&old.point) {
                changed.retiring.push(Retiring {
                    point: old.point.clone(),
                    until: None,
                });
            }
        }
        let is_old = |info: &PointInfo| self.own.iter().any(|own| own.point == info.point);
        changed.reached = self.reached && points.iter().all(is_old);
        let surplus = changed.retiring.len().saturating_sub(MAX_POINTS);
        changed.retiring.drain(..surplus);
        *self = changed;
        Ok(())
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
    }

    pub(crate) fn restore(stored: &wire::StoredConversation) -> Result<Self, Error> {
        let retiring = |stored: &wire::StoredRetiring| {
            Ok(Retiring {
                point: restore_point(stored.point.as_ref())?,
                until: stored.until.map(Timestamp),
            })
        };
        Ok(Self {
            own: stored
                .own
                .iter()
                .map(KnownPoint::restore)
                .collect::<Result<_, _>>()?,
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
        }
    }

    fn restore(stored: &wire::StoredPoint) -> Result<Self, Error> {
        Ok(Self {
            point: restore_point(stored.point.as_ref())?,
            max_body_len: usize::try_from(stored.max_body_len).unwrap_or(usize::MAX),
        })
    }
}

fn known(points: &[PointInfo]) -> Vec<KnownPoint> {
    (points.iter())
        .map(|info| KnownPoint {
            point: info.point.clone(),
            max_body_len: info.max_body_len,
        })
        .collect()
}

fn restore_point(point: Option<&wire::Point>) -> Result<DeliveryPoint, Error> {
    point
        .and_then(|point| point::decode(point).ok())
        .ok_or(Error::Records("a delivery point"))
}
