//! Two whole clients in one process, application to application, beside what the
//! cryptography of one message costs alone.
//!
//! `cargo bench -p cf-client`. Each store is measured several times in turn and the
//! median said, since machines are noisy. One way: `send` answers once the sender
//! has the message durably, and it counts when the recipient's application has the
//! event, which is durable there. `-- memory`, `-- file`, `-- power` measures one.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../../../cf-conversation/benches/private/floor.rs"]
#[allow(dead_code, reason = "only messages are measured here")]
mod floor;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cf_client::{Client, Components, Event, EventKind, Events, LinkOptions, Profile};
use cf_core::{ContentId, ConversationId, Random, Secret, Store};
use cf_ds::MemoryService;
use cf_store::{Durability, MemoryStore, SqliteOptions, SqliteStore, Unlock};
use cf_testkit::SeededRandom;
use futures_util::StreamExt;
use futures_util::stream;

use floor::Floor;

const TEXT: [u8; 256] = [b'x'; 256];
/// How many messages go one way in one measurement, unless `CF_MESSAGES` says another.
const STREAM: u64 = 40_000;
/// How many sends wait for their answer at the same time.
const IN_FLIGHT: usize = 256;
/// How many lone messages, and how many turns of a ping-pong.
const TURNS: u64 = 500;
const ROUNDS: usize = 3;

fn main() {
    let chosen: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|other| other == name);
    let stores = [
        ("memory", "in memory", None),
        ("file", "encrypted file", Some(Durability::Process)),
        (
            "power",
            "encrypted file, every commit waits for the disk",
            Some(Durability::Power),
        ),
    ];
    let floor = median((0..5).map(|_| bare()).collect());
    println!("seal and open alone: {:.2} µs a message", micros(floor));
    for (name, described, durability) in stores {
        if !is_chosen(name) {
            continue;
        }
        let rounds = (0..ROUNDS).map(|round| {
            let folder = tempfile::tempdir().expect("a folder");
            let runtime = tokio::runtime::Runtime::new().expect("it starts");
            runtime.block_on(measure(folder.path(), durability, round as u64))
        });
        let rounds: Vec<_> = rounds.collect();
        let of = |part: fn(&Measured) -> Duration| median(rounds.iter().map(part).collect());
        let each = of(|m| m.each);
        println!(
            "{described}: one way {:.0} messages/s ({:.2} µs each, {:.1} times the cryptography); \
             lone message p50 {:.0} µs, p99 {:.0} µs; ping-pong, a turn p50 {:.0} µs, p99 {:.0} µs",
            1.0 / each.as_secs_f64(),
            micros(each),
            each.as_secs_f64() / floor.as_secs_f64(),
            micros(of(|m| m.lone.0)),
            micros(of(|m| m.lone.1)),
            micros(of(|m| m.turn.0)),
            micros(of(|m| m.turn.1)),
        );
    }
}

struct Measured {
    /// For each message of a stream.
    each: Duration,
    /// At the median, and at the 99th percentile.
    lone: (Duration, Duration),
    turn: (Duration, Duration),
}

async fn measure(folder: &Path, durability: Option<Durability>, round: u64) -> Measured {
    let service = MemoryService::new(&format!("bench-{round}")).expect("a valid name");
    let store = |name: &str| -> Arc<dyn Store> {
        let Some(durability) = durability else {
            return Arc::new(MemoryStore::default());
        };
        let unlock = Unlock::Key(Secret::from(&[7; 32][..]));
        let options = SqliteOptions {
            durability,
            ..SqliteOptions::default()
        };
        Arc::new(
            SqliteStore::open_or_create(&folder.join(name), &unlock, options).expect("it opens"),
        )
    };
    let mut saro = Side::open("saro", 1, &service, store("saro.db"));
    let mut raya = Side::open("raya", 2, &service, store("raya.db"));
    let link = raya
        .client
        .link(LinkOptions::default())
        .await
        .expect("a link");
    saro.talk = saro.client.add(&link).await.expect("it is good");
    raya.talk = raya.accept().await;
    saro.send("hello").await;
    raya.hear("hello").await;
    raya.send("hello").await;
    saro.hear("hello").await;

    let each = stream_of_messages(&saro, &mut raya).await;
    let mut lone = Vec::new();
    for number in 0..TURNS {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let id = format!("lone {number}");
        let start = Instant::now();
        let (_, ()) = tokio::join!(saro.send(&id), raya.hear(&id));
        lone.push(start.elapsed());
    }
    let mut turns = Vec::new();
    for number in 0..TURNS {
        let id = format!("turn {number}");
        let start = Instant::now();
        let (_, ()) = tokio::join!(saro.send(&id), raya.hear(&id));
        let (_, ()) = tokio::join!(raya.send(&id), saro.hear(&id));
        turns.push(start.elapsed() / 2);
    }
    saro.client.shutdown().await;
    raya.client.shutdown().await;
    Measured {
        each,
        lone: percentiles(lone),
        turn: percentiles(turns),
    }
}

/// Sends many messages as fast as they are taken; gives the time for each.
async fn stream_of_messages(saro: &Side, raya: &mut Side) -> Duration {
    let count = std::env::var("CF_MESSAGES").map_or(STREAM, |n| n.parse().expect("a number"));
    let start = Instant::now();
    let sending = stream::iter(0..count)
        .map(|number| async move {
            let id = format!("stream {number}");
            saro.send(&id).await;
        })
        .buffered(IN_FLIGHT)
        .for_each(|()| async {});
    let receiving = async {
        let mut left = count;
        while left > 0 {
            let all = raya.events.next_all().await.expect("it reads");
            let last = all.last().expect("it runs").seq;
            left -= all.iter().filter(|event| is_message(event)).count() as u64;
            raya.client.confirm(last).await.expect("it was told");
        }
    };
    let ((), ()) = tokio::join!(sending, receiving);
    start.elapsed() / count as u32
}

fn is_message(event: &Event) -> bool {
    matches!(event.kind, EventKind::Message { .. })
}

/// A client and its application.
struct Side {
    client: Client,
    events: Events,
    talk: ConversationId,
}

impl Side {
    fn open(name: &str, seed: u64, service: &MemoryService, store: Arc<dyn Store>) -> Self {
        let components = Components {
            services: vec![Arc::new(service.clone())],
            framings: vec![Arc::new(cf_framing::Tagged)],
            discoveries: vec![Arc::new(cf_discovery::Link)],
            initializations: vec![Arc::new(cf_init::InboxProtocol::default())],
            conversations: vec![cf_conversation::private()],
        };
        let identity = cf_identity::SoftwareIdentity::generate(&mut SeededRandom::new(seed));
        let profile = Profile {
            identity: Arc::new(identity.expect("a seed")),
            display_name: name.to_owned(),
        };
        let next = AtomicU64::new(seed << 32);
        let random = move || -> Box<dyn Random> {
            Box::new(SeededRandom::new(next.fetch_add(1, Ordering::Relaxed)))
        };
        let client = Client::open(components, profile, store, random).expect("it opens");
        Self {
            events: client.events().expect("it reads"),
            client,
            talk: ConversationId([0; 16]),
        }
    }

    async fn accept(&mut self) -> ConversationId {
        loop {
            let event = self
                .events
                .next()
                .await
                .expect("it reads")
                .expect("it runs");
            if let EventKind::Request(request) = event.kind {
                return self.client.accept(request.id).await.expect("it is good");
            }
        }
    }

    /// Sends a message, again and again while there is no room.
    async fn send(&self, id: &str) {
        let id = ContentId::new(id.to_owned()).expect("short");
        while let Err(error) = self.client.send(self.talk, id.clone(), &TEXT[..]).await {
            assert!(error.is_retryable(), "{error}");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    async fn hear(&mut self, wanted: &str) {
        loop {
            let event = self
                .events
                .next()
                .await
                .expect("it reads")
                .expect("it runs");
            if matches!(&event.kind, EventKind::Message { id, .. } if id.as_bytes() == wanted.as_bytes())
            {
                return;
            }
        }
    }
}

/// How long sealing and opening a message takes.
fn bare() -> Duration {
    const COUNT: u32 = 20_000;
    let padded = cf_core::padding::padded_len(TEXT.len() + 40);
    let mut floor = Floor::new(padded);
    let start = Instant::now();
    for _ in 0..COUNT {
        let wire = floor.send(0, &TEXT);
        floor.receive(1, &wire);
    }
    start.elapsed() / COUNT
}

/// Two ends of a conversation, as the floor knows it.
#[allow(dead_code, reason = "the floor is another bench's")]
trait Rival {
    type Wire;
    fn send(&mut self, from: usize, text: &[u8]) -> Self::Wire;
    fn receive(&mut self, to: usize, wire: &Self::Wire);
    fn settle(&mut self);
    fn body_len(wire: &Self::Wire) -> usize;
}

/// Randomness that costs nothing.
#[derive(Default)]
struct Cheap(u64);

impl Random for Cheap {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            chunk.copy_from_slice(&self.0.to_be_bytes()[..chunk.len()]);
        }
    }
}

fn percentiles(mut all: Vec<Duration>) -> (Duration, Duration) {
    all.sort();
    (all[all.len() / 2], all[all.len() * 99 / 100])
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
