use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cf_core::{
    AgreementKey, Identity, Opened, ParticipantId, ProtocolId, Random, Result, RoutingTag, Secret,
    Timestamp,
};

use super::InitializationUnderTest;
use super::law::{CHEAP, POINT, RESTORED};
use super::scene::{Scene, Side, point, spec};
use crate::Verdict;
use crate::law::ensure;

/// Two inboxes from one seed, of which one is restored from its records before
/// every step, take the same steps and answer the same.
///
/// # Errors
/// The violation, if there is one.
pub fn a_restored_inbox_behaves_as_before(at: InitializationUnderTest) -> Verdict {
    let law = &RESTORED;
    let mut scene = Scene::new(law, &at, 31)?;
    let mut twin = Side::new(law, &at.protocol, (at.identity)(2), 31)?;
    let mut bundles = Vec::new();
    let mut frames = Vec::new();
    for step in 0..60 {
        twin.restart(law)?;
        let what = scene.random.below(6);
        let (one, other) = match what {
            0 | 1 if bundles.len() < 8 => {
                let mut spec = spec(&mut scene.random);
                spec.one_time = what == 1;
                bundles.push((spec.id, scene.raya.bundle(law, spec.clone())?));
                let same = twin.bundle(law, spec)?;
                (bundles.last().map(|(_, bundle)| bundle.clone()), Some(same))
            }
            2 if bundles.len() > 5 => {
                let (id, _) = bundles.remove(0);
                scene.raya.call(|inbox, env| inbox.revoke(id, env));
                twin.call(|inbox, env| inbox.revoke(id, env));
                (None, None)
            }
            3 if !bundles.is_empty() => {
                let chosen = scene.random.below(bundles.len() as u64) as usize;
                frames.push(scene.invite(&bundles[chosen].1.clone())?.sealed.frame);
                (None, None)
            }
            _ if frames.is_empty() => continue,
            _ => {
                let chosen = scene.random.below(frames.len() as u64) as usize;
                let frame = &frames[chosen];
                let answer = |opened| Bytes::from(said(opened));
                (
                    Some(answer(scene.raya.receive(frame))),
                    Some(answer(twin.receive(frame))),
                )
            }
        };
        ensure!(
            law,
            one == other,
            "step {step}: {one:?}, and restored {other:?}"
        );
        let is_same = scene.raya.records == twin.records;
        ensure!(
            law,
            is_same,
            "step {step}: a restored inbox has other records"
        );
        let (one, other) = (&scene.raya.listening, &twin.listening);
        ensure!(
            law,
            one == other,
            "step {step}: it listens at {one:?}, restored at {other:?}"
        );
    }
    Ok(())
}

/// What came of an invite, with its secret.
fn said(opened: Option<Result<Opened>>) -> String {
    match opened {
        Some(Ok(Opened::New(new))) => format!("{new:?} {:?}", new.exported.expose()),
        Some(Err(error)) => format!("{:?}", error.kind()),
        other => format!("{other:?}"),
    }
}

/// An invite is recognized at the points of its bundle; random bytes nowhere.
///
/// # Errors
/// The violation, if there is one.
pub fn an_invite_is_recognized_at_its_point_only(at: InitializationUnderTest) -> Verdict {
    let law = &POINT;
    let mut scene = Scene::new(law, &at, 32)?;
    let bundle = scene.bundle(false)?;
    let mut elsewhere = spec(&mut scene.random);
    elsewhere.points = vec![point("other link")];
    scene.raya.bundle(law, elsewhere)?;
    let frame = scene.invite(&bundle)?.sealed.frame;
    for (name, due) in [("link", true), ("other link", false), ("nowhere", false)] {
        let found = scene
            .raya
            .inbox
            .recognize(&point(name), frame.tag, &frame.body);
        ensure!(law, found.is_some() == due, "at {name:?} it gave {found:?}");
    }
    for round in 0..200 {
        let len = [frame.body.len(), scene.random.below(6000) as usize][round % 2];
        let (mut tag, mut body) = ([0; 16], vec![0; len]);
        scene.random.fill(&mut tag);
        scene.random.fill(&mut body);
        let found = scene
            .raya
            .inbox
            .recognize(&point("link"), RoutingTag(tag), &body.into());
        ensure!(
            law,
            found.is_none(),
            "{len} random bytes were taken for an invite"
        );
    }
    Ok(())
}

/// While it recognizes invites and rubbish, an inbox asks its identity nothing.
///
/// # Errors
/// The violation, if there is one.
pub fn recognizing_costs_no_asymmetric_operation(at: InitializationUnderTest) -> Verdict {
    let law = &CHEAP;
    let counting = Arc::new(Counting {
        inner: (at.identity)(2),
        operations: AtomicUsize::new(0),
    });
    let mut scene = Scene::new(law, &at, 33)?;
    scene.raya = Side::new(law, &at.protocol, counting.clone(), 33)?;
    let bundle = scene.bundle(false)?;
    let frame = scene.invite(&bundle)?.sealed.frame;
    let before = counting.operations.load(Ordering::Relaxed);
    let rubbish = Bytes::from(vec![7; frame.body.len()]);
    for body in [&frame.body, &rubbish] {
        let _ = scene.raya.inbox.recognize(&point("link"), frame.tag, body);
    }
    let count = counting.operations.load(Ordering::Relaxed) - before;
    ensure!(
        law,
        count == 0,
        "{count} operations of the identity for two frames"
    );
    Ok(())
}

/// Counts the operations of an identity.
struct Counting {
    inner: Arc<dyn Identity>,
    operations: AtomicUsize,
}

impl Counting {
    fn counted(&self) -> &dyn Identity {
        self.operations.fetch_add(1, Ordering::Relaxed);
        &*self.inner
    }
}

impl Identity for Counting {
    fn scheme(&self) -> &ProtocolId {
        self.inner.scheme()
    }

    fn id(&self) -> &ParticipantId {
        self.inner.id()
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        self.counted().sign(label, bytes)
    }

    fn verify(&self, who: &ParticipantId, label: &str, bytes: &[u8], found: &[u8]) -> Result<()> {
        self.counted().verify(who, label, bytes, found)
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        self.counted().agreement_key(now)
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        self.counted().agree(own, peer)
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        self.counted().verify_agreement_key(owner, key, now)
    }
}
