use bytes::Bytes;
use cf_core::{Batch, RecordChange, Scan};

use crate::SeededRandom;

/// Every change ever made, in order; answers by reading all of them.
#[derive(Clone, Default)]
pub(super) struct Model(Vec<(Bytes, RecordChange)>);

impl Model {
    pub(super) fn commit(&mut self, batch: &Batch) {
        self.0.extend_from_slice(batch.changes());
    }

    pub(super) fn get(&self, namespace: &[u8], key: &[u8]) -> Option<Bytes> {
        let is_of =
            |change: &&(Bytes, RecordChange)| change.0 == namespace && change.1.key() == key;
        match &self.0.iter().rfind(is_of)?.1 {
            RecordChange::Put { value, .. } => Some(value.clone()),
            RecordChange::Delete { .. } => None,
        }
    }

    pub(super) fn scan(&self, namespace: &[u8], scan: &Scan) -> Vec<(Bytes, Bytes)> {
        let mut keys: Vec<Bytes> = self.0.iter().map(|(_, c)| c.key().clone()).collect();
        keys.sort();
        keys.dedup();
        if scan.reverse {
            keys.reverse();
        }
        let found = keys.into_iter().filter(|key| {
            let is_beyond = match (&scan.beyond, scan.reverse) {
                (None, _) => true,
                (Some(beyond), false) => key > beyond,
                (Some(beyond), true) => key < beyond,
            };
            key.starts_with(&scan.prefix) && is_beyond
        });
        let found = found.filter_map(|key| Some((key.clone(), self.get(namespace, &key)?)));
        found.take(scan.limit).collect()
    }
}

/// Up to three letters of few, the highest byte among them, so that keys collide
/// and prefixes without a successor occur.
pub(super) fn word(random: &mut SeededRandom) -> Bytes {
    const LETTERS: [u8; 5] = [0, 1, b'a', 254, 255];
    let len = random.below(4);
    (0..len)
        .map(|_| LETTERS[random.below(5) as usize])
        .collect::<Vec<_>>()
        .into()
}

pub(super) fn namespace(random: &mut SeededRandom) -> Bytes {
    const NAMES: [&[u8]; 3] = [b"", b"n", b"n\0"];
    Bytes::from_static(NAMES[random.below(3) as usize])
}

pub(super) fn batch(random: &mut SeededRandom) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..random.below(12) {
        let namespace = namespace(random);
        match random.chance(67) {
            true => batch.put(namespace, word(random), word(random)),
            false => batch.delete(namespace, word(random)),
        }
    }
    batch
}

pub(super) fn scan(random: &mut SeededRandom) -> Scan {
    Scan {
        prefix: if random.chance(40) {
            Bytes::new()
        } else {
            word(random)
        },
        beyond: random.chance(50).then(|| word(random)),
        reverse: random.chance(50),
        limit: if random.chance(50) {
            usize::MAX
        } else {
            random.below(5) as usize
        },
    }
}
