use crate::digest::{Digest, digest};

/// What stands for a node that has no pieces below it.
const NOTHING: Digest = [0; 32];

/// The hash tree over the pieces of a payload. Its root names the payload, and a
/// piece comes with the way to it, so that each is recognized alone and a wrong
/// one can't take the place of another.
pub(super) struct Tree {
    /// From the leaves up to the single node below the root.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over these leaves; there is at least one.
    pub(super) fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        loop {
            let below = &levels[levels.len() - 1];
            if below.len() <= 1 {
                return Self { levels };
            }
            let above = below
                .chunks(2)
                .map(|pair| node(&pair[0], pair.get(1).unwrap_or(&NOTHING)))
                .collect();
            levels.push(above);
        }
    }

    pub(super) fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        root(self.levels[0].len(), top.unwrap_or(&NOTHING))
    }

    /// The nodes beside the way from a leaf up.
    pub(super) fn way(&self, index: usize) -> impl Iterator<Item = &Digest> {
        let below_the_top = self.levels.iter().take(self.levels.len() - 1);
        below_the_top
            .enumerate()
            .map(move |(height, level)| level.get((index >> height) ^ 1).unwrap_or(&NOTHING))
    }
}

/// The root that a leaf and its way lead to.
pub(super) fn climb(leaf: Digest, index: u16, count: u16, way: &[Digest]) -> Digest {
    let mut at = leaf;
    for (height, beside) in way.iter().enumerate() {
        at = match (index >> height) & 1 {
            0 => node(&at, beside),
            _ => node(beside, &at),
        };
    }
    root(count.into(), &at)
}

/// The leaf of a piece's content.
pub(super) fn leaf(index: u16, content: &Digest) -> Digest {
    digest(
        "/cf/ds/segmented/1 leaf",
        &[&index.to_be_bytes(), &content[..]],
    )
}

/// How many nodes the way from a leaf has: the least *d* with `count` ≤ 2^*d*.
pub(super) fn depth(count: u16) -> usize {
    usize::from(count).next_power_of_two().trailing_zeros() as usize
}

fn node(left: &Digest, right: &Digest) -> Digest {
    digest("/cf/ds/segmented/1 node", &[left, right])
}

fn root(count: usize, top: &Digest) -> Digest {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    digest("/cf/ds/segmented/1 root", &[&count.to_be_bytes(), top])
}
