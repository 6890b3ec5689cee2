//! Invites: sent until answered, opened, kept, accepted, declined.

use std::time::Duration;

use bytes::Bytes;
use cf_core::{
    Conversation, ConversationId, DeliveryPoint, Error, Input, InstanceId, Invitation, Invite,
    InviteId, Offer, OfferId, OutgoingInvite, Output, Peer, PeerId, ProtocolId, Result, Scan,
    SealedInvite, Secret, Setup, Timestamp,
};

use super::instances::{Beginning, Standing};
use super::outbox::{read_destinations, write_destinations};
use super::sessions::Sender;
use super::{Driver, Wake, Work};
use crate::event::EventKind;
use crate::records::{self, CANDIDATES, INVITES, OFFERS, REQUESTS, wire};

/// How long an invite is sent again: 14 days.
pub const INVITE_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The pause before an invite is sent again; doubles up to six hours.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

// ---- the sender's side -------------------------------------------------------

impl Driver {
    /// Publishes an invite, and again until the peer has answered.
    pub(super) fn send_invite(
        &mut self,
        instance: InstanceId,
        peer: PeerId,
        points: &[DeliveryPoint],
        sealed: &SealedInvite,
        now: Timestamp,
    ) -> Result<()> {
        let mut destinations = Vec::new();
        for point in points.iter().filter(|point| self.components.reaches(point)) {
            destinations.push((point.clone(), self.encode(point, &sealed.frame)?));
        }
        let record = wire::PendingInvite {
            destinations: write_destinations(&destinations),
            next_at: now.after(FIRST_PAUSE).0,
            attempts: 1,
            expires_at: now.after(INVITE_LIFETIME).0,
        };
        self.put_invite(instance, peer, &record);
        self.put_invite_payload((instance, peer), destinations);
        Ok(())
    }

    fn put_invite(&mut self, instance: InstanceId, peer: PeerId, record: &wire::PendingInvite) {
        self.overlay.put(
            INVITES,
            records::peer_key(instance, peer),
            records::write(record),
        );
        self.wakes
            .insert((Timestamp(record.next_at), Wake::Invite(instance, peer)));
    }

    pub(super) fn resend_invite(&mut self, instance: InstanceId, peer: PeerId, now: Timestamp) {
        let key = records::peer_key(instance, peer);
        let value = match self.overlay.get(INVITES, &key) {
            Ok(Some(value)) => value,
            Ok(None) => return,
            Err(error) => {
                self.rejected("failed.read", &error);
                let again = (now.after(FIRST_PAUSE), Wake::Invite(instance, peer));
                self.wakes.insert(again);
                return;
            }
        };
        let Ok(mut record) = records::read::<wire::PendingInvite>(&value) else {
            return;
        };
        if record.expires_at <= now.0 {
            self.overlay.delete(INVITES, key);
            self.withdraw_invite((instance, peer));
            if self.standing(instance) == Some(Standing::Pending) {
                return self.end(instance);
            }
            if let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) {
                self.log(&EventKind::InviteExpired { conversation }, now);
            }
            return;
        }
        let Ok(destinations) = read_destinations(&record.destinations) else {
            return;
        };
        let pause = FIRST_PAUSE
            .saturating_mul(1 << record.attempts.min(16))
            .min(LONGEST_PAUSE);
        record.attempts += 1;
        record.next_at = now.after(pause).0;
        self.put_invite(instance, peer, &record);
        self.put_invite_payload((instance, peer), destinations);
        self.counters.add("resent.invite");
    }

    /// Ends the invites of a conversation that was closed.
    pub(super) fn end_invites(&mut self, instance: InstanceId) {
        let of = Scan::prefix(records::number_key(instance.0));
        for (key, _) in self.overlay.scan(INVITES, &of).unwrap_or_default() {
            if let Ok(invite) = records::read_pair(&key) {
                self.withdraw_invite(invite);
            }
            self.overlay.delete(INVITES, key);
        }
    }

    pub(super) fn restore_invites(&mut self) -> Result<()> {
        for (key, value) in self.overlay.scan(INVITES, &Scan::prefix(""))? {
            let (instance, peer) = records::read_pair(&key)?;
            let record: wire::PendingInvite = records::read(&value)?;
            self.wakes
                .insert((Timestamp(record.next_at), Wake::Invite(instance, peer)));
        }
        Ok(())
    }

    pub(super) fn invite_answered(&mut self, instance: InstanceId, peer: PeerId, now: Timestamp) {
        let key = records::peer_key(instance, peer);
        let pending = self.overlay.get(INVITES, &key).ok().flatten().is_some();
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        if let Ok(found) = self.awake(instance, now)
            && found.record.settled_at == 0
        {
            found.record.settled_at = now.0;
            self.put_conversation(instance);
            self.work.push_back(Work::GiveContact(instance));
        }
        if pending {
            self.overlay.delete(INVITES, key.clone());
            self.withdraw_invite((instance, peer));
            self.overlay.delete(CANDIDATES, key);
            self.log(&EventKind::Answered { conversation }, now);
        }
        self.session_answered(instance, now);
    }

    /// Sends the invite that a conversation asked for, by the initialization
    /// that the candidate's bundle names.
    pub(super) fn invite_member(
        &mut self,
        instance: InstanceId,
        invite: OutgoingInvite,
        now: Timestamp,
    ) {
        if let Err(error) = self.try_invite_member(instance, invite, now) {
            self.rejected("failed.invite", &error);
        }
    }

    fn try_invite_member(
        &mut self,
        instance: InstanceId,
        invite: OutgoingInvite,
        now: Timestamp,
    ) -> Result<()> {
        let key = records::peer_key(instance, invite.peer);
        let candidate = self.overlay.get(CANDIDATES, &key)?;
        let candidate: wire::Candidate = match candidate {
            Some(value) => records::read(&value)?,
            None => return Err(Error::misuse("invite only peers that came as candidates")),
        };
        let protocol = self.awake(instance, now)?.protocol.clone();
        let conversation = self.conversations[&instance].id;
        let initialization = ProtocolId::parse(&candidate.initialization)?;
        let initialization = self.initialization(&initialization)?;
        let identity = self.profile.identity.clone();
        let info = initialization.read(&*identity, &candidate.bundle, now)?;
        let offer = info
            .spec
            .offers
            .iter()
            .find(|offer| offer.protocol == protocol)
            .cloned();
        let handshake = {
            let mut env = cf_core::Env {
                now,
                random: &mut *self.random,
                records: &cf_core::EmptyRecords,
            };
            initialization.initiate(&identity, &candidate.bundle, conversation, &mut env)?
        };
        let body = self.invite(
            conversation,
            &protocol,
            invite.parameters,
            offer.map(|offer| offer.id),
            info.spec.conversation_protocols,
            self.listening(instance),
            now,
        );
        let mut env = cf_core::Env {
            now,
            random: &mut *self.random,
            records: &cf_core::EmptyRecords,
        };
        let sealed = handshake.seal(&body, &mut env)?;
        self.send_invite(instance, invite.peer, &info.spec.points, &sealed, now)
    }

    /// Writes an invite in this client's name.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn invite(
        &mut self,
        conversation: ConversationId,
        protocol: &ProtocolId,
        parameters: Bytes,
        offer: Option<OfferId>,
        chosen_from: Vec<ProtocolId>,
        points: Vec<DeliveryPoint>,
        now: Timestamp,
    ) -> Invite {
        let specification = self
            .components
            .conversation(protocol)
            .map(|c| c.specification());
        Invite {
            id: InviteId::random(&mut *self.random),
            conversation,
            conversation_protocol: protocol.clone(),
            specification: specification.unwrap_or_default().to_owned(),
            parameters,
            offer,
            chosen_from,
            points,
            offers: Vec::new(),
            sent_at: now,
            display_name: self.profile.display_name.clone(),
        }
    }
}

// ---- the recipient's side ------------------------------------------------------

impl Driver {
    /// Keeps a request, and tells of it unless it is held back.
    pub(super) fn put_request(&mut self, request: &wire::Request, now: Timestamp) {
        self.overlay
            .put(REQUESTS, request.id.clone(), records::write(request));
        if request.held_since > 0 {
            return;
        }
        if let Ok(request) = request.public() {
            self.log(&EventKind::Request(request), now);
        }
    }

    /// Accepts a request: joins its conversation. What came for it meanwhile
    /// follows. From somebody who is known already it is a new session in the
    /// conversation that there is.
    ///
    /// # Errors
    /// `Misuse` if there is no such request, `Unsupported` if its component is
    /// missing (it stays), else those of the conversation protocol.
    pub fn accept(&mut self, id: InviteId, now: Timestamp) -> Result<ConversationId> {
        self.know_all(now);
        let request = self.request(id)?;
        let invitation = request.invitation()?;
        let from = invitation.from.clone();
        let conversation = match self.sender_of(&invitation) {
            Sender::Impostor(_) => {
                return Err(Error::misuse(
                    "this conversation was begun with somebody else: decline this request",
                ));
            }
            Sender::Peer(conversation) => {
                let instance = self.join_session(conversation, &invitation, true, now)?;
                self.make_current(instance, now);
                conversation
            }
            Sender::Stranger => {
                let named = invitation.invite.conversation;
                let conversation = match self.by_id.contains_key(&named) {
                    true => ConversationId::random(&mut *self.random),
                    false => named,
                };
                self.join_session(conversation, &invitation, false, now)?;
                conversation
            }
        };
        self.forget_request(id);
        if let Some(from) = from {
            self.renew_by_requests_of(&from, now);
        }
        self.settle(now);
        Ok(conversation)
    }

    /// Joins the session of an invite.
    pub(super) fn join_session(
        &mut self,
        conversation: ConversationId,
        invitation: &Invitation,
        renews: bool,
        now: Timestamp,
    ) -> Result<InstanceId> {
        let machine = self.join_machine(invitation, now)?;
        let invite = &invitation.invite;
        let protocol = invite.conversation_protocol.clone();
        if let Some(offer) = invite.offer {
            self.spend_offer(&protocol, offer)?;
        }
        let mut record = wire::Conversation {
            name: invite.display_name.clone(),
            precedence: Bytes::copy_from_slice(&invitation.precedence),
            invited_at: invite.sent_at.0,
            settled_at: now.0,
            renews,
            ..wire::Conversation::default()
        };
        if invite.conversation != conversation {
            record.named = Bytes::copy_from_slice(invite.conversation.as_bytes());
        }
        if renews {
            Standing::Pending.put(&mut record);
        }
        let beginning = Beginning {
            conversation,
            protocol,
            participant: invitation.from.clone(),
            record,
        };
        let instance = self.start(beginning, machine, now);
        self.work.push_back(Work::GiveContact(instance));
        Ok(instance)
    }

    /// The session of an invite, of which nothing is kept yet.
    fn join_machine(
        &mut self,
        invitation: &Invitation,
        now: Timestamp,
    ) -> Result<Box<dyn Conversation>> {
        let invite = &invitation.invite;
        let protocol = invite.conversation_protocol.clone();
        let component = self
            .components
            .conversation(&protocol)
            .cloned()
            .ok_or_else(|| {
                Error::unsupported(format!(
                    "this client does not have {protocol}; its specification: {}",
                    invite.specification
                ))
            })?;
        let offer_secret = self.use_offer(&protocol, invite.offer)?;
        let points = self
            .components
            .fresh_points(&invite.points, &mut *self.random);
        let setup = Setup {
            conversation: invite.conversation,
            identity: self.profile.identity.clone(),
            peer: Some(Peer {
                id: PeerId(0),
                participant: invitation.from.clone(),
                offer: invite
                    .offers
                    .iter()
                    .find(|o: &&Offer| o.protocol == protocol)
                    .cloned(),
                points: self.components.peer_points(&invite.points),
            }),
            exported: Some(invitation.exported.clone()),
            offer_secret,
            parameters: invite.parameters.clone(),
            points,
            arrived_at: Some(self.components.point_info(&invitation.point)),
        };
        let mut env = cf_core::Env {
            now,
            random: &mut *self.random,
            records: &cf_core::EmptyRecords,
        };
        component.join(setup, &mut env)
    }

    /// Declines a request: it is forgotten, and the sender learns nothing.
    ///
    /// # Errors
    /// `Misuse` if there is no such request.
    pub fn decline(&mut self, id: InviteId) -> Result<()> {
        self.request(id)?;
        self.forget_request(id);
        Ok(())
    }

    /// Declines a request, and tells its sender that the conversation is closed. Nothing
    /// is kept of it here; that it arrives is not sure.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn decline_and_tell(&mut self, id: InviteId, now: Timestamp) -> Result<()> {
        let invitation = self.request(id)?.invitation()?;
        let mut machine = self.join_machine(&invitation, now)?;
        let mut env = cf_core::Env {
            now,
            random: &mut *self.random,
            records: &cf_core::EmptyRecords,
        };
        machine.handle(Input::Close, &mut env)?;
        // No conversation begins: of all that it would do, only what it says is done.
        while let Some(output) = machine.poll_output() {
            if let Output::Publish(publish) = output {
                self.publish_alone(publish);
            }
        }
        self.forget_request(id);
        self.settle(now);
        Ok(())
    }

    pub(super) fn request(&self, id: InviteId) -> Result<wire::Request> {
        match self.overlay.get(REQUESTS, id.as_bytes())? {
            Some(value) => records::read(&value),
            None => Err(Error::misuse("there is no request with this id")),
        }
    }

    fn use_offer(&self, protocol: &ProtocolId, id: Option<OfferId>) -> Result<Option<Secret>> {
        let Some(id) = id else { return Ok(None) };
        match self
            .overlay
            .get(OFFERS, &records::offer_key(protocol, id))?
        {
            Some(value) => {
                let record: wire::OfferSecret = records::read(&value)?;
                Ok(Some(Secret::from(&record.secret[..])))
            }
            None => Ok(None),
        }
    }

    fn spend_offer(&mut self, protocol: &ProtocolId, id: OfferId) -> Result<()> {
        let key = records::offer_key(protocol, id);
        if let Some(value) = self.overlay.get(OFFERS, &key)?
            && records::read::<wire::OfferSecret>(&value)?.one_time
        {
            self.overlay.delete(OFFERS, key);
        }
        Ok(())
    }
}
