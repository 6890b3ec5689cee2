//! What is decided and not yet durable.

use std::collections::VecDeque;

use cf_core::{Batch, RecordChange};

use crate::driver::{Commit, Effect};
use crate::fault::fault;

/// The most commits that are made durable together.
const MAX_GROUP: usize = 256;

/// The commits of a [`Driver`](crate::Driver) on their way to the store, in order, each
/// with the answer (`R`) that waits for it: nothing comes out before it is durable, which
/// is the crash rule. Whoever runs a driver, on tokio or in virtual time, passes its
/// commits through here.
///
/// An answer without changes waits as well: it may tell of changes that are not durable.
pub struct Pipeline<R> {
    waiting: VecDeque<Released<R>>,
    under_way: Vec<Released<R>>,
    bytes: usize,
}

/// What one input left behind.
#[derive(Debug)]
pub struct Released<R> {
    /// The number for [`Driver::committed`](crate::Driver::committed), if there were
    /// changes.
    pub number: Option<u64>,
    /// Its changes, until they are on their way.
    batch: Batch,
    /// How long the values are that it stores.
    bytes: usize,
    /// What may happen now.
    pub effects: Vec<Effect>,
    /// The answer to who gave the input.
    pub reply: Option<R>,
}

impl<R> Default for Pipeline<R> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            bytes: 0,
        }
    }
}

impl<R> Pipeline<R> {
    /// Takes what an input changed, and the answer to it.
    pub fn push(&mut self, commit: Option<Commit>, reply: Option<R>) {
        let (number, batch, effects) = match commit {
            Some(commit) => (Some(commit.number), commit.batch, commit.effects),
            None => (None, Batch::default(), Vec::new()),
        };
        let mut released = Released {
            number,
            bytes: values_len(&batch),
            batch,
            effects,
            reply,
        };
        if fault!("publish-before-commit") {
            self.let_go_early(&mut released, |e| matches!(e, Effect::Publish { .. }));
        }
        if fault!("acknowledge-before-commit") {
            self.let_go_early(&mut released, |e| matches!(e, Effect::Acknowledge { .. }));
        }
        if fault!("tell-before-commit") {
            self.let_go_early(&mut released, |e| matches!(e, Effect::Tell(_)));
        }
        if released.number.is_some() || released.reply.is_some() {
            self.bytes += released.bytes;
            self.waiting.push_back(released);
        }
    }

    /// What is to be made durable next, together: give the outcome to
    /// [`durable`](Self::durable) or [`failed`](Self::failed). `None` while that of the
    /// last one is not known, or if nothing waits. It may be empty: then there are only
    /// answers.
    pub fn begin(&mut self) -> Option<Batch> {
        if !self.under_way.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let count = self.waiting.len().min(MAX_GROUP);
        self.under_way.extend(self.waiting.drain(..count));
        let mut batch = Batch::default();
        for released in &mut self.under_way {
            batch.append(std::mem::take(&mut released.batch));
        }
        Some(batch)
    }

    /// What [`begin`](Self::begin) gave is durable: lets go of what waited for that.
    pub fn durable(&mut self) -> Vec<Released<R>> {
        let durable = std::mem::take(&mut self.under_way);
        self.bytes -= durable.iter().map(|released| released.bytes).sum::<usize>();
        durable
    }

    /// What [`begin`](Self::begin) gave is not durable: all that waits is void, and the
    /// driver is to be made again from the store. Gives the answers that will never come.
    pub fn failed(&mut self) -> Vec<R> {
        self.bytes = 0;
        let all = self.under_way.drain(..).chain(self.waiting.drain(..));
        all.filter_map(|released| released.reply).collect()
    }

    /// How many inputs wait, those on their way to the store not counted.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes of values wait or are on their way to the store: what the memory
    /// is bounded by that a large content takes here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits and nothing is on its way to the store.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// The fault of letting effects go with a commit that does not cover them.
    fn let_go_early(&mut self, released: &mut Released<R>, is_early: fn(&Effect) -> bool) {
        let before = self.under_way.last_mut().or(self.waiting.back_mut());
        if let Some(before) = before {
            let effects = std::mem::take(&mut released.effects);
            let (early, rest) = effects.into_iter().partition(is_early);
            before.effects.extend::<Vec<_>>(early);
            released.effects = rest;
        }
    }
}

fn values_len(batch: &Batch) -> usize {
    let values = batch.changes().iter().map(|(_, change)| match change {
        RecordChange::Put { value, .. } => value.len(),
        RecordChange::Delete { .. } => 0,
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64) -> Commit {
        let mut batch = Batch::default();
        batch.put("n", number.to_be_bytes().to_vec(), "v");
        Commit {
            number,
            batch,
            effects: vec![Effect::Tell(number)],
        }
    }

    #[test]
    fn nothing_comes_out_before_its_changes_are_durable() {
        let mut pipeline = Pipeline::default();
        pipeline.push(None, None::<u8>);
        assert!(pipeline.is_empty(), "nothing happened");
        pipeline.push(Some(commit(1)), Some(1));
        assert_eq!(pipeline.begin().map(|b| b.changes().len()), Some(1));
        assert_eq!(pipeline.bytes(), 1);
        pipeline.push(Some(commit(2)), Some(2));
        pipeline.push(None, Some(3));
        assert!(pipeline.begin().is_none(), "one at a time");
        let replies = |all: Vec<Released<u8>>| all.iter().map(|r| r.reply).collect::<Vec<_>>();
        assert_eq!(replies(pipeline.durable()), [Some(1)]);
        assert_eq!(pipeline.begin().map(|b| b.changes().len()), Some(1));
        assert_eq!(replies(pipeline.durable()), [Some(2), Some(3)]);
        pipeline.push(Some(commit(3)), Some(4));
        let _ = pipeline.begin();
        pipeline.push(Some(commit(4)), Some(5));
        assert_eq!(pipeline.failed(), [4, 5]);
        assert!(pipeline.is_empty());
        assert_eq!(pipeline.bytes(), 0);
    }
}
