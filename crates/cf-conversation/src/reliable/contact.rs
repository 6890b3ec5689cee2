//! How a participant is asked into a new session: said to the peer, and kept
//! until the peer has it.

use cf_core::{BundleSet, Env, ProtocolId, Result, Timestamp};

use crate::Error;
use crate::wire::reliable as wire;

use super::conversation::{RETRY_AFTER, ReliableConversation};
use super::frame::Body;
use super::records;

/// How many bundles a contact takes.
pub(crate) const MAX_BUNDLES: usize = 8;

/// How long a contact is at most, in bytes: its bundles and their protocols' ids.
pub(crate) const MAX_CONTACT: usize = 16 * 1024;

/// The contact that the peer does not have yet.
pub(crate) struct Contact {
    bundles: BundleSet,
    /// The number that it is on its way under.
    sequence: Option<u64>,
    /// When it is sent, if it is not on its way.
    due: Timestamp,
    /// Whether the present points take no frame of its size.
    too_long: bool,
}

pub(crate) fn encode(bundles: &BundleSet) -> wire::Contact {
    let bundle = |(protocol, bundle): (&ProtocolId, &bytes::Bytes)| wire::Bundle {
        protocol: protocol.as_str().to_owned(),
        bundle: bundle.clone(),
    };
    wire::Contact {
        bundles: bundles.iter().map(bundle).collect(),
    }
}

pub(crate) fn decode(contact: wire::Contact) -> Result<BundleSet, Error> {
    let malformed = |_| Error::Malformed("a contact is not a set of bundles");
    let bundle = |bundle: wire::Bundle| Ok((ProtocolId::parse(&bundle.protocol)?, bundle.bundle));
    let bundles: Result<Vec<_>> = contact.bundles.into_iter().map(bundle).collect();
    let bundles = bundles.and_then(BundleSet::new).map_err(malformed)?;
    match is_within_limits(&bundles) {
        true => Ok(bundles),
        false => Err(Error::Malformed("a contact is over its limits")),
    }
}

fn is_within_limits(bundles: &BundleSet) -> bool {
    let len = |(id, bundle): (&ProtocolId, &bytes::Bytes)| id.as_str().len() + bundle.len();
    let total: usize = bundles.iter().map(len).sum();
    bundles.iter().count() <= MAX_BUNDLES && total <= MAX_CONTACT
}

impl ReliableConversation {
    /// Takes the contact that the peer is to learn; it replaces an earlier one.
    pub(super) fn take_contact(&mut self, bundles: BundleSet, env: &mut Env<'_>) -> Result<()> {
        if self.ended || self.superseded.is_some() {
            return Err(Error::Misuse("the conversation sends nothing any more").into());
        }
        if !is_within_limits(&bundles) {
            return Err(Error::Misuse("a contact takes 8 bundles and 16384 bytes").into());
        }
        if (self.contact.as_ref()).is_some_and(|contact| contact.bundles == bundles) {
            return Ok(());
        }
        let due = env.now;
        let before = self.contact.replace(Contact::new(bundles, None, due));
        if let Some(number) = before.and_then(|contact| contact.sequence) {
            self.give_up(number, env);
        }
        self.put_contact();
        Ok(())
    }

    /// Sends the contact if it is due. What does not fit waits for other points.
    pub(super) fn say_contact(&mut self, env: &mut Env<'_>) {
        if self.contact_due() > env.now {
            return;
        }
        let Some(mut contact) = self.contact.take() else {
            return;
        };
        contact.due = Timestamp::NEVER;
        if self.flights.has_room_for_content() {
            let number = self.flights.next();
            match self.transmit(Body::Contact(contact.bundles.clone()), None, env) {
                Ok(()) => contact.sequence = Some(number),
                Err(error) if error.is_retryable() => contact.due = env.now.after(RETRY_AFTER),
                Err(_) => contact.too_long = true,
            }
        }
        let is_sent = contact.sequence.is_some();
        self.contact = Some(contact);
        if is_sent {
            self.put_contact();
        }
    }

    /// When the contact is sent.
    pub(super) fn contact_due(&self) -> Timestamp {
        match &self.contact {
            Some(contact) if !self.ended && self.superseded.is_none() => contact.due,
            _ => Timestamp::NEVER,
        }
    }

    /// Tries again what waits: the peer was heard from, or its points changed.
    pub(super) fn try_contact(&mut self, points_changed: bool, now: Timestamp) {
        if let Some(contact) = &mut self.contact
            && contact.sequence.is_none()
            && contact.due == Timestamp::NEVER
            && (points_changed || !contact.too_long)
        {
            contact.due = now;
            contact.too_long = false;
        }
    }

    /// A frame is no longer on its way; the peer has it, or never gets it.
    pub(super) fn contact_landed(&mut self, number: u64, delivered: bool) {
        let contact = self.contact.as_mut();
        let Some(contact) = contact.filter(|contact| contact.sequence == Some(number)) else {
            return;
        };
        contact.sequence = None;
        match delivered {
            true => {
                self.contact = None;
                self.delete_own(records::CONTACT);
            }
            false => self.put_contact(),
        }
    }

    fn put_contact(&mut self) {
        if let Some(contact) = &self.contact {
            let value = records::encode_contact(&contact.bundles, contact.sequence);
            self.put_own(records::CONTACT, value);
        }
    }
}

impl Contact {
    pub(crate) fn new(bundles: BundleSet, sequence: Option<u64>, due: Timestamp) -> Self {
        Self {
            bundles,
            sequence,
            due: match sequence {
                Some(_) => Timestamp::NEVER,
                None => due,
            },
            too_long: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_takes_8_bundles_and_16384_bytes() {
        let contact = |count: usize, len: usize| {
            let bundle = |number| wire::Bundle {
                protocol: format!("/a/b/{number}"),
                bundle: vec![9; len].into(),
            };
            wire::Contact {
                bundles: (0..count).map(bundle).collect(),
            }
        };
        let most = MAX_CONTACT / MAX_BUNDLES - "/a/b/0".len();
        assert!(decode(contact(MAX_BUNDLES, most)).is_ok());
        assert!(decode(contact(MAX_BUNDLES, most + 1)).is_err());
        assert!(decode(contact(MAX_BUNDLES + 1, 1)).is_err());
        assert!(decode(contact(0, 1)).is_err());
    }
}
