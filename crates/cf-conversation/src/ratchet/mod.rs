//! The bare double ratchet as a conversation protocol.

mod body;
mod chain_key;
mod conversation;
mod head;
mod header;
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

use std::sync::Arc;

use bytes::Bytes;
use cf_core::{
    ConversationId, ConversationProtocol, Created, Env, Identity, MadeOffer, Offer, OfferId,
    OfferRequest, Properties, ProtocolId, Result, Secret, Setup,
};
use prost::Message;

use crate::Error;
use crate::wire::ratchet::RatchetKey as WireKey;

use conversation::RatchetConversation;
use ratchet_key::RatchetKey;
use session::{Origin, Session};
use setup::Settled;

/// The id of bare conversations.
const RATCHET: ProtocolId = ProtocolId::from_static("/cf/conversation/ratchet/1");

/// Makes conversations of two participants under Signal's Double Ratchet with
/// header encryption. Bare, nothing is resent and nothing is put in order.
pub struct Ratchet {
    id: ProtocolId,
}

impl Ratchet {
    /// Makes the protocol `/cf/conversation/ratchet/1`.
    pub fn new() -> Self {
        Self { id: RATCHET }
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
        concat!(
            env!("CARGO_PKG_REPOSITORY"),
            "/blob/main/docs/spec/conversation-private-1.md"
        )
    }

    fn properties(&self) -> Properties {
        Properties {
            confidential: true,
            authenticated: true,
            forward_secret: true,
            post_compromise_secure: true,
            deniable: true,
            unlinkable: true,
            bidirectional: true,
            max_participants: Some(2),
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
        let origin = Origin::new(exported(&setup)?);
        let settled = Settled::new(&setup, &origin, true)?;
        let own = RatchetKey::random(env.random);
        let parameters = write_key(own.public());
        let session = Session::initiate(&origin, &offered, own)?;
        Ok(Created {
            conversation: Box::new(RatchetConversation::new(settled, session)),
            parameters,
        })
    }

    fn join(&self, setup: Setup, env: &mut Env<'_>) -> Result<Box<dyn cf_core::Conversation>> {
        let secret: [u8; 32] = (setup.offer_secret.as_ref())
            .and_then(|secret| secret.expose().try_into().ok())
            .ok_or(Error::Misuse("the secret of the offer is needed to join"))?;
        let offered = RatchetKey::from_secret(secret);
        let initiator = read_key(&setup.parameters)?;
        let origin = Origin::new(exported(&setup)?);
        let settled = Settled::new(&setup, &origin, false)?;
        let own = RatchetKey::random(env.random);
        let session = Session::respond(&origin, &offered, &initiator, own)?;
        Ok(Box::new(RatchetConversation::new(settled, session)))
    }

    fn restore(
        &self,
        _: ConversationId,
        _: Arc<dyn Identity>,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn cf_core::Conversation>> {
        let restored = RatchetConversation::restore(env).map_err(Error::of_records)?;
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
