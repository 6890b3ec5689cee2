use std::path::PathBuf;

use crate::life::{Summary, Violation};

/// Many lives, one after the other.
pub struct Soak {
    seeds: u64,
    first: u64,
}

impl Soak {
    /// As many lives as `CF_SEEDS` says, from the seed `CF_FIRST_SEED` on; else this many,
    /// from 0.
    pub fn from_env(seeds: u64) -> Self {
        let setting = |name| {
            std::env::var(name)
                .ok()
                .and_then(|value| value.parse().ok())
        };
        Self {
            seeds: setting("CF_SEEDS").unwrap_or(seeds),
            first: setting("CF_FIRST_SEED").unwrap_or(0),
        }
    }

    /// The seeds of these lives.
    pub fn seeds(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.seeds
    }

    /// Lives them all; what happened in them together.
    ///
    /// # Panics
    /// At the first violation: lives it again with a diagram, and says where that is and
    /// by which command it is lived once more.
    pub fn run(
        &self,
        name: &str,
        live: impl Fn(u64, bool) -> Result<Summary, Violation>,
    ) -> Summary {
        let mut all = Summary::default();
        for seed in self.seeds() {
            match live(seed, false) {
                Ok(one) => {
                    all.deaths += one.deaths;
                    all.contents += one.contents;
                    all.payloads += one.payloads;
                    all.steps += one.steps;
                    all.digest = all.digest.rotate_left(1) ^ one.digest;
                }
                Err(violation) => {
                    let again = live(seed, true).err();
                    let diagram = again.map(|again| again.diagram).unwrap_or_default();
                    panic!(
                        "{name}, seed {seed}: {}\nthe diagram is {}\nagain: cargo xtask soak --only {name} \
                         --first-seed {seed} --seeds 1",
                        violation.what,
                        keep(name, seed, &diagram).display()
                    );
                }
            }
        }
        all
    }
}

/// Keeps a diagram where it is found.
fn keep(name: &str, seed: u64, diagram: &str) -> PathBuf {
    let folder = std::env::temp_dir().join("cf-sim");
    let path = folder.join(format!("{name}-{seed}.mmd"));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, diagram));
    kept.map_or_else(|error| PathBuf::from(error.to_string()), |()| path)
}
