//! Two clients on real files, killed by SIGKILL under load, again and again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cf::core::{Connector, ContentState, Scan, Store};
use cf::ds::LocalConnector;
use cf::store::{KeyFile, SqliteOptions, SqliteStore, Unlock};
use cf::{Client, Event, EventKind, Home};
use cf_testkit::SeededRandom;

const ROLE: &str = "CF_KILLS_ROLE";
const FOLDER: &str = "CF_KILLS_FOLDER";
/// How many messages Saro sends between two kills at most.
const LOAD: u64 = 200;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(120);

async fn client(folder: &Path, who: &str) -> (Home, Client) {
    let home = Home::open(&folder.join(who), None).unwrap();
    let service = LocalConnector::new(folder.join("service.db"))
        .connect("local:")
        .await
        .unwrap();
    let client = home.builder().shared_service(service).open().unwrap();
    (home, client)
}

/// Not a test of its own: what the killed processes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_is_killed() {
    let (Ok(who), Some(folder)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    let (_home, client) = client(Path::new(&folder), &who).await;
    println!("opened");
    match &*who {
        "saro" => {
            let talk = client.conversations().await.unwrap()[0].id;
            let mut number = first_unsent(&client).await;
            for _ in 0..LOAD {
                let id = cf::content_id(&number.to_string()).unwrap();
                client
                    .send(talk, id, format!("message {number}"))
                    .await
                    .unwrap();
                println!("sent {number}");
                number += 1;
            }
            std::future::pending().await
        }
        _ => loop {
            let mut events = client.events().unwrap();
            let last = events.next_all().await.unwrap().last().unwrap().seq;
            client.confirm(last).await.unwrap();
        },
    }
}

/// The first number whose message has no state.
async fn first_unsent(client: &Client) -> u64 {
    let talk = client.conversations().await.unwrap()[0].id;
    let (mut sent, mut unsent) = (0, 1);
    let is_sent = async |number: u64| {
        let id = cf::content_id(&number.to_string()).unwrap();
        client.state(talk, id).await.unwrap().is_some()
    };
    while is_sent(unsent).await {
        (sent, unsent) = (unsent, unsent * 2);
    }
    while unsent - sent > 1 {
        let middle = sent.midpoint(unsent);
        match is_sent(middle).await {
            true => sent = middle,
            false => unsent = middle,
        }
    }
    unsent
}

#[test]
fn clients_that_are_killed_under_load_lose_and_double_nothing() {
    let setting = |name, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    let kills: u64 = setting("CF_KILLS", 25);
    let random = &mut SeededRandom::new(setting("CF_FIRST_SEED", 0));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(meet(folder));
    let mut processes = [
        Process::start(folder, "saro"),
        Process::start(folder, "raya"),
    ];
    for kill in 0..kills {
        thread::sleep(Duration::from_millis(random.below(200)));
        if kill % 10 == 9 {
            processes.iter_mut().for_each(Process::kill);
            check(folder);
            processes.iter_mut().for_each(Process::restart);
        } else {
            let process = &mut processes[random.below(2) as usize];
            process.kill();
            process.restart();
        }
    }
    thread::sleep(Duration::from_millis(500));
    processes.iter_mut().for_each(Process::kill);
    let until = Instant::now() + PATIENCE;
    loop {
        let (sent, delivered) = check(folder);
        if sent > 0 && delivered == sent {
            eprintln!("{kills} kills, {sent} messages, all delivered");
            return;
        }
        assert!(
            Instant::now() < until,
            "{delivered} of {sent} were delivered"
        );
        // Only Raya's acknowledgements and resends are missing: nothing more is sent.
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (saro, raya) = (client(folder, "saro").await, client(folder, "raya").await);
            tokio::time::sleep(Duration::from_secs(1)).await;
            saro.1.shutdown().await;
            raya.1.shutdown().await;
        });
    }
}

async fn meet(folder: &Path) {
    for (who, name) in [("saro", "Saro"), ("raya", "Raya")] {
        Home::create(&folder.join(who), name, None).unwrap();
    }
    let (saro, raya) = (client(folder, "saro").await, client(folder, "raya").await);
    let link = raya.1.link(Default::default()).await.unwrap();
    saro.1.add(&link).await.unwrap();
    let mut events = raya.1.events().unwrap();
    let request = loop {
        if let EventKind::Request(request) = events.next().await.unwrap().unwrap().kind {
            break request;
        }
    };
    raya.1.accept(request.id).await.unwrap();
    saro.1.shutdown().await;
    raya.1.shutdown().await;
}

/// What both have, while neither runs: how many contents were sent, and how many
/// of those are known to be delivered.
fn check(folder: &Path) -> (usize, usize) {
    let [saro, raya] = ["saro", "raya"].map(|who| open(&folder.join(who)));
    let told = events(&raya)
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Message {
                id,
                content: cf::core::Content::Bytes(content),
                ..
            } => Some((id, content)),
            _ => None,
        });
    let told: Vec<_> = told.collect();
    for (index, (id, content)) in told.iter().enumerate() {
        let number = index + 1;
        assert_eq!(
            id.as_bytes(),
            number.to_string().as_bytes(),
            "in order, once each"
        );
        assert_eq!(content, &format!("message {number}"));
    }
    let has: BTreeSet<_> = told.iter().map(|(id, _)| id.clone()).collect();
    let namespace = [b"conversation/", &1u64.to_be_bytes()[..]].concat();
    let held = raya.scan(&namespace, &Scan::prefix("")).unwrap();
    let mut delivered = 0;
    for event in events(&saro) {
        if let EventKind::State { id, state, .. } = event.kind {
            assert!(!matches!(state, ContentState::Failed(_)), "{id:?} failed");
            if state == ContentState::Delivered {
                delivered += 1;
                let shows = |value: &[u8]| {
                    value
                        .windows(id.as_bytes().len())
                        .any(|w| w == id.as_bytes())
                };
                let is_held = || held.iter().any(|(_, value)| shows(value));
                assert!(has.contains(&id) || is_held(), "told before it was true");
            }
        }
    }
    let talk = events(&saro)
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::Started { conversation, .. } => Some(conversation),
            _ => None,
        });
    let states = [b"states/", talk.unwrap().as_bytes()].concat();
    (
        saro.scan(&states, &Scan::prefix("")).unwrap().len(),
        delivered,
    )
}

fn open(home: &Path) -> SqliteStore {
    let unlock = Unlock::Key(KeyFile::open(&home.join("key")).unwrap());
    SqliteStore::open(&home.join("store.db"), &unlock, SqliteOptions::default()).unwrap()
}

fn events(store: &SqliteStore) -> Vec<Event> {
    let events = cf::client::events_after(store, 0, usize::MAX).unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1, "numbers have no gaps");
    }
    events
}

struct Process {
    folder: PathBuf,
    who: &'static str,
    child: Child,
}

impl Process {
    fn start(folder: &Path, who: &'static str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kills::the_process_that_is_killed",
                "--nocapture",
            ])
            .env(ROLE, who)
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let opened = lines.any(|line| line.is_ok_and(|line| line.ends_with("opened")));
        assert!(opened, "{who} could not open its client");
        thread::spawn(move || lines.for_each(drop));
        Self {
            folder: folder.to_owned(),
            who,
            child,
        }
    }

    fn kill(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert_eq!(ended, None, "{} ended by itself", self.who);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        *self = Self::start(&self.folder, self.who);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
