//! An older way to ask: X25519 alone. What a client has that knows nothing newer.
//!
//! Bundle: specification ‖ owner ‖ prekey, and the owner's signature. Invite: random
//! tag, then `E (32) ‖ bundle id (16) ‖ AES-256-GCM(sender ‖ agreement key ‖ invite)`
//! under HKDF(DH(E, prekey)); the exported secret adds DH(sender, prekey).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use cf_core::*;
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use super::codec::{Field, cut, decode, encode};

/// The protocol of this initialization.
pub(crate) const CLASSICAL: ProtocolId = ProtocolId::from_static("/example/init/classical/1");
const BUNDLE: &str = "/example/init/classical/1 bundle";

type Key = [u8; 32];

pub(crate) struct Classical;

fn expand(secret: &[u8], what: &str, bound: &[u8]) -> [u8; 44] {
    let mut out = [0; 44];
    let info = [what.as_bytes(), b"\0", bound].concat();
    let hkdf = Hkdf::<Sha256>::new(None, secret);
    hkdf.expand(&info, &mut out).expect("44 bytes");
    out
}

fn cipher(shared: &[u8], bundle: BundleId) -> (Aes256Gcm, [u8; 12]) {
    let out = expand(shared, "seal", bundle.as_bytes());
    let key = Aes256Gcm::new_from_slice(&out[..32]).expect("a key of 32 bytes");
    (key, out[32..].try_into().expect("12 bytes"))
}

fn exported(shared: &[u8], sender: &[u8], conversation: ConversationId) -> Secret {
    let both = [shared, sender].concat();
    Secret::from(&expand(&both, "exported", conversation.as_bytes())[..32])
}

struct Read {
    spec: BundleSpec,
    owner: ParticipantId,
    prekey: Key,
}

fn read(identity: &dyn Identity, bundle: &Bytes) -> Result<Read> {
    let (signed, signature): (Bytes, Bytes) = decode(bundle.clone())?;
    let (spec, (owner, prekey)): (BundleSpec, (ParticipantId, Key)) = decode(signed.clone())?;
    identity.verify(&owner, BUNDLE, &signed, &signature)?;
    Ok(Read {
        spec,
        owner,
        prekey,
    })
}

impl InitializationProtocol for Classical {
    fn id(&self) -> &ProtocolId {
        static ID: ProtocolId = CLASSICAL;
        &ID
    }

    fn read(&self, identity: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo> {
        let Read { spec, owner, .. } = read(identity, bundle)?;
        match spec.expires_at < now {
            true => Err(Error::rejected("the bundle has expired")),
            false => Ok(BundleInfo {
                spec,
                owner: Some(owner),
            }),
        }
    }

    fn initiate(
        &self,
        identity: &Arc<dyn Identity>,
        bundle: &Bytes,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Handshake>> {
        let Read { spec, prekey, .. } = read(&**identity, bundle)?;
        let ephemeral = StaticSecret::from(env.draw::<32>());
        let shared = ephemeral
            .diffie_hellman(&PublicKey::from(prekey))
            .to_bytes();
        let own = identity.agreement_key(env.now)?;
        let sender = identity.agree(&own.public, &prekey)?;
        Ok(Box::new(First {
            exported: exported(&shared, sender.expose(), conversation),
            sender: (identity.id().clone(), own.public),
            ephemeral: PublicKey::from(&ephemeral).to_bytes(),
            bundle: spec.id,
            shared,
        }))
    }

    fn inbox(&self, identity: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>> {
        let mut inbox = Letterbox {
            identity,
            bundles: BTreeMap::new(),
            seen: BTreeSet::new(),
            outputs: VecDeque::new(),
        };
        for (_, value) in env.records.scan(&Scan::prefix(""))? {
            let (spec, secret): (BundleSpec, Key) = decode(value)?;
            inbox.add(spec, secret);
        }
        Ok(Box::new(inbox))
    }
}

struct First {
    exported: Secret,
    sender: (ParticipantId, Key),
    ephemeral: Key,
    bundle: BundleId,
    shared: Key,
}

impl Handshake for First {
    fn exported(&self) -> &Secret {
        &self.exported
    }

    fn seal(self: Box<Self>, invite: &Invite, env: &mut Env<'_>) -> Result<SealedInvite> {
        let mut plain = encode(&self.sender);
        invite.put(&mut plain);
        let (cipher, nonce) = cipher(&self.shared, self.bundle);
        let sealed = cipher.encrypt(&nonce.into(), &plain[..]);
        let sealed = sealed.map_err(|_| Error::rejected("the invite is too long"))?;
        let body = [&self.ephemeral[..], self.bundle.as_bytes(), &sealed].concat();
        Ok(SealedInvite {
            frame: Frame::new(RoutingTag(env.draw()), body),
            precedence: self.ephemeral,
        })
    }
}

struct Letterbox {
    identity: Arc<dyn Identity>,
    bundles: BTreeMap<BundleId, (BundleSpec, Key)>,
    seen: BTreeSet<Bytes>,
    outputs: VecDeque<InboxOutput>,
}

impl Letterbox {
    fn add(&mut self, spec: BundleSpec, secret: Key) {
        let listens = spec.points.iter().cloned().map(InboxOutput::Listen);
        self.outputs.extend(listens);
        self.bundles.insert(spec.id, (spec, secret));
    }
}

impl Inbox for Letterbox {
    fn make_bundle(&mut self, spec: BundleSpec, env: &mut Env<'_>) -> Result<Bytes> {
        let secret: Key = env.draw();
        let prekey = PublicKey::from(&StaticSecret::from(secret)).to_bytes();
        let mut signed = encode(&spec);
        (self.identity.id().clone(), prekey).put(&mut signed);
        let signed = Bytes::from(signed);
        let signature = self.identity.sign(BUNDLE, &signed)?;
        let key = Bytes::copy_from_slice(spec.id.as_bytes());
        let mut value = encode(&spec);
        secret.put(&mut value);
        let value = value.into();
        self.outputs
            .push_back(InboxOutput::Record(RecordChange::Put { key, value }));
        self.add(spec, secret);
        Ok(encode(&(signed, signature)).into())
    }

    fn recognize(&self, point: &DeliveryPoint, _: RoutingTag, body: &Bytes) -> Option<Recognized> {
        let bundle = BundleId::from_slice(body.get(32..48)?).ok()?;
        let (spec, _) = self.bundles.get(&bundle)?;
        spec.points.contains(point).then(|| Recognized {
            bundle,
            point: point.clone(),
            state: body.clone(),
        })
    }

    fn open(&mut self, recognized: Recognized, _: &mut Env<'_>) -> Result<Opened> {
        let Recognized {
            bundle,
            point,
            state: mut body,
        } = recognized;
        let (_, secret) = self.bundles.get(&bundle).expect("it was recognized");
        let secret = StaticSecret::from(*secret);
        let ephemeral: Key = Field::take(&mut body)?;
        let dh = |key: Key| secret.diffie_hellman(&PublicKey::from(key)).to_bytes();
        let shared = dh(ephemeral);
        cut(&mut body, 16)?;
        let (cipher, nonce) = cipher(&shared, bundle);
        let plain = cipher.decrypt(&nonce.into(), &body[..]);
        let mut plain = Bytes::from(plain.map_err(|_| Error::rejected("not authentic"))?);
        let (from, key) = <(ParticipantId, Key)>::take(&mut plain)?;
        let invite: Invite = decode(plain)?;
        if !self.seen.insert(Bytes::copy_from_slice(&ephemeral)) {
            return Ok(Opened::Repeated);
        }
        Ok(Opened::New(Box::new(Invitation {
            exported: exported(&shared, &dh(key), invite.conversation),
            invite,
            from: Some(from),
            precedence: ephemeral,
            bundle,
            point,
        })))
    }

    fn revoke(&mut self, bundle: BundleId, _: &mut Env<'_>) {
        self.bundles.remove(&bundle);
        let key = Bytes::copy_from_slice(bundle.as_bytes());
        self.outputs
            .push_back(InboxOutput::Record(RecordChange::Delete { key }));
    }

    fn handle_time(&mut self, _: &mut Env<'_>) {}

    fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }
}
