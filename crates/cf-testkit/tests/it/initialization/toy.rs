//! Initialization by a shared key, and eighteen ways to get it wrong. The cipher
//! is a toy as well: a hash as a key stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cf_core::*;
use sha2::{Digest, Sha256};

use super::codec::{Reader, Writer};

/// What is wrong with a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    GivesOneSecretToAll,
    IgnoresTheConversation,
    LosesTheName,
    RefusesTheUnknown,
    SealsAnyConversation,
    ShowsTheConversation,
    LosesAnOffer,
    ForgetsToListen,
    TakesAlteredBundles,
    TakesExpiredBundles,
    OpensOneTimeTwice,
    OpensRevoked,
    OpensForEver,
    OpensTampered,
    StoresBeforeAuthenticating,
    OpensOthers,
    AcceptsAReplay,
    ForgetsAtRestart,
    RecognizesAnywhere,
    SignsToRecognize,
}

/// Bundle: specification ‖ mac (32). Invite: salt (32) ‖ hint (16) ‖ mac (32) ‖
/// sealed invite.
#[derive(Clone)]
pub(super) struct Toy {
    id: ProtocolId,
    key: [u8; 32],
    fault: Option<Fault>,
}

const HEAD_LEN: usize = 32 + 16 + 32;
/// How long after its bundle expired an invite may come.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Toy {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let id = ProtocolId::from_static("/toy/init/1");
        Self {
            id,
            key: [7; 32],
            fault,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn hash(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn sealed(&self, salt: &[u8], bytes: &[u8]) -> Vec<u8> {
        let blocks = bytes.chunks(32).enumerate();
        let sealed = blocks.flat_map(|(number, block)| {
            let stream = self.hash("stream", &[salt, &number.to_be_bytes()]);
            block
                .iter()
                .zip(stream)
                .map(|(byte, mask)| byte ^ mask)
                .collect::<Vec<_>>()
        });
        sealed.collect()
    }

    fn exported(&self, salt: &[u8], bundle: BundleId, conversation: ConversationId) -> Secret {
        let salt = if self.is(Fault::GivesOneSecretToAll) {
            &[]
        } else {
            salt
        };
        let conversation = match self.is(Fault::IgnoresTheConversation) {
            true => [0; 16],
            false => conversation.0,
        };
        Secret::new(
            self.hash("exported", &[salt, bundle.as_bytes(), &conversation])
                .to_vec(),
        )
    }
}

impl InitializationProtocol for Toy {
    fn id(&self) -> &ProtocolId {
        &self.id
    }

    fn read(&self, _: &dyn Identity, bundle: &Bytes, now: Timestamp) -> Result<BundleInfo> {
        let mut reader = Reader(bundle.clone());
        let encoded = reader.take(bundle.len().saturating_sub(32))?;
        let is_ours = reader.0 == self.hash("bundle", &[&encoded])[..];
        if !is_ours && !self.is(Fault::TakesAlteredBundles) {
            return Err(Error::rejected("the bundle is not of this key"));
        }
        let mut reader = Reader(encoded);
        let mut spec = reader.spec()?;
        reader.end()?;
        if spec.expires_at <= now && !self.is(Fault::TakesExpiredBundles) {
            return Err(Error::rejected("the bundle has expired"));
        }
        if self.is(Fault::LosesAnOffer) {
            spec.offers.pop();
        }
        Ok(BundleInfo { spec, owner: None })
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
            toy: self.clone(),
            bundle,
            conversation,
            salt,
            exported,
        }))
    }

    fn inbox(&self, identity: Arc<dyn Identity>, env: &mut Env<'_>) -> Result<Box<dyn Inbox>> {
        let mut letters = Letters {
            toy: self.clone(),
            identity,
            bundles: BTreeMap::new(),
            seen: BTreeSet::new(),
            outputs: VecDeque::new(),
        };
        for (key, value) in env.records.scan(&Scan::prefix(""))? {
            match value.is_empty() {
                true if self.is(Fault::ForgetsAtRestart) => {}
                true => drop(letters.seen.insert(key)),
                false => letters.keep(Reader(value).spec()?),
            }
        }
        Ok(Box::new(letters))
    }
}

struct First {
    toy: Toy,
    bundle: BundleId,
    conversation: ConversationId,
    salt: [u8; 32],
    exported: Secret,
}

impl Handshake for First {
    fn exported(&self) -> &Secret {
        &self.exported
    }

    fn seal(self: Box<Self>, invite: &Invite, env: &mut Env<'_>) -> Result<SealedInvite> {
        let Self {
            toy, bundle, salt, ..
        } = *self;
        if invite.conversation != self.conversation && !toy.is(Fault::SealsAnyConversation) {
            return Err(Error::misuse("the handshake is for another conversation"));
        }
        let mut tag = RoutingTag(env.draw());
        if toy.is(Fault::ShowsTheConversation) {
            tag = RoutingTag(invite.conversation.0);
        }
        let mut writer = Writer(Vec::new());
        writer.invite(invite);
        let sealed = toy.sealed(&salt, &writer.0);
        let hint = toy.hash("hint", &[&salt, bundle.as_bytes()]);
        let mac = toy.hash("mac", &[&salt, tag.as_bytes(), bundle.as_bytes(), &sealed]);
        let body = [&salt[..], &hint[..16], &mac, &sealed].concat();
        Ok(SealedInvite {
            frame: Frame::new(tag, body),
            precedence: toy.hash("precedence", &[&salt]),
        })
    }
}

struct Letters {
    toy: Toy,
    identity: Arc<dyn Identity>,
    bundles: BTreeMap<BundleId, BundleSpec>,
    /// Bundle and salt of every invite that was opened.
    seen: BTreeSet<Bytes>,
    outputs: VecDeque<InboxOutput>,
}

impl Letters {
    fn keep(&mut self, spec: BundleSpec) {
        if !self.toy.is(Fault::ForgetsToListen) {
            self.outputs
                .extend(spec.points.iter().cloned().map(InboxOutput::Listen));
        }
        self.bundles.insert(spec.id, spec);
    }

    fn record(&mut self, change: RecordChange) {
        self.outputs.push_back(InboxOutput::Record(change));
    }

    fn remember(&mut self, key: Bytes) {
        self.seen.insert(key.clone());
        self.record(RecordChange::Put {
            key,
            value: Bytes::new(),
        });
    }
}

impl Inbox for Letters {
    fn make_bundle(&mut self, spec: BundleSpec, _: &mut Env<'_>) -> Result<Bytes> {
        if self.bundles.contains_key(&spec.id) {
            return Err(Error::misuse("a bundle needs an id of its own"));
        }
        let mut writer = Writer(Vec::new());
        writer.spec(&spec);
        let mac = self.toy.hash("bundle", &[&writer.0]);
        let key = Bytes::copy_from_slice(spec.id.as_bytes());
        self.record(RecordChange::Put {
            key,
            value: writer.0.clone().into(),
        });
        self.keep(spec);
        Ok([&writer.0[..], &mac].concat().into())
    }

    fn recognize(
        &self,
        point: &DeliveryPoint,
        tag: RoutingTag,
        body: &Bytes,
    ) -> Option<Recognized> {
        if self.toy.is(Fault::SignsToRecognize) {
            let _ = self.identity.sign("/toy/init/1 recognize", body);
        }
        let head = body.get(..HEAD_LEN)?;
        let mut live = self
            .bundles
            .values()
            .filter(|spec| spec.points.contains(point) || self.toy.is(Fault::RecognizesAnywhere));
        let found = live.find(|spec| {
            let hint = self.toy.hash("hint", &[&head[..32], spec.id.as_bytes()]);
            head[32..48] == hint[..16] || self.toy.is(Fault::OpensOthers)
        })?;
        Some(Recognized {
            bundle: found.id,
            point: point.clone(),
            state: [tag.as_bytes(), &body[..]].concat().into(),
        })
    }

    fn open(&mut self, recognized: Recognized, env: &mut Env<'_>) -> Result<Opened> {
        let Recognized {
            bundle,
            point,
            state,
        } = recognized;
        let toy = self.toy.clone();
        let spec = self.bundles.get(&bundle);
        let spec = spec
            .ok_or(Error::rejected("there is no such bundle"))?
            .clone();
        let mut reader = Reader(state);
        let (tag, salt) = (reader.take(16)?, reader.take(32)?);
        let (_, mac, sealed) = (reader.take(16)?, reader.take(32)?, reader.0);
        let key: Bytes = [bundle.as_bytes(), &salt[..]].concat().into();
        if toy.is(Fault::StoresBeforeAuthenticating) {
            self.remember(key.clone());
        }
        let is_authentic = mac == toy.hash("mac", &[&salt, &tag, bundle.as_bytes(), &sealed])[..];
        let trusts = toy.is(Fault::OpensTampered) || toy.is(Fault::OpensOthers);
        if !is_authentic && !trusts {
            return Err(Error::rejected("the invite is not authentic"));
        }
        if self.seen.contains(&key) && !toy.is(Fault::AcceptsAReplay) {
            return Ok(Opened::Repeated);
        }
        let is_used = self
            .seen
            .iter()
            .any(|key| key.starts_with(bundle.as_bytes()));
        if spec.one_time && is_used && !toy.is(Fault::OpensOneTimeTwice) {
            return Err(Error::rejected("the bundle was used up"));
        }
        if spec.expires_at.after(RETENTION) <= env.now && !toy.is(Fault::OpensForEver) {
            return Err(Error::rejected("the bundle has expired"));
        }
        let mut reader = Reader(toy.sealed(&salt, &sealed).into());
        let mut invite = reader.invite()?;
        reader.end()?;
        if toy.is(Fault::RefusesTheUnknown) {
            return Err(Error::unsupported("an unknown conversation protocol"));
        }
        if toy.is(Fault::LosesTheName) {
            invite.display_name.clear();
        }
        self.remember(key);
        Ok(Opened::New(Box::new(Invitation {
            exported: toy.exported(&salt, bundle, invite.conversation),
            precedence: toy.hash("precedence", &[&salt]),
            invite,
            from: None,
            bundle,
            point,
        })))
    }

    fn revoke(&mut self, bundle: BundleId, _: &mut Env<'_>) {
        if self.toy.is(Fault::OpensRevoked) {
            return;
        }
        let Some(spec) = self.bundles.remove(&bundle) else {
            return;
        };
        for point in spec.points {
            if !self
                .bundles
                .values()
                .any(|other| other.points.contains(&point))
            {
                self.outputs.push_back(InboxOutput::Unlisten(point));
            }
        }
        let (of, kept) = std::mem::take(&mut self.seen)
            .into_iter()
            .partition(|key| key.starts_with(bundle.as_bytes()));
        self.seen = kept;
        let of: BTreeSet<Bytes> = of;
        for key in of
            .into_iter()
            .chain([Bytes::copy_from_slice(bundle.as_bytes())])
        {
            self.record(RecordChange::Delete { key });
        }
    }

    fn handle_time(&mut self, env: &mut Env<'_>) {
        let over = |spec: &&BundleSpec| spec.expires_at.after(RETENTION) <= env.now;
        let over: Vec<_> = self
            .bundles
            .values()
            .filter(over)
            .map(|spec| spec.id)
            .collect();
        over.into_iter().for_each(|bundle| self.revoke(bundle, env));
    }

    fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }
}
