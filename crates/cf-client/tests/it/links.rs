//! Links: they make their keys anew, stop floods, and end without ending a
//! conversation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cf_client::limits::{MAX_GENERATIONS, MAX_LINKS, ROTATE_LINK_EVERY};
use cf_client::{Begun, Driver, EventKind, LinkId, LinkInfo, LinkOptions, LinkState, Request};
use cf_core::{
    Advertised, Advertisement, BoxFuture, BundleInfo, BundleSet, ConversationId, DiscoveryProtocol,
    Error, ErrorKind, ProtocolId, Result, Scan, Secret, Store, Timestamp, Withdrawal,
};
use parking_lot::Mutex;

use crate::world::{Faults, World, texts};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A discovery that refreshes, and can be away.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Notices>>);

#[derive(Default)]
struct Notices {
    away: bool,
    /// How soon it wants to be refreshed; three days unless set.
    every: Option<Duration>,
    /// By query: number, bundles, how often.
    all: BTreeMap<String, (u64, BundleSet, u64)>,
}

pub(crate) const BOARD: ProtocolId = ProtocolId::from_static("/test/discovery/board/1");

impl Board {
    fn post(&self, wanted: Advertisement) -> Result<Advertised> {
        let mut notices = self.0.lock();
        if notices.away {
            return Err(Error::unavailable("the board is away"));
        }
        let query = match &wanted.state {
            Some(state) => String::from_utf8(state.expose().to_vec()).expect("its own"),
            None => format!(
                "board:{}",
                u64::from_be_bytes(wanted.seed[..8].try_into().expect("8"))
            ),
        };
        let before = notices.all.get(&query);
        assert!(
            before.is_none_or(|(number, ..)| *number < wanted.generation),
            "the number of a publication only grows"
        );
        assert!(wanted.expires_at > wanted.now, "it has expired");
        let times = before.map_or(1, |(_, _, times)| times + 1);
        let notice = (wanted.generation, wanted.bundles, times);
        notices.all.insert(query.clone(), notice);
        Ok(Advertised {
            state: Some(Secret::from(query.as_bytes())),
            query,
            refresh_at: Some(wanted.now.after(notices.every.unwrap_or(3 * DAY))),
        })
    }

    pub(crate) fn find(&self, query: &str) -> BundleSet {
        self.0.lock().all[query].1.clone()
    }

    pub(crate) fn set(&self, away: bool, every: Duration) {
        let mut notices = self.0.lock();
        (notices.away, notices.every) = (away, Some(every));
    }

    pub(crate) fn times(&self, query: &str) -> u64 {
        self.0.lock().all[query].2
    }
}

impl DiscoveryProtocol for Board {
    fn id(&self) -> &ProtocolId {
        const { &BOARD }
    }

    fn recognizes(&self, query: &str) -> bool {
        query.starts_with("board:")
    }

    fn advertise(&self, wanted: Advertisement) -> BoxFuture<'_, Result<Advertised>> {
        Box::pin(async move { self.post(wanted) })
    }

    fn withdraw(&self, wanted: Withdrawal) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut notices = self.0.lock();
            if notices.away {
                return Err(Error::unavailable("the board is away"));
            }
            let query = String::from_utf8(wanted.state.expose().to_vec()).expect("its own");
            let (number, ..) = notices.all.remove(&query).expect("it was posted");
            assert!(number < wanted.generation, "it takes the last one's place");
            Ok(())
        })
    }

    fn resolve<'a>(
        &'a self,
        query: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Vec<BundleSet>>> {
        Box::pin(async move { Ok(vec![self.find(query)]) })
    }
}

/// Raya with a board, and so many who may ask her.
pub(crate) fn town(seed: u64, others: usize) -> (World, Board, usize, Vec<usize>) {
    let mut world = World::new(seed);
    let board = Board::default();
    let raya = world.add("Raya", |c| c.discoveries.insert(0, Arc::new(board.clone())));
    let others = (0..others).map(|n| world.add(&format!("Other {n}"), |_| {}));
    let others = others.collect();
    (world, board, raya, others)
}

/// Makes a link, as the shell does.
pub(crate) fn link(world: &mut World, node: usize, options: &LinkOptions) -> LinkInfo {
    try_link(world, node, options).expect("a link")
}

fn try_link(world: &mut World, node: usize, options: &LinkOptions) -> Result<LinkInfo> {
    let begun = world.input(node, |driver, now| driver.begin_link(options, now));
    match begun.expect("no crash")? {
        Begun::Before(info) => Ok(info),
        Begun::Now(publication) => {
            let advertised =
                world.published(node, &publication.discovery, publication.advertisement);
            let link = publication.link;
            let told = world.input(node, |driver, now| driver.advertised(link, advertised, now));
            told.expect("no crash")
        }
    }
}

pub(crate) fn labelled(label: &str) -> LinkOptions {
    LinkOptions {
        label: label.to_owned(),
        ..LinkOptions::default()
    }
}

pub(crate) fn ask(world: &mut World, node: usize, bundles: &BundleSet) -> ConversationId {
    let asked = world.input(node, |driver, now| driver.connect(bundles, None, now));
    asked.expect("no crash").expect("the bundle is good")
}

pub(crate) fn requests(world: &mut World, node: usize) -> Vec<Request> {
    world.with(node, |driver| driver.requests().expect("readable"))
}

pub(crate) fn links(world: &mut World, node: usize) -> Vec<LinkInfo> {
    world.with(node, Driver::links)
}

pub(crate) fn accept(world: &mut World, node: usize, name: &str) -> ConversationId {
    let all = requests(world, node);
    let request = all.iter().find(|r| r.name == name).expect("it came");
    let accepting = |driver: &mut Driver, now| driver.accept(request.id, now);
    let accepted = world.input(node, accepting).expect("no crash");
    accepted.expect("the components are there")
}

/// What the newest bundles behind a link say.
fn read(world: &mut World, node: usize, bundles: &BundleSet) -> BundleInfo {
    let now = world.now;
    let read = world.with(node, |driver| driver.read_bundles(bundles, now));
    read.expect("a good bundle")
}

pub(crate) fn pass(world: &mut World, time: Duration) {
    let until = world.now.after(time);
    while world.now < until {
        world.now = world.now.after(DAY / 4).min(until);
        world.run(2);
    }
}

#[test]
fn a_link_makes_its_keys_anew_and_opens_what_was_made_for_the_old_ones() {
    let (mut world, board, raya, others) = town(601, 3);
    let made = link(&mut world, raya, &labelled("for the club"));
    let first = board.find(&made.query);
    assert_eq!(made.generation, 1);
    // The service is away when the first refresh is due.
    board.0.lock().away = true;
    pass(&mut world, 3 * DAY + DAY / 2);
    let all = links(&mut world, raya);
    assert!(all[0].problem.is_some(), "{all:?}");
    assert_eq!(board.times(&made.query), 1);
    world.kill(raya);
    board.0.lock().away = false;
    pass(&mut world, DAY);
    assert_eq!(links(&mut world, raya)[0].problem, None);
    assert_eq!(
        links(&mut world, raya)[0].generation,
        1,
        "the same, published again"
    );
    assert_eq!(board.times(&made.query), 2);
    assert_eq!(board.find(&made.query), first);
    pass(&mut world, ROTATE_LINK_EVERY - 4 * DAY);
    let all = links(&mut world, raya);
    assert_eq!((all.len(), all[0].generation), (1, 2));
    assert_eq!(all[0].query, made.query, "what others were given stays");
    let second = board.find(&made.query);
    let (one, two) = (
        read(&mut world, others[0], &first),
        read(&mut world, others[0], &second),
    );
    assert_ne!(one.spec.id, two.spec.id);
    assert_eq!(
        one.spec.points, two.spec.points,
        "a link has its own address"
    );
    assert!((one.spec.generation, two.spec.generation) == (1, 2));
    // Long after, an invite for each generation that has not expired opens.
    ask(&mut world, others[0], &first);
    pass(&mut world, 16 * DAY);
    ask(&mut world, others[1], &second);
    pass(&mut world, DAY);
    world.kill(raya);
    ask(&mut world, others[2], &board.find(&made.query));
    world.run(5);
    let all = requests(&mut world, raya);
    assert_eq!(all.len(), 3);
    for request in &all {
        assert_eq!(request.link, Some(made.id));
        assert_eq!(request.label, "for the club");
    }
    assert_eq!(links(&mut world, raya)[0].pending, 3);
    // In the end it is told, and its requests can still be accepted.
    pass(&mut world, 7 * DAY);
    let expired = |event: cf_client::Event| match event.kind {
        EventKind::LinkExpired { link, label } => Some((link, label)),
        _ => None,
    };
    let told: Vec<_> = world.events(raya).into_iter().filter_map(expired).collect();
    assert_eq!(told, [(made.id, "for the club".to_owned())]);
    assert_eq!(links(&mut world, raya)[0].state, LinkState::Expired);
    let times = board.times(&made.query);
    accept(&mut world, raya, "Other 2");
    pass(&mut world, 100 * DAY);
    assert_eq!(
        board.times(&made.query),
        times,
        "it is not published any more"
    );
    assert_eq!(links(&mut world, raya), [], "and forgotten");
}

#[test]
fn an_invite_for_keys_that_are_gone_is_counted() {
    let (mut world, board, raya, others) = town(607, 1);
    let lifetime = 200 * DAY;
    let options = LinkOptions {
        lifetime,
        ..LinkOptions::default()
    };
    let made = link(&mut world, raya, &options);
    let asked = ask(&mut world, others[0], &board.find(&made.query));
    let log = world.log.values_mut().next().expect("an invite");
    let late = log.remove(0);
    let closed = world.input(others[0], |driver, now| driver.close(asked, now));
    closed.expect("no crash").expect("it is open");
    pass(&mut world, 62 * DAY);
    let place = read(&mut world, others[0], &board.find(&made.query));
    let place = place.spec.points[0].clone();
    let log = world.log.entry((place.locator, place.address)).or_default();
    log.push(late);
    world.run(3);
    assert!(requests(&mut world, raya).is_empty());
    let shown = links(&mut world, raya);
    assert_eq!((shown[0].rejected, shown[0].opened), (1, 0), "{shown:?}");
}

#[test]
fn a_refresh_survives_a_crash_anywhere() {
    for seed in 0..5 {
        let (mut world, board, raya, others) = town(6_200 + seed, 1);
        let lifetime = 200 * DAY;
        let made = link(
            &mut world,
            raya,
            &LinkOptions {
                lifetime,
                ..labelled("long")
            },
        );
        world.faults = Faults {
            crash: 300,
            ..Faults::default()
        };
        pass(&mut world, 120 * DAY);
        world.faults = Faults::default();
        pass(&mut world, DAY);
        let all = links(&mut world, raya);
        assert_eq!(all.len(), 1, "seed {seed}");
        assert!(all[0].generation >= 12, "seed {seed}: {all:?}");
        assert!(board.times(&made.query) >= 30, "seed {seed}");
        ask(&mut world, others[0], &board.find(&made.query));
        world.run(5);
        assert_eq!(
            requests(&mut world, raya)[0].link,
            Some(made.id),
            "seed {seed}"
        );
        // Bundles that nobody can have any more are gone.
        let bundles = b"inbox/cf/init/inbox/1";
        let kept = cf_core::Store::scan(
            &world.nodes[raya].store,
            bundles,
            &cf_core::Scan::prefix("b"),
        );
        assert!(
            kept.expect("readable").len() <= MAX_GENERATIONS,
            "seed {seed}"
        );
    }
}

#[test]
fn a_crash_in_the_making_of_a_link_leaves_nothing() {
    let (mut world, board, raya, _) = town(603, 0);
    let options = labelled("never told");
    world.input(raya, |driver, now| driver.begin_link(&options, now).is_ok());
    assert!(!world.places(raya).is_empty());
    assert_eq!(links(&mut world, raya), []);
    world.kill(raya);
    assert!(world.places(raya).is_empty());
    // Nor does a discovery that is away.
    board.0.lock().away = true;
    let error = try_link(&mut world, raya, &options).expect_err("it is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(world.places(raya).is_empty());
    // The same id asked again is the same link.
    board.0.lock().away = false;
    let options = LinkOptions {
        id: Some(LinkId([7; 16])),
        ..options
    };
    let made = link(&mut world, raya, &options);
    assert_eq!(link(&mut world, raya, &options), made);
    assert_eq!(links(&mut world, raya), [made]);
}

#[test]
fn revoking_a_link_ends_invites_and_no_conversation() {
    for restarts in [false, true] {
        let (mut world, board, raya, others) = town(604, 3);
        let made = link(&mut world, raya, &labelled("leaked"));
        let other = link(&mut world, raya, &labelled("another"));
        let bundles = board.find(&made.query);
        let at_one = ask(&mut world, others[0], &bundles);
        let at_two = ask(&mut world, others[1], &bundles);
        world.send(others[0], at_one, "before");
        world.send(others[1], at_two, "early");
        while world.deliver_one(raya) {}
        // One is accepted, whose sender does not know of it yet; one waits.
        let with_one = accept(&mut world, raya, "Other 0");
        let revoked = world.input(raya, |driver, now| driver.revoke(made.id, now));
        revoked.expect("no crash").expect("it is there");
        assert_eq!(links(&mut world, raya), std::slice::from_ref(&other));
        if restarts {
            world.kill(raya);
        }
        let info = read(&mut world, others[2], &bundles);
        let point = info.spec.points[0].clone();
        let place = (point.locator, point.address);
        assert!(
            world.places(raya).contains(&place),
            "what comes there is kept"
        );
        world.send(others[0], at_one, "to the link's address");
        world.send(others[1], at_two, "late");
        ask(&mut world, others[2], &bundles);
        world.run(10);
        let waiting = requests(&mut world, raya);
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        assert_eq!(
            (&*waiting[0].name, &*waiting[0].label),
            ("Other 1", "leaked")
        );
        if restarts {
            world.kill(raya);
        }
        let with_two = accept(&mut world, raya, "Other 1");
        world.settle(10);
        let told = texts(&world.events(raya), with_one);
        assert_eq!(told, ["before", "to the link's address"]);
        assert_eq!(texts(&world.events(raya), with_two), ["early", "late"]);
        world.send(raya, with_two, "and back");
        world.settle(10);
        assert_eq!(texts(&world.events(others[1]), at_two), ["and back"]);
        ask(&mut world, others[2], &board.find(&other.query));
        world.run(5);
        assert_eq!(requests(&mut world, raya)[0].label, "another");
        // When nothing can come there any more, the address is left.
        pass(&mut world, 31 * DAY);
        assert!(!world.places(raya).contains(&place));
        let unknown = world.input(raya, |driver, now| driver.revoke(made.id, now));
        assert_eq!(
            unknown.expect("no crash").unwrap_err().kind(),
            ErrorKind::Misuse
        );
    }
}

#[test]
fn who_resolves_a_revoked_link_learns_it_once_the_discovery_is_there() {
    let (mut world, board, raya, _) = town(609, 0);
    let made = link(&mut world, raya, &labelled("leaked"));
    let stays = link(&mut world, raya, &labelled("stays"));
    board.set(true, DAY);
    let revoked = world.input(raya, |driver, now| driver.revoke(made.id, now));
    revoked.expect("no crash").expect("it is there");
    assert_eq!(links(&mut world, raya).len(), 1);
    world.kill(raya);
    pass(&mut world, DAY / 2);
    assert!(board.0.lock().all.contains_key(&made.query));
    board.set(false, DAY);
    pass(&mut world, DAY / 2);
    assert!(!board.0.lock().all.contains_key(&made.query));
    assert!(board.0.lock().all.contains_key(&stays.query));
    let kept = Store::scan(&world.nodes[raya].store, b"links", &Scan::prefix(""));
    assert_eq!(kept.expect("readable").len(), 1, "nothing of it is left");
}

#[test]
fn where_a_request_came_is_listened_until_it_is_decided() {
    let (mut world, board, raya, others) = town(608, 1);
    let made = link(&mut world, raya, &LinkOptions::default());
    let asked = ask(&mut world, others[0], &board.find(&made.query));
    world.run(2);
    let places = world.places(raya);
    let revoked = world.input(raya, |driver, now| driver.revoke(made.id, now));
    revoked.expect("no crash").expect("it is there");
    for _ in 0..2 {
        assert_eq!(world.places(raya), places);
        world.kill(raya);
    }
    world.send(others[0], asked, "early");
    world.run(2);
    assert_eq!(world.with(raya, Driver::waiting).1, 1, "it is kept");
    let request = requests(&mut world, raya).remove(0);
    let declined = world.input(raya, |driver, _| driver.decline(request.id));
    declined.expect("no crash").expect("it is there");
    assert!(world.places(raya).is_empty());
    assert_eq!(world.with(raya, Driver::waiting).1, 0);
}

#[test]
fn a_one_time_link_takes_one_invite() {
    let (mut world, board, raya, others) = town(605, 2);
    let one_time = LinkOptions {
        one_time: true,
        ..labelled("once")
    };
    let made = link(&mut world, raya, &one_time);
    let bundles = board.find(&made.query);
    pass(&mut world, 10 * DAY);
    assert_eq!(
        links(&mut world, raya)[0].generation,
        1,
        "no second one-time key"
    );
    assert!(
        board.times(&made.query) >= 3,
        "published again all the same"
    );
    ask(&mut world, others[0], &bundles);
    world.run(3);
    ask(&mut world, others[1], &bundles);
    world.run(3);
    assert_eq!(requests(&mut world, raya).len(), 1);
    assert_eq!(links(&mut world, raya)[0].state, LinkState::Used);
    let times = board.times(&made.query);
    pass(&mut world, 10 * DAY);
    assert_eq!(board.times(&made.query), times);
    let accepted = accept(&mut world, raya, "Other 0");
    world.send(raya, accepted, "hello");
    world.settle(20);
    assert_eq!(texts(&world.events(others[0]), accepted), ["hello"]);
}

#[test]
fn links_are_bounded_and_those_that_are_over_make_room() {
    let (mut world, board, raya, others) = town(606, 1);
    let one_time = LinkOptions {
        one_time: true,
        ..LinkOptions::default()
    };
    let first = link(&mut world, raya, &one_time);
    for number in 1..MAX_LINKS {
        link(&mut world, raya, &labelled(&number.to_string()));
    }
    let error = try_link(&mut world, raya, &labelled("one too many"));
    assert_eq!(error.expect_err("full").kind(), ErrorKind::Misuse);
    ask(&mut world, others[0], &board.find(&first.query));
    world.run(3);
    link(&mut world, raya, &labelled("in its place"));
    let all = links(&mut world, raya);
    assert_eq!(all.len(), MAX_LINKS);
    assert!(all.iter().all(|link| link.id != first.id));
    for wrong in [
        labelled(&"x".repeat(129)),
        LinkOptions {
            quota: 0,
            ..LinkOptions::default()
        },
        LinkOptions {
            quota: 513,
            ..LinkOptions::default()
        },
        LinkOptions {
            rate: 0,
            ..LinkOptions::default()
        },
        LinkOptions {
            lifetime: 367 * DAY,
            ..LinkOptions::default()
        },
        LinkOptions {
            lifetime: Duration::ZERO,
            ..LinkOptions::default()
        },
    ] {
        let revoked = world.input(raya, |driver, now| driver.revoke(all[0].id, now));
        drop(revoked);
        let error = try_link(&mut world, raya, &wrong).expect_err("out of bounds");
        assert_eq!(error.kind(), ErrorKind::Misuse, "{wrong:?}");
    }
}
