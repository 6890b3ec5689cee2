use std::collections::VecDeque;

use cf_core::{ContentId, Timestamp};

/// How many contents wait to be sent at most.
pub(crate) const MAX_QUEUED: usize = 65_536;

/// Contents that can't be sent yet, oldest first. Their bytes are in records.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<Queued>,
    pub(crate) next: u64,
}

pub(crate) struct Queued {
    /// Its place, which names its record.
    pub(crate) place: u64,
    pub(crate) content: Option<ContentId>,
    pub(crate) queued_at: Timestamp,
}

impl Queue {
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_QUEUED
    }

    /// Takes a content in; gives its place.
    pub(crate) fn push(&mut self, content: Option<ContentId>, queued_at: Timestamp) -> u64 {
        let place = self.next;
        self.next += 1;
        self.waiting.push_back(Queued {
            place,
            content,
            queued_at,
        });
        place
    }
}
