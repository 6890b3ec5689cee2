//! A log in memory, and contents whose first byte says what they are.

use std::sync::{Arc, Mutex};

use cf_core::{
    Content, ContentId, ContentState, ConversationId, ParticipantId, Random, Result, Scan, Store,
    Timestamp,
};
use cf_history::{Author, ContentReader, Entry, EntryKind, History, Log, Meaning, Named, Progress};
use cf_store::MemoryStore;
use cf_testkit::SeededRandom;

#[derive(Default)]
pub(crate) struct ToyLog(pub(crate) Mutex<Vec<Option<Entry>>>);

impl Log for ToyLog {
    fn after(&self, seq: u64, limit: usize) -> Result<Vec<Entry>> {
        let all = self.0.lock().unwrap();
        let later = all.iter().skip(seq as usize).flatten();
        Ok(later.take(limit).cloned().collect())
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>> {
        let all = self.0.lock().unwrap();
        Ok(all.get(seq as usize - 1).cloned().flatten())
    }
}

/// `m words`, `+id`, `-id`, `e id words`, `d id`, `r id`, else hidden. Ids are one
/// letter; a capital one is Raya's, another ours.
pub(crate) struct ToyReader;

pub(crate) fn id(letter: char) -> ContentId {
    ContentId::new(letter.to_string().into_bytes()).unwrap()
}

pub(crate) fn raya() -> Author {
    Author::Peer(Some(ParticipantId::new(&b"raya"[..]).unwrap()))
}

pub(crate) fn named(letter: char) -> Named {
    let author = match letter.is_uppercase() {
        true => raya(),
        false => Author::Own,
    };
    let id = id(letter);
    Named { author, id }
}

impl ContentReader for ToyReader {
    fn meaning(&self, _: &Author, content: &Content) -> Meaning {
        let Content::Bytes(bytes) = content else {
            return Meaning::Hidden;
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let letter = text.chars().nth(1).unwrap();
        let words = text.chars().skip(2).collect();
        match text.chars().next().unwrap() {
            'm' => Meaning::Message {
                words,
                reply_to: (letter != ' ').then(|| named(letter)),
                large: None,
            },
            sign @ ('+' | '-') => Meaning::Reaction {
                to: named(letter),
                reaction: words,
                removed: sign == '-',
            },
            'e' => Meaning::Edit {
                id: id(letter),
                words,
            },
            'd' => Meaning::Delete { id: id(letter) },
            'r' => Meaning::Receipt {
                read: vec![named(letter)],
            },
            _ => Meaning::Hidden,
        }
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<ToyLog>,
    pub(crate) history: History,
}

pub(crate) fn talk(number: u8) -> ConversationId {
    ConversationId::from_slice(&[number; 16]).unwrap()
}

impl World {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let log = Arc::<ToyLog>::default();
        let history = open(&store, &log);
        Self {
            store,
            log,
            history,
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::new(Arc::new(MemoryStore::default()))
    }

    pub(crate) fn reopen(&mut self) {
        self.history = open(&self.store, &self.log);
    }

    pub(crate) fn log(&self, kind: EntryKind) -> u64 {
        let mut all = self.log.0.lock().unwrap();
        let seq = all.len() as u64 + 1;
        let at = Timestamp(seq * 10);
        all.push(Some(Entry { seq, at, kind }));
        seq
    }

    /// Raya says something, or we do: whose id it is decides.
    pub(crate) fn said(&self, talk: ConversationId, letter: char, text: &str) -> u64 {
        let named = named(letter);
        self.log(EntryKind::Content {
            conversation: talk,
            author: named.author,
            id: named.id,
            content: Content::Bytes(text.to_owned().into()),
            sent_at: None,
            state: ContentState::Queued,
        })
    }

    pub(crate) fn state(&self, talk: ConversationId, letter: char, state: ContentState) {
        self.log(EntryKind::State {
            conversation: talk,
            id: id(letter),
            state,
        });
    }

    /// Takes everything in; the log erases what it is told.
    pub(crate) fn settle(&self) {
        while self.history.catch_up().unwrap() != Progress::Done(self.history.done().unwrap()) {
            self.erase(usize::MAX);
        }
        self.erase(usize::MAX);
    }

    pub(crate) fn erase(&self, limit: usize) {
        let erasures = self.history.erasures(limit).unwrap();
        let seqs: Vec<_> = erasures.iter().map(|erasure| erasure.seq).collect();
        for seq in &seqs {
            self.log.0.lock().unwrap()[*seq as usize - 1] = None;
        }
        self.history.erased(&seqs).unwrap();
    }

    /// Everything that is made from the log.
    pub(crate) fn dump(&self, talks: &[ConversationId]) -> Vec<(String, Vec<u8>, Vec<u8>)> {
        let mut namespaces: Vec<Vec<u8>> = ["history/heads", "#history/recent"]
            .iter()
            .chain(&["#history/names", "#history/words"])
            .map(|name| name.as_bytes().to_vec())
            .collect();
        for talk in talks {
            for kind in ["#history/talk/", "#history/also/"] {
                namespaces.push([kind.as_bytes(), talk.as_bytes()].concat());
            }
        }
        let mut dump = Vec::new();
        for namespace in namespaces {
            let name = String::from_utf8_lossy(&namespace).into_owned();
            for (key, value) in self.store.scan(&namespace, &Scan::prefix("")).unwrap() {
                dump.push((name.clone(), key.to_vec(), value.to_vec()));
            }
        }
        dump
    }
}

pub(crate) fn open(store: &Arc<dyn Store>, log: &Arc<ToyLog>) -> History {
    let mut random: Box<dyn Random> = Box::new(SeededRandom::new(7));
    let reader = Arc::new(ToyReader);
    History::open(store.clone(), log.clone(), reader, &mut *random).unwrap()
}
