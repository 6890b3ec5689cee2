//! The sessions of a conversation of two: renewed after a loss, upgraded to a
//! better protocol, made twice when two people ask each other at once.
//!
//! A conversation has one *current* session, which sends. A new one begins by an
//! invite of an identity that is in the conversation already; nobody is asked.
//! The session before is *superseded*: what it had not delivered goes out by the
//! current one, and it still receives for the resend lifetime.

use std::time::Duration;

use cf_core::{
    BundleInfo, ConversationId, Error, InstanceId, Invitation, InviteId, ParticipantId, ProtocolId,
    Result, Scan, Timestamp,
};

use super::instances::Standing;
use super::{Driver, Wake, Work};
use crate::event::EventKind;
use crate::records::{self, INVITES, REQUESTS, wire};

/// The most sessions that a conversation keeps; beyond, the oldest ends.
pub const MAX_SESSIONS: usize = 8;
/// How long a superseded session still receives: 14 days, the resend lifetime.
pub const SUPERSEDED_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How long an invite is held back that crossed an own one which goes before.
pub const CROSSING: Duration = Duration::from_secs(10 * 60);
/// The most invites that are held back in a conversation; further ones are dropped.
pub const MAX_HELD: usize = 4;
/// How long after an own invite another one may still have crossed it.
const MAY_HAVE_CROSSED: Duration = Duration::from_secs(60 * 60);
/// How often a session that is said to be broken is renewed at most.
pub const RENEW_EVERY: Duration = Duration::from_secs(60 * 60);
/// A peer that still uses a session so long after it was superseded does not know
/// of the current one.
const USES_ANOTHER: Duration = Duration::from_secs(24 * 60 * 60);

/// Who sent an invite.
pub(super) enum Sender {
    /// Nobody that this client has a conversation with.
    Stranger,
    /// The other participant of this conversation.
    Peer(ConversationId),
    /// Somebody who names this conversation, which is not theirs.
    Impostor(ConversationId),
}

/// What became of an invite to a new session.
pub(super) enum Renewal {
    /// It is settled.
    Done,
    /// It crossed an own one, which the peer should take: it waits.
    Held,
}

impl Driver {
    /// Who sent an invite: the identity decides, never the id that it names.
    pub(super) fn sender_of(&self, invitation: &Invitation) -> Sender {
        let named = invitation.invite.conversation;
        let named = self.named.get(&named).copied().unwrap_or(named);
        let of_sender = (invitation.from.as_ref())
            .and_then(|from| self.pair_with(from))
            .filter(|known| self.may_renew(*known, &invitation.invite.conversation_protocol));
        match (self.by_id.get(&named), of_sender) {
            (_, Some(conversation)) => Sender::Peer(conversation),
            (None, None) => Sender::Stranger,
            (Some(_), None) if self.is_of(named, &invitation.from) => Sender::Stranger,
            (Some(_), None) => Sender::Impostor(named),
        }
    }

    /// Whether a protocol is at least as good to this client as that of a
    /// conversation. By another one a peer begins another conversation, if it may:
    /// nobody makes one worse without being asked.
    pub(super) fn may_renew(&self, conversation: ConversationId, by: &ProtocolId) -> bool {
        let present = self.protocol_of(conversation);
        present.is_none_or(|present| self.rank(by) <= self.rank(&present))
    }

    /// The protocol of a conversation's current session.
    pub(super) fn protocol_of(&self, conversation: ConversationId) -> Option<ProtocolId> {
        let current = self.by_id.get(&conversation)?.current;
        ProtocolId::parse(&self.record(current).ok()?.protocol).ok()
    }

    /// Whether a conversation is, or was, with somebody.
    fn is_of(&self, conversation: ConversationId, from: &Option<ParticipantId>) -> bool {
        let from = from
            .as_ref()
            .map(ParticipantId::as_bytes)
            .unwrap_or_default();
        let current = self.by_id.get(&conversation).map(|s| s.current);
        let record = current.and_then(|instance| self.record(instance).ok());
        record.is_some_and(|record| record.pair && record.participant == from)
    }

    /// Takes an invite of the other participant.
    pub(super) fn renewal(
        &mut self,
        conversation: ConversationId,
        invitation: &Invitation,
        now: Timestamp,
    ) -> Result<Renewal> {
        let sent_at = invitation.invite.sent_at;
        let stale = |record: &wire::Conversation| !record.own && record.invited_at > sent_at.0;
        let mut holder = None;
        for instance in self.sessions_of(conversation) {
            let Ok(record) = &self.record(instance) else {
                continue;
            };
            if stale(record) {
                self.counters.add("stale.invite");
                return Ok(Renewal::Done);
            }
            let superseded = Standing::of(record) == Standing::Superseded;
            let recent = Timestamp(record.invited_at).after(MAY_HAVE_CROSSED) > now;
            let may_have_crossed = record.own && !superseded && recent;
            if may_have_crossed && record.precedence[..] < invitation.precedence[..] {
                holder = Some(instance);
            }
        }
        if holder.is_some() {
            let id = invitation.invite.id;
            let held = self.held.values().filter(|of| **of == conversation);
            if held.count() >= MAX_HELD {
                self.counters.add("bounded.held");
                return Ok(Renewal::Done);
            }
            self.held.insert(id, conversation);
            self.wakes.insert((now.after(CROSSING), Wake::Held(id)));
            self.counters.add("held.invite");
            return Ok(Renewal::Held);
        }
        let instance = self.join_session(conversation, invitation, true, now)?;
        self.make_current(instance, now);
        Ok(Renewal::Done)
    }

    /// Takes an invite that was held back, unless the peer took the own one.
    pub(super) fn held_long_enough(&mut self, id: InviteId, now: Timestamp) {
        if let Err(error) = self.try_held(id, now) {
            self.rejected("rejected.renewal", &error);
        }
        self.settle(now);
    }

    fn try_held(&mut self, id: InviteId, now: Timestamp) -> Result<()> {
        let Some(conversation) = self.held.remove(&id) else {
            return Ok(());
        };
        let request = self.request(id)?;
        self.forget_request(id);
        let since = Timestamp(request.held_since);
        let heard = (self.sessions_of(conversation).into_iter())
            .filter_map(|instance| self.record(instance).ok())
            .any(|record| record.own && Timestamp(record.heard_at) >= since);
        if heard {
            self.counters.add("crossed.invite");
            return Ok(());
        }
        let invitation = request.invitation()?;
        let instance = self.join_session(conversation, &invitation, true, now)?;
        self.make_current(instance, now);
        Ok(())
    }

    /// After somebody was accepted, or asked: what else they sent belongs to the same
    /// conversation.
    pub(super) fn renew_by_requests_of(&mut self, from: &ParticipantId, now: Timestamp) {
        let Ok(all) = self.overlay.scan(REQUESTS, &Scan::prefix("")) else {
            return;
        };
        let mut theirs = Vec::new();
        for (_, value) in all {
            if let Ok(request) = records::read::<wire::Request>(&value)
                && request.supported
                && !request.anonymous
                && request.from == from.as_bytes()
                && let Ok(invitation) = request.invitation()
            {
                theirs.push((invitation, request));
            }
        }
        theirs.sort_by_key(|(invitation, _)| invitation.invite.sent_at);
        for (invitation, mut request) in theirs {
            if let Sender::Peer(conversation) = self.sender_of(&invitation) {
                match self.renewal(conversation, &invitation, now) {
                    Ok(Renewal::Done) => self.forget_request(invitation.invite.id),
                    Ok(Renewal::Held) => {
                        request.held_since = now.0;
                        self.put_request(&request, now);
                    }
                    Err(error) => self.rejected("rejected.renewal", &error),
                }
            }
        }
    }

    /// Makes a session the one that sends; the one before is superseded.
    pub(super) fn make_current(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        let Some(protocol) = self.set_standing(instance, Standing::Current, now) else {
            return;
        };
        let Some(sessions) = self.by_id.get_mut(&conversation) else {
            return;
        };
        if sessions.current == instance {
            return;
        }
        let before = std::mem::replace(&mut sessions.current, instance);
        sessions.others.retain(|other| *other != instance);
        sessions.others.push(before);
        self.counters.add("renewed.session");
        let kind = EventKind::Renewed {
            conversation,
            protocol,
        };
        self.log(&kind, now);
        for other in self.others(conversation) {
            self.supersede(other, now);
        }
        // One whose component is missing is only a record.
        let mut kept = self.others(conversation);
        kept.retain(|other| self.conversations.contains_key(other));
        for oldest in &kept[..kept.len().saturating_sub(MAX_SESSIONS - 1)] {
            self.counters.add("bounded.session");
            self.end(*oldest);
        }
    }

    /// A session only receives from now on.
    fn supersede(&mut self, instance: InstanceId, now: Timestamp) {
        if self.standing(instance) == Some(Standing::Superseded) {
            return;
        }
        self.end_invites(instance);
        if let Ok(found) = self.awake(instance, now) {
            found.record.superseded_at = now.0;
        }
        self.set_standing(instance, Standing::Superseded, now);
        self.wakes
            .insert((now.after(SUPERSEDED_FOR), Wake::Superseded(instance)));
        if let Err(error) = self.input(instance, cf_core::Input::Supersede, now) {
            self.rejected("unsupported.supersede", &error);
        }
    }

    /// Ends a session that was superseded long ago.
    pub(super) fn superseded_long_enough(&mut self, instance: InstanceId, now: Timestamp) {
        if self.standing(instance) != Some(Standing::Superseded) {
            return;
        }
        let since = self
            .record(instance)
            .map_or(now.0, |record| record.superseded_at);
        let until = Timestamp(since).after(SUPERSEDED_FOR);
        match until <= now {
            true => self.end(instance),
            false => {
                self.wakes.insert((until, Wake::Superseded(instance)));
            }
        }
    }

    /// The peer was heard for the first time in a session that was asked for.
    pub(super) fn session_answered(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        if self.standing(instance) == Some(Standing::Pending) {
            self.make_current(instance, now);
        }
        let held: Vec<_> = (self.held.iter())
            .filter(|(_, of)| **of == conversation)
            .map(|(id, _)| *id)
            .collect();
        for id in held {
            self.counters.add("crossed.invite");
            self.forget_request(id);
        }
    }

    /// Takes note that the peer was heard. Two sides that send by different sessions
    /// lose nothing; a new one brings them together before the old ones end.
    pub(super) fn heard(&mut self, instance: InstanceId, now: Timestamp) {
        let number = self.contact_number(now);
        let Ok(found) = self.awake(instance, now) else {
            return;
        };
        found.heard_at = now;
        let record = &mut found.record;
        match Standing::of(record) {
            Standing::Superseded if Timestamp(record.superseded_at).after(USES_ANOTHER) <= now => {
                let id = self.conversations[&instance].id;
                let current = self.by_id.get(&id).map(|s| s.current);
                self.work.extend(current.map(Work::Renew));
            }
            Standing::Superseded => {}
            _ if record.pair && record.contact != number => {
                self.work.push_back(Work::GiveContact(instance));
            }
            _ => {}
        }
    }

    /// Begins a new session in the place of one that is broken, if it is known
    /// how the peer is asked.
    pub(super) fn renew(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(found) = self.conversations.get(&instance) else {
            return;
        };
        if found.standing == Standing::Current {
            self.renew_now(found.id, now);
        }
    }

    pub(super) fn renew_now(&mut self, conversation: ConversationId, now: Timestamp) {
        let current = self.by_id.get(&conversation).map(|s| s.current);
        let record = current.and_then(|instance| self.record(instance).ok());
        if record.is_none_or(|record| record.closed) {
            // It was closed since it was said to be broken.
            return;
        }
        if let Some(last) = self.renewed_at.get(&conversation) {
            let at = last.after(RENEW_EVERY);
            if at > now {
                self.wakes.insert((at, Wake::Renew(conversation)));
                return;
            }
        }
        self.renewed_at.insert(conversation, now);
        match self.try_renew(conversation, now) {
            Ok(()) => self.counters.add("renewing.session"),
            Err(error) => {
                self.rejected("failed.renewal", &error);
                self.log(&EventKind::Broken { conversation }, now);
            }
        }
    }

    fn try_renew(&mut self, conversation: ConversationId, now: Timestamp) -> Result<()> {
        let bundles = self.peer_contact(conversation)?.ok_or_else(|| {
            Error::unavailable("it is not known how the peer is asked into a new session")
        })?;
        let info = self.read_bundles(&bundles, now)?;
        let protocol = self.protocol_that_renews(conversation, &info);
        let instance = self.ask(&bundles, protocol.as_ref(), Some(conversation), now)?;
        self.make_current(instance, now);
        Ok(())
    }

    /// The protocol of a conversation, as long as both have it: a renewal changes
    /// nothing else.
    pub(super) fn protocol_that_renews(
        &self,
        conversation: ConversationId,
        info: &BundleInfo,
    ) -> Option<ProtocolId> {
        let present = self.protocol_of(conversation)?;
        let theirs = &info.spec.conversation_protocols;
        let is_common =
            theirs.contains(&present) && self.components.conversation(&present).is_some();
        is_common.then_some(present)
    }

    /// Whether the current session has an answer, or hopes for one.
    pub(super) fn has_answer(&self, conversation: ConversationId) -> bool {
        let current = self.by_id.get(&conversation).map(|s| s.current);
        let record = current.and_then(|instance| self.record(instance).ok());
        record.is_some_and(|record| {
            let asked = records::peer_key(current.unwrap_or(InstanceId(0)), cf_core::PeerId(0));
            // A session of an earlier version does not say when it was answered.
            let hopes = matches!(self.overlay.get(INVITES, &asked), Ok(Some(_)));
            let unknown = record.invited_at == 0 && !hopes;
            record.settled_at > 0 || unknown
        })
    }

    pub(super) fn standing(&self, instance: InstanceId) -> Option<Standing> {
        self.conversations
            .get(&instance)
            .map(|found| found.standing)
    }

    /// Says what a session is from now on; gives its protocol.
    fn set_standing(
        &mut self,
        instance: InstanceId,
        standing: Standing,
        now: Timestamp,
    ) -> Option<ProtocolId> {
        let awake = self.awake(instance, now).ok()?;
        standing.put(&mut awake.record);
        let protocol = awake.protocol.clone();
        self.conversations.get_mut(&instance)?.standing = standing;
        self.put_conversation(instance);
        Some(protocol)
    }

    /// All sessions of a conversation, the current one last.
    pub(super) fn sessions_of(&self, conversation: ConversationId) -> Vec<InstanceId> {
        let sessions = self.by_id.get(&conversation);
        let all = sessions.map(|s| s.others.iter().copied().chain([s.current]));
        all.into_iter().flatten().collect()
    }

    fn others(&self, conversation: ConversationId) -> Vec<InstanceId> {
        let sessions = self.by_id.get(&conversation);
        sessions.map(|s| s.others.clone()).unwrap_or_default()
    }

    /// The sessions that wait for an answer.
    pub(super) fn pending(&self, conversation: ConversationId) -> Vec<InstanceId> {
        let mut all = self.others(conversation);
        all.retain(|instance| self.standing(*instance) == Some(Standing::Pending));
        all
    }

    /// Takes note that a session's protocol has ended it: the conversation ends.
    pub(super) fn session_closed(&mut self, instance: InstanceId, now: Timestamp) -> bool {
        let current = self.standing(instance) == Some(Standing::Current);
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return false;
        };
        let Ok(found) = self.awake(instance, now) else {
            return false;
        };
        found.record.closed = true;
        let participant = found.participant.clone();
        if let (true, Some(participant)) = (current, participant) {
            self.pairs.remove(participant.as_bytes(), conversation);
        }
        self.put_conversation(instance);
        self.end_invites(instance);
        let sessions = self.by_id.get(&conversation).map(|s| s.current);
        if let (false, Some(open)) = (current, sessions) {
            // The peer closed it in a session that is not the current one here.
            if let Err(error) = self.input(open, cf_core::Input::Close, now) {
                self.rejected("failed.close", &error);
            }
        }
        current
    }
}
