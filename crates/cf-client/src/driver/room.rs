//! How much is kept of the large contents that came and nobody has let go of.

use std::collections::{HashMap, HashSet};

use cf_core::{ConversationId, ErrorKind, Input, InstanceId, Result, Timestamp};

use super::Driver;
use super::large::KEPT;
use crate::overlay::Overlay;
use crate::records::{self, META, wire};

/// How many bytes of large contents are kept of what came in one conversation,
/// unless [`Driver::keep_large`] says otherwise: 1 GiB.
pub const KEPT_IN_ONE: u64 = 1024 * 1024 * 1024;

/// The same, of all conversations: 8 GiB.
pub const KEPT_IN_ALL: u64 = 8 * 1024 * 1024 * 1024;

/// A conversation is told how much room there is once it is less than this, in
/// bytes: what the incomplete contents of one peer may have.
const PLENTY: u64 = 256 * 1024 * 1024;

/// The places of the settings among the client's own records.
const IN_ONE: &str = "large_in_one";
const IN_ALL: &str = "large_in_all";

/// What is kept, what is still to come of it counted in, and what may be.
pub(super) struct Kept {
    in_one: HashMap<ConversationId, u64>,
    in_all: u64,
    most_in_one: u64,
    most_in_all: u64,
    /// The conversations that were told of little room.
    short: HashSet<InstanceId>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            in_one: HashMap::new(),
            in_all: 0,
            most_in_one: KEPT_IN_ONE,
            most_in_all: KEPT_IN_ALL,
            short: HashSet::new(),
        }
    }
}

impl Kept {
    /// Reads the settings; what is kept is [counted](Self::count) one by one.
    pub(super) fn restore(&mut self, overlay: &Overlay) -> Result<()> {
        let settings = [
            (IN_ONE, &mut self.most_in_one),
            (IN_ALL, &mut self.most_in_all),
        ];
        for (setting, most) in settings {
            if let Some(stored) = overlay.get(META, setting.as_bytes())? {
                *most = records::read_number(&stored)?;
            }
        }
        Ok(())
    }

    /// Counts what is kept of a peer's content: so many bytes after so many.
    pub(super) fn count(&mut self, key: &[u8], before: u64, after: u64) -> Result<()> {
        if before != after {
            let conversation = key.get(..16).ok_or_else(records::damaged)?;
            let conversation = ConversationId::from_slice(conversation)?;
            let here = self.in_one.entry(conversation).or_default();
            for kept in [here, &mut self.in_all] {
                *kept = kept.saturating_sub(before).saturating_add(after);
            }
        }
        Ok(())
    }
}

impl Driver {
    /// Says how many bytes of large contents are kept of what comes in one
    /// conversation, and in all of them: until they are let go of, with
    /// [`Driver::forget_large`], further ones are refused, and their authors are
    /// told that they failed. What is there stays. [`KEPT_IN_ONE`] and
    /// [`KEPT_IN_ALL`] until it is said.
    pub fn keep_large(&mut self, in_one: u64, in_all: u64) {
        for (setting, bytes) in [(IN_ONE, in_one), (IN_ALL, in_all)] {
            self.overlay.put(META, setting, records::number_key(bytes));
        }
        let kept = &mut self.spools.kept;
        (kept.most_in_one, kept.most_in_all) = (in_one, in_all);
    }

    /// How many bytes of large contents may come in a conversation, beside what
    /// has begun to.
    fn room_for_large(&self, conversation: ConversationId) -> u64 {
        let kept = &self.spools.kept;
        let here = kept.in_one.get(&conversation).copied();
        let here = kept.most_in_one.saturating_sub(here.unwrap_or_default());
        here.min(kept.most_in_all.saturating_sub(kept.in_all))
    }

    /// Tells a conversation how much room there is, before a frame that may need it.
    pub(super) fn say_room(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(conversation) = self.conversations.get(&instance).map(|found| found.id) else {
            return;
        };
        let room = match self.room_for_large(conversation) {
            PLENTY.. if self.spools.kept.short.remove(&instance) => u64::MAX,
            PLENTY.. => return,
            room => room,
        };
        if room < PLENTY {
            self.spools.kept.short.insert(instance);
        }
        match self.input(instance, Input::Room(room), now) {
            Err(error) if error.kind() != ErrorKind::Unsupported => {
                self.rejected("failed.room", &error);
            }
            _ => {}
        }
    }
}

/// What a spool counts for of what is kept of peers' contents, in bytes.
pub(super) fn kept_len(key: &[u8], spool: &wire::Spool) -> u64 {
    match spool.state == KEPT && !records::is_own_spool(key) {
        true => spool.len,
        false => 0,
    }
}
