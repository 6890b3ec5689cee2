//! Beginning conversations, keeping them, ending them.

use bytes::Bytes;
use cf_core::{
    BundleSet, Conversation, ConversationId, EmptyRecords, Env, Input, InstanceId, ParticipantId,
    Peer, PeerId, ProtocolId, Result, Scan, Setup, Timestamp,
};

use super::sleep::Awake;
use super::{Driver, Wake};
use crate::event::EventKind;
use crate::records::{self, CANDIDATES, CONVERSATIONS, META, PLACES, wire};

/// What a session is to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It sends.
    Current,
    /// It will send once the peer has answered.
    Pending,
    /// It only receives.
    Superseded,
}

impl Standing {
    pub(super) fn of(record: &wire::Conversation) -> Self {
        match record.standing {
            0 => Self::Current,
            1 => Self::Pending,
            _ => Self::Superseded,
        }
    }

    pub(super) fn put(self, record: &mut wire::Conversation) {
        record.standing = match self {
            Self::Current => 0,
            Self::Pending => 1,
            Self::Superseded => 2,
        };
    }
}

/// What is known of a session when it begins.
pub(super) struct Beginning {
    pub(super) conversation: ConversationId,
    pub(super) protocol: ProtocolId,
    pub(super) participant: Option<ParticipantId>,
    /// The rest of it.
    pub(super) record: wire::Conversation,
}

impl Beginning {
    /// Of a conversation that nobody was asked into.
    fn alone(conversation: ConversationId, protocol: &ProtocolId) -> Self {
        Self {
            conversation,
            protocol: protocol.clone(),
            participant: None,
            record: wire::Conversation::default(),
        }
    }
}

impl Driver {
    /// Begins a conversation without a peer: a group of one, or a channel. Gives
    /// the parameters by which others [`join`](Self::join) it, where they can.
    ///
    /// # Errors
    /// Those of the conversation protocol.
    pub fn create(
        &mut self,
        protocol: &ProtocolId,
        parameters: Bytes,
        now: Timestamp,
    ) -> Result<(ConversationId, Bytes)> {
        let component = self.conversation_protocol(protocol)?;
        let setup = self.lone_setup(parameters);
        let conversation = setup.conversation;
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &EmptyRecords,
        };
        let created = component.create(setup, &mut env)?;
        let beginning = Beginning::alone(conversation, protocol);
        self.start(beginning, created.conversation, now);
        self.settle(now);
        Ok((conversation, created.parameters))
    }

    /// Joins a conversation by parameters that the application has, without an
    /// invite: a public channel.
    ///
    /// # Errors
    /// Those of the conversation protocol.
    pub fn join(
        &mut self,
        protocol: &ProtocolId,
        parameters: Bytes,
        now: Timestamp,
    ) -> Result<ConversationId> {
        let component = self.conversation_protocol(protocol)?;
        let setup = self.lone_setup(parameters);
        let conversation = setup.conversation;
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &EmptyRecords,
        };
        let machine = component.join(setup, &mut env)?;
        let beginning = Beginning::alone(conversation, protocol);
        self.start(beginning, machine, now);
        self.settle(now);
        Ok(conversation)
    }

    fn lone_setup(&mut self, parameters: Bytes) -> Setup {
        Setup {
            conversation: ConversationId::random(&mut *self.random),
            identity: self.profile.identity.clone(),
            peer: None,
            exported: None,
            offer_secret: None,
            parameters,
            points: self.components.fresh_points(&[], &mut *self.random),
            arrived_at: None,
        }
    }

    /// Proposes the owner of a bundle as a further member of a conversation,
    /// which invites them when it is ready to.
    ///
    /// # Errors
    /// `Unsupported` if no initialization is common, those of the initialization
    /// for the bundle and of the conversation for the candidate.
    pub fn add_member(
        &mut self,
        conversation: ConversationId,
        bundles: &BundleSet,
        now: Timestamp,
    ) -> Result<()> {
        let instance = self.instance(conversation, now)?;
        let (initialization, bundle) = self.choose_initialization(bundles)?;
        let info = self.read_bundles(bundles, now)?;
        let protocol = self.awake(instance, now)?.protocol.clone();
        let peer = PeerId(self.next_number("next_peer")?);
        let candidate = wire::Candidate {
            initialization: initialization.id().as_str().to_owned(),
            bundle: bundle.clone(),
        };
        let points = self.components.peer_points(&info.spec.points);
        let offer = info
            .spec
            .offers
            .into_iter()
            .find(|offer| offer.protocol == protocol);
        let candidate_input = Input::Candidate(Peer {
            id: peer,
            participant: info.owner,
            offer,
            points,
        });
        self.input(instance, candidate_input, now)?;
        let key = records::peer_key(instance, peer);
        self.overlay
            .put(CANDIDATES, key, records::write(&candidate));
        self.settle(now);
        Ok(())
    }

    /// Ends a conversation, as its protocol does.
    ///
    /// # Errors
    /// `Misuse` if there is no such conversation; those of the protocol.
    pub fn close(&mut self, conversation: ConversationId, now: Timestamp) -> Result<()> {
        let instance = self.instance(conversation, now)?;
        self.input(instance, Input::Close, now)?;
        for pending in self.pending(conversation) {
            self.end(pending);
        }
        self.settle(now);
        Ok(())
    }

    /// Takes a session in and applies what it put out so far.
    pub(super) fn start(
        &mut self,
        beginning: Beginning,
        machine: Box<dyn Conversation>,
        now: Timestamp,
    ) -> InstanceId {
        let instance = InstanceId(self.next_instance);
        self.next_instance += 1;
        self.overlay.put(
            META,
            "next_instance",
            records::number_key(self.next_instance),
        );
        let Beginning {
            conversation,
            protocol,
            participant,
            record,
        } = beginning;
        let record = wire::Conversation {
            id: Bytes::copy_from_slice(conversation.as_bytes()),
            protocol: protocol.as_str().to_owned(),
            participant: participant
                .as_ref()
                .map(ParticipantId::to_bytes)
                .unwrap_or_default(),
            created_at: now.0,
            pair: participant.is_some() && self.is_for_two(&protocol),
            ..record
        };
        if !record.renews {
            let kind = EventKind::Started {
                conversation,
                from: participant,
                name: record.name.clone(),
                protocol,
            };
            self.log(&kind, now);
        }
        if let Err(error) = self.insert(instance, record, machine, now) {
            self.rejected("failed.start", &error);
        }
        self.put_conversation(instance);
        self.put_roll(conversation);
        self.put_resident(instance, true);
        self.drain(instance, now);
        self.settle_in(instance, now);
        instance
    }

    /// Takes a session into the tables, and into memory.
    pub(super) fn insert(
        &mut self,
        instance: InstanceId,
        record: wire::Conversation,
        machine: Box<dyn Conversation>,
        now: Timestamp,
    ) -> Result<()> {
        if !self.conversations.contains_key(&instance) {
            self.remember(instance, &record)?;
        }
        let awake = Awake::new(instance, record, machine, now)?;
        self.keep_awake(instance, awake)
    }

    /// Stores what is known of a session beside its own records.
    pub(super) fn put_conversation(&mut self, instance: InstanceId) {
        let found = self.conversations.get(&instance);
        if let Some(awake) = found.and_then(|found| found.awake.as_deref()) {
            let record = records::write(&awake.record);
            self.overlay
                .put(CONVERSATIONS, records::number_key(instance.0), record);
        }
    }

    /// Ends a session: nothing of it stays.
    pub(super) fn end(&mut self, instance: InstanceId) {
        self.end_invites(instance);
        if !self.conversations.contains_key(&instance) {
            return;
        }
        if let Err(error) = self.forget_all_tags(instance) {
            self.rejected("failed.read", &error);
        }
        let listening = self.listening(instance);
        let Some(found) = self.conversations.remove(&instance) else {
            return;
        };
        for point in listening {
            self.unlisten(&point, |listeners| {
                listeners.instances.remove(&instance);
            });
        }
        self.withdraw_everything(instance);
        if let Some(wake) = found.wake {
            self.wakes.remove(&(wake, Wake::Conversation(instance)));
        }
        if let Some(sessions) = self.by_id.get_mut(&found.id) {
            sessions.others.retain(|other| *other != instance);
        }
        self.put_roll(found.id);
        self.put_resident(instance, false);
        let namespace = records::instance_namespace(instance);
        match self.overlay.scan(&namespace, &Scan::prefix("")) {
            Ok(all) => all
                .into_iter()
                .for_each(|(key, _)| self.overlay.delete(namespace.clone(), key)),
            Err(error) => self.rejected("failed.read", &error),
        }
        if let Ok(at) = self.rotates_at(instance) {
            self.wakes.remove(&(at, Wake::Rotation(instance)));
        }
        self.overlay.delete(PLACES, records::number_key(instance.0));
        self.overlay
            .delete(CONVERSATIONS, records::number_key(instance.0));
    }

    pub(super) fn is_for_two(&self, protocol: &ProtocolId) -> bool {
        self.components
            .conversation(protocol)
            .is_some_and(|component| component.properties().max_participants == Some(2))
    }

    fn next_number(&mut self, name: &'static str) -> Result<u64> {
        let last = self.overlay.get(META, name.as_bytes())?;
        let next = last.map_or(Ok(1), |last| records::read_number(&last))?;
        self.overlay.put(META, name, records::number_key(next + 1));
        Ok(next)
    }
}
