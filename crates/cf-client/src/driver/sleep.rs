//! Conversations that nothing happens in: out of memory until they are needed.
//!
//! What stays is the conversation's id, where it listens, and when it wants to be
//! woken. A payload at an address where it listens alone wakes it, and it expects
//! its tags again; where others listen too, its tags stay with the routers.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use cf_core::{
    Conversation, ConversationId, DeliveryAddress, DeliveryPoint, Env, Error, InstanceId, Locator,
    ParticipantId, ProtocolId, Result, RoutingTag, Tag, Timestamp,
};

use super::instances::Standing;
use super::{Driver, Wake};
use crate::overlay::InstanceRecords;
use crate::records::{self, CONVERSATIONS, wire};

/// The most conversations in memory, unless said otherwise; beyond, the one that
/// was used longest ago leaves it.
pub const MAX_AWAKE: usize = 1024;
/// How long nothing has to happen in a conversation before it leaves memory.
pub const IDLE: Duration = Duration::from_secs(5 * 60);
/// How exactly it is known when a conversation was used.
const USED_EVERY: Duration = Duration::from_secs(10);

/// One session of a conversation.
pub(super) struct Instance {
    pub(super) id: ConversationId,
    pub(super) standing: Standing,
    pub(super) wake: Option<Timestamp>,
    /// Whether its tags are routed to it.
    pub(super) routed: bool,
    pub(super) awake: Option<Box<Awake>>,
}

/// A session in memory.
pub(super) struct Awake {
    pub(super) protocol: ProtocolId,
    pub(super) participant: Option<ParticipantId>,
    pub(super) machine: Box<dyn Conversation>,
    pub(super) namespace: Bytes,
    /// When the peer was heard last.
    pub(super) heard_at: Timestamp,
    pub(super) record: wire::Conversation,
    /// Where it published to last.
    pub(super) peer_points: Vec<DeliveryPoint>,
    /// Where it listens.
    places: BTreeSet<(Locator, DeliveryAddress)>,
    used_at: Timestamp,
    tags: HashSet<Tag>,
}

impl Instance {
    /// Of which nothing is in memory.
    pub(super) fn asleep(record: &wire::Conversation) -> Result<Self> {
        Ok(Self {
            id: ConversationId::from_slice(&record.id)?,
            standing: Standing::of(record),
            wake: None,
            routed: false,
            awake: None,
        })
    }
}

impl Awake {
    pub(super) fn new(
        instance: InstanceId,
        record: wire::Conversation,
        machine: Box<dyn Conversation>,
        now: Timestamp,
    ) -> Result<Self> {
        let anonymous = record.participant.is_empty();
        Ok(Self {
            protocol: ProtocolId::parse(&record.protocol)?,
            participant: records::read_participant(&record.participant, anonymous)?,
            machine,
            namespace: records::instance_namespace(instance),
            heard_at: Timestamp(record.heard_at),
            record,
            peer_points: Vec::new(),
            places: BTreeSet::new(),
            used_at: now,
            tags: HashSet::new(),
        })
    }
}

impl Driver {
    /// Keeps at most so many conversations in memory, [`MAX_AWAKE`] by default.
    pub fn keep_in_memory(&mut self, conversations: usize) {
        self.max_awake = conversations;
    }

    /// A session, brought back to memory if it had left it.
    ///
    /// # Errors
    /// `Misuse` for one that there is not, `Unsupported` if its component is
    /// missing; those of the store and of restoring.
    pub(super) fn awake(&mut self, instance: InstanceId, now: Timestamp) -> Result<&mut Awake> {
        let unknown = || Error::misuse("there is no such conversation");
        let found = self.conversations.get(&instance).ok_or_else(unknown)?;
        if found.awake.is_none() {
            let mut record = self.stored(instance)?;
            record.asleep = false;
            let points = std::mem::take(&mut record.points);
            record.tags.clear();
            self.overlay.put(
                CONVERSATIONS,
                records::number_key(instance.0),
                records::write(&record),
            );
            self.put_resident(instance, true);
            self.wake_up(instance, record, now)?;
            for point in points {
                self.note_place(instance, &point.to_core()?, true);
            }
            self.counters.add("restored.conversation");
            let rotates_at = self.rotates_at(instance)?;
            self.set_wake(None, rotates_at.max(now), Wake::Rotation(instance));
        }
        let found = self.conversations.get_mut(&instance);
        found
            .and_then(|found| found.awake.as_deref_mut())
            .ok_or_else(unknown)
    }

    /// Restores a session from its records.
    pub(super) fn wake_up(
        &mut self,
        instance: InstanceId,
        record: wire::Conversation,
        now: Timestamp,
    ) -> Result<()> {
        let protocol = ProtocolId::parse(&record.protocol)?;
        let component = self.conversation_protocol(&protocol)?;
        let namespace = records::instance_namespace(instance);
        let view = InstanceRecords {
            overlay: &self.overlay,
            namespace: &namespace,
        };
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &view,
        };
        let named = match record.named.is_empty() {
            true => &record.id,
            false => &record.named,
        };
        let id = ConversationId::from_slice(named)?;
        let machine = component.restore(id, self.profile.identity.clone(), &mut env)?;
        self.insert(instance, record, machine, now)?;
        self.drain(instance, now);
        Ok(())
    }

    /// What is known of a session beside its own records.
    pub(super) fn record(&self, instance: InstanceId) -> Result<wire::Conversation> {
        let found = self.conversations.get(&instance);
        match found.and_then(|found| found.awake.as_deref()) {
            Some(awake) => {
                let mut record = awake.record.clone();
                record.heard_at = record.heard_at.max(awake.heard_at.0);
                Ok(record)
            }
            None => self.stored(instance),
        }
    }

    fn stored(&self, instance: InstanceId) -> Result<wire::Conversation> {
        let key = records::number_key(instance.0);
        let value = self.overlay.get(CONVERSATIONS, &key)?;
        records::read(&value.ok_or_else(records::damaged)?)
    }

    /// Takes a session into memory.
    pub(super) fn keep_awake(&mut self, instance: InstanceId, awake: Awake) -> Result<()> {
        self.used.insert((awake.used_at, instance));
        if self.used.len() == 1 {
            self.wakes.insert((awake.used_at.after(IDLE), Wake::Rest));
        }
        let asleep = Instance::asleep(&awake.record)?;
        let found = self.conversations.entry(instance).or_insert(asleep);
        found.routed = true;
        found.awake = Some(Box::new(awake));
        Ok(())
    }

    /// Takes note that something happens in a conversation.
    pub(super) fn note_use(&mut self, instance: InstanceId, now: Timestamp) {
        let found = self.conversations.get_mut(&instance);
        let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) else {
            return;
        };
        if awake.used_at.after(USED_EVERY) <= now {
            self.used.remove(&(awake.used_at, instance));
            awake.used_at = now;
            self.used.insert((now, instance));
        }
    }

    /// Takes note of the tags by which a session is found.
    pub(super) fn note_tag(&mut self, instance: InstanceId, tag: Tag, expected: bool) {
        let found = self.conversations.get_mut(&instance);
        if let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) {
            match expected {
                true => awake.tags.insert(tag),
                false => awake.tags.remove(&tag),
            };
        }
    }

    /// Takes note of where a session listens.
    pub(super) fn note_place(
        &mut self,
        instance: InstanceId,
        point: &DeliveryPoint,
        listens: bool,
    ) {
        let found = self.conversations.get_mut(&instance);
        if let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) {
            let place = (point.locator.clone(), point.address.clone());
            match listens {
                true => awake.places.insert(place),
                false => awake.places.remove(&place),
            };
        }
    }

    /// Where a session listens.
    pub(super) fn listening(&self, instance: InstanceId) -> Vec<DeliveryPoint> {
        let found = self.conversations.get(&instance);
        let Some(awake) = found.and_then(|found| found.awake.as_deref()) else {
            let points = self.stored(instance).map(|record| record.points);
            let points = points.unwrap_or_default();
            return points
                .iter()
                .filter_map(|point| point.to_core().ok())
                .collect();
        };
        let mut all = Vec::new();
        for place in &awake.places {
            let listeners = self.points.get(place);
            let framings = listeners.into_iter().flat_map(|l| l.framings.iter());
            all.extend(framings.map(|framing| DeliveryPoint {
                locator: place.0.clone(),
                address: place.1.clone(),
                framing: framing.clone(),
            }));
        }
        all
    }

    /// Wakes those that a payload at an address may be for.
    pub(super) fn wake_listeners(&mut self, instances: Vec<InstanceId>, now: Timestamp) {
        for instance in instances {
            let routed = self.conversations.get(&instance).map(|found| found.routed);
            if routed == Some(false)
                && let Err(error) = self.awake(instance, now)
            {
                self.rejected("failed.restore", &error);
            }
        }
    }

    /// Lets those leave memory in which nothing happens.
    pub(super) fn rest(&mut self, now: Timestamp) {
        while let Some((used_at, instance)) = self.used.first().copied()
            && (used_at.after(IDLE) <= now || self.used.len() > self.max_awake)
        {
            self.used.pop_first();
            if let Err(error) = self.sleep(instance, now) {
                self.rejected("failed.sleep", &error);
                let found = self.conversations.get_mut(&instance);
                if let Some(awake) = found.and_then(|found| found.awake.as_deref_mut()) {
                    awake.used_at = now;
                    self.used.insert((now, instance));
                }
                break;
            }
        }
    }

    /// Rests at its time, and asks for the next.
    pub(super) fn rest_at_its_time(&mut self, now: Timestamp) {
        self.rest(now);
        if let Some((used_at, _)) = self.used.first() {
            let at = used_at.after(IDLE).max(now.after(USED_EVERY));
            self.wakes.insert((at, Wake::Rest));
        }
    }

    fn sleep(&mut self, instance: InstanceId, now: Timestamp) -> Result<()> {
        let points = self.listening(instance);
        let alone = points.iter().all(|point| {
            let listeners = self
                .points
                .get(&(point.locator.clone(), point.address.clone()));
            listeners.is_some_and(|l| l.instances.len() == 1)
        });
        let Some(found) = self.conversations.get_mut(&instance) else {
            return Ok(());
        };
        let Some(awake) = found.awake.as_deref() else {
            return Ok(());
        };
        let mut record = awake.record.clone();
        record.asleep = true;
        record.heard_at = record.heard_at.max(awake.heard_at.0);
        record.wake_at = found.wake.map_or(0, |at| at.0.max(now.0));
        record.points = points.iter().map(Into::into).collect();
        if !alone {
            record.tags = write_tags(&awake.tags);
        }
        let tags: Vec<_> = awake.tags.iter().copied().collect();
        found.awake = None;
        found.routed = !alone;
        if alone {
            self.forget_tags(instance, &tags);
        }
        self.overlay.put(
            CONVERSATIONS,
            records::number_key(instance.0),
            records::write(&record),
        );
        self.put_resident(instance, !alone);
        self.counters.add("rested.conversation");
        Ok(())
    }

    /// Takes a session in that was asleep when the client stopped.
    pub(super) fn take_asleep(
        &mut self,
        instance: InstanceId,
        record: &wire::Conversation,
    ) -> Result<()> {
        self.remember(instance, record)?;
        let mut found = Instance::asleep(record)?;
        found.wake = (record.wake_at > 0).then_some(Timestamp(record.wake_at));
        found.routed = !record.tags.is_empty();
        let wake = found.wake;
        self.conversations.insert(instance, found);
        if let Some(at) = wake {
            self.set_wake(None, at, Wake::Conversation(instance));
        }
        let mut all_reached = true;
        for point in &record.points {
            let point = point.to_core()?;
            all_reached &= self.components.reaches(&point);
            self.listen(&point, |listeners| {
                listeners.instances.insert(instance);
            });
        }
        if !all_reached {
            self.strayed.push(instance);
        }
        for tag in read_tags(&record.tags)? {
            self.route_tag(instance, tag);
        }
        Ok(())
    }

    /// Forgets all tags of a session that ends.
    pub(super) fn forget_all_tags(&mut self, instance: InstanceId) -> Result<()> {
        let found = self.conversations.get(&instance);
        let tags = match found.and_then(|found| found.awake.as_deref()) {
            Some(awake) => awake.tags.iter().copied().collect(),
            None => read_tags(&self.stored(instance)?.tags)?,
        };
        self.forget_tags(instance, &tags);
        if let Some(awake) = self.conversations[&instance].awake.as_deref() {
            self.used.remove(&(awake.used_at, instance));
        }
        Ok(())
    }

    fn forget_tags(&mut self, instance: InstanceId, tags: &[Tag]) {
        for router in self.routers.values_mut() {
            tags.iter().for_each(|tag| router.forget(*tag, instance));
        }
    }
}

fn write_tags(tags: &HashSet<Tag>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(tags.len() * 17);
    for tag in tags {
        bytes.put_u8(u8::from(matches!(tag, Tag::Standing(_))));
        bytes.put_slice(tag.tag().as_bytes());
    }
    bytes.freeze()
}

fn read_tags(bytes: &[u8]) -> Result<Vec<Tag>> {
    let tag = |bytes: &[u8]| match bytes.split_first() {
        Some((0, tag)) => RoutingTag::from_slice(tag).map(Tag::SingleUse),
        Some((1, tag)) => RoutingTag::from_slice(tag).map(Tag::Standing),
        _ => Err(records::damaged()),
    };
    bytes.chunks(17).map(tag).collect()
}
