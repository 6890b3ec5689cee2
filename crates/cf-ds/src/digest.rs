use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub(crate) type Digest = [u8; 32];

/// SHA-256 over a label, a zero byte, and the parts one after the other. Every
/// label stands on the page of its protocol.
pub(crate) fn digest(label: &str, parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(label);
    hash.update([0]);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first bytes of a digest.
pub(crate) fn head<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut head = [0; N];
    head.copy_from_slice(&digest[..N]);
    head
}

/// A name for a locator: the first 16 bytes of a digest, as hexadecimal.
pub(crate) fn name(digest: &Digest) -> String {
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
