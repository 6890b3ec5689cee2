//! A history of many messages on an encrypted file: `cargo bench -p cf-history`, with
//! `CF_MESSAGES` (100,000 if unset) in `CF_CONVERSATIONS` (a tenth of them, at most
//! 100,000).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "it measures real time, and a failure ends it"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cf_core::{
    Batch, Content, ContentId, ContentState, ConversationId, Random, Result, Scan, Store, Timestamp,
};
use cf_history::{Author, ContentReader, Entry, EntryKind, History, Log, Meaning, Page, Progress};
use cf_store::{KeyFile, SqliteOptions, SqliteStore, Unlock};
use cf_testkit::SeededRandom;

const VOCABULARY: u64 = 20_000;

struct StoredLog(Arc<dyn Store>);

/// Conversation 4, author 1, words.
fn entry(key: &[u8], value: &Bytes) -> Entry {
    let seq = u64::from_be_bytes(key.try_into().unwrap());
    let own = value[4] == 1;
    Entry {
        seq,
        at: Timestamp(seq),
        kind: EntryKind::Content {
            conversation: conversation(u32::from_be_bytes(value[..4].try_into().unwrap())),
            author: if own { Author::Own } else { Author::Peer(None) },
            id: ContentId::new(key.to_vec()).unwrap(),
            content: Content::Bytes(value.slice(5..)),
            sent_at: None,
            state: ContentState::Queued,
        },
    }
}

impl Log for StoredLog {
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>> {
        let scan = Scan {
            beyond: Some(Bytes::copy_from_slice(&seq.to_be_bytes())),
            limit,
            ..Scan::prefix("")
        };
        let found = self.0.scan(b"#log", &scan)?;
        Ok(found.iter().map(|(key, value)| entry(key, value)).collect())
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>> {
        let key = seq.to_be_bytes();
        let found = self.0.get(b"#log", &key)?;
        Ok(found.map(|value| entry(&key, &value)))
    }
}

struct Plain;

impl ContentReader for Plain {
    fn meaning(&self, _: &Author, content: &Content) -> Meaning {
        let words = match content {
            Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Content::Large { .. } => String::new(),
        };
        Meaning::Message {
            words,
            reply_to: None,
            large: None,
        }
    }
}

fn conversation(number: u32) -> ConversationId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    ConversationId::from_slice(&id).unwrap()
}

fn number(random: &mut SeededRandom) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Words as people use them: the n-th is 1/n as frequent as the first.
fn word(random: &mut SeededRandom) -> String {
    let part = (number(random) >> 11) as f64 / (1_u64 << 53) as f64;
    let rank = (VOCABULARY as f64).powf(part) as u64;
    format!("word{rank}")
}

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

fn timed(what: &str, times: u32, mut run: impl FnMut() -> usize) {
    let mut took: Vec<Duration> = Vec::new();
    let mut found = 0;
    for _ in 0..times {
        let start = Instant::now();
        found = run();
        took.push(start.elapsed());
    }
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what:<44} p50 {median:>10.1?}  max {worst:>10.1?}  ({found} found)");
}

fn main() {
    let messages = set("CF_MESSAGES", 100_000);
    let talks = set("CF_CONVERSATIONS", (messages / 10).min(100_000)) as u32;
    let folder = tempfile::tempdir().unwrap();
    let unlock = Unlock::Key(KeyFile::open(&folder.path().join("key")).unwrap());
    let path = folder.path().join("store.db");
    let store = SqliteStore::create(&path, &unlock, SqliteOptions::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let size = || {
        let files = std::fs::read_dir(folder.path()).unwrap();
        let bytes: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
        bytes as f64 / messages as f64
    };
    let mut random = SeededRandom::new(1);
    let mut batch = Batch::default();
    for seq in 1..=messages {
        let talk = (number(&mut random) % u64::from(talks)) as u32;
        let words: Vec<_> = (0..10).map(|_| word(&mut random)).collect();
        let mut text = words.join(" ");
        if seq % (messages / 5).max(1) == 0 {
            text += " needle";
        }
        let own = u8::from(seq % 2 == 0);
        let value = [&talk.to_be_bytes()[..], &[own], text.as_bytes()].concat();
        batch.put("#log", seq.to_be_bytes().to_vec(), value);
        if seq % 1000 == 0 || seq == messages {
            store.commit(&std::mem::take(&mut batch)).unwrap();
        }
    }
    println!("{messages} messages of 10 words in {talks} conversations");
    println!("log alone: {:.0} bytes a message", size());
    let log = Arc::new(StoredLog(store.clone()));
    let mut keys: Box<dyn Random> = Box::new(SeededRandom::new(2));
    let history = History::open(store.clone(), log, Arc::new(Plain), &mut *keys).unwrap();
    let start = Instant::now();
    while history.catch_up().unwrap() == Progress::More {}
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    println!(
        "taken in: {rate:.0} messages/s, {:.0} bytes a message in all",
        size()
    );

    timed("list of 50 conversations", 50, || {
        history.conversations(None, 50).unwrap().len()
    });
    let busiest = history.conversations(None, 1).unwrap()[0].conversation;
    timed("newest page of 50", 50, || {
        history.page(busiest, Page::Newest, 50).unwrap().len()
    });
    for (what, words) in [
        ("search: 5 messages have it, all shown", "needle"),
        ("search: a frequent word, newest 20", "word1"),
        ("search: two frequent words, newest 20", "word1 word2"),
        ("search: two rare words, newest 20", "word15000 word15001"),
        ("search: a frequent word and the needle", "word1 needle"),
    ] {
        timed(what, 20, || {
            let found = history.search(words, None, None, 20).unwrap();
            found.items.len()
        });
    }
    timed("search in one conversation, newest 20", 5, || {
        let found = history.search("word1", Some(busiest), None, 20).unwrap();
        found.items.len()
    });
    let mut seq = messages;
    timed("one more message, alone", 100, || {
        seq += 1;
        let mut batch = Batch::default();
        let text = (0..10).map(|_| word(&mut random)).collect::<Vec<_>>();
        let value = [&[0; 5], text.join(" ").as_bytes()].concat();
        batch.put("#log", seq.to_be_bytes().to_vec(), value);
        store.commit(&batch).unwrap();
        while history.catch_up().unwrap() == Progress::More {}
        1
    });
}
