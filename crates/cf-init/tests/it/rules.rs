//! Who may invite whom, when, and how often.

use std::sync::Arc;
use std::time::Duration;

use cf_core::*;
use cf_init::InboxProtocol;
use cf_testkit::SeededRandom;

use crate::world::{Counting, DAY, NOW, Raya, Saro, days, invite, one_time, point, spec};

#[test]
fn the_same_invite_again_changes_nothing() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let (sealed, _) = saro.invite(&bundle);
    raya.receive_new(&sealed.frame);
    let before = raya.records.clone();
    for _ in 0..2 {
        assert!(matches!(raya.receive(&sealed.frame), Ok(Opened::Repeated)));
        assert_eq!(raya.outputs, 0);
        assert_eq!(raya.records, before);
        raya.restart().unwrap();
    }
}

#[test]
fn a_one_time_bundle_is_used_up_by_one_invite() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(one_time(1));
    let (first, _) = saro.invite(&bundle);
    let (second, _) = saro.invite(&bundle);
    let with_keys = raya.records.0.values().next().unwrap().clone();
    raya.receive_new(&first.frame);

    // The record has lost the private keys, which stood before the bundle.
    let without = raya.records.0.values().next().unwrap().clone();
    assert_eq!(with_keys.len() - without.len(), 32 + 64 + 32);
    assert_eq!(without[2..], bundle[..]);
    assert!(
        !without
            .windows(16)
            .any(|window| window == &with_keys[2..18])
    );

    for _ in 0..2 {
        raya.refuses(&second.frame, "used up");
        assert!(matches!(raya.receive(&first.frame), Ok(Opened::Repeated)));
        raya.restart().unwrap();
    }
}

#[test]
fn a_bundle_takes_no_more_invites_than_its_bound() {
    let (mut saro, mut raya) = (
        Saro::new(1),
        Raya::with(InboxProtocol::new().with_max_invites(2), 2),
    );
    let bundle = raya.bundle(spec(1));
    let other = raya.bundle(spec(2));
    let frames: Vec<_> = (0..3).map(|_| saro.invite(&bundle).0.frame).collect();
    raya.receive_new(&frames[0]);
    raya.receive_new(&frames[1]);
    for _ in 0..2 {
        raya.refuses(&frames[2], "all of its 2 invites");
        assert!(matches!(raya.receive(&frames[0]), Ok(Opened::Repeated)));
        raya.restart().unwrap();
    }
    raya.receive_new(&saro.invite(&other).0.frame);
}

#[test]
fn an_invite_is_for_its_recipient_only() {
    let (mut saro, mut raya, mut oscar) = (Saro::new(1), Raya::new(2), Raya::new(3));
    let bundle = raya.bundle(spec(1));
    oscar.bundle(spec(1));
    let (sealed, _) = saro.invite(&bundle);
    assert!(oscar.recognize(&sealed.frame).is_none());
    // Not even if he knows the token and so what the head says.
    let recognized = raya.recognize(&sealed.frame).unwrap();
    let error = oscar.open(recognized).unwrap_err();
    assert_eq!(error.to_string(), "the invite is not authentic");
    assert_eq!(oscar.outputs, 0);
}

#[test]
fn an_expired_bundle_is_refused_by_the_sender() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    saro.now = days(30);
    saro.start(&bundle).unwrap();
    saro.now = days(30).after(Duration::from_millis(1));
    let Err(error) = saro.start(&bundle) else {
        panic!("the bundle has expired");
    };
    assert_eq!(error.to_string(), "the bundle has expired");
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[test]
fn an_invite_waits_as_long_as_retention_and_no_longer() {
    let protocol = InboxProtocol::new().with_retention(2 * DAY);
    let (mut saro, mut raya) = (Saro::new(1), Raya::with(protocol, 2));
    let bundle = raya.bundle(spec(1));
    let (in_time, late) = (saro.invite(&bundle).0, saro.invite(&bundle).0);
    raya.now = days(2);
    raya.receive_new(&in_time.frame);
    raya.now = days(2).after(Duration::from_millis(1));
    raya.refuses(&late.frame, "too old");
}

#[test]
fn an_invite_is_at_most_an_hour_ahead() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let mut sent_at = |sent_at| {
        let handshake = saro.start(&bundle).unwrap();
        let invite = Invite {
            sent_at,
            ..invite()
        };
        saro.seal(handshake, &invite).unwrap().frame
    };
    let hour = NOW.after(Duration::from_secs(3600));
    raya.receive_new(&sent_at(hour));
    let beyond = sent_at(hour.after(Duration::from_millis(1)));
    raya.refuses(&beyond, "more than an hour");
    raya.refuses(&sent_at(Timestamp::NEVER), "more than an hour");
}

#[test]
fn private_keys_are_deleted_when_no_invite_can_come_any_more() {
    let protocol = InboxProtocol::new().with_retention(2 * DAY);
    let (mut saro, mut raya) = (Saro::new(1), Raya::with(protocol, 2));
    let bundle = raya.bundle(spec(1));
    let later = BundleSpec {
        expires_at: days(40),
        points: vec![point("link"), point("other link")],
        ..spec(2)
    };
    raya.bundle(later);
    assert_eq!(raya.wake, Some(days(32)));
    assert_eq!(raya.listening.len(), 2);

    saro.now = days(30);
    let (last, unopened) = (saro.invite(&bundle).0, saro.invite(&bundle).0);
    raya.now = days(32).before(Duration::from_millis(1));
    raya.call(|inbox, env| inbox.handle_time(env));
    assert_eq!((raya.outputs, raya.records.0.len()), (0, 2));
    raya.receive_new(&last.frame);
    assert_eq!(raya.records.0.len(), 3);

    raya.now = days(32);
    // Also if nobody has noted the time yet.
    raya.refuses(&unopened.frame, "expired");
    raya.call(|inbox, env| inbox.handle_time(env));
    // Without keys it tells for another while what comes too late.
    assert_eq!(raya.records.0.len(), 2);
    for restarts in [false, true] {
        if restarts {
            raya.restart().unwrap();
        }
        raya.refuses(&unopened.frame, "expired");
        raya.refuses(&last.frame, "expired");
        assert_eq!(raya.wake, Some(days(34)));
    }
    raya.now = days(34);
    raya.call(|inbox, env| inbox.handle_time(env));
    assert_eq!(raya.records.0.len(), 1);
    assert!(raya.recognize(&unopened.frame).is_none());
    assert_eq!(
        raya.listening.len(),
        2,
        "the other bundle is still listened for"
    );
    assert_eq!(raya.wake, Some(days(42)));

    raya.now = days(44);
    raya.call(|inbox, env| inbox.handle_time(env));
    assert!(raya.records.0.is_empty() && raya.listening.is_empty());
    assert_eq!(raya.wake, Some(Timestamp::NEVER));
}

#[test]
fn a_revoked_bundle_leaves_nothing() {
    let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
    let bundle = raya.bundle(spec(1));
    let (opened, unopened) = (saro.invite(&bundle).0, saro.invite(&bundle).0);
    raya.receive_new(&opened.frame);
    let recognized = raya.recognize(&unopened.frame).unwrap();
    raya.call(|inbox, env| inbox.revoke(BundleId([1; 16]), env));
    assert!(raya.records.0.is_empty() && raya.listening.is_empty());
    assert!(raya.recognize(&opened.frame).is_none());
    let error = raya.open(recognized).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the invite is for no bundle of this inbox"
    );
    raya.call(|inbox, env| inbox.revoke(BundleId([1; 16]), env));
    assert_eq!(raya.outputs, 0);
}

#[test]
fn a_month_s_bundle_can_be_made_and_used_at_any_time() {
    // Whatever the phase of the identity's key periods.
    for day in 0..30 {
        let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
        (saro.now, raya.now) = (days(day), days(day));
        let bundle = raya.bundle(BundleSpec {
            expires_at: days(day + 30),
            ..spec(1)
        });
        saro.now = days(day + 30);
        let (sealed, _) = saro.invite(&bundle);
        raya.now = days(day + 60).before(Duration::from_millis(1));
        raya.receive_new(&sealed.frame);
    }
}

#[test]
fn a_sender_key_without_contribution_is_refused() {
    let mut believing = Counting::new(2);
    believing.believes = true;
    let mut raya = Raya::with_identity(
        InboxProtocol::new(),
        Arc::new(believing),
        SeededRandom::new(3),
    );
    let bundle = raya.bundle(spec(1));
    let mut lying = Counting::new(1);
    lying.low_order = true;
    let mut saro = Saro::new(1);
    saro.identity = Arc::new(lying);
    let (sealed, _) = saro.invite(&bundle);
    raya.refuses(&sealed.frame, "does not contribute");
}

#[test]
fn an_uncertified_sender_is_refused() {
    let mut raya = Raya::new(2);
    let bundle = raya.bundle(spec(1));
    let mut lying = Counting::new(1);
    lying.low_order = true;
    let mut saro = Saro::new(1);
    saro.identity = Arc::new(lying);
    let (sealed, _) = saro.invite(&bundle);
    raya.refuses(&sealed.frame, "signature does not hold");
}
