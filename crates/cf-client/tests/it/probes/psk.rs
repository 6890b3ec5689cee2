//! Initialization by a pre-shared key, without identity: whoever holds the key
//! may invite, and nobody learns who it was.
//!
//! Bundle: encoded specification ‖ HMAC (32). Invite: random tag, then
//! `salt (32) ‖ hint (16) ‖ AES-256-GCM(invite)`; the hint lets a recipient
//! know its bundle without a trial of the seal.

use std::collections::VecDeque;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use bytes::Bytes;
use cf_core::{
    BundleId, BundleInfo, BundleSpec, ConversationId, DeliveryPoint, Env, Error, Frame, Handshake,
    Identity, Inbox, InboxOutput, InitializationProtocol, Invitation, Invite, Opened, ProtocolId,
    Recognized, RecordChange, Result, RoutingTag, Scan, SealedInvite, Secret, Timestamp,
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::codec::{cut, decode, encode};

const ID: ProtocolId = ProtocolId::from_static("/probe/init/psk/1");
const MAC_LEN: usize = 32;
const SALT_LEN: usize = 32;
const HINT_LEN: usize = 16;
/// The longest invite, encoded, in bytes.
const MAX_INVITE_LEN: usize = 32 * 1024;
/// The most invites that one bundle takes.
const MAX_SEEN: usize = 256;
/// The longest that an invite may have waited, in milliseconds.
const RETENTION: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
const BUNDLE: u8 = b'b';
const SEEN: u8 = b's';

/// The key, and all that is derived from it.
#[derive(Clone)]
pub(crate) struct Psk {
    id: ProtocolId,
    key: Secret,
}

impl Psk {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            id: ID,
            key: Secret::from(&key[..]),
        }
    }

    fn derive<const N: usize>(&self, salt: &[u8], purpose: &str, bytes: &[u8]) -> [u8; N] {
        let mut derived = [0; N];
        let info = [
            ID.as_str().as_bytes(),
            b" ",
            purpose.as_bytes(),
            b"\0",
            bytes,
        ]
        .concat();
        let hkdf = Hkdf::<Sha256>::new(Some(salt), self.key.expose());
        hkdf.expand(&info, &mut derived)
            .expect("a derivation of at most 8160 bytes");
        derived
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let key: [u8; 32] = self.derive(b"", "bundle", b"");
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key);
        mac.expect("HMAC takes any key").chain_update(bytes)
    }

    /// What a salt, drawn by the sender of one invite, stands for.
    fn hint(&self, salt: &[u8], tag: RoutingTag, bundle: BundleId) -> [u8; HINT_LEN] {
        self.derive(salt, "hint", &[tag.as_bytes(), bundle.as_bytes()].concat())
    }

    fn seal(&self, salt: &[u8], bundle: BundleId) -> (Aes256Gcm, [u8; 12]) {
        let key: [u8; 44] = self.derive(salt, "invite", bundle.as_bytes());
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&key[32..]);
        (
            Aes256Gcm::new_from_slice(&key[..32]).expect("a key of 32 bytes"),
            nonce,
        )
    }

    fn exported(&self, salt: &[u8], bundle: BundleId, conversation: ConversationId) -> Secret {
        let bound = [bundle.as_bytes(), conversation.as_bytes()].concat();
        Secret::from(&self.derive::<32>(salt, "exported", &bound)[..])
    }

    fn verify(&self, bundle: &Bytes) -> Result<BundleSpec> {
        let (spec, mac) = split(bundle, bundle.len().saturating_sub(MAC_LEN))?;
        let verified = self.mac(&spec).verify_slice(&mac);
        verified.map_err(|_| Error::rejected("the bundle is not of this key"))?;
        decode(spec)
    }
}

impl InitializationProtocol for Psk {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn read(&self, _: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo> {
        let spec = self.verify(bundle)?;
        match spec.expires_at < now {
            true => Err(Error::rejected("the bundle has expired")),
            false => Ok(BundleInfo { spec, owner: None }),
        }
    }

    fn initiate(
        &self,
        identity: &Arc<dyn Identity>,
        bundle: &Bytes,
        conversation: ConversationId,
        env: &mut Env<'_>,
    ) -> Result<Box<dyn Handshake>> {
        let bundle = self.read(&**identity, bundle, env.now)?.spec.id;
        let salt = env.draw();
        let exported = self.exported(&salt, bundle, conversation);
        Ok(Box::new(First {
            psk: self.clone(),
            bundle,
            conversation,
            salt,
            exported,
        }))
    }

    fn inbox(&self, _: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>> {
        let mut inbox = Letterbox {
            psk: self.clone(),
            bundles: Vec::new(),
            outputs: VecDeque::new(),
        };
        for (key, value) in env.records.scan(&Scan::prefix(vec![BUNDLE]))? {
            let damaged = |_| Error::new(cf_core::ErrorKind::Other, "a record is damaged");
            BundleId::from_slice(&key[1..]).map_err(damaged)?;
            inbox.add(decode(value).map_err(damaged)?);
        }
        Ok(Box::new(inbox))
    }
}

struct First {
    psk: Psk,
    bundle: BundleId,
    conversation: ConversationId,
    salt: [u8; SALT_LEN],
    exported: Secret,
}

impl Handshake for First {
    fn exported(&self) -> &Secret {
        &self.exported
    }

    fn seal(self: Box<Self>, invite: &Invite, env: &mut Env<'_>) -> Result<SealedInvite> {
        if invite.conversation != self.conversation {
            return Err(Error::misuse("the handshake is for another conversation"));
        }
        let plain = encode(invite);
        if plain.len() > MAX_INVITE_LEN {
            return Err(Error::rejected("an invite takes at most 32768 bytes"));
        }
        let tag = RoutingTag(env.draw());
        let (cipher, nonce) = self.psk.seal(&self.salt, self.bundle);
        let sealed = cipher.encrypt(
            &nonce.into(),
            Payload {
                msg: &plain,
                aad: tag.as_bytes(),
            },
        );
        let sealed = sealed.map_err(|_| Error::rejected("the invite is too long"))?;
        let hint = self.psk.hint(&self.salt, tag, self.bundle);
        let frame = Frame::new(tag, [&self.salt[..], &hint, &sealed].concat());
        Ok(SealedInvite {
            frame,
            precedence: self.psk.derive(&self.salt, "precedence", b""),
        })
    }
}

struct Letterbox {
    psk: Psk,
    bundles: Vec<BundleSpec>,
    outputs: VecDeque<InboxOutput>,
}

impl Inbox for Letterbox {
    fn make_bundle(&mut self, spec: BundleSpec, env: &mut Env<'_>) -> Result<Bytes> {
        let known = |other: &BundleSpec| other.id == spec.id;
        if spec.points.is_empty() || spec.expires_at < env.now || self.bundles.iter().any(known) {
            return Err(Error::misuse(
                "a bundle needs a point, a time to live and an id of its own",
            ));
        }
        let encoded = encode(&spec);
        decode::<BundleSpec>(encoded.clone().into()).map_err(|_| Error::misuse("over a limit"))?;
        let mac = self.psk.mac(&encoded).finalize().into_bytes();
        self.put(BUNDLE, &[spec.id.as_bytes()], &encoded);
        self.add(spec);
        Ok([&encoded[..], &mac].concat().into())
    }

    fn recognize(
        &self,
        point: &DeliveryPoint,
        tag: RoutingTag,
        body: &Bytes,
    ) -> Option<Recognized> {
        let (salt, rest) = split(body, SALT_LEN).ok()?;
        let (hint, _) = split(&rest, HINT_LEN).ok()?;
        let here = self
            .bundles
            .iter()
            .filter(|bundle| bundle.points.contains(point));
        let mut ours = here.filter(|bundle| hint == self.psk.hint(&salt, tag, bundle.id)[..]);
        let state = [tag.as_bytes(), body].concat().into();
        ours.next().map(|spec| Recognized {
            bundle: spec.id,
            point: point.clone(),
            state,
        })
    }

    fn open(&mut self, recognized: Recognized, env: &mut Env<'_>) -> Result<Opened> {
        let Recognized {
            bundle,
            point,
            state,
        } = recognized;
        let spec = self.bundles.iter().find(|spec| spec.id == bundle);
        let spec = spec.ok_or_else(|| Error::rejected("the bundle was revoked"))?;
        let (tag, body) = split(&state, 16)?;
        let (salt, rest) = split(&body, SALT_LEN)?;
        let (_, sealed) = split(&rest, HINT_LEN)?;
        let (cipher, nonce) = self.psk.seal(&salt, bundle);
        let plain = cipher.decrypt(
            &nonce.into(),
            Payload {
                msg: &sealed,
                aad: &tag,
            },
        );
        let plain = plain.map_err(|_| Error::rejected("the invite does not authenticate"))?;
        let seen = self.seen(bundle, env)?;
        if seen.iter().any(|(key, _)| key[17..] == salt[..]) {
            return Ok(Opened::Repeated);
        }
        if seen.len() >= if spec.one_time { 1 } else { MAX_SEEN } {
            return Err(Error::rejected("the bundle takes no further invite"));
        }
        let invite: Invite = decode(plain.into())?;
        if invite.sent_at < env.now.before(RETENTION) {
            return Err(Error::rejected("the invite was sent too long ago"));
        }
        self.put(SEEN, &[bundle.as_bytes(), &salt], b"");
        let exported = self.psk.exported(&salt, bundle, invite.conversation);
        let precedence = self.psk.derive(&salt, "precedence", b"");
        let from = None;
        let invitation = Invitation {
            invite,
            from,
            exported,
            precedence,
            bundle,
            point,
        };
        Ok(Opened::New(Box::new(invitation)))
    }

    fn revoke(&mut self, bundle: BundleId, env: &mut Env<'_>) {
        let Some(at) = self.bundles.iter().position(|spec| spec.id == bundle) else {
            return;
        };
        for point in self.bundles.remove(at).points {
            if !self.bundles.iter().any(|spec| spec.points.contains(&point)) {
                self.outputs.push_back(InboxOutput::Unlisten(point));
            }
        }
        let key = [&[BUNDLE], &bundle.0[..]].concat().into();
        self.outputs
            .push_back(InboxOutput::Record(RecordChange::Delete { key }));
        for (key, _) in self.seen(bundle, env).unwrap_or_default() {
            self.outputs
                .push_back(InboxOutput::Record(RecordChange::Delete { key }));
        }
    }

    fn handle_time(&mut self, env: &mut Env<'_>) {
        let ended = |spec: &&BundleSpec| spec.expires_at.after(RETENTION) <= env.now;
        let ended: Vec<_> = self
            .bundles
            .iter()
            .filter(ended)
            .map(|spec| spec.id)
            .collect();
        ended
            .into_iter()
            .for_each(|bundle| self.revoke(bundle, env));
        self.wake();
    }

    fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }
}

impl Letterbox {
    fn add(&mut self, spec: BundleSpec) {
        let listens = spec.points.iter().cloned().map(InboxOutput::Listen);
        self.outputs.extend(listens);
        self.bundles.push(spec);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(first) = self.bundles.iter().map(|spec| spec.expires_at).min() {
            self.outputs
                .push_back(InboxOutput::WakeAt(first.after(RETENTION)));
        }
    }

    fn seen(&self, bundle: BundleId, env: &Env<'_>) -> Result<Vec<(Bytes, Bytes)>> {
        env.records
            .scan(&Scan::prefix([&[SEEN], &bundle.0[..]].concat()))
    }

    fn put(&mut self, kind: u8, key: &[&[u8]], value: &[u8]) {
        let key = [&[kind], &key.concat()[..]].concat().into();
        let value = Bytes::copy_from_slice(value);
        self.outputs
            .push_back(InboxOutput::Record(RecordChange::Put { key, value }));
    }
}

fn split(bytes: &Bytes, len: usize) -> Result<(Bytes, Bytes)> {
    let mut rest = bytes.clone();
    Ok((cut(&mut rest, len)?, rest))
}
