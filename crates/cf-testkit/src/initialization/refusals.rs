use cf_core::{Frame, Opened, Random, RoutingTag};

use super::InitializationUnderTest;
use super::law::{RECIPIENT, REPEATED, TAMPERED};
use super::scene::{Scene, point};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// Invites with bits flipped, cut, extended, put together from two, or under
/// another tag are not opened and store nothing; the true ones then are.
///
/// # Errors
/// The violation, if there is one.
pub fn a_tampered_invite_is_refused_and_nothing_stored(at: InitializationUnderTest) -> Verdict {
    let law = &TAMPERED;
    let mut scene = Scene::new(law, &at, 21)?;
    let bundle = scene.bundle(false)?;
    let (first, second) = (scene.invite(&bundle)?, scene.invite(&bundle)?);
    let (good, other) = (&first.sealed.frame, &second.sealed.frame);
    for _ in 0..400 {
        let (what, bad) = tampered(&mut scene.random, good, other);
        scene.raya.refuses(law, &bad, what)?;
    }
    for sent in [&first, &second] {
        let opened = scene.open(&sent.sealed.frame)?;
        ensure!(
            law,
            opened.invite == sent.invite,
            "after them, a good invite arrived as another"
        );
    }
    Ok(())
}

fn tampered(random: &mut SeededRandom, good: &Frame, other: &Frame) -> (&'static str, Frame) {
    let body = &good.body;
    let place = random.below(body.len() as u64) as usize;
    let with = |what, body: Vec<u8>| {
        (
            what,
            Frame {
                body: body.into(),
                ..good.clone()
            },
        )
    };
    match random.below(8) {
        0 => with("a cut invite", body[..place].to_vec()),
        1 => with("an extended invite", [body, &b"\0"[..]].concat()),
        2 => with(
            "an invite without its beginning",
            body[place + 1..].to_vec(),
        ),
        3 if place > 0 && body.len() == other.body.len() => with(
            "an invite of two parts",
            [&body[..place], &other.body[place..]].concat(),
        ),
        4 => {
            let mut tag = good.tag.0;
            tag[random.below(16) as usize] ^= 1 << random.below(8);
            (
                "an invite under another tag",
                Frame {
                    tag: RoutingTag(tag),
                    ..good.clone()
                },
            )
        }
        5 => {
            let mut noise = vec![0; body.len()];
            random.fill(&mut noise);
            with("random bytes of an invite's length", noise)
        }
        _ => {
            let mut flipped = body.to_vec();
            flipped[place] ^= 1 << random.below(8);
            with("an invite with a flipped bit", flipped)
        }
    }
}

/// Someone else's inbox neither recognizes nor opens an invite, not even what
/// its recipient recognized; then its recipient opens it.
///
/// # Errors
/// The violation, if there is one.
pub fn an_invite_is_for_its_recipient_only(at: InitializationUnderTest) -> Verdict {
    let law = &RECIPIENT;
    let mut scene = Scene::new(law, &at, 22)?;
    let mut oscar = scene.stranger()?;
    let bundle = scene.bundle(false)?;
    let sent = scene.invite(&bundle)?;
    let frame = &sent.sealed.frame;
    oscar.refuses(law, frame, "another's invite")?;
    let recognized = scene
        .raya
        .inbox
        .recognize(&point("link"), frame.tag, &frame.body);
    let Some(recognized) = recognized else {
        return Err(law.broken("its recipient did not recognize an invite"));
    };
    let before = oscar.records.clone();
    let opened = oscar.call(|inbox, env| inbox.open(recognized, env));
    ensure!(
        law,
        opened.is_err(),
        "another's recognized invite gave {opened:?}"
    );
    let is_untouched = oscar.outputs == 0 && oscar.records == before;
    ensure!(law, is_untouched, "another's recognized invite was stored");
    scene.open(frame)?;
    Ok(())
}

/// The same frame again is a repetition and stores nothing, nor after a restart.
///
/// # Errors
/// The violation, if there is one.
pub fn the_same_invite_again_changes_nothing(at: InitializationUnderTest) -> Verdict {
    let law = &REPEATED;
    let mut scene = Scene::new(law, &at, 23)?;
    for one_time in [false, true] {
        let bundle = scene.bundle(one_time)?;
        let sent = scene.invite(&bundle)?;
        scene.open(&sent.sealed.frame)?;
        let records = scene.raya.records.clone();
        for time in ["at once", "after a restart"] {
            match scene.raya.receive(&sent.sealed.frame) {
                Some(Ok(Opened::Repeated)) => {}
                other => return Err(law.broken(format!("again {time}, it gave {other:?}"))),
            }
            let is_unchanged = scene.raya.records == records && scene.raya.outputs == 0;
            ensure!(law, is_unchanged, "again {time}, it put something out");
            scene.raya.restart(law)?;
        }
    }
    Ok(())
}
