//! What both sides get out of a first contact, and what others see of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cf_core::*;
use cf_init::{InboxProtocol, MIN_BODY_LEN};
use cf_testkit::SeededRandom;

use crate::world::{CONVERSATION, Counting, NOW, Raya, Saro, invite, offer, one_time, point, spec};

#[test]
fn both_sides_export_equal_secrets_and_no_two_handshakes_do() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let mut secrets = Vec::new();
    for spec in [spec(1), one_time(2), spec(3)] {
        let one_time = spec.one_time;
        let bundle = raya.bundle(spec);
        for _ in 0..if one_time { 1 } else { 2 } {
            let (sealed, exported) = saro.invite(&bundle);
            let invitation = raya.receive_new(&sealed.frame);
            assert_eq!(invitation.exported.expose(), exported.expose());
            assert_eq!(invitation.precedence, sealed.precedence);
            assert_eq!(invitation.invite, invite());
            assert_eq!(invitation.from.as_ref(), Some(saro.identity.id()));
            assert_eq!(invitation.point, point("link"));
            secrets.push(exported.expose().to_vec());
        }
    }
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 5);
}

#[test]
fn bodies_have_the_lengths_that_messages_have() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let mut body_len = |parameters: usize| {
        let handshake = saro.start(&bundle).unwrap();
        let invite = Invite {
            parameters: vec![7; parameters].into(),
            ..invite()
        };
        let frame = saro.seal(handshake, &invite).unwrap().frame;
        assert_eq!(frame.tag, frame.standing);
        assert_eq!(raya.receive_new(&frame).invite, invite);
        frame.body.len()
    };
    assert_eq!(MIN_BODY_LEN, 4180);
    assert_eq!(body_len(0), 4180);
    // How many bytes of parameters the first class takes, by halving.
    let (mut fits, mut too_many) = (0, 4096);
    while too_many - fits > 1 {
        let middle = usize::midpoint(fits, too_many);
        if body_len(middle) == 4180 {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    assert!(fits > 2000, "only {fits} bytes of parameters fit");
    let next = body_len(fits + 1);
    assert_eq!(next, padding::BODY_OVERHEAD + padding::padded_len(4097));
    for len in [5_000, 17_000, 60_000] {
        let padded = body_len(len) - padding::BODY_OVERHEAD;
        assert_eq!(padding::padded_len(padded), padded);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let mut kind = |change: fn(&mut Invite)| {
        let handshake = saro.start(&bundle).unwrap();
        let mut invite = invite();
        change(&mut invite);
        saro.seal(handshake, &invite).unwrap_err().kind()
    };
    let too_long = kind(|invite| invite.parameters = vec![7; 65_536].into());
    assert_eq!(too_long, ErrorKind::Rejected);
    let too_many = kind(|invite| invite.points = vec![point("saro"); 17]);
    assert_eq!(too_many, ErrorKind::Misuse);
    let too_wordy = kind(|invite| invite.display_name = "S".repeat(257));
    assert_eq!(too_wordy, ErrorKind::Misuse);

    let mut unusable = |change: fn(&mut BundleSpec)| {
        let mut spec = spec(2);
        change(&mut spec);
        let result = raya.call(|inbox, env| inbox.make_bundle(spec, env));
        assert_eq!(raya.outputs, 0);
        result.unwrap_err().kind()
    };
    let changes: [fn(&mut BundleSpec); 6] = [
        |spec| spec.points.clear(),
        |spec| spec.expires_at = NOW,
        |spec| spec.expires_at = Timestamp::NEVER,
        |spec| spec.id = BundleId([1; 16]),
        |spec| spec.offers = vec![offer(1); 33],
        |spec| spec.offers[0].public = vec![7; 33_000].into(),
    ];
    for change in changes {
        assert_eq!(unusable(change), ErrorKind::Misuse);
    }
}

#[test]
fn payloads_share_nothing_and_name_nobody() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let frames: Vec<Frame> = (0..4).map(|_| saro.invite(&bundle).0.frame).collect();
    let payloads: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [frame.tag.as_bytes(), &frame.body[..]].concat())
        .collect();
    let mut seen = std::collections::HashSet::new();
    for (number, payload) in payloads.iter().enumerate() {
        let own: std::collections::HashSet<_> = payload.windows(8).collect();
        assert_eq!(
            own.len(),
            payload.len() - 7,
            "payload {number} repeats itself"
        );
        assert!(own.iter().all(|window| seen.insert(window.to_vec())));
    }
    let known = [
        &bundle[..],
        saro.identity.id().as_bytes(),
        &saro.identity.agreement_key(NOW).unwrap().public,
        raya.identity.id().as_bytes(),
        b"/cf/init/inbox/1",
        b"/example/conversation/chess/7",
        b"https://example.org/chess",
        &CONVERSATION.0[..8],
        &invite().id.0[..8],
    ];
    for window in known.iter().flat_map(|bytes| bytes.windows(8)) {
        assert!(!seen.contains(window));
    }
}

#[test]
fn nothing_asymmetric_is_computed_before_a_head_opens() {
    let identity = Arc::new(Counting::new(2));
    let mut raya =
        Raya::with_identity(InboxProtocol::new(), identity.clone(), SeededRandom::new(3));
    let bundle = raya.bundle(spec(1));
    let (sealed, _) = Saro::new(1).invite(&bundle);
    let made = identity.operations();

    let strange = Frame::new(sealed.frame.tag, vec![7; 4180]);
    assert!(raya.recognize(&strange).is_none());
    let recognized = raya.recognize(&sealed.frame).unwrap();
    assert_eq!(identity.operations.load(Ordering::Relaxed), made);
    raya.open(recognized).unwrap();
    assert!(identity.operations() > made);

    // Nor for what came before.
    let opened = identity.operations();
    assert!(matches!(raya.receive(&sealed.frame), Ok(Opened::Repeated)));
    assert_eq!(identity.operations(), opened);
}

#[test]
fn only_bundles_that_name_the_point_are_tried() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let elsewhere = BundleSpec {
        points: vec![point("other link")],
        ..spec(2)
    };
    raya.bundle(elsewhere);
    let frame = saro.invite(&bundle).0.frame;
    let recognize = |name| raya.inbox.recognize(&point(name), frame.tag, &frame.body);
    assert!(recognize("link").is_some());
    assert!(recognize("other link").is_none());
    assert!(recognize("no link").is_none());
}

#[test]
fn secrets_are_not_printed() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let (sealed, exported) = saro.invite(&bundle);
    let recognized = raya.recognize(&sealed.frame).unwrap();
    let printed = format!("{recognized:?}");
    assert_eq!(printed, "Recognized { bundle: BundleId(01010101…), .. }");
    let printed = format!("{:?}", raya.receive(&sealed.frame).unwrap());
    assert!(printed.contains("exported: Secret(32 bytes)"), "{printed}");
    assert!(!printed.contains(&format!("{:?}", exported.expose())));
    // Records hold private keys.
    let change = RecordChange::Put {
        key: Bytes::new(),
        value: raya.records.0.values().next().unwrap().clone(),
    };
    assert!(format!("{change:?}").starts_with("Put("));
}
