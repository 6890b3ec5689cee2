//! First contacts: being found, asking, and beginning conversations.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    BundleId, BundleInfo, BundleSet, BundleSpec, ConversationId, ConversationProtocol,
    DeliveryPoint, EmptyRecords, Env, Error, InboxOutput, InitializationProtocol, InstanceId,
    OfferRequest, Peer, PeerId, ProtocolId, Result, Setup, Timestamp,
};

use super::instances::{Beginning, Standing};
use super::{Driver, Wake};
use crate::link::LinkOptions;
use crate::records::{self, OFFERS, wire};

/// Keys and values of the secret parts of offers.
type OfferRecords = Vec<(Bytes, Bytes)>;

/// What the bundles of a generation are to say.
pub(super) struct Generation {
    pub(super) points: Vec<DeliveryPoint>,
    pub(super) expires_at: Timestamp,
    pub(super) one_time: bool,
    pub(super) number: u64,
}

/// The ids of bundles, with the initialization of each.
pub(super) type BundleIds = Vec<(ProtocolId, BundleId)>;

impl Driver {
    /// Makes bundles that belong to no link, one for each initialization protocol,
    /// and listens for invites. They can't be revoked, and do not refresh themselves.
    ///
    /// # Errors
    /// `Misuse` without a service, framing or initialization; those of the identity.
    pub fn make_bundles(
        &mut self,
        options: &LinkOptions,
        now: Timestamp,
    ) -> Result<(BundleSet, Timestamp)> {
        let expires_at = now.after(options.lifetime);
        let generation = Generation {
            points: self.components.link_points(&mut *self.random),
            expires_at,
            one_time: options.one_time,
            number: 1,
        };
        Ok((self.make_generation(&generation, now)?.0, expires_at))
    }

    /// Makes one bundle for each initialization protocol, with keys of their own.
    pub(super) fn make_generation(
        &mut self,
        generation: &Generation,
        now: Timestamp,
    ) -> Result<(BundleSet, BundleIds)> {
        let Generation {
            points,
            expires_at,
            one_time,
            number,
        } = generation;
        let (expires_at, one_time) = (*expires_at, *one_time);
        let (offers, secrets) = self.make_offers(expires_at, one_time, now)?;
        let (mut bundles, mut made_so_far) = (Vec::new(), Vec::new());
        for index in 0..self.inboxes.len() {
            let spec = BundleSpec {
                id: BundleId::random(&mut *self.random),
                points: points.clone(),
                offers: offers.clone(),
                conversation_protocols: self.components.conversation_ids(),
                initializations: self.inboxes.iter().map(|inbox| inbox.id.clone()).collect(),
                display_name: self.profile.display_name.clone(),
                expires_at,
                one_time,
                generation: *number,
            };
            let id = spec.id;
            let made = self.with_inbox(index, now, |inbox, env| inbox.make_bundle(spec, env));
            let bundle = match made {
                Ok(bundle) => bundle,
                Err(error) => {
                    self.revoke_bundles(&made_so_far, now);
                    return Err(error);
                }
            };
            made_so_far.push((index, id));
            self.drain_inbox(index, now);
            bundles.push((self.inboxes[index].id.clone(), bundle));
        }
        if bundles.is_empty() {
            return Err(Error::misuse("give the client an initialization protocol"));
        }
        let bundles =
            BundleSet::new(bundles).inspect_err(|_| self.revoke_bundles(&made_so_far, now))?;
        for (key, record) in secrets {
            self.overlay.put(OFFERS, key, record);
        }
        let ids = made_so_far.into_iter();
        let ids = ids.map(|(index, id)| (self.inboxes[index].id.clone(), id));
        Ok((bundles, ids.collect()))
    }

    pub(super) fn revoke_bundles(&mut self, bundles: &[(usize, BundleId)], now: Timestamp) {
        for (index, id) in bundles {
            let _ = self.with_inbox(*index, now, |inbox, env| {
                inbox.revoke(*id, env);
                Ok(())
            });
            self.drain_inbox(*index, now);
        }
    }

    fn make_offers(
        &mut self,
        expires_at: Timestamp,
        one_time: bool,
        now: Timestamp,
    ) -> Result<(Vec<cf_core::Offer>, OfferRecords)> {
        let (mut offers, mut secrets) = (Vec::new(), Vec::new());
        for component in self.components.clone().conversations.iter() {
            let identity = self.profile.identity.clone();
            let request = OfferRequest {
                identity,
                expires_at,
                one_time,
            };
            let mut env = Env {
                now,
                random: &mut *self.random,
                records: &EmptyRecords,
            };
            let Some(made) = component.make_offer(request, &mut env)? else {
                continue;
            };
            let record = wire::OfferSecret {
                secret: Bytes::copy_from_slice(made.secret.expose()),
                expires_at: expires_at.0,
                one_time,
            };
            let key = records::offer_key(component.id(), made.offer.id);
            secrets.push((key, records::write(&record)));
            offers.push(made.offer);
        }
        Ok((offers, secrets))
    }

    /// Says who made these bundles and what they offer, by the initialization
    /// that [`connect`](Self::connect) would take: of those that this client has and
    /// the set holds, the one that this client prefers, however the set is ordered.
    ///
    /// Each bundle names, authenticated, what it was made together with. A set that
    /// lacks one of these which this client has was tampered with: perhaps to make it
    /// use an older protocol.
    ///
    /// # Errors
    /// `Unsupported` if no initialization is common; those of the initialization;
    /// `Rejected` for a set from which bundles were taken.
    pub fn read_bundles(&self, bundles: &BundleSet, now: Timestamp) -> Result<BundleInfo> {
        let (initialization, bundle) = self.choose_initialization(bundles)?;
        let info = initialization.read(&*self.profile.identity, bundle, now)?;
        for component in &self.components.initializations {
            // One that does not hold says nothing, and is not what is used.
            let other = bundles.bundle(component.id());
            let other = other.and_then(|bundle| {
                let read = component.read(&*self.profile.identity, bundle, now);
                read.ok().filter(|other| other.owner == info.owner)
            });
            if let Some(other) = other {
                self.check_complete(bundles, &other)?;
            }
        }
        Ok(info)
    }

    /// Refuses a set that lacks what one of its bundles says was made with it, as far
    /// as this client could use that.
    fn check_complete(&self, bundles: &BundleSet, info: &BundleInfo) -> Result<()> {
        let is_missing =
            |id: &&ProtocolId| bundles.bundle(id).is_none() && self.initialization(id).is_ok();
        match info.spec.initializations.iter().find(is_missing) {
            None => Ok(()),
            Some(id) => Err(Error::rejected(format!(
                "somebody took the owner's bundle for {id} out on the way, perhaps to have an older \
                 protocol used: ask for the link again, by another way"
            ))),
        }
    }

    /// Asks the owner of a bundle into a conversation, by the best
    /// initialization and conversation protocol that both have.
    ///
    /// Two participants have one conversation: with somebody who is known
    /// already it is that one, and what begins is a new session in it. It sends
    /// once the peer has answered; at once if the session before has no answer.
    ///
    /// With `protocol`, by that one, whether or not the owner names it; it begins
    /// another conversation if this client prefers that of the one that there is.
    ///
    /// # Errors
    /// `Unsupported` if nothing is common; those of the initialization and
    /// conversation protocols for the bundle; `Misuse` for one's own.
    pub fn connect(
        &mut self,
        bundles: &BundleSet,
        protocol: Option<&ProtocolId>,
        now: Timestamp,
    ) -> Result<ConversationId> {
        self.know_all(now);
        let info = self.read_bundles(bundles, now)?;
        let known = (info.owner.as_ref())
            .and_then(|owner| self.pair_with(owner))
            .filter(|known| protocol.is_none_or(|by| self.may_renew(*known, by)));
        let same = known.and_then(|known| self.protocol_that_renews(known, &info));
        let instance = self.ask(bundles, protocol.or(same.as_ref()), known, now)?;
        let conversation = self.conversations[&instance].id;
        if known.is_none() {
            self.check_name(info.owner.as_ref(), &info.spec.display_name, now);
        }
        if known.is_some() && !self.has_answer(conversation) {
            self.make_current(instance, now);
        }
        if let Some(owner) = &info.owner {
            // Who asks somebody whose request waits has accepted it.
            self.renew_by_requests_of(owner, now);
        }
        self.settle(now);
        Ok(conversation)
    }

    /// Begins a session with the owner of a bundle and sends the invite: in a
    /// conversation that there is, or in a new one.
    pub(super) fn ask(
        &mut self,
        bundles: &BundleSet,
        protocol: Option<&ProtocolId>,
        known: Option<ConversationId>,
        now: Timestamp,
    ) -> Result<InstanceId> {
        let info = self.read_bundles(bundles, now)?;
        let (initialization, bundle) = self.choose_initialization(bundles)?;
        let identity = self.profile.identity.clone();
        if info.owner.as_ref() == Some(identity.id()) {
            return Err(Error::misuse(
                "this link is your own: give it to somebody else",
            ));
        }
        if let Some(owner) = &info.owner {
            self.check_unblocked(owner)?;
        }
        if !info
            .spec
            .points
            .iter()
            .any(|point| self.components.reaches(point))
        {
            return Err(Error::unsupported(format!(
                "none of the owner's delivery points can be reached; connect to one of: {}",
                services(&info)
            ))
            .for_services(info.spec.points.iter().map(|p| p.locator.clone()).collect()));
        }
        let component = self.choose_conversation(&info, protocol)?;
        let offer = info
            .spec
            .offers
            .iter()
            .find(|offer| offer.protocol == *component.id());
        let peer = Peer {
            id: PeerId(0),
            participant: info.owner.clone(),
            offer: offer.cloned(),
            points: self.components.peer_points(&info.spec.points),
        };
        let conversation = known.unwrap_or_else(|| ConversationId::random(&mut *self.random));
        let points = self
            .components
            .fresh_points(&info.spec.points, &mut *self.random);
        let own = points.iter().map(|info| info.point.clone()).collect();
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &EmptyRecords,
        };
        let handshake = initialization.initiate(&identity, bundle, conversation, &mut env)?;
        let setup = Setup {
            conversation,
            identity,
            peer: Some(peer),
            exported: Some(handshake.exported().clone()),
            offer_secret: None,
            parameters: Bytes::new(),
            points,
            arrived_at: None,
        };
        let created = component.create(setup, &mut env)?;
        let list = info.spec.conversation_protocols.clone();
        let offer = offer.map(|offer| offer.id);
        let id = component.id().clone();
        let invite = self.invite(conversation, &id, created.parameters, offer, list, own, now);
        let mut env = Env {
            now,
            random: &mut *self.random,
            records: &EmptyRecords,
        };
        let sealed = handshake.seal(&invite, &mut env)?;
        for point in info
            .spec
            .points
            .iter()
            .filter(|point| self.components.reaches(point))
        {
            self.encode(point, &sealed.frame)?;
        }
        let mut record = wire::Conversation {
            name: info.spec.display_name,
            precedence: Bytes::copy_from_slice(&sealed.precedence),
            own: true,
            invited_at: now.0,
            renews: known.is_some(),
            ..wire::Conversation::default()
        };
        if known.is_some() {
            Standing::Pending.put(&mut record);
        }
        let beginning = Beginning {
            conversation,
            protocol: id,
            participant: info.owner,
            record,
        };
        let instance = self.start(beginning, created.conversation, now);
        self.send_invite(instance, PeerId(0), &info.spec.points, &sealed, now)?;
        Ok(instance)
    }

    /// Applies all outputs of an inbox.
    pub(super) fn drain_inbox(&mut self, index: usize, now: Timestamp) {
        let reception = &mut self.inboxes[index];
        let namespace = records::inbox_namespace(&reception.id);
        let outputs: Vec<_> = std::iter::from_fn(|| reception.inbox.poll_output()).collect();
        for output in outputs {
            match output {
                InboxOutput::Listen(point) => self.listen(&point, |l| {
                    l.inboxes.insert(index);
                }),
                InboxOutput::Unlisten(point) => self.unlisten(&point, |l| {
                    l.inboxes.remove(&index);
                }),
                InboxOutput::Record(change) => self.overlay.apply(namespace.clone(), change),
                InboxOutput::WakeAt(at) => {
                    let before = self.inboxes[index].wake.replace(at.max(now));
                    self.set_wake(before, at.max(now), Wake::Inbox(index));
                }
                _ => self.counters.add("unsupported.output"),
            }
        }
    }

    pub(super) fn wake_inbox(&mut self, index: usize, now: Timestamp) {
        self.inboxes[index].wake = None;
        let _ = self.with_inbox(index, now, |inbox, env| {
            inbox.handle_time(env);
            Ok(())
        });
        self.drain_inbox(index, now);
    }

    pub(super) fn choose_initialization<'a>(
        &self,
        bundles: &'a BundleSet,
    ) -> Result<(Arc<dyn InitializationProtocol>, &'a Bytes)> {
        let both = |component: &Arc<dyn InitializationProtocol>| {
            bundles
                .bundle(component.id())
                .map(|bundle| (component.clone(), bundle))
        };
        self.components
            .initializations
            .iter()
            .find_map(both)
            .ok_or_else(|| {
                let theirs: Vec<_> = bundles.iter().map(|(id, _)| id.as_str()).collect();
                Error::unsupported(format!(
                    "this client has none of the owner's initialization protocols: {}",
                    theirs.join(", ")
                ))
            })
    }

    fn choose_conversation(
        &self,
        info: &BundleInfo,
        protocol: Option<&ProtocolId>,
    ) -> Result<Arc<dyn ConversationProtocol>> {
        if let Some(protocol) = protocol {
            return self.conversation_protocol(protocol);
        }
        let theirs = &info.spec.conversation_protocols;
        let both = |c: &&Arc<dyn ConversationProtocol>| theirs.contains(c.id());
        self.components
            .conversations
            .iter()
            .find(both)
            .cloned()
            .ok_or_else(|| {
                let theirs: Vec<_> = theirs.iter().map(ProtocolId::as_str).collect();
                Error::unsupported(format!(
                    "this client has none of the owner's conversation protocols: {}",
                    theirs.join(", ")
                ))
            })
    }

    pub(super) fn conversation_protocol(
        &self,
        id: &ProtocolId,
    ) -> Result<Arc<dyn ConversationProtocol>> {
        let missing = || Error::unsupported(format!("this client does not have {id}"));
        self.components
            .conversation(id)
            .cloned()
            .ok_or_else(missing)
    }

    pub(super) fn initialization(
        &self,
        id: &ProtocolId,
    ) -> Result<Arc<dyn InitializationProtocol>> {
        let missing = || Error::unsupported(format!("this client does not have {id}"));
        let mut all = self.components.initializations.iter();
        all.find(|component| component.id() == id)
            .cloned()
            .ok_or_else(missing)
    }
}

fn services(info: &BundleInfo) -> String {
    let mut all: Vec<_> = info
        .spec
        .points
        .iter()
        .map(|p| p.locator.to_string())
        .collect();
    all.sort();
    all.dedup();
    all.join(", ")
}
