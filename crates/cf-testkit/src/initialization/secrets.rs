use std::collections::HashSet;

use cf_core::{ConversationId, EmptyRecords, Env, ErrorKind, Invite};

use super::InitializationUnderTest;
use super::law::{BOUND, OTHER_CONVERSATION, SEALED, SECRETS, SHOWN, UNKNOWN};
use super::scene::{Scene, invite, point};
use crate::law::ensure;
use crate::{SeededRandom, Verdict};

/// Sender and recipient of several invites, to one bundle and to others, have
/// equal secrets, and no two invites have one.
///
/// # Errors
/// The violation, if there is one.
pub fn both_sides_export_equal_secrets_and_no_two_handshakes_do(
    at: InitializationUnderTest,
) -> Verdict {
    let law = &SECRETS;
    let mut scene = Scene::new(law, &at, 1)?;
    let bundles = [
        scene.bundle(false)?,
        scene.bundle(true)?,
        scene.bundle(false)?,
    ];
    let mut secrets = HashSet::new();
    for bundle in [
        &bundles[0],
        &bundles[0],
        &bundles[1],
        &bundles[2],
        &bundles[2],
    ] {
        // Of one conversation: its id must not be all that tells secrets apart.
        let invite = Invite {
            conversation: ConversationId([3; 16]),
            ..invite(&mut scene.random, scene.now)
        };
        let sent = scene.send(bundle, invite)?;
        let opened = scene.open(&sent.sealed.frame)?;
        let (own, other) = (sent.exported.expose(), opened.exported.expose());
        ensure!(law, own == other, "the two sides have different secrets");
        ensure!(law, own.len() >= 16, "a secret has {} bytes", own.len());
        ensure!(
            law,
            secrets.insert(own.to_vec()),
            "two handshakes have one secret"
        );
        let is_same = sent.sealed.precedence == opened.precedence;
        ensure!(
            law,
            is_same,
            "the two sides order crossing invites differently"
        );
    }
    Ok(())
}

/// The same sender with the same randomness has another secret for another
/// conversation.
///
/// # Errors
/// The violation, if there is one.
pub fn the_secret_is_bound_to_the_conversation(at: InitializationUnderTest) -> Verdict {
    let law = &BOUND;
    let mut scene = Scene::new(law, &at, 2)?;
    let bundles = [scene.bundle(false)?, scene.bundle(false)?];
    let export = |bundle: usize, conversation: u8| {
        let mut random = SeededRandom::new(9);
        let mut env = Env {
            now: scene.now,
            random: &mut random,
            records: &EmptyRecords,
        };
        let conversation = ConversationId([conversation; 16]);
        let bundle = &bundles[bundle];
        let handshake = at
            .protocol
            .initiate(&scene.saro, bundle, conversation, &mut env);
        let handshake = law.needs("starting a first contact", handshake)?;
        Ok(handshake.exported().expose().to_vec())
    };
    let one = export(0, 3)?;
    ensure!(
        law,
        one != export(0, 4)?,
        "two conversations have one secret"
    );
    ensure!(law, one != export(1, 3)?, "two bundles have one secret");
    Ok(())
}

/// Everything in an invite arrives, with who sent it, for which bundle, where.
///
/// # Errors
/// The violation, if there is one.
pub fn an_invite_arrives_as_it_was_sealed(at: InitializationUnderTest) -> Verdict {
    let law = &SEALED;
    let mut scene = Scene::new(law, &at, 3)?;
    let bundle = scene.bundle(false)?;
    let read = at.protocol.read(&*scene.saro, &bundle, scene.now);
    let info = law.needs("reading a bundle", read)?;
    let bare = Invite {
        specification: String::new(),
        parameters: "".into(),
        offer: None,
        chosen_from: Vec::new(),
        offers: Vec::new(),
        display_name: String::new(),
        ..invite(&mut scene.random, scene.now)
    };
    for invite in [invite(&mut scene.random, scene.now), bare] {
        let sent = scene.send(&bundle, invite)?;
        let opened = scene.open(&sent.sealed.frame)?;
        ensure!(
            law,
            opened.invite == sent.invite,
            "{:?} arrived",
            opened.invite
        );
        let from = opened.from.as_ref();
        let is_right = from.is_none_or(|from| from == scene.saro.id());
        ensure!(law, is_right, "it is said to come from {from:?}");
        ensure!(
            law,
            opened.bundle == info.spec.id,
            "it is said to be for {:?}",
            opened.bundle
        );
        ensure!(
            law,
            opened.point == point("link"),
            "it is said to have come elsewhere"
        );
    }
    Ok(())
}

/// The conversation protocol that the invite names, its version and where its
/// specification stands arrive though nobody has the protocol.
///
/// # Errors
/// The violation, if there is one.
pub fn an_unknown_conversation_protocol_surfaces(at: InitializationUnderTest) -> Verdict {
    let law = &UNKNOWN;
    let mut scene = Scene::new(law, &at, 4)?;
    let bundle = scene.bundle(false)?;
    for id in [
        "/unheard/of/9",
        "/cf/conversation/private/4000000000",
        "/0/0",
    ] {
        let id = law.needs("an id", cf_core::ProtocolId::parse(id))?;
        let invite = Invite {
            conversation_protocol: id.clone(),
            ..invite(&mut scene.random, scene.now)
        };
        let sent = scene.send(&bundle, invite)?;
        let opened = scene.open(&sent.sealed.frame)?.invite;
        ensure!(
            law,
            opened.conversation_protocol == id,
            "{id} arrived as another"
        );
        let is_there = opened.specification == sent.invite.specification;
        ensure!(
            law,
            is_there,
            "where the specification of {id} stands did not arrive"
        );
    }
    Ok(())
}

/// An invite that names another conversation than its handshake is misuse.
///
/// # Errors
/// The violation, if there is one.
pub fn a_handshake_seals_no_other_conversation(at: InitializationUnderTest) -> Verdict {
    let law = &OTHER_CONVERSATION;
    let mut scene = Scene::new(law, &at, 5)?;
    let bundle = scene.bundle(false)?;
    let invite = invite(&mut scene.random, scene.now);
    let mut env = Env {
        now: scene.now,
        random: &mut scene.random,
        records: &EmptyRecords,
    };
    let other = ConversationId([0xee; 16]);
    let handshake = at.protocol.initiate(&scene.saro, &bundle, other, &mut env);
    let handshake = law.needs("starting a first contact", handshake)?;
    let kind = handshake
        .seal(&invite, &mut env)
        .err()
        .map(|error| error.kind());
    ensure!(
        law,
        kind == Some(ErrorKind::Misuse),
        "sealing another conversation gave {kind:?}"
    );
    Ok(())
}

/// Neither ids nor names nor what two invites have in common can be read from a
/// frame.
///
/// # Errors
/// The violation, if there is one.
pub fn an_invite_shows_no_id(at: InitializationUnderTest) -> Verdict {
    let law = &SHOWN;
    let mut scene = Scene::new(law, &at, 6)?;
    let bundle = scene.bundle(false)?;
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3 {
        let Scene { raya, saro, .. } = &scene;
        let ids = [raya.identity.id().to_bytes(), saro.id().to_bytes()];
        let sent = scene.invite(&bundle)?;
        let frame = &sent.sealed.frame;
        let payload = [
            frame.tag.as_bytes(),
            frame.standing.as_bytes(),
            &frame.body[..],
        ]
        .concat();
        let hidden: [&[u8]; 8] = [
            sent.invite.conversation.as_bytes(),
            sent.invite.id.as_bytes(),
            sent.invite.conversation_protocol.as_str().as_bytes(),
            at.protocol.id().as_str().as_bytes(),
            sent.invite.specification.as_bytes(),
            &sent.invite.parameters,
            &ids[0],
            &ids[1],
        ];
        for bytes in hidden {
            let found = bytes.windows(8).find(|window| shows(&payload, window));
            ensure!(
                law,
                found.is_none(),
                "the frame shows {found:02x?} of {bytes:02x?}"
            );
        }
        frames.push([frame.tag.as_bytes(), &frame.body[..]].concat());
    }
    for (index, frame) in frames.iter().enumerate() {
        for other in &frames[..index] {
            let windows: HashSet<&[u8]> = other.windows(8).collect();
            let shared = frame.windows(8).find(|window| windows.contains(window));
            ensure!(
                law,
                shared.is_none(),
                "two invites share the bytes {shared:02x?}"
            );
        }
    }
    Ok(())
}

fn shows(payload: &[u8], bytes: &[u8]) -> bool {
    payload.windows(bytes.len()).any(|window| window == bytes)
}
