//! Two clients in conversation, and what has to be true of it at any time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cf::core::{Content, ContentId, ContentState, ConversationId, DeliveryService, Scan, Store};
use cf::identity::SoftwareIdentity;
use cf::store::{KeyFile, SqliteOptions, SqliteStore, Unlock};
use cf::{Client, EventKind, SystemRandom};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How long everything may take that is left when nothing is disturbed any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two clients whose states are in files, each with a connection of its own.
pub(super) struct Talk {
    sides: [Mutex<Side>; 2],
    clients: [Client; 2],
    id: ConversationId,
    /// How many messages each writes in a second.
    rate: u32,
    began: Instant,
    _folder: TempDir,
}

/// What is known of one of them.
struct Side {
    who: &'static str,
    store: SqliteStore,
    sent: u64,
    /// The number of the last event that was looked at.
    seq: u64,
    /// How many contents it was told.
    told: u64,
    states: HashMap<ContentId, ContentState>,
    /// Those of its own that are known to be delivered since it was last asked.
    delivered: Vec<u64>,
    /// Told as delivered while the other held it back for one before.
    held: u64,
}

impl Talk {
    /// Lets Saro and Raya meet by a link; they will write so many messages a second
    /// together.
    pub(super) async fn begin(services: [Arc<dyn DeliveryService>; 2], rate: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut sides, mut clients) = (Vec::new(), Vec::new());
        for (who, service) in ["saro", "raya"].into_iter().zip(services) {
            let unlock =
                Unlock::Key(KeyFile::open(&folder.path().join(format!("{who}.key"))).unwrap());
            let path = folder.path().join(format!("{who}.db"));
            let store = SqliteStore::create(&path, &unlock, SqliteOptions::default()).unwrap();
            let identity = SoftwareIdentity::generate(&mut SystemRandom::default()).unwrap();
            let builder = cf::builder(who).identity(Arc::new(identity));
            let builder = builder
                .store(Arc::new(store.clone()))
                .shared_service(service);
            clients.push(builder.open().unwrap());
            sides.push(Mutex::new(Side::new(who, store)));
        }
        let (saro, raya) = (&clients[0], &clients[1]);
        let link = raya.link(Default::default()).await.unwrap();
        assert!(link.len() < 110 || !link.starts_with("cfshort"), "{link}");
        let id = saro.add(&link).await.unwrap();
        let mut events = raya.events().unwrap();
        let request = loop {
            if let EventKind::Request(request) = events.next().await.unwrap().unwrap().kind {
                break request;
            }
        };
        assert_eq!(raya.accept(request.id).await.unwrap(), id);
        let [saro, raya] = [clients.remove(0), clients.remove(0)];
        Self {
            sides: [sides.remove(0), sides.remove(0)],
            clients: [saro, raya],
            id,
            rate: rate / 2,
            began: Instant::now(),
            _folder: folder,
        }
    }

    /// Both write while something is disturbed, on a thread of its own, until that is
    /// over; then all has to be delivered. Gives what the disturbance gives: how often,
    /// and what it needs back.
    pub(super) async fn survives<T: Send + 'static>(
        &self,
        disturb: impl FnOnce() -> (u64, T) + Send + 'static,
    ) -> T {
        let over = AtomicBool::new(false);
        let write = async |one: usize| {
            let mut ticks = interval(Duration::from_secs(1) / self.rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            while !over.load(Ordering::Relaxed) {
                ticks.tick().await;
                self.send(one).await;
            }
        };
        let look = async {
            while !over.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(20)).await;
                self.look().await;
            }
        };
        let disturbing = async {
            let disturbed = spawn_blocking(disturb).await.unwrap();
            over.store(true, Ordering::Relaxed);
            disturbed
        };
        let (_, _, (), (times, back)) = tokio::join!(write(0), write(1), look, disturbing);
        let (took, until) = (self.began.elapsed(), Instant::now() + PATIENCE);
        while !self.is_done().await {
            if Instant::now() > until {
                self.tell().await;
                panic!("not all was delivered");
            }
            sleep(Duration::from_millis(20)).await;
            self.look().await;
        }
        let [saro, raya] = [self.sides[0].lock().await, self.sides[1].lock().await];
        let sent = saro.sent + raya.sent;
        eprintln!(
            "{times} times disturbed in {:.1} s; {sent} messages, {:.0} a second, all \
             delivered {:.1} s after the end, {} acknowledged while one before was missing",
            took.as_secs_f64(),
            sent as f64 / took.as_secs_f64(),
            (self.began.elapsed() - took).as_secs_f64(),
            saro.held + raya.held,
        );
        back
    }

    /// Prints what is known of both, for who looks for a fault.
    async fn tell(&self) {
        for (side, client) in self.sides.iter().zip(&self.clients) {
            let side = side.lock().await;
            let (sent, told) = (side.sent, side.told);
            let mut states = std::collections::BTreeMap::<_, u64>::new();
            for state in side.states.values() {
                *states.entry(rank(*state)).or_default() += 1;
            }
            let (waiting, counters) = (client.waiting().await, client.counters().await);
            eprintln!(
                "{}: sent {sent}, was told {told}; states {states:?}; {waiting:?}; {counters:?}",
                side.who
            );
        }
    }

    async fn send(&self, one: usize) {
        let number = self.sides[one].lock().await.sent;
        let id = content_id(one, number);
        let text = format!("message {number}");
        self.clients[one].send(self.id, id, text).await.unwrap();
        self.sides[one].lock().await.sent += 1;
    }

    /// Looks at what is durable now, and what has to be true because of it.
    async fn look(&self) {
        for one in 0..2 {
            let mut side = self.sides[one].lock().await;
            side.look(1 - one);
            let delivered = std::mem::take(&mut side.delivered);
            drop(side);
            // Whoever acknowledged it had it durably before.
            let mut other = self.sides[1 - one].lock().await;
            other.look(one);
            for number in delivered {
                if number < other.told {
                    continue;
                }
                if other.holds(&content_id(one, number)) {
                    other.held += 1;
                    continue;
                }
                // It may have been told just now.
                other.look(one);
                assert!(number < other.told, "told as delivered before it was true");
            }
        }
    }

    async fn is_done(&self) -> bool {
        let [saro, raya] = [self.sides[0].lock().await, self.sides[1].lock().await];
        saro.is_done(&raya) && raya.is_done(&saro)
    }
}

impl Side {
    fn new(who: &'static str, store: SqliteStore) -> Self {
        Self {
            who,
            store,
            sent: 0,
            seq: 0,
            told: 0,
            states: HashMap::new(),
            delivered: Vec::new(),
            held: 0,
        }
    }

    /// Takes its new events.
    fn look(&mut self, other: usize) {
        for event in cf::client::events_after(&self.store, self.seq, usize::MAX).unwrap() {
            self.seq += 1;
            assert_eq!(event.seq, self.seq, "numbers have no gaps");
            match event.kind {
                EventKind::Message { id, content, .. } => {
                    assert_eq!(
                        number(&id, other),
                        self.told,
                        "{}: once and in order",
                        self.who
                    );
                    let text = format!("message {}", self.told);
                    assert_eq!(content, Content::Bytes(text.into()));
                    self.told += 1;
                }
                EventKind::State { id, state, .. } => {
                    let before = self.states.insert(id.clone(), state);
                    assert!(
                        rank(state) > before.map_or(0, rank),
                        "{before:?}, then {state:?}"
                    );
                    if state == ContentState::Delivered {
                        self.delivered.push(number(&id, 1 - other));
                    }
                }
                EventKind::Gap { .. } => panic!("{} was told a gap", self.who),
                _ => {}
            }
        }
    }

    /// Whether it has a content that waits for one before.
    fn holds(&self, id: &ContentId) -> bool {
        let namespace = [b"conversation/", &1u64.to_be_bytes()[..]].concat();
        let records = self.store.scan(&namespace, &Scan::prefix("")).unwrap();
        let shows = |value: &[u8]| {
            let mut windows = value.windows(id.as_bytes().len());
            windows.any(|window| window == id.as_bytes())
        };
        records.iter().any(|(_, value)| shows(value))
    }

    fn is_done(&self, other: &Self) -> bool {
        let delivered =
            |(_, state): &(&ContentId, &ContentState)| **state == ContentState::Delivered;
        self.sent == other.told && self.sent == self.states.iter().filter(delivered).count() as u64
    }
}

fn content_id(one: usize, number: u64) -> ContentId {
    cf::content_id(&format!("{one}/{number:08}")).unwrap()
}

/// The number in the id of a content that one of them wrote.
fn number(id: &ContentId, one: usize) -> u64 {
    let text = std::str::from_utf8(id.as_bytes()).unwrap();
    let (by, number) = text.split_once('/').unwrap();
    assert_eq!(by, one.to_string());
    number.parse().unwrap()
}

/// States only get better.
fn rank(state: ContentState) -> u8 {
    match state {
        ContentState::Queued => 1,
        ContentState::Accepted => 2,
        ContentState::Delivered => 3,
        other => panic!("told as {other:?}"),
    }
}
