//! Restored from its records, an inbox behaves as before.

use cf_core::*;
use cf_init::InboxProtocol;
use proptest::prelude::*;

use crate::world::{NOW, Raya, Saro, one_time, point, spec};

#[derive(Clone, Debug)]
enum Step {
    Bundle {
        id: u8,
        one_time: bool,
        days: u64,
    },
    /// Send an invite for the n-th bundle.
    Invite(usize),
    /// Receive the n-th invite.
    Receive(usize),
    Revoke(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..6u8, any::<bool>(), 1..30u64)
            .prop_map(|(id, one_time, days)| Step::Bundle { id, one_time, days }),
        4 => any::<usize>().prop_map(Step::Invite),
        6 => any::<usize>().prop_map(Step::Receive),
        1 => (0..6u8).prop_map(Step::Revoke),
        2 => (1..20u64).prop_map(Step::Wait),
    ]
}

/// Takes a step; says what came of it.
fn take(raya: &mut Raya, step: &Step, bundles: &[bytes::Bytes], frames: &[Frame]) -> String {
    match step {
        Step::Bundle {
            id,
            one_time: once,
            days,
        } => {
            let mut spec = if *once { one_time(*id) } else { spec(*id) };
            spec.expires_at = raya
                .now
                .after(std::time::Duration::from_secs(days * 86_400));
            spec.points.truncate(1);
            if id % 2 == 0 {
                spec.points.push(point("other link"));
            }
            format!("{:?}", raya.call(|inbox, env| inbox.make_bundle(spec, env)))
        }
        Step::Invite(_) => format!("{}", bundles.len()),
        Step::Receive(n) => {
            let Some(frame) = frames.get(n % frames.len().max(1)) else {
                return String::new();
            };
            match raya.recognize(frame) {
                None => "not recognized".into(),
                Some(recognized) => match raya.open(recognized) {
                    Ok(Opened::New(new)) => format!("{new:?} {:?}", new.exported.expose()),
                    other => format!("{other:?}"),
                },
            }
        }
        Step::Revoke(id) => {
            raya.call(|inbox, env| inbox.revoke(BundleId([*id; 16]), env));
            String::new()
        }
        Step::Wait(days) => {
            raya.now = raya
                .now
                .after(std::time::Duration::from_secs(days * 86_400));
            raya.call(|inbox, env| inbox.handle_time(env));
            String::new()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restarted_inbox_does_the_same(steps in proptest::collection::vec(step(), 1..40)) {
        let protocol = InboxProtocol::new().with_max_invites(3);
        let mut steady = Raya::with(protocol, 2);
        let mut restarting = Raya::with(protocol, 2);
        let mut saro = Saro::new(1);
        let (mut bundles, mut frames) = (Vec::new(), Vec::new());
        for step in steps {
            let one = take(&mut steady, &step, &bundles, &frames);
            let other = take(&mut restarting, &step, &bundles, &frames);
            prop_assert_eq!(one, other);
            prop_assert_eq!(&steady.records, &restarting.records);
            restarting.restart().unwrap();
            prop_assert_eq!(&steady.listening, &restarting.listening);
            let wake = |raya: &Raya| raya.wake.filter(|at| *at != Timestamp::NEVER);
            prop_assert_eq!(wake(&steady), wake(&restarting));

            saro.now = steady.now;
            if let Step::Bundle { id, .. } = step {
                let key = [&b"b"[..], &[id; 16]].concat();
                if let Some(record) = steady.records.get(&key).unwrap() {
                    bundles.push(record);
                }
            }
            if let Step::Invite(n) = step
                && let Some(record) = bundles.get(n % bundles.len().max(1))
            {
                let keys = match record[1] { 0 => 96, 1 => 128, _ => 0 };
                let bundle = record.slice(2 + keys..);
                if let Ok(handshake) = saro.start(&bundle) {
                    let invite = Invite { sent_at: saro.now, ..crate::world::invite() };
                    frames.push(saro.seal(handshake, &invite).unwrap().frame);
                }
            }
        }
    }

    #[test]
    fn damaged_records_are_typed_errors(
        byte in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        cut in any::<Option<proptest::sample::Index>>(),
    ) {
        let (mut saro, mut raya) = (Saro::new(1), Raya::new(2));
        let bundle = raya.bundle(one_time(1));
        raya.receive_new(&saro.invite(&bundle).0.frame);
        raya.bundle(spec(2));
        for (key, record) in raya.records.0.clone() {
            let mut damaged = record.to_vec();
            damaged[byte.index(record.len())] = value;
            damaged.truncate(cut.map_or(record.len(), |cut| cut.index(record.len())));
            raya.records.0.insert(key.clone(), damaged.into());
            if let Err(error) = raya.restart() {
                prop_assert!(matches!(error.kind(), ErrorKind::Other | ErrorKind::Unsupported));
            }
            raya.records.0.insert(key, record);
        }
    }
}

#[test]
fn a_newer_record_is_unsupported() {
    let mut raya = Raya::new(2);
    raya.bundle(spec(1));
    for (_, value) in raya.records.0.iter_mut() {
        let mut newer = value.to_vec();
        newer[0] = 2;
        *value = newer.into();
    }
    assert_eq!(raya.now, NOW);
    assert_eq!(raya.restart().unwrap_err().kind(), ErrorKind::Unsupported);
}
