//! The bare double ratchet as a conversation protocol.

mod body;
mod chain_key;
mod conversation;
mod ending;
mod exchange;
mod head;
mod header;
mod healing;
mod kem_key;
mod message_key;
mod plaintext;
mod points;
mod ratchet_key;
mod root_key;
mod session;
mod setup;
mod skipped;
mod window;

#[cfg(test)]
mod tests;

pub use healing::HealingSettings;

use std::sync::Arc;

use bytes::Bytes;
use cf_core::padding::{BODY_OVERHEAD, FLOOR};
use cf_core::{
    ConversationId, ConversationProtocol, Created, Env, Identity, MadeOffer, Offer, OfferId,
    OfferRequest, Properties, ProtocolId, Result, Secret, Setup, Timestamp,
};
use prost::Message;

use crate::Error;
use crate::label::{self, Labels};
use crate::wire::ratchet::RatchetKey as WireKey;

use conversation::RatchetConversation;
use healing::Healing;
use ratchet_key::RatchetKey;
use session::{Origin, Session};
use setup::Settled;

/// The id of bare conversations.
const RATCHET: ProtocolId = ProtocolId::from_static("/cf/conversation/ratchet/1");

/// The id of bare conversations that heal.
const HEALING: ProtocolId = ProtocolId::from_static("/cf/conversation/ratchet/2");

/// Makes conversations of two participants under Signal's Double Ratchet with
/// header encryption. Bare, nothing is resent and nothing is put in order.
pub struct Ratchet {
    id: ProtocolId,
    labels: &'static Labels,
    healing: Option<HealingSettings>,
}

impl Ratchet {
    /// Makes the protocol `/cf/conversation/ratchet/1`.
    pub fn new() -> Self {
        Self {
            id: RATCHET,
            labels: &label::PRIVATE_1,
            healing: None,
        }
    }

    /// Makes the protocol `/cf/conversation/ratchet/2`, which heals also against
    /// somebody who breaks X25519.
    ///
    /// ```
    /// use cf_conversation::Ratchet;
    /// use cf_core::ConversationProtocol;
    /// assert!(Ratchet::healing().properties().post_quantum_healing);
    /// ```
    pub fn healing() -> Self {
        Self::with_healing(HealingSettings::default())
    }

    /// Makes the protocol `/cf/conversation/ratchet/2` with exchanges at other
    /// times than the default ones.
    pub fn with_healing(settings: HealingSettings) -> Self {
        Self {
            id: HEALING,
            labels: &label::PRIVATE_2,
            healing: Some(settings),
        }
    }

    fn healing_of(&self, settled: &Settled, now: Timestamp) -> Option<Healing> {
        let settings = self.healing?;
        Some(Healing::new(settings, settled.initiator, now))
    }

    fn peer_key(&self, setup: &Setup, env: &Env<'_>) -> Result<[u8; 32]> {
        let peer = setup.peer.as_ref();
        let offer = peer
            .and_then(|peer| peer.offer.as_ref())
            .ok_or(Error::Misuse(
                "the peer's offer is needed to make this conversation",
            ))?;
        if offer.protocol != self.id {
            return Err(Error::Misuse("the offer is for another protocol").into());
        }
        if offer.expires_at <= env.now {
            return Err(Error::Rejected("the offer has expired").into());
        }
        Ok(read_key(&offer.public)?)
    }
}

impl Default for Ratchet {
    fn default() -> Self {
        Self::new()
    }
}

impl ConversationProtocol for Ratchet {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn specification(&self) -> &str {
        match self.healing {
            None => concat!(
                env!("CARGO_PKG_REPOSITORY"),
                "/blob/main/docs/spec/conversation-private-1.md"
            ),
            Some(_) => concat!(
                env!("CARGO_PKG_REPOSITORY"),
                "/blob/main/docs/spec/conversation-private-2.md"
            ),
        }
    }

    fn properties(&self) -> Properties {
        Properties {
            confidential: true,
            authenticated: true,
            forward_secret: true,
            post_compromise_secure: true,
            post_quantum_healing: self.healing.is_some(),
            deniable: true,
            unlinkable: true,
            bidirectional: true,
            max_participants: Some(2),
            single_use_tags: true,
            standing_tags: true,
            min_body_len: FLOOR + BODY_OVERHEAD,
            ..Properties::default()
        }
    }

    fn make_offer(&self, request: OfferRequest, env: &mut Env<'_>) -> Result<Option<MadeOffer>> {
        let id = OfferId::random(env.random);
        let key = RatchetKey::random(env.random);
        Ok(Some(MadeOffer {
            offer: Offer {
                protocol: self.id.clone(),
                id,
                public: write_key(key.public()),
                expires_at: request.expires_at,
                one_time: request.one_time,
            },
            secret: Secret::from(&key.secret()[..]),
        }))
    }

    fn create(&self, setup: Setup, env: &mut Env<'_>) -> Result<Created> {
        let offered = self.peer_key(&setup, env)?;
        let origin = Origin::new(exported(&setup)?, self.labels);
        let settled = Settled::new(&setup, &origin, true)?;
        let own = RatchetKey::random(env.random);
        let parameters = write_key(own.public());
        let session = Session::initiate(&origin, &offered, own)?;
        let healing = self.healing_of(&settled, env.now);
        Ok(Created {
            conversation: Box::new(RatchetConversation::new(settled, session, healing)),
            parameters,
        })
    }

    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn cf_core::Conversation>> {
        let secret: [u8; 32] = (setup.offer_secret.as_ref())
            .and_then(|secret| secret.expose().try_into().ok())
            .ok_or(Error::Misuse("the secret of the offer is needed to join"))?;
        let offered = RatchetKey::from_secret(secret);
        let initiator = read_key(&setup.parameters)?;
        let origin = Origin::new(exported(&setup)?, self.labels);
        let settled = Settled::new(&setup, &origin, false)?;
        let own = RatchetKey::random(env.random);
        let session = Session::respond(&origin, &offered, &initiator, own)?;
        let healing = self.healing_of(&settled, env.now);
        Ok(Box::new(RatchetConversation::new(
            settled, session, healing,
        )))
    }

    fn restore(
        &self,
        _: ConversationId,
        _: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn cf_core::Conversation>> {
        let restored = RatchetConversation::restore(self.labels, self.healing, env);
        let restored = restored.map_err(Error::of_records)?;
        Ok(Box::new(restored))
    }
}

fn exported(setup: &Setup) -> Result<&Secret, Error> {
    setup
        .exported
        .as_ref()
        .ok_or(Error::Misuse("the secret of the first contact is needed"))
}

fn write_key(key: &[u8; 32]) -> Bytes {
    let key = Bytes::copy_from_slice(key);
    WireKey { key }.encode_to_vec().into()
}

/// Reads what [`write_key`] wrote, and only that.
fn read_key(bytes: &Bytes) -> Result<[u8; 32], Error> {
    let malformed = || Error::Malformed("not one X25519 key of 32 bytes");
    let message = WireKey::decode(bytes.clone()).map_err(|_| malformed())?;
    let key = message.key[..].try_into().map_err(|_| malformed())?;
    match write_key(&key) == bytes {
        true => Ok(key),
        false => Err(malformed()),
    }
}
