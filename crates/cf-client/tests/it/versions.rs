//! One link for old and new clients, and nobody who makes the new use the old.

use std::sync::Arc;

use bytes::Bytes;
use cf_core::{BundleSet, ErrorKind, ProtocolId};

use crate::probes::classical::{CLASSICAL, Classical};
use crate::world::{World, accept, texts};

const INBOX: ProtocolId = cf_init::INBOX;

/// Raya has both versions, Saro both or only the old one.
fn people(world: &mut World, saro_is_old: bool) -> (usize, usize) {
    let saro = world.add("Saro", |components| {
        let initializations = &mut components.initializations;
        if saro_is_old {
            initializations.clear();
        }
        initializations.push(Arc::new(Classical));
    });
    let raya = world.add("Raya", |components| {
        components.initializations.push(Arc::new(Classical));
    });
    (saro, raya)
}

fn ids(bundles: &BundleSet) -> Vec<&ProtocolId> {
    bundles.iter().map(|(id, _)| id).collect()
}

/// The bundles of a set for some of the protocols, in this order.
fn only(bundles: &BundleSet, kept: &[ProtocolId]) -> BundleSet {
    let kept = kept
        .iter()
        .map(|id| (id.clone(), bundles.bundle(id).unwrap().clone()));
    BundleSet::new(kept.collect()).unwrap()
}

/// Which protocols' inboxes have listened for an invite that was opened.
fn asked_by(world: &mut World, node: usize) -> Vec<(String, u64)> {
    let store = world.nodes[node].store.clone();
    let of = |id: &ProtocolId| {
        let namespace = Bytes::from(format!("inbox{id}"));
        cf_core::Store::scan(&store, &namespace, &cf_core::Scan::prefix("")).map(|all| all.len())
    };
    [INBOX, CLASSICAL]
        .iter()
        .map(|id| (id.to_string(), of(id).unwrap_or(0) as u64))
        .collect()
}

fn talk(world: &mut World, saro: usize, raya: usize, bundles: &BundleSet) {
    let bundles = bundles.clone();
    let asked = world.input(saro, move |driver, now| driver.connect(&bundles, None, now));
    let talk = asked.unwrap().unwrap();
    world.settle(5);
    let at_raya = accept(world, raya).unwrap();
    world.settle(10);
    world.send(saro, talk, "hello");
    world.send(raya, at_raya, "hello too");
    world.settle(10);
    assert_eq!(texts(&world.events(raya), at_raya), ["hello"]);
    assert_eq!(texts(&world.events(saro), talk), ["hello too"]);
}

#[test]
fn a_client_that_knows_only_the_older_version_is_reached() {
    let mut world = World::new(1);
    let (saro, raya) = people(&mut world, true);
    let bundles = world.bundles(raya);
    assert_eq!(ids(&bundles), [&INBOX, &CLASSICAL]);
    talk(&mut world, saro, raya, &bundles);
    // Raya knows both, and reaches who has only the older.
    let mut world = World::new(2);
    let (saro, raya) = people(&mut world, true);
    let bundles = world.bundles(saro);
    assert_eq!(ids(&bundles), [&CLASSICAL]);
    talk(&mut world, raya, saro, &bundles);
}

#[test]
fn who_knows_the_newer_is_not_brought_down_to_the_older() {
    let mut world = World::new(3);
    let (saro, raya) = people(&mut world, false);
    let whole = world.bundles(raya);
    let refused = |world: &mut World, bundles: BundleSet| {
        let reading = bundles.clone();
        let read = world.input(saro, move |driver, now| driver.read_bundles(&reading, now));
        let asked = world.input(saro, move |driver, now| driver.connect(&bundles, None, now));
        assert!(world.with(saro, |driver| driver.conversations()).is_empty());
        let (read, asked) = (read.unwrap().unwrap_err(), asked.unwrap().unwrap_err());
        assert_eq!(read.to_string(), asked.to_string());
        asked
    };
    // The newer taken out.
    let error = refused(&mut world, only(&whole, &[CLASSICAL]));
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("/cf/init/inbox/1"), "{error}");
    // The older taken out: not what was made either.
    let error = refused(&mut world, only(&whole, &[INBOX]));
    assert!(error.to_string().contains(CLASSICAL.as_str()), "{error}");
    // Rubbish, or an honest bundle of somebody else, in the place of the newer.
    let oscar = world.add("Oscar", |_| {});
    let oscars = world.bundles(oscar).bundle(&INBOX).unwrap().clone();
    for newer in [Bytes::from_static(b"rubbish"), oscars] {
        let older = whole.bundle(&CLASSICAL).unwrap().clone();
        let set = BundleSet::new(vec![(CLASSICAL, older), (INBOX, newer.clone())]).unwrap();
        if newer == "rubbish" {
            assert_eq!(refused(&mut world, set).kind(), ErrorKind::Malformed);
            continue;
        }
        let read = world.input(saro, move |driver, now| driver.read_bundles(&set, now));
        let oscar = world.nodes[oscar].identity().id().clone();
        assert_eq!(read.unwrap().unwrap().owner, Some(oscar), "who is shown");
    }
    // The list of the older bundle changed.
    let mut older = whole.bundle(&CLASSICAL).unwrap().to_vec();
    let id = b"/cf/init/inbox/1";
    let at = older.windows(id.len()).position(|part| part == id).unwrap();
    older[at + id.len() - 1] = b'9';
    let set = BundleSet::new(vec![(CLASSICAL, older.into())]).unwrap();
    assert_eq!(refused(&mut world, set).kind(), ErrorKind::Rejected);
}

#[test]
fn the_order_of_a_set_chooses_nothing() {
    let opened = [[INBOX, CLASSICAL], [CLASSICAL, INBOX]].map(|order| {
        let mut world = World::new(4);
        let (saro, raya) = people(&mut world, false);
        let bundles = only(&world.bundles(raya), &order);
        let before = asked_by(&mut world, raya);
        talk(&mut world, saro, raya, &bundles);
        (before, asked_by(&mut world, raya))
    });
    assert_eq!(opened[0], opened[1]);
    let (before, after) = &opened[0];
    assert_ne!(before[0], after[0], "the newer inbox has opened an invite");
}
