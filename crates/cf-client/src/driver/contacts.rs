//! How those who talk already ask each other into a new session: each gives the
//! other its bundles, within the conversation.

use std::time::Duration;

use bytes::Bytes;
use cf_core::{BundleSet, ConversationId, Error, Input, InstanceId, ProtocolId, Result, Timestamp};

use super::Driver;
use super::instances::Standing;
use crate::link::LinkOptions;
use crate::records::{self, CONTACTS, META, wire};

/// How long the bundles may be used that peers are given: 30 days. They are
/// made anew after half of it, and given to who is talked to.
pub const CONTACT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The bundles that this client gives to its peers.
pub(super) struct OwnContact {
    number: u64,
    bundles: BundleSet,
    refresh_at: Timestamp,
    describes: Bytes,
    /// Whether what it says is so.
    is_good: bool,
}

impl Driver {
    /// The number of the bundles that peers should have; that of none if they are
    /// to be made anew.
    pub(super) fn contact_number(&self, now: Timestamp) -> u64 {
        match &self.contact {
            Some(own) if own.is_good && own.refresh_at > now => own.number,
            _ => u64::MAX,
        }
    }

    /// Gives a peer the bundles of this client, if it has others.
    pub(super) fn give_contact(&mut self, instance: InstanceId, now: Timestamp) {
        if let Err(error) = self.try_give_contact(instance, now) {
            self.rejected("failed.contact", &error);
        }
    }

    fn try_give_contact(&mut self, instance: InstanceId, now: Timestamp) -> Result<()> {
        if self
            .standing(instance)
            .is_none_or(|s| s == Standing::Superseded)
        {
            return Ok(());
        }
        let record = &self.awake(instance, now)?.record;
        let given = record.contact;
        if !record.pair || record.closed {
            return Ok(());
        }
        let Some(own) = self.own_contact(now)? else {
            return Ok(());
        };
        let (number, bundles) = (own.number, own.bundles.clone());
        if given == number {
            return Ok(());
        }
        match self.input(instance, Input::Contact(bundles), now) {
            Ok(()) => {}
            Err(error) if error.kind() == cf_core::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        self.awake(instance, now)?.record.contact = number;
        self.put_conversation(instance);
        // This client may have learned a protocol since the peer's came.
        let conversation = self.conversations[&instance].id;
        self.upgrade(conversation, now)
    }

    /// The bundles for peers, made anew where they are old or say what is no
    /// longer so; none without an initialization that authenticates.
    fn own_contact(&mut self, now: Timestamp) -> Result<Option<&OwnContact>> {
        if self.inboxes.is_empty() {
            return Ok(None);
        }
        if self.contact_number(now) == u64::MAX {
            let describes = self.describe();
            let number = self.contact.as_ref().map_or(0, |own| own.number) + 1;
            let options = LinkOptions {
                lifetime: CONTACT_LIFETIME,
                ..LinkOptions::default()
            };
            let (bundles, _) = self.make_bundles(&options, now)?;
            let own = OwnContact {
                number,
                bundles,
                refresh_at: now.after(CONTACT_LIFETIME / 2),
                describes,
                is_good: true,
            };
            let record = wire::OwnContact {
                number,
                contact: Some(write(&own.bundles)),
                refresh_at: own.refresh_at.0,
                describes: own.describes.clone(),
            };
            self.overlay.put(META, "contact", records::write(&record));
            self.contact = Some(own);
        }
        Ok(self.contact.as_ref())
    }

    /// What bundles say of this client.
    pub(super) fn describe(&self) -> Bytes {
        let components = &self.components;
        let initializations = components.initializations.iter().map(|c| c.id().as_str());
        let conversations = components.conversations.iter().map(|c| c.id().as_str());
        let framings = components.framings.iter().map(|c| c.id().as_str());
        let services = components.services.iter().map(|c| c.locator().as_str());
        let all: Vec<_> = (initializations.chain([""]))
            .chain(conversations.chain([""]))
            .chain(framings.chain([""]))
            .chain(services.chain([self.profile.display_name.as_str()]))
            .collect();
        all.join("\n").into()
    }

    pub(super) fn restore_contact(&mut self) -> Result<()> {
        if let Some(value) = self.overlay.get(META, b"contact")? {
            let record: wire::OwnContact = records::read(&value)?;
            let contact = record.contact.ok_or_else(records::damaged)?;
            self.contact = Some(OwnContact {
                number: record.number,
                bundles: read(&contact)?,
                refresh_at: Timestamp(record.refresh_at),
                is_good: record.describes == self.describe(),
                describes: record.describes,
            });
        }
        Ok(())
    }

    /// Takes the bundles of a peer: verified, kept, and the reason for a better
    /// session where both have a better protocol by now.
    pub(super) fn peer_contact_came(
        &mut self,
        instance: InstanceId,
        bundles: BundleSet,
        now: Timestamp,
    ) {
        if let Err(error) = self.try_peer_contact(instance, bundles, now) {
            self.rejected("rejected.contact", &error);
        }
    }

    fn try_peer_contact(
        &mut self,
        instance: InstanceId,
        bundles: BundleSet,
        now: Timestamp,
    ) -> Result<()> {
        let participant = self.awake(instance, now)?.participant.clone();
        let conversation = self.conversations[&instance].id;
        let info = self.read_bundles(&bundles, now)?;
        if info.owner.is_none() || info.owner != participant {
            return Err(Error::rejected("a peer may give only bundles of its own"));
        }
        let record = records::write(&write(&bundles));
        self.overlay.put(
            CONTACTS,
            Bytes::copy_from_slice(conversation.as_bytes()),
            record,
        );
        self.upgrade(conversation, now)
    }

    /// How the peer of a conversation is asked into a new session.
    pub(super) fn peer_contact(&self, conversation: ConversationId) -> Result<Option<BundleSet>> {
        match self.overlay.get(CONTACTS, conversation.as_bytes())? {
            Some(value) => read(&records::read(&value)?).map(Some),
            None => Ok(None),
        }
    }

    /// Begins a session by a better protocol, if both have one. One of the two
    /// decides, so that they don't disagree forever: whose id is the lower.
    fn upgrade(&mut self, conversation: ConversationId, now: Timestamp) -> Result<()> {
        let Ok(instance) = self.instance(conversation, now) else {
            return Ok(());
        };
        let own = self.profile.identity.id().clone();
        let found = self.awake(instance, now)?;
        let decides =
            (found.participant.as_ref()).is_some_and(|peer| own.as_bytes() < peer.as_bytes());
        let protocol = found.protocol.clone();
        let present = self.rank(&protocol);
        if !decides || !self.pending(conversation).is_empty() {
            return Ok(());
        }
        let Some(bundles) = self.peer_contact(conversation)? else {
            return Ok(());
        };
        let info = self.read_bundles(&bundles, now)?;
        let theirs = &info.spec.conversation_protocols;
        let best = (self.components.conversations.iter())
            .find(|c| theirs.contains(c.id()) && c.properties().max_participants == Some(2))
            .map(|c| c.id().clone());
        let to_them = |protocol: &ProtocolId| theirs.iter().position(|other| other == protocol);
        let better = |best: &ProtocolId| {
            let for_them = to_them(&protocol).is_none_or(|now| to_them(best) < Some(now));
            self.rank(best) < present && for_them
        };
        match best {
            Some(best) if better(&best) => {
                self.counters.add("upgrading.session");
                self.ask(&bundles, Some(&best), Some(conversation), now)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The place of a conversation protocol among those of this client.
    pub(super) fn rank(&self, protocol: &ProtocolId) -> usize {
        let all = &self.components.conversations;
        all.iter()
            .position(|c| c.id() == protocol)
            .unwrap_or(usize::MAX)
    }
}

pub(super) fn write(bundles: &BundleSet) -> wire::Contact {
    let bundle = |(initialization, bundle): (&ProtocolId, &Bytes)| wire::contact::Bundle {
        initialization: initialization.as_str().to_owned(),
        bundle: bundle.clone(),
    };
    wire::Contact {
        bundles: bundles.iter().map(bundle).collect(),
    }
}

pub(super) fn read(contact: &wire::Contact) -> Result<BundleSet> {
    let bundle = |bundle: &wire::contact::Bundle| {
        let id = ProtocolId::parse(&bundle.initialization)?;
        Ok((id, bundle.bundle.clone()))
    };
    BundleSet::new(contact.bundles.iter().map(bundle).collect::<Result<_>>()?)
}
