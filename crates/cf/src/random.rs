use cf_core::Random;
use getrandom::SysRng;
use getrandom::rand_core::{Rng, UnwrapErr};

/// The system's cryptographically secure source, read a block at a time: a
/// system call for every 16 bytes would cost more than the encryption.
///
/// A process that forks must not use one on both sides.
pub struct SystemRandom {
    block: [u8; 512],
    used: usize,
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self {
            block: [0; 512],
            used: 512,
        }
    }
}

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                UnwrapErr(SysRng).fill_bytes(&mut self.block);
                self.used = 0;
            }
            // What was given out is not kept.
            *byte = std::mem::take(&mut self.block[self.used]);
            self.used += 1;
        }
    }
}
