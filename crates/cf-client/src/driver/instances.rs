//! Beginning conversations, keeping them, ending them.

use bytes::Bytes;
use cf_core::{
    BundleSet, Conversation, ConversationId, EmptyRecords, Env, Input, InstanceId, ParticipantId,
    Peer, PeerId, ProtocolId, Result, Setup, Timestamp,
};

use super::{Driver, Instance};
use crate::event::EventKind;
use crate::records::{self, CANDIDATES, CONVERSATIONS, META, wire};

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
        self.start(
            conversation,
            protocol.clone(),
            None,
            String::new(),
            created.conversation,
            now,
        );
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
        self.start(
            conversation,
            protocol.clone(),
            None,
            String::new(),
            machine,
            now,
        );
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
        let instance = self.instance(conversation)?;
        let (initialization, bundle) = self.choose_initialization(bundles)?;
        let info = initialization.read(&*self.profile.identity, bundle, now)?;
        let protocol = self.conversations[&instance].protocol.clone();
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
        let instance = self.instance(conversation)?;
        self.input(instance, Input::Close, now)?;
        self.settle(now);
        Ok(())
    }

    /// Takes a conversation in and applies what it put out so far.
    pub(super) fn start(
        &mut self,
        id: ConversationId,
        protocol: ProtocolId,
        participant: Option<ParticipantId>,
        name: String,
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
        let record = wire::Conversation {
            id: Bytes::copy_from_slice(id.as_bytes()),
            protocol: protocol.as_str().to_owned(),
            participant: participant
                .as_ref()
                .map(ParticipantId::to_bytes)
                .unwrap_or_default(),
            name: name.clone(),
            created_at: now.0,
        };
        self.overlay.put(
            CONVERSATIONS,
            records::number_key(instance.0),
            records::write(&record),
        );
        let kind = EventKind::Started {
            conversation: id,
            from: participant.clone(),
            name: name.clone(),
            protocol: protocol.clone(),
        };
        self.log(&kind, now);
        self.insert(instance, id, protocol, participant, name, machine);
        self.drain(instance, now);
        instance
    }

    pub(super) fn insert(
        &mut self,
        instance: InstanceId,
        id: ConversationId,
        protocol: ProtocolId,
        participant: Option<ParticipantId>,
        name: String,
        machine: Box<dyn Conversation>,
    ) {
        let namespace = records::instance_namespace(instance);
        let found = Instance {
            id,
            protocol,
            participant,
            name,
            machine,
            namespace,
            wake: None,
        };
        self.conversations.insert(instance, found);
        self.by_id.insert(id, instance);
    }

    fn next_number(&mut self, name: &'static str) -> Result<u64> {
        let last = self.overlay.get(META, name.as_bytes())?;
        let next = last.map_or(Ok(1), |last| records::read_number(&last))?;
        self.overlay.put(META, name, records::number_key(next + 1));
        Ok(next)
    }
}
