//! What is derived from the toy's secret.

use cf_core::RoutingTag;
use sha2::{Digest, Sha256};

/// What a tag is for.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Content,
    Acknowledgement,
    Standing,
    Parameters,
}

pub(super) struct Keys(pub(super) [u8; 32]);

impl Keys {
    pub(super) fn tag(&self, kind: Kind, of: u64, number: u64) -> RoutingTag {
        let hash = self.hash(
            "tag",
            &[&[kind as u8], &of.to_be_bytes(), &number.to_be_bytes()],
        );
        RoutingTag(front(hash))
    }

    pub(super) fn mac(&self, of: u64, number: u64, parts: &[&[u8]]) -> [u8; 16] {
        let place = [of.to_be_bytes(), number.to_be_bytes()].concat();
        front(self.hash("mac", &[&[&place[..]], parts].concat()))
    }

    pub(super) fn stream(&self, of: u64, number: u64, salt: &[u8], text: &[u8]) -> Vec<u8> {
        let blocks = text.chunks(32).zip(0u64..);
        let sealed = blocks.flat_map(|(block, count)| {
            let place = [of, number, count].map(u64::to_be_bytes).concat();
            let mask = self.hash("stream", &[salt, &place]);
            block
                .iter()
                .zip(mask)
                .map(|(byte, mask)| byte ^ mask)
                .collect::<Vec<_>>()
        });
        sealed.collect()
    }

    pub(super) fn export(&self, of: u64, label: &str) -> [u8; 32] {
        self.hash("export", &[&of.to_be_bytes(), label.as_bytes()])
    }

    fn hash(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn front(hash: [u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}
