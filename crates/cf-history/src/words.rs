//! Which entries have which words.
//!
//! ```text
//! key    = HMAC-SHA256(key of this history; 1 ‖ word)[..5] ‖ block 3     block = seq / 4096
//! value  = offsets in the block, 2 bytes each, ascending                  up to 255 of them
//!        = 4096 bits in 64 numbers of 8 bytes, the first the lowest of its number   else
//! ```

use std::collections::BTreeSet;

use bytes::Bytes;
use cf_core::Scan;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;
use zeroize::Zeroizing;

use crate::HistoryError;
use crate::changes::Changes;
use crate::contract::Named;
use crate::records::{self, WORDS};

/// The most different words by which one message is found; it is not found by others.
pub const MAX_WORDS: usize = 1024;
/// The longest word, in characters; a longer one is found by its start.
pub const MAX_WORD_LEN: usize = 32;

pub(crate) const BLOCK: u64 = 4096;
/// Entries from here on are not found by words: the key has no room for their block.
const MAX_BLOCKS: u64 = 1 << 24;
const BITS_LEN: usize = BLOCK as usize / 8;
const WORD: u8 = 1;
const NAME: u8 = 2;

/// A word as the index knows it.
pub(crate) type Blind = [u8; 5];

/// The words of a text as they are looked for: without case and accents.
pub(crate) fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for word in text.unicode_words() {
        let plain = word.nfkd().filter(|c| !is_combining_mark(*c));
        let folded = plain.flat_map(char::to_lowercase).take(MAX_WORD_LEN);
        words.insert(folded.collect());
        if words.len() >= MAX_WORDS {
            break;
        }
    }
    words
}

/// Hides words and names behind a key that stands in the store.
pub(crate) struct Blinder(Hmac<Sha256>);

impl Blinder {
    pub(crate) fn new(key: &Zeroizing<Vec<u8>>) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes any key"))
    }

    pub(crate) fn words(&self, text: &str) -> BTreeSet<Blind> {
        let words = words(text);
        words.iter().map(|word| self.word(word)).collect()
    }

    pub(crate) fn word(&self, word: &str) -> Blind {
        first(self.0.clone().chain_update([WORD]).chain_update(word))
    }

    /// The key of a name in its conversation.
    pub(crate) fn name(&self, conversation: cf_core::ConversationId, named: &Named) -> Bytes {
        let author = records::author_bytes(&named.author);
        let is_own = named.author == crate::Author::Own;
        let len = author.len() as u64;
        let hash = self.0.clone().chain_update([NAME, u8::from(is_own)]);
        let hash = hash.chain_update(conversation.as_bytes());
        let hash = hash.chain_update(len.to_be_bytes()).chain_update(author);
        let key: [u8; 8] = first(hash.chain_update(named.id.as_bytes()));
        Bytes::copy_from_slice(&key)
    }
}

fn first<const N: usize>(hash: Hmac<Sha256>) -> [u8; N] {
    let hash: [u8; 32] = hash.finalize().into_bytes().into();
    std::array::from_fn(|index| hash[index])
}

/// The key of a word's block; `None` where there is no room for it.
pub(crate) fn block_key(word: &Blind, block: u64) -> Option<Bytes> {
    let block = block.to_be_bytes();
    (block[..5] == [0; 5]).then(|| [&word[..], &block[5..]].concat().into())
}

/// The newest block of a word that is not after `block`, and its entries.
pub(crate) fn newest_block(
    changes: &Changes<'_>,
    word: &Blind,
    block: u64,
) -> Result<Option<(u64, Offsets)>, HistoryError> {
    let scan = Scan {
        prefix: Bytes::copy_from_slice(word),
        beyond: block_key(word, block.min(MAX_BLOCKS - 1) + 1),
        reverse: true,
        limit: 1,
    };
    let found = changes.scan(WORDS, &scan)?;
    let Some((key, value)) = found.first() else {
        return Ok(None);
    };
    let number = key.get(5..8).ok_or(HistoryError::Damaged)?;
    let block = number.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    Ok(Some((block, Offsets::read(value)?)))
}

/// Adds an entry to words, or takes it from them.
pub(crate) fn index(
    changes: &mut Changes<'_>,
    words: &BTreeSet<Blind>,
    seq: u64,
    there: bool,
) -> Result<(), HistoryError> {
    let offset = (seq % BLOCK) as u16;
    for word in words {
        let Some(key) = block_key(word, seq / BLOCK) else {
            continue;
        };
        let mut offsets = match changes.get(WORDS, key.clone())? {
            Some(value) => Offsets::read(&value)?,
            None => Offsets::new(),
        };
        if offsets.has(offset) == there {
            continue;
        }
        offsets.flip(offset);
        match offsets.count() {
            0 => changes.delete(WORDS, key),
            _ => changes.put(WORDS, key, offsets.write()),
        }
    }
    Ok(())
}

/// The entries of a block.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Offsets([u64; BITS_LEN / 8]);

impl Offsets {
    fn new() -> Self {
        Self([0; BITS_LEN / 8])
    }

    fn flip(&mut self, offset: u16) {
        self.0[usize::from(offset / 64)] ^= 1 << (offset % 64);
    }

    fn has(&self, offset: u16) -> bool {
        self.0[usize::from(offset / 64)] & (1 << (offset % 64)) != 0
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }

    /// Those that are in both.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
        self
    }

    /// From the first to the last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        (0..BLOCK as u16).filter(|offset| self.has(*offset))
    }

    fn write(&self) -> Bytes {
        match self.count() as usize * 2 < BITS_LEN {
            true => self.iter().flat_map(u16::to_be_bytes).collect(),
            false => self.0.iter().flat_map(|bits| bits.to_be_bytes()).collect(),
        }
    }

    fn read(value: &[u8]) -> Result<Self, HistoryError> {
        let mut offsets = Self::new();
        if value.len() == BITS_LEN {
            for (bits, bytes) in offsets.0.iter_mut().zip(value.chunks_exact(8)) {
                *bits = bytes
                    .iter()
                    .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            }
            return Ok(offsets);
        }
        for pair in value.chunks(2) {
            match *pair {
                [high, low] if u64::from(high) << 8 < BLOCK => {
                    offsets.flip(u16::from_be_bytes([high, low]));
                }
                _ => return Err(HistoryError::Damaged),
            }
        }
        Ok(offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_without_case_and_accents() {
        let found: Vec<_> = words("Zoë's CAFÉ, 3.5 Straße tea-time 你好")
            .into_iter()
            .collect();
        assert_eq!(
            found,
            ["3.5", "cafe", "straße", "tea", "time", "zoe's", "你", "好"]
        );
        assert_eq!(words(&"x".repeat(90)), words(&"X".repeat(32)));
        assert!(words("… !? —").is_empty());
    }

    #[test]
    fn offsets_come_back() {
        for count in [1_u16, 255, 256, 300, 4096] {
            let mut offsets = Offsets::new();
            (0..count).for_each(|n| offsets.flip(n * (4096 / count.max(2))));
            let written = offsets.write();
            assert!(written.len() <= BITS_LEN);
            assert_eq!(Offsets::read(&written).unwrap(), offsets);
            assert_eq!(offsets.iter().count(), usize::from(count));
        }
        assert!(Offsets::read(&[0x10, 0]).is_err() && Offsets::read(&[1]).is_err());
    }
}
