//! Where conversations are reached: their own points change now and then, and
//! when a service is no longer there; what is known of a peer's points is told.

use std::time::Duration;

use cf_core::{
    ConversationId, DeliveryPoint, Error, ErrorKind, Input, InstanceId, Locator, PointInfo, Result,
    Timestamp,
};

use super::{Driver, Wake, Work};
use crate::records::{self, META, PLACES, wire};

/// How long a conversation stays at its points, unless it is set otherwise.
pub const ROTATE_EVERY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// When points that could not be given are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// The setting that says that conversations stay where they are, in seconds.
const FOR_EVER: u64 = 0;

/// The setting's place among the client's own records.
const SETTING: &str = "rotate_every";

impl Driver {
    /// Moves a conversation to fresh points on these services.
    ///
    /// The present points stay subscribed until the other side has learned of the
    /// new ones, and some time longer.
    ///
    /// # Errors
    /// `Misuse` for an unknown conversation or without a service, `Unsupported` for
    /// a service that this client does not have; those of the conversation.
    pub fn move_conversation(
        &mut self,
        conversation: ConversationId,
        services: &[Locator],
        now: Timestamp,
    ) -> Result<()> {
        let instance = self.instance(conversation, now)?;
        let own = self.own_points(instance)?;
        if services.is_empty() {
            return Err(Error::misuse("name a service to move to"));
        }
        if let Some(missing) = services
            .iter()
            .find(|l| self.components.service(l).is_none())
        {
            return Err(Error::unsupported(format!(
                "this client does not use {missing}"
            )));
        }
        let wanted = self.components.points_on(services, &own, &mut *self.random);
        self.give_points(instance, wanted, now)?;
        self.settle(now);
        Ok(())
    }

    /// Sets how long conversations stay at their points; `None`: for ever, as far as
    /// this goes. It holds from the next change of each on, and is kept.
    ///
    /// # Errors
    /// Those of the store.
    pub fn rotate_points_every(&mut self, every: Option<Duration>, now: Timestamp) -> Result<()> {
        self.know_all(now);
        let seconds = every.map_or(FOR_EVER, |every| every.as_secs().max(1));
        self.overlay
            .put(META, SETTING, records::number_key(seconds));
        let instances: Vec<_> = self.by_id.values().map(|s| s.current).collect();
        for instance in instances {
            let mut place = self.place(instance)?;
            if place.moved_at > 0 {
                let moved_at = Timestamp(place.moved_at);
                let rotate_at = every.map_or(Timestamp::NEVER, |every| moved_at.after(every));
                place.rotate_at = rotate_at.0;
                self.put_place(instance, &place);
            }
        }
        Ok(())
    }

    /// Takes note of where a conversation is, or moves it from where it can't be
    /// reached any more.
    pub(super) fn settle_in(&mut self, instance: InstanceId, now: Timestamp) {
        let known = self.place(instance).ok().filter(|place| place.moved_at > 0);
        if let Some(place) = known {
            let at = Timestamp(place.rotate_at);
            self.set_wake(None, at, Wake::Rotation(instance));
            self.leave_missing_services(instance, &place, now);
            return;
        }
        // What an inbox listens at is a link's, where the invite came.
        let is_own = |point: &DeliveryPoint| {
            let place = (point.locator.clone(), point.address.clone());
            let listeners = self.points.get(&place);
            listeners.is_some_and(|l| l.inboxes.is_empty()) && !self.waiting.waits_at(&place)
        };
        let mut own = self.listening(instance);
        own.retain(is_own);
        self.settled(instance, &own, now);
    }

    /// Takes note of where all conversations are.
    pub(super) fn restore_places(&mut self, now: Timestamp) {
        let mut all = std::mem::take(&mut self.strayed);
        all.extend(self.used.iter().map(|(_, instance)| *instance));
        all.into_iter()
            .for_each(|instance| self.settle_in(instance, now));
        self.leave_left();
    }

    /// A conversation's time at its points is over. One in which the peer was not
    /// heard since has nothing that would link it, and stays until it is; so those
    /// that nobody uses cost nothing.
    pub(super) fn rotate(&mut self, instance: InstanceId, now: Timestamp) {
        let found = self.conversations.get(&instance);
        let Some(heard_at) = found.and_then(|found| Some(found.awake.as_deref()?.heard_at)) else {
            return;
        };
        let moved_at = self
            .place(instance)
            .map_or(now, |place| Timestamp(place.moved_at));
        if heard_at <= moved_at {
            self.wakes
                .insert((now.after(AGAIN_AFTER), Wake::Rotation(instance)));
            return;
        }
        if !self.is_present(instance) {
            return;
        }
        match self.own_points(instance) {
            Ok(own) if own.is_empty() => {}
            Ok(own) => {
                let fresh = self.components.fresh_points(&own, &mut *self.random);
                self.try_points(instance, fresh, now);
            }
            Err(error) => self.rejected("failed.rotation", &error),
        }
    }

    /// Gives points where it is nobody's wish: a protocol whose places are no
    /// points of its own has nothing to change.
    fn try_points(&mut self, instance: InstanceId, points: Vec<PointInfo>, now: Timestamp) {
        let own = self.own_points(instance).unwrap_or_default();
        match self.give_points(instance, points, now) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.settled(instance, &own, now);
            }
            Err(error) => {
                self.rejected("failed.rotation", &error);
                let place = self.place(instance).unwrap_or_default();
                let rotate_at = now.after(AGAIN_AFTER).0;
                self.put_place(instance, &wire::Place { rotate_at, ..place });
            }
        }
    }

    fn leave_missing_services(
        &mut self,
        instance: InstanceId,
        place: &wire::Place,
        now: Timestamp,
    ) {
        let own: Result<Vec<_>> = place.own.iter().map(wire::Point::to_core).collect();
        let own = own.unwrap_or_default();
        let is_missing = |point: &DeliveryPoint| !self.components.reaches(point);
        if self.is_present(instance) && own.iter().any(is_missing) {
            let fresh = self.components.fresh_points(&own, &mut *self.random);
            self.counters.add("moved.conversation");
            self.try_points(instance, fresh, now);
        }
    }

    fn give_points(
        &mut self,
        instance: InstanceId,
        points: Vec<PointInfo>,
        now: Timestamp,
    ) -> Result<()> {
        let own: Vec<_> = points.iter().map(|info| info.point.clone()).collect();
        self.input(instance, Input::OwnPoints(points), now)?;
        self.settled(instance, &own, now);
        Ok(())
    }

    /// Whether an instance is the one that its conversation goes on with.
    fn is_present(&self, instance: InstanceId) -> bool {
        let found = self.conversations.get(&instance);
        found.is_some_and(|found| self.by_id.get(&found.id).map(|s| s.current) == Some(instance))
    }

    fn own_points(&self, instance: InstanceId) -> Result<Vec<DeliveryPoint>> {
        let place = self.place(instance)?;
        place.own.iter().map(wire::Point::to_core).collect()
    }

    /// When a conversation moves to other points.
    pub(super) fn rotates_at(&self, instance: InstanceId) -> Result<Timestamp> {
        let place = self.place(instance)?;
        Ok(match place.moved_at {
            0 => Timestamp::NEVER,
            _ => Timestamp(place.rotate_at),
        })
    }

    fn place(&self, instance: InstanceId) -> Result<wire::Place> {
        let key = records::number_key(instance.0);
        let place = self.overlay.get(PLACES, &key)?;
        place.map_or(Ok(wire::Place::default()), |place| records::read(&place))
    }

    /// A conversation is at these points from now on, for about the time that is set.
    fn settled(&mut self, instance: InstanceId, own: &[DeliveryPoint], now: Timestamp) {
        let every = match self.overlay.get(META, SETTING.as_bytes()) {
            Ok(Some(seconds)) => records::read_number(&seconds).map(Duration::from_secs),
            Ok(None) => Ok(ROTATE_EVERY),
            Err(error) => Err(error),
        };
        let every = every.unwrap_or(ROTATE_EVERY);
        // Between three and five quarters of it, so that not all move together.
        let mut bytes = [0; 2];
        self.random.fill(&mut bytes);
        let part = 750 + u64::from(u16::from_be_bytes(bytes)) % 501;
        let jittered = Duration::from_secs(every.as_secs().saturating_mul(part) / 1_000);
        let rotate_at = match every.as_secs() {
            FOR_EVER => Timestamp::NEVER,
            _ => now.after(jittered),
        };
        let place = wire::Place {
            own: own.iter().map(Into::into).collect(),
            rotate_at: rotate_at.0,
            moved_at: now.0,
        };
        self.put_place(instance, &place);
    }

    fn put_place(&mut self, instance: InstanceId, place: &wire::Place) {
        let before = self.place(instance).unwrap_or_default().rotate_at;
        let (at, wake) = (Timestamp(place.rotate_at), Wake::Rotation(instance));
        self.set_wake(Some(Timestamp(before)), at, wake);
        let key = records::number_key(instance.0);
        self.overlay.put(PLACES, key, records::write(place));
    }

    /// Takes note of where an instance publishes to, so that it is told what its
    /// peer's points take.
    pub(super) fn note_peer_points(&mut self, instance: InstanceId, points: &[DeliveryPoint]) {
        let found = self.conversations.get_mut(&instance);
        let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) else {
            return;
        };
        if awake.peer_points != points {
            awake.peer_points = points.to_vec();
            self.work.push_back(Work::PeerPoints(instance));
        }
    }

    /// Tells a conversation of two what the points take that it publishes to. Of a
    /// service that is not there, nothing is known: as much as of the others.
    pub(super) fn tell_peer_points(&mut self, instance: InstanceId, now: Timestamp) {
        let Ok(found) = self.awake(instance, now) else {
            return;
        };
        let (protocol, points) = (found.protocol.clone(), found.peer_points.clone());
        let is_of_two = self.is_for_two(&protocol);
        let known = points.iter().filter(|point| self.components.reaches(point));
        let known = known.map(|point| self.components.point_info(point));
        let Some(least) = known.min_by_key(|info| info.max_body_len) else {
            return;
        };
        if !is_of_two {
            return;
        }
        let info = |point: &DeliveryPoint| match self.components.reaches(point) {
            true => self.components.point_info(point),
            false => PointInfo {
                point: point.clone(),
                ..least.clone()
            },
        };
        let points = points.iter().map(info).collect();
        let input = Input::PeerPoints { peer: None, points };
        match self.input(instance, input, now) {
            Err(error) if error.kind() != ErrorKind::Unsupported => {
                self.rejected("failed.points", &error);
            }
            _ => {}
        }
    }
}
