use std::time::Duration;

use bytes::Bytes;
use cf_core::{BundleInfo, BundleSpec, ErrorKind};

use super::InitializationUnderTest;
use super::law::{BAD_BUNDLE, BUNDLE, EXPIRED, LISTENS, ONE_TIME, REVOKED};
use super::scene::{DAY, Scene, point, spec};
use crate::law::ensure;
use crate::{Law, Verdict};

/// A sender reads of a bundle what its owner specified.
///
/// # Errors
/// The violation, if there is one.
pub fn a_bundle_reads_as_it_was_specified(at: InitializationUnderTest) -> Verdict {
    let law = &BUNDLE;
    let mut scene = Scene::new(law, &at, 11)?;
    let bare = BundleSpec {
        offers: Vec::new(),
        conversation_protocols: Vec::new(),
        initializations: Vec::new(),
        display_name: String::new(),
        ..spec(&mut scene.random)
    };
    let full = BundleSpec {
        points: vec![point("link"), point("other link")],
        one_time: true,
        generation: u64::MAX,
        ..spec(&mut scene.random)
    };
    for spec in [spec(&mut scene.random), bare, full] {
        let bundle = scene.raya.bundle(law, spec.clone())?;
        let read = at.protocol.read(&*scene.saro, &bundle, scene.now);
        let BundleInfo { spec: found, owner } = law.needs("reading a bundle", read)?;
        let is_same = found.id == spec.id
            && found.points == spec.points
            && found.offers == spec.offers
            && found.conversation_protocols == spec.conversation_protocols
            && found.initializations == spec.initializations
            && found.display_name == spec.display_name
            && found.expires_at == spec.expires_at
            && (found.one_time, found.generation) == (spec.one_time, spec.generation);
        ensure!(law, is_same, "{spec:?} reads as {found:?}");
        let is_right = owner
            .as_ref()
            .is_none_or(|owner| owner == scene.raya.identity.id());
        ensure!(law, is_right, "it is said to be of {owner:?}");
    }
    Ok(())
}

/// The points of a bundle are listened at, also after a restart, and a point no
/// more once no bundle names it.
///
/// # Errors
/// The violation, if there is one.
pub fn a_bundle_is_listened_for(at: InitializationUnderTest) -> Verdict {
    let law = &LISTENS;
    let mut scene = Scene::new(law, &at, 12)?;
    let both = vec![point("link"), point("other link")];
    let first = BundleSpec {
        points: both.clone(),
        ..spec(&mut scene.random)
    };
    let second = spec(&mut scene.random);
    for spec in [&first, &second] {
        scene.raya.bundle(law, spec.clone())?;
    }
    for time in ["once the bundles are made", "after a restart"] {
        let missing = both
            .iter()
            .find(|point| !scene.raya.listening.contains(point));
        ensure!(
            law,
            missing.is_none(),
            "{time}, nobody listens at {missing:?}"
        );
        scene.raya.restart(law)?;
    }
    scene.raya.call(|inbox, env| inbox.revoke(first.id, env));
    let listening = &scene.raya.listening;
    let is_right = listening.contains(&both[0]) && !listening.contains(&both[1]);
    ensure!(
        law,
        is_right,
        "after one of two bundles was revoked: {listening:?}"
    );
    Ok(())
}

/// Bundles that were altered, cut, extended or made up, or that have expired, are
/// neither read nor used.
///
/// # Errors
/// The violation, if there is one.
pub fn a_sender_refuses_a_bad_bundle(at: InitializationUnderTest) -> Verdict {
    let law = &BAD_BUNDLE;
    let mut scene = Scene::new(law, &at, 13)?;
    let bundle = scene.bundle(false)?;
    law.needs("a good bundle", scene.initiate(&bundle))?;
    let mut bad = vec![
        ("no bytes", Bytes::new()),
        ("random bytes", vec![0x5a; 300].into()),
        ("a cut bundle", bundle.slice(..bundle.len() - 1)),
        ("an extended bundle", [&bundle[..], &[0]].concat().into()),
        ("a repeated bundle", [&bundle[..], &bundle].concat().into()),
    ];
    for _ in 0..300 {
        let mut flipped = bundle.to_vec();
        let bit = scene.random.below(bundle.len() as u64 * 8) as usize;
        flipped[bit / 8] ^= 1 << (bit % 8);
        bad.push(("a flipped bit", flipped.into()));
    }
    for (what, bundle) in bad {
        refuses(law, &mut scene, &bundle, what)?;
    }
    scene.now = scene.now.after(7 * DAY + Duration::from_millis(1));
    refuses(law, &mut scene, &bundle, "an expired bundle")
}

fn refuses(law: &Law, scene: &mut Scene<'_>, bundle: &Bytes, what: &str) -> Verdict {
    use ErrorKind::{Malformed, Rejected, Unsupported};
    let read = scene
        .at
        .protocol
        .read(&*scene.saro, bundle, scene.now)
        .map(drop);
    for (call, result) in [("read", read), ("initiate", scene.initiate(bundle))] {
        let kind = result.err().map(|error| error.kind());
        let is_refused = matches!(kind, Some(Malformed | Rejected | Unsupported));
        ensure!(law, is_refused, "{what} gave {kind:?} in {call}");
    }
    Ok(())
}

/// Of two invites for a one-time bundle the first is opened, and the other not,
/// nor after a restart.
///
/// # Errors
/// The violation, if there is one.
pub fn a_one_time_bundle_opens_one_invite(at: InitializationUnderTest) -> Verdict {
    let law = &ONE_TIME;
    let mut scene = Scene::new(law, &at, 14)?;
    for restarts in [false, true] {
        let bundle = scene.bundle(true)?;
        let (first, second) = (scene.invite(&bundle)?, scene.invite(&bundle)?);
        scene.open(&first.sealed.frame)?;
        if restarts {
            scene.raya.restart(law)?;
        }
        scene.raya.refuses(
            law,
            &second.sealed.frame,
            "a second invite for a one-time bundle",
        )?;
    }
    Ok(())
}

/// A revoked bundle opens nothing, not even what was recognized before.
///
/// # Errors
/// The violation, if there is one.
pub fn a_revoked_bundle_opens_nothing(at: InitializationUnderTest) -> Verdict {
    let law = &REVOKED;
    let mut scene = Scene::new(law, &at, 15)?;
    let kept = scene.bundle(false)?;
    let spec = spec(&mut scene.random);
    let records = scene.raya.records.clone();
    let bundle = scene.raya.bundle(law, spec.clone())?;
    let (before, after) = (scene.invite(&bundle)?, scene.invite(&bundle)?);
    scene.open(&before.sealed.frame)?;
    let frame = &after.sealed.frame;
    let recognized = scene
        .raya
        .inbox
        .recognize(&point("link"), frame.tag, &frame.body);
    scene.raya.call(|inbox, env| inbox.revoke(spec.id, env));
    if let Some(recognized) = recognized {
        let opened = scene.raya.call(|inbox, env| inbox.open(recognized, env));
        ensure!(
            law,
            opened.is_err(),
            "what was recognized before gave {opened:?}"
        );
        ensure!(
            law,
            scene.raya.outputs == 0,
            "something was put out for a revoked bundle"
        );
    }
    scene
        .raya
        .refuses(law, frame, "an invite for a revoked bundle")?;
    let is_gone = scene.raya.records == records;
    ensure!(law, is_gone, "records of a revoked bundle are left");
    scene.raya.restart(law)?;
    scene.raya.refuses(
        law,
        frame,
        "an invite for a bundle revoked before a restart",
    )?;
    let sent = scene.invite(&kept)?;
    scene.open(&sent.sealed.frame)?;
    Ok(())
}

/// An invite that comes more than a year after its bundle expired is refused,
/// whether or not the inbox was told the time.
///
/// # Errors
/// The violation, if there is one.
pub fn an_invite_for_what_expired_long_ago_is_refused(at: InitializationUnderTest) -> Verdict {
    let law = &EXPIRED;
    let mut scene = Scene::new(law, &at, 16)?;
    let bundle = scene.bundle(false)?;
    let sent = scene.invite(&bundle)?;
    scene.raya.now = scene.now.after(400 * DAY);
    scene
        .raya
        .refuses(law, &sent.sealed.frame, "an invite after 400 days")?;
    scene.raya.call(|inbox, env| inbox.handle_time(env));
    scene
        .raya
        .refuses(law, &sent.sealed.frame, "an invite after 400 days")?;
    Ok(())
}
