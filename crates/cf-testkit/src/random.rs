use cf_core::Random;
use sha2::{Digest, Sha256};

/// Randomness from a seed: the same seed, the same bytes.
#[derive(Clone, Debug)]
pub struct SeededRandom {
    seed: u64,
    block: u64,
    left: Vec<u8>,
}

impl SeededRandom {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            block: 0,
            left: Vec::new(),
        }
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes) % bound
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                let mut hash = Sha256::new();
                hash.update(self.seed.to_be_bytes());
                hash.update(self.block.to_be_bytes());
                self.block += 1;
                self.left = hash.finalize().to_vec();
            }
            *byte = self.left.pop().unwrap_or_default();
        }
    }
}
