//! Floods: of noise, of invites through a leaked link, of one who is blocked. They
//! cost what is bounded, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cf_client::limits::{MAX_PARKED, MAX_PARKED_BYTES, MAX_REQUESTS, PEEKS};
use cf_client::{Driver, EventKind, LinkOptions, LinkState};
use cf_core::{
    AgreementKey, Content, ContentId, ContentState, Delivery, ErrorKind, Frame, FramingStrategy,
    Identity, ParticipantId, ProtocolId, Random, Result, RoutingTag, Scan, Secret, Store,
    Timestamp,
};
use cf_framing::Tagged;

use crate::links::{accept, ask, labelled, link, links, requests, town};
use crate::world::{World, texts};

/// An identity that counts what it agrees on: no invite opens without that.
struct Counting {
    inner: Arc<dyn Identity>,
    agreements: Arc<AtomicU64>,
}

impl Identity for Counting {
    fn scheme(&self) -> &ProtocolId {
        self.inner.scheme()
    }

    fn id(&self) -> &ParticipantId {
        self.inner.id()
    }

    fn sign(&self, label: &str, bytes: &[u8]) -> Result<Bytes> {
        self.inner.sign(label, bytes)
    }

    fn verify(
        &self,
        signer: &ParticipantId,
        label: &str,
        bytes: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        self.inner.verify(signer, label, bytes, signature)
    }

    fn agreement_key(&self, now: Timestamp) -> Result<AgreementKey> {
        self.inner.agreement_key(now)
    }

    fn agree(&self, own: &[u8; 32], peer: &[u8; 32]) -> Result<Secret> {
        self.agreements.fetch_add(1, Ordering::Relaxed);
        self.inner.agree(own, peer)
    }

    fn verify_agreement_key(
        &self,
        owner: &ParticipantId,
        key: &AgreementKey,
        now: Timestamp,
    ) -> Result<()> {
        self.inner.verify_agreement_key(owner, key, now)
    }
}

/// Counts the agreements of a client from now on.
fn counted(world: &mut World, node: usize) -> Arc<AtomicU64> {
    world.kill(node);
    let agreements = Arc::new(AtomicU64::default());
    let counter = agreements.clone();
    world.nodes[node].wrap_identity(|inner| Arc::new(Counting { inner, agreements }));
    counter
}

fn count(world: &mut World, node: usize, what: &str) -> u64 {
    world.with(node, |driver| driver.counters().of(what))
}

/// The resident memory of this process, in bytes.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1);
    resident.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// With `CF_FLOOD=1000000` of a million payloads.
#[test]
#[allow(clippy::disallowed_methods, reason = "it tells how long it took")]
fn a_flood_of_noise_costs_no_agreement_and_bounded_room() {
    let flood = std::env::var("CF_FLOOD").ok().and_then(|n| n.parse().ok());
    let flood: u64 = flood.unwrap_or(6_000);
    let (mut world, board, raya, others) = town(701, 2);
    let made = link(&mut world, raya, &LinkOptions::default());
    let bundles = board.find(&made.query);
    ask(&mut world, others[0], &bundles);
    let ((locator, address), sent) = world.log.iter().next().expect("an invite");
    let (place, invite) = ((locator.clone(), address.clone()), sent[0].clone());
    let agreements = counted(&mut world, raya);
    let mut body = Tagged
        .router()
        .route(&invite)
        .expect("a frame")
        .body
        .to_vec();
    let (began, before) = (Instant::now(), memory());
    let mut sent = 0;
    while sent < flood {
        let some: Vec<_> = (0..256.min(flood - sent))
            .map(|_| {
                let mut tag = [0; 16];
                world.random.fill(&mut tag);
                world.random.fill(&mut body[..64]);
                let frame = Frame::new(RoutingTag(tag), body.clone());
                Tagged.encode(&frame, 1 << 16).expect("short")
            })
            .collect();
        sent += some.len() as u64;
        world.input(raya, |driver, now| {
            for payload in some {
                let (address, cursor) = (place.1.clone(), None);
                let delivery = Delivery {
                    address,
                    payload,
                    cursor,
                };
                driver.deliver(&place.0, delivery, now);
            }
        });
    }
    let took = began.elapsed();
    let parked = world.nodes[raya].store.scan(b"#parked", &Scan::prefix(""));
    let parked = parked.expect("readable");
    let bytes: usize = parked.iter().map(|(_, value)| value.len()).sum();
    eprintln!(
        "{flood} payloads in {took:?}, {} kept ({bytes} bytes), {} MB more memory",
        parked.len(),
        memory().saturating_sub(before) >> 20
    );
    assert_eq!(agreements.load(Ordering::Relaxed), 0);
    assert!(parked.len() <= MAX_PARKED);
    assert!(bytes <= MAX_PARKED_BYTES + parked.len() * 256);
    assert_eq!(count(&mut world, raya, "parked.payload"), flood);
    assert_eq!(
        count(&mut world, raya, "evicted.payload"),
        flood - parked.len() as u64
    );
    // Who has the link is heard all the same.
    world.run(2);
    ask(&mut world, others[1], &bundles);
    world.run(2);
    assert_eq!(requests(&mut world, raya).len(), 2);
}

#[test]
fn a_flood_through_a_leaked_link_stops_at_its_quota() {
    let (mut world, board, raya, others) = town(702, 40);
    let leaked = LinkOptions {
        quota: 3,
        ..labelled("leaked")
    };
    let leaked = link(&mut world, raya, &leaked);
    let good = link(&mut world, raya, &labelled("good"));
    let bundles = board.find(&leaked.query);
    // Peer is somebody whom she knows by then.
    let peer = others[0];
    let at_peer = ask(&mut world, peer, &bundles);
    world.run(2);
    let with_peer = accept(&mut world, raya, "Other 0");
    world.run(10);
    let agreements = counted(&mut world, raya);
    for other in &others[1..30] {
        ask(&mut world, *other, &bundles);
    }
    world.run(4);
    let all = requests(&mut world, raya);
    assert_eq!(all.len(), 3);
    let shown = &links(&mut world, raya)[0];
    assert_eq!((shown.pending, shown.refused >= 26), (3, true));
    // A few were opened on the side: they might have been of somebody she knows.
    let opened = agreements.load(Ordering::Relaxed);
    assert_eq!(opened, 3 + u64::from(PEEKS));
    assert_eq!(count(&mut world, raya, "peeked.invite"), u64::from(PEEKS));
    // Through another link one is heard.
    ask(&mut world, others[30], &board.find(&good.query));
    world.run(2);
    assert_eq!(requests(&mut world, raya).len(), 4);
    // And so is who has a conversation, even by the link that is full.
    world.now = world.now.after(Duration::from_secs(120));
    world.wipe(peer);
    let again = ask(&mut world, peer, &bundles);
    world.run(30);
    world.send(peer, again, "back again");
    world.run(30);
    assert_eq!(texts(&world.events(raya), with_peer), ["back again"]);
    assert_ne!(at_peer, again);
    assert_eq!(requests(&mut world, raya).len(), 4);
    // What was refused comes again, and is opened once there is room.
    world.kill(raya);
    let first = all[0].id;
    let declined = world.input(raya, |driver, _| driver.decline(first));
    declined.expect("no crash").expect("it is there");
    world.settle(30);
    let now = requests(&mut world, raya);
    assert_eq!(now.iter().filter(|r| r.link == Some(leaked.id)).count(), 3);
    assert!(
        now.iter()
            .any(|r| all.iter().all(|before| before.id != r.id))
    );
    // It stops for good when the link is revoked.
    let revoked = world.input(raya, |driver, now| driver.revoke(leaked.id, now));
    revoked.expect("no crash").expect("it is there");
    for request in requests(&mut world, raya) {
        if request.link == Some(leaked.id) {
            world.input(raya, |driver, _| driver.decline(request.id).is_ok());
        }
    }
    let before = agreements.load(Ordering::Relaxed);
    for other in &others[31..] {
        ask(&mut world, *other, &bundles);
    }
    world.settle(30);
    assert_eq!(requests(&mut world, raya).len(), 1);
    assert_eq!(agreements.load(Ordering::Relaxed), before);
    assert_eq!(
        links(&mut world, raya)[0].refused,
        0,
        "the other has noticed nothing"
    );
}

#[test]
fn a_link_opens_so_many_invites_in_an_hour() {
    let (mut world, board, raya, others) = town(703, 6);
    let made = link(
        &mut world,
        raya,
        &LinkOptions {
            rate: 2,
            ..LinkOptions::default()
        },
    );
    let bundles = board.find(&made.query);
    for other in &others {
        ask(&mut world, *other, &bundles);
    }
    world.run(3);
    world.kill(raya);
    world.run(3);
    assert_eq!(
        requests(&mut world, raya).len(),
        2,
        "the hour goes on after a restart"
    );
    assert_eq!(links(&mut world, raya)[0].opened, 2);
    for hours in 2..4 {
        world.now = world.now.after(Duration::from_secs(60 * 60 + 1));
        // Nobody has an answer, so they ask again.
        world.run(3);
        assert_eq!(requests(&mut world, raya).len(), 2 * hours);
    }
    assert_eq!(links(&mut world, raya)[0].state, LinkState::Live);
}

#[test]
fn requests_of_strangers_stop_no_renewal() {
    let (mut world, board, raya, others) = town(704, 3);
    let wide = LinkOptions {
        quota: 512,
        rate: 10_000,
        ..labelled("wide")
    };
    let all: Vec<_> = (0..3).map(|_| link(&mut world, raya, &wide)).collect();
    let (peer, crowd, last) = (others[0], others[1], others[2]);
    ask(&mut world, peer, &board.find(&all[0].query));
    world.run(2);
    let with_peer = accept(&mut world, raya, "Other 0");
    world.run(10);
    // One record of a request, kept as often as may be under other ids.
    ask(&mut world, crowd, &board.find(&all[0].query));
    world.run(2);
    let store = world.nodes[raya].store.clone();
    let kept = store
        .scan(b"requests", &Scan::prefix(""))
        .expect("readable");
    world.kill(raya);
    let mut batch = cf_core::Batch::default();
    for number in 1..MAX_REQUESTS as u64 {
        // Field 17 is the id, of 16 bytes.
        let mut record = kept[0].1.to_vec();
        let at = record
            .windows(16)
            .position(|w| *w == kept[0].0[..])
            .expect("its id");
        record[at..at + 8].copy_from_slice(&number.to_be_bytes());
        let id = Bytes::copy_from_slice(&record[at..at + 16]);
        batch.put(b"requests".to_vec(), id, record);
    }
    store.commit(&batch).expect("memory takes everything");
    assert_eq!(requests(&mut world, raya).len(), MAX_REQUESTS);
    ask(&mut world, last, &board.find(&all[1].query));
    world.run(2);
    assert_eq!(requests(&mut world, raya).len(), MAX_REQUESTS);
    assert!(count(&mut world, raya, "bounded.request") > 0);
    world.wipe(peer);
    let again = ask(&mut world, peer, &board.find(&all[1].query));
    world.run(30);
    world.send(peer, again, "still here");
    world.run(30);
    assert_eq!(texts(&world.events(raya), with_peer), ["still here"]);
    // There is room again, and who was refused asks again.
    for request in requests(&mut world, raya).into_iter().take(10) {
        world.input(raya, |driver, _| driver.decline(request.id).is_ok());
    }
    world.settle(40);
    let found = requests(&mut world, raya);
    assert!(found.iter().any(|request| request.name == "Other 2"));
}

#[test]
fn who_is_blocked_is_not_heard_and_learns_nothing() {
    for max_awake in [0, 16] {
        let (mut world, board, raya, others) = town(705, 2);
        world.max_awake = max_awake;
        let (saro, oscar) = (others[0], others[1]);
        let made = link(&mut world, raya, &LinkOptions::default());
        let bundles = board.find(&made.query);
        let at_saro = ask(&mut world, saro, &bundles);
        let at_oscar = ask(&mut world, oscar, &bundles);
        world.run(2);
        let with_saro = accept(&mut world, raya, "Other 0");
        world.send(saro, at_saro, "before");
        world.run(30);
        let ids = [saro, oscar].map(|node| world.nodes[node].identity().id().clone());
        for id in &ids {
            let blocked = world.input(raya, |driver, now| driver.block(id, now));
            blocked.expect("no crash").expect("free");
        }
        assert!(requests(&mut world, raya).is_empty(), "Oscar's is declined");
        world.kill(raya);
        // What is on its way still, and what comes now.
        let events = world.events(raya).len();
        world.send(saro, at_saro, "can you hear me?");
        world.send(oscar, at_oscar, "and me?");
        ask(&mut world, oscar, &bundles);
        world.wipe(oscar);
        ask(&mut world, oscar, &bundles);
        world.run(30);
        assert_eq!(world.events(raya).len(), events, "she is told nothing");
        assert!(requests(&mut world, raya).is_empty());
        let dropped = world.with(raya, Driver::blocked);
        assert_eq!(dropped.len(), 2);
        let oscars = dropped
            .iter()
            .find(|b| b.participant == ids[1])
            .expect("he is");
        assert!(oscars.invites >= 2, "{dropped:?}");
        assert_eq!(oscars.name, "Other 1");
        let id = ContentId::new("can you hear me?").expect("short");
        let state = world.with(saro, |driver| driver.state(at_saro, &id));
        assert_eq!(
            state.expect("readable"),
            Some(ContentState::Accepted),
            "not delivered"
        );
        let id = ContentId::new("no").expect("short");
        let content = Content::Bytes("no".into());
        let sent = world.input(raya, |driver, now| driver.send(with_saro, id, content, now));
        assert_eq!(
            sent.expect("no crash").unwrap_err().kind(),
            ErrorKind::Misuse
        );
        assert!(world.with(raya, Driver::conversations)[0].blocked);
        // Saro comes back with a new session: it is an invite as any.
        let theirs = world.bundles(saro);
        let asked = world.input(raya, |driver, now| driver.connect(&theirs, None, now));
        assert_eq!(
            asked.expect("no crash").unwrap_err().kind(),
            ErrorKind::Misuse
        );
        ask(&mut world, saro, &bundles);
        world.run(10);
        let renewed = |event: &cf_client::Event| matches!(event.kind, EventKind::Renewed { .. });
        assert!(!world.events(raya).iter().any(renewed));
        // What his client still sends arrives when the block ends.
        world.kill(raya);
        for id in &ids {
            let unblocked = world.input(raya, |driver, _| driver.unblock(id));
            unblocked.expect("no crash").expect("they are blocked");
        }
        assert!(world.with(raya, Driver::blocked).is_empty());
        world.send(saro, at_saro, "at last");
        world.settle(40);
        let told = texts(&world.events(raya), with_saro);
        assert_eq!(told, ["before", "can you hear me?", "at last"]);
        world.send(raya, with_saro, "yes");
        world.settle(20);
        assert_eq!(texts(&world.events(saro), at_saro), ["yes"]);
    }
}
