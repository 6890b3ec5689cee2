/// What a [`SqliteStore`](crate::SqliteStore) promises and how large it gets.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// What a commit survives once it has answered.
    pub durability: Durability,
    /// The largest file, in bytes; beyond it a commit is refused. `None`: as
    /// large as the disk.
    pub max_bytes: Option<u64>,
    /// What deriving a key from a passphrase costs, in a store that is made.
    pub passphrase_cost: PassphraseCost,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Process,
            max_bytes: None,
            passphrase_cost: PassphraseCost::default(),
        }
    }
}

/// What a commit survives once it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process at any instruction. A power cut may take the
    /// last commits, from the last one back; it damages nothing.
    Process,
    /// A power cut too: every commit waits for the disk.
    Power,
}

/// The parameters of Argon2id (RFC 9106), kept in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PassphraseCost {
    /// The second choice that RFC 9106, section 4, recommends: 64 MiB, three
    /// passes, four lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

impl PassphraseCost {
    /// Whether a machine should pay it: bounds what a hostile file can ask for.
    pub(super) fn is_bearable(self) -> bool {
        (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes
    }
}
